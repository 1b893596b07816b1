"""`attach`: from the name of an instance to a `Feed` that reads it."""

from __future__ import annotations

import time

from feedhandler.client.feed import Feed
from feedhandler.client.rest import FeedWithRest
from shm_layout import SegmentMissing

_POLL_S = 0.005


def attach(
    instance: str = "default",
    *,
    timeout_s: float = 0.0,
    heartbeat_limit_ms: int = 500,
    quiet_confirm_ms: int = 15_000,
    rest: bool = False,
) -> Feed:
    """Attach to an instance's feeds and runner, waiting at most `timeout_s`.

    The limits are those of the runner's configuration; a shorter one is stricter. With
    `rest`, a quote that is neither LIVE nor QUIET gives way to a newer one that the
    venue answered by REST: it says so in `source`, keeps the stream's state, reason and
    `apply_age_ns`, and is never tradable.

    Raises `SegmentMissing` when nothing of that instance exists by then. A single
    missing feed is no error: its quotes are None until it appears.
    """
    feed = (FeedWithRest if rest else Feed)(
        instance,
        heartbeat_limit_ms=heartbeat_limit_ms,
        quiet_confirm_ms=quiet_confirm_ms,
    )
    deadline = time.monotonic() + timeout_s
    while not feed.venues and not feed.refresh():
        if time.monotonic() >= deadline:
            raise SegmentMissing(
                f"no feed is running: instance={instance}; start one with "
                "`feedhandler start` or `feedhandler start --demo`"
            )
        time.sleep(_POLL_S)
    return feed
