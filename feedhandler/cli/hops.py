"""The `hops` of `status --json`: how long records took on their way, by venue.

After a venue's hops comes how late its feed's loop was, and last how long a pass of the
runner took. They cover all since the segments were made; what took how long when is
telemetry's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shm_layout import Histogram, Reader

_FEED: Final = "feed:"
_IN_FEED: Final = "recv_to_publish"
# By the clocks of the venue and ours; `negative` counts what came before it was sent.
_IN_RUNNER: Final = ("venue_to_recv", "publish_to_apply")
_LOOP: Final = "loop_lag"
_RUNNER: Final = "runner"
_PASS: Final = "pass_time"
_PERCENTILES: Final = {"p50_ms": 50.0, "p99_ms": 99.0, "p99_9_ms": 99.9}
_NS_PER_MS: Final = 1_000_000


def hop_rows(readers: Mapping[str, Reader]) -> list[dict[str, Any]]:
    """Return a row for each venue and hop, in the order of the way; `readers` by role.

    Times are None where nothing was measured yet, `venue` is None for the runner's own.
    """
    found = {
        (role, histogram.name): histogram
        for role, reader in readers.items()
        if role == _RUNNER or role.startswith(_FEED)
        for histogram in reader.histograms()
    }
    places: list[tuple[str | None, str, tuple[str, str]]] = []
    for role in (role for role in readers if role.startswith(_FEED)):
        venue = role.removeprefix(_FEED)
        outside, inside = _IN_RUNNER
        places += [
            (venue, outside, (_RUNNER, f"{outside}.{venue}")),
            (venue, _IN_FEED, (role, _IN_FEED)),
            (venue, inside, (_RUNNER, f"{inside}.{venue}")),
            (venue, _LOOP, (role, _LOOP)),
        ]
    places.append((None, _PASS, (_RUNNER, _PASS)))
    return [
        {"venue": venue, "hop": hop, **_times(found[key])}
        for venue, hop, key in places
        if key in found
    ]


def _times(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.count,
        "negative": histogram.negative,
        **{
            name: _ms(histogram.percentile_ns(percent))
            for name, percent in _PERCENTILES.items()
        },
        "max_ms": _ms(histogram.max_ns if histogram.count else None),
    }


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / _NS_PER_MS
