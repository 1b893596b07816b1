"""The `readers` of `status --json`: programs that registered, and how they keep up.

Works the same when such a program is dead: what it left is still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from feedhandler.telemetry.readers import rings_of
from shm_layout import Owner, Reader, identity

ROLE: Final = "reader:"
POLL_LIMIT_NS: Final = 5_000_000_000  # a loop of one's own may take its time
_COUNTS: Final = ("lag", "lag_max", "read", "lost", "laps")
_NS_PER_MS: Final = 1_000_000


def reader_rows(
    readers: Mapping[str, Reader], refused: Mapping[str, str], now_ns: int
) -> list[dict[str, Any]]:
    """Return a row for each registered reader; both mappings are by role.

    `state` is reading, stalled (it lives and has not polled of late), dead, or why its
    segment cannot be read. The lag of a dead one is that of its last poll.
    """
    rows = []
    for role in sorted(role for role in {*readers, *refused} if role.startswith(ROLE)):
        row: dict[str, Any] = {
            "name": role.removeprefix(ROLE),
            "pid": None,
            "state": refused.get(role),
            "poll_age_ms": None,
            "rings": [],
        }
        if role in readers:
            owner = readers[role].owner()
            state = _state(owner, now_ns)
            rings = rings_of(readers[role], {} if state == "dead" else readers)
            row |= {
                "pid": owner.pid,
                "state": state,
                "poll_age_ms": _age_ms(owner, now_ns),
                "rings": [
                    {"ring": ring.ring}
                    | {name: getattr(ring, name) for name in _COUNTS}
                    for ring in rings
                ],
            }
        rows.append(row)
    return rows


def _state(owner: Owner, now_ns: int) -> str:
    if not identity.is_alive(owner.pid, owner.start_ticks):
        return "dead"
    polls = now_ns - owner.heartbeat_ns <= POLL_LIMIT_NS
    return "reading" if polls else "stalled"


def _age_ms(owner: Owner, now_ns: int) -> float | None:
    if owner.heartbeat_ns == 0:
        return None
    # The stamp may be younger than `now_ns`, which was taken before it was read.
    return round(max(0, now_ns - owner.heartbeat_ns) / _NS_PER_MS, 3)
