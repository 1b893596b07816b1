"""Which markets of a venue are asked for: configured names, and its kept discovery.

The feed asks the venue for its markets and keeps the answers; they are read again when
they changed. Without them the naming rule serves, and where a venue knows its markets
by an id alone, such a market waits for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedhandler.discovery import load_markets
from feedhandler.venues._base import Market, Venue, find_market
from shm_layout import Instrument

_STALE_POLLS = 3  # a REST quote is stale when two answers in a row did not come


class Markets:
    """The markets of one venue, as far as they are known."""

    def __init__(
        self, venue: Venue, names: Sequence[str], feed_kind: str, path: Path
    ) -> None:
        self.venue = venue
        self._names = names
        self._feed_kind = feed_kind
        self._path = path
        self._version: tuple[int, int] | None = None
        self._is_read = False
        self._found: list[Market] = []

    def refresh(self) -> bool:
        """Read the kept discovery if it changed; say whether there is anything new."""
        version = self._file_version()
        if self._is_read and version == self._version:
            return False
        self._is_read = True
        self._version = version
        listed = load_markets(self.venue, self._path)
        found: dict[str, Market] = {}
        for name in self._names:
            market = find_market(self.venue, name, listed)
            found.setdefault(market.symbol, market)
        self._found = list(found.values())
        return True

    def entries(self, poll_ms: int) -> tuple[list[Instrument], dict[str, Market]]:
        """Return the directory's entries, and those that can be asked for, by name."""
        entries = [
            Instrument(
                venue=self.venue.name,
                instrument=market.instrument,
                symbol=market.symbol,
                feed_kind=self._feed_kind,
                tick=market.tick,
                lot=market.lot,
                multiplier=market.multiplier,
                fresh_ms=_STALE_POLLS * poll_ms,
            )
            for market in self._found
        ]
        askable = {
            market.instrument: market
            for market in self._found
            if market.market_id or not self.venue.has_market_ids
        }
        return entries, askable

    def _file_version(self) -> tuple[int, int] | None:
        try:
            facts = self._path.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_ino
