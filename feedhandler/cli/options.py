"""Options and answers that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from feedhandler.config import Config, load
from feedhandler.config.schema import INSTANCE_PATTERN
from feedhandler.errors import UsageError
from feedhandler.supervisor.leftovers import find_holders, instance_of
from shm_layout.segment import list_segments

Command = TypeVar("Command", bound=Callable[..., Any])


def instance_option(command: Command) -> Command:
    """Add --instance; `None` means the configuration's, or `default`."""
    return _instance_option(command, "as configured, else `default`")


def running_instance_option(command: Command) -> Command:
    """Add --instance to a command without --config; see `pick_instance`."""
    return _instance_option(command, "FEEDHANDLER_INSTANCE, else `default`")


def _instance_option(command: Command, default: str) -> Command:
    return click.option(
        "--instance",
        metavar="NAME",
        callback=_check_instance,
        help=f"Name of the group of processes (default: {default}).",
    )(command)


def config_option(command: Command) -> Command:
    """Add --config."""
    return click.option(
        "--config",
        "config_path",
        metavar="FILE",
        help="TOML file; without it every venue runs with its defaults.",
    )(command)


def load_config(config_path: str | None, instance: str | None) -> Config:
    """Return the checked configuration; --instance wins over what it says."""
    config = load(config_path, os.environ)
    if instance is None:
        return config
    return config.with_instance(instance)


def pick_instance(instance: str | None) -> str:
    """Return the instance of a command that reads no configuration."""
    name = instance or os.environ.get("FEEDHANDLER_INSTANCE") or "default"
    _refuse_bad_instance(name)
    return name


def nothing_runs(instance: str) -> str:
    """Say that nothing of the instance runs, and what does: the name may be wrong."""
    others = {instance_of(name) for name in list_segments()} - {instance}
    running = sorted(name for name in others if find_holders(name))
    hint = f"; running: {', '.join(running)}" if running else ""
    return f"nothing runs: instance={instance}{hint}"


def _check_instance(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None:
        _refuse_bad_instance(value)
    return value


def _refuse_bad_instance(name: str) -> None:
    if not re.fullmatch(INSTANCE_PATTERN, name):
        raise UsageError(
            f"an instance is 1 to 32 of a-z, 0-9, _ and - (not first): {name!r}"
        )
