"""What each stream has told of trades and candles, to tell what is news to it.

The book has its chains; this is for the streams that speak of trades and of the day.
"""

from __future__ import annotations

from collections.abc import Container

from feedhandler.sim.venues.aster import render
from feedhandler.sim.venues.aster.listings import Json
from feedhandler.sim.venues.aster.perp import Perp
from feedhandler.sim.venues.aster.streams import KLINE, MARK, MINI, Stream
from feedhandler.sim.venues.aster.tape import candle_times

_Key = tuple[str, str]  # of a stream and a symbol


class Teller:
    """The payloads of one stream and perp that are due, where something changed."""

    def __init__(self) -> None:
        self._trades: dict[_Key, int] = {}  # next trade or last aggregate
        self._candles: dict[_Key, tuple[int, int]] = {}  # begin, and next trade

    def begin(self, stream: Stream, perp: Perp) -> None:
        """From now on aggregates are news to this stream, unless it was served."""
        self._trades.setdefault(_key(stream, perp), perp.tape.next_aggregate_id - 1)

    def forget(self, names: Container[str]) -> None:
        """Drop what was kept for streams that are not among these."""
        for key in [key for key in self._trades if key[0] not in names]:
            del self._trades[key]
        for key in [key for key in self._candles if key[0] not in names]:
            del self._candles[key]

    def aggregates(self, stream: Stream, perp: Perp, now_ms: int) -> list[Json]:
        """The taker orders since the last time."""
        key, newest_id = _key(stream, perp), perp.tape.next_aggregate_id - 1
        told_id = self._trades.get(key, newest_id)
        self._trades[key] = newest_id
        return [
            render.aggregate(perp, row, now_ms)
            for row in perp.tape.aggregates
            if row.aggregate_id > told_id
        ]

    def row(self, stream: Stream, perp: Perp, now_ms: int) -> Json | None:
        """The payload for this time, or None if nothing changed since the last."""
        if stream.kind == MARK:
            return render.mark(perp, now_ms)
        if stream.kind == KLINE:
            return self._kline(stream, perp, now_ms)
        key = _key(stream, perp)
        if perp.asset is None or self._trades.get(key) == perp.tape.next_id:
            return None
        self._trades[key] = perp.tape.next_id
        day = render.mini if stream.kind == MINI else render.ticker
        return day(perp, now_ms)

    def _kline(self, stream: Stream, perp: Perp, now_ms: int) -> Json | None:
        """The running candle if it grew, or once more the one that ended."""
        key, next_id = _key(stream, perp), perp.tape.next_id
        start_ms, _ = candle_times(stream.interval, now_ms)
        known_ms, known_id = self._candles.get(key, (start_ms, 0))
        has_ended = known_ms != start_ms
        self._candles[key] = start_ms, 0 if has_ended else next_id
        if not has_ended and known_id == next_id:
            return None
        at_ms = known_ms if has_ended else now_ms
        candle = perp.tape.candle(stream.interval, at_ms)
        if candle is None:
            return None
        return render.kline(perp, stream.interval, candle, now_ms)


def _key(stream: Stream, perp: Perp) -> _Key:
    return stream.name, perp.symbol
