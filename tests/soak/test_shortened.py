"""Deadlines at a fraction: still a valid configuration, still in order."""

from __future__ import annotations

import pytest

from feedhandler.config import load
from feedhandler.soak.shortened import shorten

VENUES = ["hyperliquid", "lighter"]


def test_true_time_changes_nothing() -> None:
    assert shorten(load(None, {}), VENUES, 1.0) == {}


@pytest.mark.parametrize("scale", [0.9, 0.5, 0.1, 0.01])
def test_shortened_configuration_is_valid_and_no_longer(scale: float) -> None:
    before = load(None, {})
    after = load(None, shorten(before, VENUES, scale))
    for name in VENUES:
        old, new = before.venue[name], after.venue[name]
        assert new.stale_ms <= old.stale_ms
        assert 0 < new.fresh_ms < new.stale_ms
    assert after.runner.heartbeat_limit_ms == before.runner.heartbeat_limit_ms
    assert after.runner.liveness_ms <= before.runner.liveness_ms
    assert after.rest.after_ms <= before.rest.after_ms
    ladder = after.ladder
    assert ladder.resubscribe_ms <= ladder.reconnect_ms <= ladder.restart_ms


def test_what_is_never_stays_never() -> None:
    before = load(None, {"FEEDHANDLER_REST_AUDIT_MS": "0"})
    assert "FEEDHANDLER_REST_AUDIT_MS" not in shorten(before, VENUES, 0.1)
