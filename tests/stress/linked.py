"""Records whose every field is one number, so that a mix of two records shows.

publish(instrument, n & 0x7F, n, n, n, n, n.0, n.0, n.0, n.0)
"""

from __future__ import annotations

from collections.abc import Callable

from shm_layout import Capacities, SlotUnreadable, schema

ROLE = "feed:venue"
CAPACITIES = Capacities(instruments=4, ring_slots=64, counters=4, histograms=2)

_Quote = tuple[int, int, int, int, int, float, float, float, float]
_FIELDS = schema.QUOTE.struct
_SEQUENCE, _FLAGS, _EPOCH, _STAMP = (
    [field.name for field in schema.QUOTE.fields].index(name)
    for name in ("sequence", "flags", "epoch", "stamp")
)


def quote(number: int) -> _Quote:
    """Return flags … ask_size of the record of that number."""
    value = float(number)
    return (
        number & 0x7F,
        number & 0xFFFF_FFFF,
        number,
        number,
        number,
        value,
        value,
        value,
        value,
    )


class Checker:
    """Counts what is wrong with the records that one reader was given."""

    def __init__(self) -> None:
        self.read = 0
        self.torn = 0
        self.reversed = 0
        self.distinct = 0
        self.busy = 0
        self.newest: dict[int, tuple[int, int]] = {}

    def facts(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "read": self.read,
            "torn": self.torn,
            "reversed": self.reversed,
            "distinct": self.distinct,
            "busy": self.busy,
        }

    def look(self, read: Callable[[int], bytes | None], instruments: int) -> None:
        """Check the newest record of each instrument; count one that is unreadable."""
        for instrument in range(instruments):
            try:
                record = read(instrument)
            except SlotUnreadable:
                self.busy += 1
                continue
            if record is not None:
                self.latest(instrument, record)

    def latest(self, instrument: int, record: bytes) -> None:
        """Check a slot's record: whole, of this slot, and not older than the last."""
        fields = _FIELDS.unpack(record)
        number = fields[10]
        self.read += 1
        if not is_whole(fields) or fields[4] != instrument:
            self.torn += 1
            return
        key = (fields[_EPOCH], number)
        last = self.newest.get(instrument, (0, 0))
        self.reversed += key < last
        self.distinct += key != last
        self.newest[instrument] = key

    def in_ring(self, record: bytes) -> int:
        """Check a ring's record and return its number in the ring, 0 when torn."""
        fields = _FIELDS.unpack(record)
        self.read += 1
        if not is_whole(fields) or fields[_SEQUENCE] != fields[_STAMP]:
            self.torn += 1
            return 0
        return int(fields[_SEQUENCE])


def is_whole(fields: tuple[float, ...]) -> bool:
    """Say whether every field of a quote tells of the same number."""
    number = fields[10]
    return (
        fields[_FLAGS] == int(number) & 0x7F
        and fields[6] == int(number) & 0xFFFF_FFFF
        and fields[7] == fields[8] == number
        and fields[11] == fields[12] == fields[13] == fields[14] == number
    )
