"""Which markets a feed shows: configured names, venue's list, segment's entries.

Owns the segment's instruments, and when the venue's discovery is asked again. Nothing
here waits: without kept answers the naming rule serves until one came. Where a venue
knows its markets by id, a market without one has its entry, and is followed once it has
one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.codec.frame import FrameError
from feedhandler.discovery import load_markets, save_answers
from feedhandler.errors import UsageError
from feedhandler.venues._base import Market, Venue, find_market
from shm_layout import Instrument, Writer
from shm_layout.schema import QUOTE

CACHE_AGE_S_MAX: Final = 24 * 3_600
_BID: Final = [field.name for field in QUOTE.fields].index("bid")
_ASK: Final = [field.name for field in QUOTE.fields].index("ask")


class Directory:
    """The instruments of one feed process."""

    def __init__(
        self,
        venue: Venue,
        names: Sequence[str],
        feed_kind: str,
        fresh_ms: int,
        writer: Writer,
        cache_path: Path,
    ) -> None:
        self._venue = venue
        self._names = names
        self._feed_kind = feed_kind
        self._fresh_ms = fresh_ms
        self._writer = writer
        self._cache_path = cache_path

        # Each market with its index of the segment; and those that can be followed, by
        # what events call them. `markets` stays one object: decoders hold it.
        self._entered: list[tuple[Market, int]] = []
        self.indexes: dict[str, int] = {}
        self.markets: dict[str, Market] = {}

        self._enter(load_markets(venue, cache_path))

    @property
    def is_due(self) -> bool:
        """Whether the venue should be asked: no cache, or an old one."""
        try:
            age_s = time.time() - self._cache_path.stat().st_mtime
        except OSError:
            return True
        return not 0 <= age_s <= CACHE_AGE_S_MAX

    def update(self, bodies: Sequence[bytes], *, is_kept: bool = True) -> None:
        """Take new answers of the venue's discovery; raise `FrameError` for bad ones.

        Answers without a single market are bad: they would rename everything. Those
        that lack a part are used, but not kept for the next process.
        """
        markets = self._venue.parse_markets(bodies)
        if not markets:
            raise FrameError("shape", "no market at all")
        self._enter(markets)
        if is_kept:
            save_answers(self._cache_path, bodies)

    def renew_ticks(self) -> None:
        """Enter the price step of markets where it depends on the price."""
        for market, index in self._entered:
            record = self._writer.read_slot(index)
            if record is None:
                continue
            fields = QUOTE.struct.unpack(record)
            price = fields[_BID] if not isnan(fields[_BID]) else fields[_ASK]
            tick = self._venue.tick_at(market, price)
            # The entry is renewed word by word: what is equal is not stored again.
            self._writer.add_instrument(self._instrument(market, tick))

    def _enter(self, markets: Sequence[Market]) -> None:
        found: dict[str, Market] = {}
        for name in self._names:
            market = find_market(self._venue, name, markets)
            if market.symbol in found:
                log.event("instrument_listed_twice", name=name, symbol=market.symbol)
                continue
            if not market.is_active:
                log.event("instrument_delisted", name=name, symbol=market.symbol)
            found[market.symbol] = market
        if markets:
            known = {market.symbol for market in markets}
            for symbol in found.keys() - known:
                log.event("instrument_not_listed", symbol=symbol)
        entered: list[tuple[Market, int]] = []
        for symbol, market in found.items():
            try:
                index = self._writer.add_instrument(
                    self._instrument(market, market.tick)
                )
            except ValueError as error:
                raise UsageError(f"instrument {symbol!r}: {error}") from error
            entered.append((market, index))
        self._writer.retire_instruments({index for _, index in entered})
        self._entered = entered
        is_id_needed = self._venue.has_market_ids
        followed = [
            (market, index)
            for market, index in entered
            if market.market_id or not is_id_needed
        ]
        self.indexes = {market.key: index for market, index in followed}
        self.markets.clear()
        self.markets.update((market.key, market) for market, _ in followed)

    def _instrument(self, market: Market, tick: float) -> Instrument:
        return Instrument(
            venue=self._venue.name,
            instrument=market.instrument,
            symbol=market.symbol,
            feed_kind=self._feed_kind,
            tick=tick,
            lot=market.lot,
            multiplier=market.multiplier,
            fresh_ms=self._fresh_ms,
        )
