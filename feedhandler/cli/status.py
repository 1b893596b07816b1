"""`feedhandler status`: what runs, how fresh it is, what may be traded on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from feedhandler.cli.format import UNKNOWN, decimals_of, number
from feedhandler.cli.grid import Column, draw, needed_width, terminal_width
from feedhandler.cli.options import (
    nothing_runs,
    pick_instance,
    running_instance_option,
)
from feedhandler.errors import EXIT_DONE, EXIT_VERDICT

_COLOURS = {
    "LIVE": "green",
    "QUIET": "green",
    "running": "green",
    "idle": "green",
    "reading": "green",
    "fallback": "yellow",
    "SYNCING": "yellow",
    "UNKNOWN": "yellow",
    "SUSPECT": "yellow",
    "starting": "yellow",
}

_TRADABLE = "tradable"
_RING_COLUMNS = ("ring", "read", "lag", "lag_max", "lost", "laps")


def _coloured(state: str) -> str:
    return click.style(state, fg=_COLOURS.get(state, "red"))


_STATE = Column("STATE", colour=_coloured)
_PROCESS = (
    Column("PROCESS"),
    Column("PID", right=True),
    _STATE,
    Column("EPOCH", right=True, spare=1),
    Column("BEAT ms", right=True),
    Column("RESTARTS", right=True),
)
_VENUE = (
    Column("VENUE"),
    Column("KIND", spare=1),
    _STATE,
    Column("SESSION", right=True, spare=2),
    Column("FRAMES", right=True),
    Column("LOST", right=True),
    Column("ENDS AND DROPS", wraps=True),
)
_REST = (
    Column("REST"),
    Column("SELF-CHECK"),
    _STATE,
    Column("ASKED", right=True),
    Column("SHOWN", right=True),
    Column("FAILED AND DROPPED", wraps=True),
)
_QUOTE = (
    Column("QUOTE"),
    Column(""),
    _STATE,
    Column(""),
    Column("BID", right=True),
    Column("ASK", right=True),
    Column("APPLY ms", right=True),
    Column("RECV ms", right=True),
    Column("EVENT ms", right=True),
    Column("REASON"),
)
_QUOTE_NARROW = (
    *_QUOTE[:3],
    *_QUOTE[4:6],
    Column("APPLY ms", right=True, spare=2),
    Column("RECV ms", right=True, spare=1),
    Column("EVENT ms", right=True, spare=3),  # of the venue's clock: for diagnosis
    Column("VERDICT"),
)
_HOP = (
    Column("HOP"),
    Column(""),
    Column("VALUES", right=True),
    Column("p50 ms", right=True),
    Column("p99 ms", right=True),
    Column("p99.9 ms", right=True, spare=1),
    Column("max ms", right=True),
)
_READER = (
    Column("READER"),
    Column("PID", right=True, spare=2),
    _STATE,
    Column("POLL ms", right=True, spare=3),
    Column("RING"),
    Column("READ", right=True, spare=1),
    Column("LAG", right=True),
    Column("MAX", right=True, spare=4),
    Column("LOST", right=True),
    Column("LAPS", right=True),
)


@click.command()
@running_instance_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(instance: str | None, as_json: bool) -> int:
    """Show processes, venues, quotes and registered readers, from shared memory.

    Exits with 0 when feeds and runner run and every venue is LIVE or QUIET, with 1
    when nothing runs or a venue is in any other state. It works when every process is
    dead: the last quotes are shown with their true age, and none is tradable.

    Tables fit the terminal: a narrow one shows verdict and reason in one column and
    leaves out what matters least. In a pipe every column is there.

    \b
    Examples:
      feedhandler status --instance demo
      feedhandler status --json | jq '.instruments[] | select(.tradable)'
    """
    from feedhandler.cli.snapshot import is_healthy, read_status

    document = read_status(pick_instance(instance))
    if as_json:
        click.echo(json.dumps(document, allow_nan=False))
    elif not document["processes"]:
        click.echo(nothing_runs(document["instance"]))
        _print_readers(document["readers"])
    else:
        _print(document)
    return EXIT_DONE if is_healthy(document) else EXIT_VERDICT


def _print(document: Mapping[str, Any]) -> None:
    click.echo(f"instance {document['instance']}\n")
    rings = {ring["venue"]: ring for ring in document["rings"]}
    _print_table(_PROCESS, [_process_row(row) for row in document["processes"]])
    _print_table(
        _VENUE, [_venue_row(row, rings[row["venue"]]) for row in document["venues"]]
    )
    _print_table(_REST, [_rest_row(row) for row in document["rest"]])
    _print_quotes(document["instruments"])
    _print_hops(document["hops"])
    _print_readers(document["readers"])


def _print_quotes(quotes: Sequence[Mapping[str, Any]]) -> None:
    """Print every quote; where that is too wide, with verdict and reason in one."""
    rows = [_quote_row(row) for row in quotes]
    width = terminal_width()
    if width and needed_width(_QUOTE, rows) > width:
        rows = [[*row[:3], *row[4:9], _verdict(row[3], row[9])] for row in rows]
        _print_table(_QUOTE_NARROW, rows)
    else:
        _print_table(_QUOTE, rows)


def _print_hops(hops: Sequence[Mapping[str, Any]]) -> None:
    """Print how long records took on their way."""
    _print_table(_HOP, [_hop_row(hop) for hop in hops])


def _print_readers(readers: Sequence[Mapping[str, Any]]) -> None:
    """Print who registered, a line for each ring."""
    rows = [
        [
            reader["name"],
            _text(reader["pid"]),
            reader["state"],
            _age(reader["poll_age_ms"]),
            *(_text(ring.get(name)) for name in _RING_COLUMNS),
        ]
        for reader in readers
        for ring in reader["rings"] or [{}]
    ]
    _print_table(_READER, rows)


def _print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as there is room for; nothing when it has no rows."""
    if rows:
        click.echo("\n".join(draw(columns, rows, terminal_width())) + "\n")


