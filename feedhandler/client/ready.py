"""Waiting until quotes may be traded on, and saying which may not, and why.

Names are `venue:instrument`, as in `hyperliquid:BTC-PERP`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NO_FEED = ("UNKNOWN", "no_feed")  # no feed of that venue is running
NOT_LISTED = ("UNKNOWN", "not_listed")  # the venue's feed does not carry it


class NotReady(TimeoutError):
    """Some quotes were not tradable in time.

    `missing` holds state and reason of each by its name: those of a quote, or reason
    `no_feed` or `not_listed` where there is none to have one.
    """

    def __init__(self, missing: Mapping[str, tuple[str, str]], timeout_s: float):
        self.missing = dict(missing)
        facts = "; ".join(
            f"{name} {state} {reason}".rstrip()
            for name, (state, reason) in self.missing.items()
        )
        super().__init__(f"not tradable after {timeout_s:g} s: {facts}")


def parse_names(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return venue and instrument of each name. `ValueError` for one without both."""
    if isinstance(names, str):
        raise ValueError(f"a list of names expected: {names!r}")
    parsed = {}
    for name in names:
        venue, _, instrument = name.partition(":")
        if not venue or not instrument:
            raise ValueError(f"venue:instrument expected: {name!r}")
        parsed[name] = (venue, instrument)
    return parsed
