"""`feedhandler status`: what runs, how fresh it is, what may be traded on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from feedhandler.cli.format import UNKNOWN, columns, decimals_of, number
from feedhandler.cli.options import instance_option, pick_instance
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

_RING_COLUMNS = ("ring", "read", "lag", "lag_max", "lost", "laps")


@click.command()
@instance_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(instance: str | None, as_json: bool) -> int:
    """Show processes, venues, quotes and registered readers, from shared memory.

    Exits with 0 when feeds and runner run and every venue is LIVE or QUIET, with 1
    when nothing runs or a venue is in any other state. It works when every process is
    dead: the last quotes are shown with their true age, and none is tradable.

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
        click.echo(f"nothing runs: instance={document['instance']}")
        _print_readers(document["readers"])
    else:
        _print(document)
    return EXIT_DONE if is_healthy(document) else EXIT_VERDICT


def _print(document: Mapping[str, Any]) -> None:
    click.echo(f"instance {document['instance']}\n")
    head = ["PROCESS", "PID", "STATE", "EPOCH", "BEAT ms", "RESTARTS"]
    rows = [
        [
            row["role"],
            _text(row["pid"]),
            row["state"],
            _text(row["epoch"]),
            _age(row["heartbeat_age_ms"]),
            _text(row["restarts"]),
        ]
        for row in document["processes"]
    ]
    _print_table([head, *rows], (1, 3, 4, 5))
    if document["venues"]:
        head = ["VENUE", "KIND", "STATE", "SESSION", "FRAMES", "LOST", "ENDS AND DROPS"]
        rings = {ring["venue"]: ring for ring in document["rings"]}
        rows = [_venue_row(row, rings[row["venue"]]) for row in document["venues"]]
        _print_table([head, *rows], (3, 4, 5))
    if document["rest"]:
        head = ["REST", "SELF-CHECK", "STATE", "ASKED", "SHOWN", "FAILED AND DROPPED"]
        rows = [_rest_row(row) for row in document["rest"]]
        _print_table([head, *rows], (3, 4))
    if document["instruments"]:
        head = ["QUOTE", "", "STATE", "", "BID", "ASK", "APPLY ms", "RECV ms"]
        rows = [_quote_row(row) for row in document["instruments"]]
        _print_table([[*head, "EVENT ms", "REASON"], *rows], (4, 5, 6, 7, 8))
    _print_hops(document["hops"])
    _print_readers(document["readers"])


def _print_hops(hops: Sequence[Mapping[str, Any]]) -> None:
    """Print how long records took on their way; nothing when nobody measured."""
    head = ["HOP", "", "VALUES", "p50 ms", "p99 ms", "p99.9 ms", "max ms"]
    times = ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")
    rows = [
        [
            hop["venue"] or "runner",
            hop["hop"],
            _text(hop["count"]),
            *(_age(hop[t]) for t in times),
        ]
        for hop in hops
    ]
    if not rows:
        return
    first, *others = columns([head, *rows], (2, 3, 4, 5, 6))
    click.echo(click.style(first, dim=True))
    click.echo("\n".join(others) + "\n")


def _print_readers(readers: Sequence[Mapping[str, Any]]) -> None:
    """Print who registered, a line for each ring; nothing when nobody did."""
    head = ["READER", "PID", "STATE", "POLL ms", "RING", "READ", "LAG", "MAX", "LOST"]
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
    if rows:
        _print_table([[*head, "LAPS"], *rows], (1, 3, 5, 6, 7, 8, 9))


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
        "tradable" if row["tradable"] else _untradable(row),
        number(bid, decimals),
        number(ask, decimals),
        _age(row["apply_age_ms"]),
        _age(row["recv_age_ms"]),
        _age(row["event_age_ms"]),
        row["reason"] or UNKNOWN,
    ]


def _untradable(row: Mapping[str, Any]) -> str:
    return "by REST" if row["source"] == "REST" else "no"


def _print_table(rows: list[list[str]], right: tuple[int, ...]) -> None:
    for index, line in enumerate(columns(rows, right)):
        if index == 0:
            click.echo(click.style(line, dim=True))
            continue
        state = rows[index][2]
        colour = _COLOURS.get(state, "red")
        click.echo(line.replace(state, click.style(state, fg=colour), 1))
    click.echo()


def _text(value: object) -> str:
    return UNKNOWN if value is None else str(value)


def _age(age_ms: float | None) -> str:
    return UNKNOWN if age_ms is None else f"{age_ms:.1f}"