def _process_row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["role"],
        _text(row["pid"]),
        row["state"],
        _text(row["epoch"]),
        _age(row["heartbeat_age_ms"]),
        _text(row["restarts"]),
    ]


def _venue_row(row: Mapping[str, Any], ring: Mapping[str, Any]) -> list[str]:
    notes = [
        f"{name}.{key}={count}"
        for name in ("reconnects", "resyncs", "rejected")
        for key, count in row[name].items()
        if count
    ]
    return [
        row["venue"],
        _text(row["feed_kind"]),
        row["state"],
        _text(row["session"]),
        _text(row["frames"]),
        _text(ring["lost"]),
        " ".join(notes) or UNKNOWN,
    ]


def _rest_row(row: Mapping[str, Any]) -> list[str]:
    notes = [
        f"{name}.{key}={count}"
        for name in ("failures", "discarded")
        for key, count in row[name].items()
        if count
    ]
    return [
        row["venue"],
        row["self_check"],
        row["state"],
        _text(row["attempts"]),
        _text(row["injected"]),
        " ".join(notes) or UNKNOWN,
    ]


def _quote_row(row: Mapping[str, Any]) -> list[str]:
    bid, ask = (math.nan if row[side] is None else row[side] for side in ("bid", "ask"))
    decimals = max(decimals_of(bid), decimals_of(ask))
    return [
        row["venue"],
        row["instrument"],
        row["state"],
        _TRADABLE if row["tradable"] else _untradable(row),
        number(bid, decimals),
        number(ask, decimals),
        _age(row["apply_age_ms"]),
        _age(row["recv_age_ms"]),
        _age(row["event_age_ms"]),
        row["reason"] or UNKNOWN,
    ]


def _untradable(row: Mapping[str, Any]) -> str:
    return "by REST" if row["source"] == "REST" else "no"


def _verdict(verdict: str, reason: str) -> str:
    return verdict if verdict == _TRADABLE else f"{verdict}: {reason}"


def _hop_row(hop: Mapping[str, Any]) -> list[str]:
    times = ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")
    return [
        hop["venue"] or "runner",
        hop["hop"],
        _text(hop["count"]),
        *(_age(hop[name]) for name in times),
    ]


def _text(value: object) -> str:
    return UNKNOWN if value is None else str(value)


def _age(age_ms: float | None) -> str:
    return UNKNOWN if age_ms is None else f"{age_ms:.1f}"
