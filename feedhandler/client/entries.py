"""Where each instrument's quote and verdict stand, bound for the next read."""

from __future__ import annotations

from collections.abc import Mapping

from shm_layout import Reader

MS = 1_000_000


class Entry:
    """One instrument of one feed, and its place in the runner's directory."""

    __slots__ = (
        "fresh_ns",
        "index",
        "names",
        "read",
        "read_funding",
        "read_verdict",
        "verdict_index",
    )

    def __init__(
        self,
        reader: Reader,
        index: int,
        names: tuple[str, str, str],
        fresh_ns: int,
        runner: Reader | None,
        verdict_index: int | None,
    ) -> None:
        self.read = reader.read_live
        self.read_funding = reader.read_funding
        self.index = index
        self.names = names  # venue, instrument, symbol
        self.fresh_ns = fresh_ns
        self.read_verdict = runner.read_live if runner is not None else None
        self.verdict_index = verdict_index


def make_entries(
    feeds: Mapping[str, Reader], runner: Reader | None
) -> dict[tuple[str, str], Entry]:
    """Return the entries of all active instruments, by venue and instrument."""
    judges = () if runner is None else runner.instruments()
    places = {(entry.venue, entry.instrument): at for at, entry in enumerate(judges)}
    return {
        (venue, entry.instrument): Entry(
            reader,
            index,
            (venue, entry.instrument, entry.symbol),
            entry.fresh_ms * MS,
            runner,
            places.get((venue, entry.instrument)),
        )
        for venue, reader in feeds.items()
        for index, entry in enumerate(reader.instruments())
        if entry.is_active
    }
