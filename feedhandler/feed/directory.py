"""Which markets a feed shows: configured names, venue's list, segment's entries.

Owns the cached answer of the venue's discovery and the instruments of the segment. The
cache holds the venue's own bytes, so that it is read by the same decoder. Nothing here
waits: without a cache the naming rule serves until an answer came. Where a venue knows
its markets by id, a market without one has its entry, and is followed once it has one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.codec.frame import FrameError
from feedhandler.errors import UsageError
from feedhandler.venues._base import Market, Venue, find_market
from shm_layout import Instrument, Writer
from shm_layout.schema import QUOTE

CACHE_BYTES_MAX: Final = 4 * 1024 * 1024
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
        # what events call them.
        self._markets: list[tuple[Market, int]] = []
        self.indexes: dict[str, int] = {}

        self._enter(self._load())

    @property
    def is_due(self) -> bool:
        """Whether the venue should be asked: no cache, or an old one."""
        try:
            age_s = time.time() - self._cache_path.stat().st_mtime
        except OSError:
            return True
        return not 0 <= age_s <= CACHE_AGE_S_MAX

    def update(self, body: bytes) -> None:
        """Take a new answer of the venue's discovery; raise `FrameError` for a bad one.

        An answer without a single market is a bad one: it would rename everything.
        """
        markets = self._venue.parse_markets(body)
        if not markets:
            raise FrameError("shape", "no market at all")
        self._enter(markets)
        self._save(body)

    def renew_ticks(self) -> None:
        """Enter the price step of markets where it depends on the price."""
        for market, index in self._markets:
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
        self._markets = entered
        is_id_needed = self._venue.has_market_ids
        self.indexes = {
            market.key: index
            for market, index in entered
            if market.market_id or not is_id_needed
        }

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

    def _load(self) -> list[Market]:
        try:
            with self._cache_path.open("rb") as file:
                body = file.read(CACHE_BYTES_MAX + 1)
            return self._venue.parse_markets(body)
        except FileNotFoundError:
            return []
        except (OSError, FrameError) as error:
            log.event("discovery_cache_ignored", path=self._cache_path, error=error)
            return []

    def _save(self, body: bytes) -> None:
        temporary = self._cache_path.with_suffix(".new")
        try:
            self._cache_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_bytes(body)
            os.replace(temporary, self._cache_path)
        except OSError as error:
            log.event("discovery_cache_not_saved", path=self._cache_path, error=error)
