"""The group `feedhandler`: finds a command, and turns every end into an exit code.

Owns the list of commands. A command's module is imported when it is called, so that
`--help` and a short-lived command do not pay for the others.
"""

from __future__ import annotations

import difflib
import errno
import faulthandler
import importlib
import os
import sys
import traceback
from typing import Any, Final

import click

from feedhandler.errors import (
    EXIT_BUG,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_RESOURCES,
    EXIT_USAGE,
    EXIT_VERDICT,
    exit_code,
)
from feedhandler.supervisor.parent import bind_to_parent

TRACEBACK_FRAMES: Final = 6
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a write to our output

# name -> (what it does, module); the object in the module is always `command`.
COMMANDS: Final = {
    "start": ("Run everything of an instance in the foreground.", "start"),
    "stop": ("Stop an instance and remove its shared memory.", "stop"),
    "status": ("Show processes, venues and quotes, with ages and verdicts.", "status"),
    "tap": ("Follow records as they are published.", "tap"),
    "doctor": ("Check the host for what the product needs.", "doctor"),
    "config": ("Check the configuration, or show what is in effect.", "config"),
    "feed": ("Run one venue's process, for a process manager.", "feed"),
    "runner": ("Run the runner's process, for a process manager.", "runner"),
    "rest": ("Run the process that asks venues by REST, for a manager.", "rest"),
    "telemetry": ("Keep what happened, in files and for Prometheus.", "telemetry"),
    "report": ("Show what a soak left, and whether it passed.", "report"),
    "analyze": ("Show what telemetry files alone tell.", "analyze"),
    "compare": ("Set two runs side by side.", "compare"),
    "tune": ("Propose limits from measured cadence.", "tune"),
    "watch": ("End what hangs, where a process manager starts it.", "watch"),
    "sim": ("Run simulated venues on loopback.", "sim"),
    "soak": ("Run everything for a while and keep the evidence.", "soak"),
    "version": ("Show the version and what it runs on.", "version"),
}

_EPILOG: Final = """\
Exit codes: 0 done, 1 a verdict failed or nothing runs, 2 usage or configuration, 3 lost
ownership, 4 already running, 5 resources, 70 a bug, 130 Ctrl-C where only that ends it.

\b
Try it without network or configuration:
  feedhandler start --demo
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"feedhandler.cli.{COMMANDS[cmd_name][1]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; name the nearest where there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            text = f"{error.message} Did you mean {near[0]!r}?"
            raise click.UsageError(text, ctx) from None

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (text, _) in COMMANDS.items()])


def _show_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from feedhandler.identity import VERSION

        click.echo(f"feedhandler {VERSION}")
        ctx.exit()


@click.group(cls=LazyGroup, epilog=_EPILOG)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Top of book of crypto venues in shared memory, with honest freshness.

    One process a venue keeps its best bid and ask where every other process on this
    host can read them at once, with their age and a verdict: may I trade on it?
    """


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised."""
    if sys.__stderr__ is not None:  # None when our parent closed it
        faulthandler.enable(sys.__stderr__)
    if not bind_to_parent(os.environ):
        return EXIT_VERDICT  # whoever started us is gone
    try:
        code = _call(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # the reader, such as `head`, has seen enough
        return EXIT_DONE
    except OSError as error:
        _drop_output()
        click.echo(f"feedhandler: cannot write: {error}", err=True)
        return EXIT_RESOURCES
    return code


def _drop_output() -> None:
    # Python flushes once more at exit, which must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _call(arguments: list[str] | None) -> int:
    # Of a terminal; what is no terminal gets no colours in any case. See no-color.org.
    extra: dict[str, Any] = {"color": False} if os.environ.get("NO_COLOR") else {}
    try:
        result = group.main(
            args=arguments, prog_name="feedhandler", standalone_mode=False, **extra
        )
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except SystemExit as ending:
        # In this mode click exits by itself for one reason only: a closed pipe.
        raise BrokenPipeError from ending
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            raise
        return _report(error)
    except Exception as error:  # noqa: BLE001  the last frame: every end has a code
        return _report(error)
    return result if isinstance(result, int) else EXIT_DONE


def _report(error: Exception) -> int:
    """Say what went wrong: a sentence for what was foreseen, a traceback for a bug."""
    code = exit_code(error)
    if code is not None:
        for line in str(error).splitlines() or [type(error).__name__]:
            click.echo(f"feedhandler: {line}", err=True)
        return code
    lines = traceback.format_exception(error, limit=-TRACEBACK_FRAMES)
    click.echo("".join(lines), err=True, nl=False)
    click.echo("feedhandler: this is a bug, please report it", err=True)
    return EXIT_BUG
