"""`feedhandler sim`: simulated venues on loopback."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import click

from feedhandler.errors import ResourcesMissing, UsageError

if TYPE_CHECKING:
    from feedhandler.sim import Notice, Simulation

PORT_MAX = 65_535


def _print_kinds(
    context: click.Context, parameter: click.Parameter, wanted: bool
) -> None:
    if not wanted:
        return
    from feedhandler.sim import KINDS

    for name, kind in KINDS.items():
        arguments = ", ".join(
            f"{key}={'|'.join(getattr(parameter, 'words', (str(parameter.default),)))}"
            for key, parameter in kind.parameters.items()
        )
        click.echo(f"{name:<12}  {kind.summary}")
        if arguments:
            click.echo(f"{'':<12}  ({arguments})")
    context.exit(0)


# Options that are not arguments of `command` are those of `Simulation`, by name.
@click.command()
@click.option(
    "--venue", "venues", multiple=True, metavar="V", help="Only these venues."
)
@click.option("--seed", default=7, show_default=True, help="Seed of the market.")
@click.option(
    "--rate",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.01, 1000),
    help="How fast the market moves.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="[VENUE:]KIND[(NAME=VALUE,…)][@START][+DURATION]; may be repeated.",
)
@click.option(
    "--kinds",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_kinds,
    help="List the kinds of faults and exit.",
)
@click.option(
    "--port",
    multiple=True,
    type=click.IntRange(0, PORT_MAX),
    help="Port of the first venue, the others follow; or one for each, in their order. "
    "Default: free ones.",
)
@click.option(
    "--truth",
    "truth_path",
    metavar="FILE",
    help="Write every quote, trade and funding sent to FILE.",
)
@click.option("--replay", metavar="FILE", help="Replay recorded frames.")
@click.option(
    "--replay-speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.001, 10_000),
    help="Factor of the recording's own pace.",
)
@click.option("--loop", "replay_loop", is_flag=True, help="Replay for ever.")
@click.option(
    "--await-clients",
    is_flag=True,
    help="Faults count their times from when every venue that does not refuse has a "
    "client, or from 60 s after the start. Those without a time begin at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, min_open=True),
    help="End after this many seconds.",
)
@click.option("--parent-pid", type=click.IntRange(1), hidden=True)
def command(
    as_json: bool, seconds: float | None, parent_pid: int | None, **options: Any
) -> int:
    """Run simulated venues on loopback until Ctrl-C.

    They speak the venues' real protocols, so any client of a venue can be pointed at
    the addresses that are printed first. With --json what happens later (connections,
    faults) goes to standard error.

    \b
    Example:
      feedhandler sim --seed 7 --fault hyperliquid:mute@30s+20s
    """
    show = _line_printer(sys.stderr if as_json else sys.stdout)
    simulation = _build(lambda notice: show(_notice_text(notice, as_json)), options)
    try:
        asyncio.run(_run(simulation, as_json, seconds, parent_pid))
    except OSError as error:
        raise ResourcesMissing(_advice(error, options)) from error
    return 0


def _advice(error: OSError, options: dict[str, Any]) -> str:
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return (
            f"cannot listen: port={','.join(map(str, options['port']))}: "
            f"{error.strerror}; "
            "choose another --port, or none to take a free one"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return f"cannot write: file={options['truth_path']}: {error.strerror}"
    return str(error)


def _build(notify: Callable[[Notice], None], options: dict[str, Any]) -> Simulation:
    from feedhandler.sim import VENUE_NAMES, Simulation

    options["venues"] = options["venues"] or VENUE_NAMES
    first, *others = options["port"] or (0,)
    port = [first, *others] if others else first
    try:
        return Simulation(**{**options, "port": port}, notify=notify)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        path = options["truth_path"]
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


async def _run(
    simulation: Simulation,
    as_json: bool,
    seconds: float | None,
    parent_pid: int | None,
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if parent_pid is not None:
        _watch_parent(loop, parent_pid, stop)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    async with simulation:
        if as_json:  # people read the notices, where the addresses come first
            for address in simulation.addresses:
                click.echo(json.dumps(address._asdict()))
            sys.stdout.flush()
        stopped = asyncio.ensure_future(stop.wait())
        failed = asyncio.ensure_future(simulation.wait_failed())
        await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if failed.done():
            failed.result()
        failed.cancel()


def _watch_parent(
    loop: asyncio.AbstractEventLoop, parent_pid: int, stop: asyncio.Event
) -> None:
    """Stop when the process `parent_pid` has ended; at once if it already has."""
    try:
        descriptor = os.pidfd_open(parent_pid)
    except ProcessLookupError:
        stop.set()
        return

    def end() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        stop.set()

    loop.add_reader(descriptor, end)


def _line_printer(stream: IO[str]) -> Callable[[str], None]:
    """Return a printer of lines that drops one rather than wait for a reader."""
    descriptor = stream.fileno()

    def show(line: str) -> None:
        # A pipe that select calls writable takes a whole line of this length.
        text = line.encode()[: select.PIPE_BUF - 1] + b"\n"
        with suppress(OSError):  # whoever read it is gone; the venues go on
            if select.select([], [descriptor], [], 0)[1]:
                os.write(descriptor, text)

    return show


def _notice_text(notice: Notice, as_json: bool) -> str:
    if as_json:
        return json.dumps(notice._asdict())
    return f"{notice.venue}  {notice.what}  {notice.detail}".rstrip()
