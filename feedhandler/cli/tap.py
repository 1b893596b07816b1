"""`feedhandler tap`: records as they are published."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from feedhandler.cli.format import decimals_of, number
from feedhandler.cli.options import pick_instance, running_instance_option
from feedhandler.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from feedhandler.client import Feed

KINDS = ("quote", "trade", "funding", "status")
_HIDDEN = ("stamp", "kind", "instrument")  # the names say it better


@click.command()
@running_instance_option
@click.option("--venue", "venues", multiple=True, metavar="V", help="Only this venue.")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="S",
    help="Only this instrument, by our name (BTC-PERP) or the venue's (BTC).",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Only this kind of record; may be repeated, as --venue and --symbol may.",
)
@click.option(
    "--from-start", is_flag=True, help="Begin with what the rings still hold."
)
@click.option("--count", type=click.IntRange(min=1), help="End after this many.")
@click.option(
    "--name", metavar="NAME", help="Register, so that `status` shows lag and losses."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    instance: str | None,
    venues: tuple[str, ...],
    symbols: tuple[str, ...],
    kinds: tuple[str, ...],
    from_start: bool,
    count: int | None,
    name: str | None,
    as_json: bool,
) -> int:
    """Follow quotes, trades, funding and state changes as they are published.

    What the ring overwrote before it could be read is reported on standard error; a
    slow reader never slows a feed. Ends with Ctrl-C or after --count records. A name
    is one reader's at a time: the second one exits with 4.

    \b
    Examples:
      feedhandler tap --instance demo --kind trade --symbol BTC-PERP
      feedhandler tap --venue hyperliquid --count 100 --json
      feedhandler tap --name recorder --json > records.jsonl
    """
    from feedhandler.client import attach

    if name is not None:
        # A manager's way to end it, too, gives the name back.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with attach(pick_instance(instance)) as feed:
        filters = (venues or None, kinds or None, symbols or None)
        try:
            records = feed.follow(*filters, from_start=from_start, name=name)
        except ValueError as error:
            raise UsageError(str(error)) from error
        for what in _absent(feed, venues, symbols):
            click.echo(f"waiting for {what}", err=True)
        lost = 0
        for index, record in enumerate(records, start=1):
            fields = _readable(record.fields)
            names = (record.kind, record.venue, record.instrument, record.symbol)
            click.echo(_json(names, fields) if as_json else _line(names, fields))
            if feed.lost != lost:
                click.echo(f"lost {feed.lost - lost} records", err=True)
                lost = feed.lost
            if index == count:
                break
    return EXIT_DONE


def _absent(
    feed: Feed, venues: tuple[str, ...], symbols: tuple[str, ...]
) -> Iterator[str]:
    """Yield what was asked for and is not there, which may still come."""
    rows = feed.quotes()
    listed = {*rows["instrument"].tolist(), *rows["symbol"].tolist()}
    for venue in venues:
        if venue not in feed.venues:
            running = ", ".join(feed.venues) or "none"
            yield f"{venue}: no such venue runs (running: {running})"
    for symbol in symbols:
        if symbol not in listed:
            yield f"{symbol}: no venue lists it (`feedhandler status` shows what is)"
    reasons = {
        reason
        for venue, reason in rows[["venue", "reason"]].tolist()
        if not venues or venue in venues
    }
    if reasons == {"writer_dead"}:
        yield "a feed that lives: what there is was left by dead ones, or they hang"


def _readable(fields: dict[str, int | float]) -> dict[str, Any]:
    """Return the fields with words for codes and None for what is absent."""
    from shm_layout.codes import (
        FLAG_NAMES,
        REASON_NAMES,
        SIDE_ASK,
        SIDE_BID,
        SOURCE_NAMES,
        STATE_NAMES,
        TIME_NONE,
    )

    words = {
        "source": SOURCE_NAMES,
        "state": STATE_NAMES,
        "previous": STATE_NAMES,
        "reason": REASON_NAMES,
        "aggressor": {SIDE_BID: "bid", SIDE_ASK: "ask"},
    }
    readable: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _HIDDEN or name.startswith("reserved"):
            continue
        if name == "flags":
            flags = int(value)
            readable[name] = [text for bit, text in FLAG_NAMES.items() if flags & bit]
        elif name in words:
            readable[name] = words[name].get(int(value))
        elif value == TIME_NONE or (isinstance(value, float) and math.isnan(value)):
            readable[name] = None
        else:
            readable[name] = value
    return readable


def _json(names: tuple[str, str, str, str], fields: dict[str, Any]) -> str:
    kind, venue, instrument, symbol = names
    head = {"kind": kind, "venue": venue, "instrument": instrument, "symbol": symbol}
    return json.dumps(head | fields, allow_nan=False)


def _line(names: tuple[str, str, str, str], fields: dict[str, Any]) -> str:
    kind, venue, instrument, _ = names
    head = f"{fields['sequence']:>8} {venue:<12} {instrument:<10} {kind:<7}"
    return f"{head} {_words(kind, fields)}"


def _words(kind: str, fields: dict[str, Any]) -> str:
    def shown(name: str, decimals: int | None = None) -> str:
        value = fields[name]
        return number(math.nan if value is None else value, decimals)

    flags = " ".join(flag.lower() for flag in fields["flags"])
    if kind == "quote":
        hop_us = (fields["publish_ns"] - fields["recv_ns"]) / 1_000
        prices = [fields[side] for side in ("bid", "ask") if fields[side] is not None]
        decimals = max(map(decimals_of, prices), default=0)
        bid = f"{shown('bid_size')} @ {shown('bid', decimals)}"
        ask = f"{shown('ask', decimals)} @ {shown('ask_size')}"
        return f"{bid} x {ask}  +{hop_us:.0f} us {flags}".rstrip()
    if kind == "trade":
        side = {"bid": "buy", "ask": "sell"}.get(fields["aggressor"], "?")
        return f"{side} {shown('size')} @ {shown('price')} {flags}".rstrip()
    if kind == "funding":
        rate = fields["rate_per_hour"]
        percent = "-" if rate is None else f"{rate * 100:.6f} %/h"
        return f"{percent} mark {shown('mark_price')} oracle {shown('oracle_price')}"
    return f"{fields['previous']} -> {fields['state']} {fields['reason']}".rstrip()
