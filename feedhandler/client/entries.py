"""Where each instrument's quote and verdict stand, bound for the next read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shm_layout import Reader
from shm_layout.core import JudgedQuote

MS = 1_000_000


class Entry:
    """One instrument of one feed, and its place in the runner's directory."""

    __slots__ = (
        "index",
        "names",
        "read",
        "read_funding",
    )

    def __init__(
        self,
        reader: Reader,
        index: int,
        names: tuple[str, str, str],
        read: Callable[[], JudgedQuote | None],
    ) -> None:
        self.index = index
        self.names = names  # venue, instrument, symbol
        self.read = read
        self.read_funding = reader.read_funding


def make_entries(
    feeds: Mapping[str, Reader],
    runner: Reader | None,
    heartbeat_limit_ns: int,
    confirm_limit_ns: int,
) -> dict[tuple[str, str], Entry]:
    """Return the entries of all active instruments, by venue and instrument."""
    judges = () if runner is None else runner.instruments()
    places = {(entry.venue, entry.instrument): at for at, entry in enumerate(judges)}
    return {
        (venue, entry.instrument): Entry(
            reader,
            index,
            (venue, entry.instrument, entry.symbol),
            reader.quote_reader(
                index,
                runner,
                places.get((venue, entry.instrument)),
                fresh_ns=entry.fresh_ms * MS,
                heartbeat_limit_ns=heartbeat_limit_ns,
                confirm_limit_ns=confirm_limit_ns,
            ),
        )
        for venue, reader in feeds.items()
        for index, entry in enumerate(reader.instruments())
        if entry.is_active
    }
