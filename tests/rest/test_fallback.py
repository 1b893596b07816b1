"""A stream dies and comes back: feed, runner and REST process as they are started."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import feedhandler
from shm_layout import Reader
from shm_layout.segment import list_segments, remove_leftover
from tests.feed.simulated import Venue
from tests.support import MS, Program, Programs, wait_until

VENUE = "hyperliquid"
NAME = "BTC-PERP"
AFTER_MS = 2_000
LEAVE_MS = 500
WAIT_S = 20_000 * MS


@contextmanager
def running(
    instance: str, programs: Programs, folder: Path
) -> Iterator[tuple[Venue, feedhandler.Feed, list[Program]]]:
    venue = Venue(VENUE)
    environment = {
        "FEEDHANDLER_STATE_DIR": str(folder / "state"),
        "FEEDHANDLER_HYPERLIQUID_WS_URL": venue.ws_url,
        "FEEDHANDLER_HYPERLIQUID_REST_URL": venue.rest_url,
        "FEEDHANDLER_HYPERLIQUID_INSTRUMENTS": NAME,
        "FEEDHANDLER_HYPERLIQUID_STALE_MS": "60000",
        "FEEDHANDLER_REST_AFTER_MS": str(AFTER_MS),
        "FEEDHANDLER_REST_LEAVE_MS": str(LEAVE_MS),
        "FEEDHANDLER_REST_POLL_MS": "200",
        "FEEDHANDLER_REST_AUDIT_MS": "0",
        "FEEDHANDLER_LADDER_ENABLED": "false",
        # Silent for longer than the market ever is, so it is not taken for quiet.
        "FEEDHANDLER_RUNNER_LIVENESS_MS": "1500",
    }
    started = [
        programs.feedhandler(*words, "--instance", instance, environment=environment)
        for words in (["feed", VENUE], ["runner"], ["rest", "--venue", VENUE])
    ]
    try:
        with feedhandler.attach(instance, timeout_s=WAIT_S, rest=True) as feed:
            feed.wait_ready([f"{VENUE}:{NAME}"], WAIT_S)
            yield venue, feed, started
    finally:
        for program in started:
            program.close()
        venue.close()
        for name in list_segments(instance):
            remove_leftover(name)


def source_of(feed: feedhandler.Feed) -> str:
    quote = feed.quote(VENUE, NAME)
    return "" if quote is None else quote.source


@pytest.mark.timeout(90)
def test_dead_stream_is_stood_in_for_and_its_age_is_never_touched(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with running(instance, programs, tmp_path) as (venue, feed, started):
        venue.inject("mute(what=all)")
        muted_ns = time.monotonic_ns()
        limit_s = (AFTER_MS + 2_000) * MS
        wait_until(lambda: source_of(feed) == "REST", limit_s, "a REST price")
        with Reader.attach(instance, "rest") as reader:
            wait_until(
                lambda: reader.counters()[f"fallback.{VENUE}"] == 1, WAIT_S, "fallback"
            )
            wait_until(
                lambda: reader.counters()[f"inject.{VENUE}"] >= 5, WAIT_S, "five prices"
            )
        quote = feed.quote(VENUE, NAME)
        assert quote is not None
        assert quote.source == "REST"
        assert not quote.tradable
        # Five answers later the stream is as old as when it died, and REST is young.
        assert quote.apply_age_ns is not None
        dead_ns = quote.read_ns - muted_ns
        assert quote.apply_age_ns >= dead_ns - 500_000_000
        assert quote.recv_age_ns < quote.apply_age_ns
        document = programs.feedhandler("status", "--instance", instance, "--json")
        document.wait()
        told = json.loads(document.stdout())
        assert told["instruments"][0]["source"] == "REST"
        assert told["instruments"][0]["apply_age_ms"] > AFTER_MS
        assert told["rest"][0]["venue"] == VENUE
        assert (told["rest"][0]["state"], told["rest"][0]["self_check"]) == (
            "fallback",
            "ok",
        )
        venue.clear()
        wait_until(lambda: source_of(feed) == "STREAM", WAIT_S, "the stream's return")
        feed.wait_ready([f"{VENUE}:{NAME}"], WAIT_S)
        with Reader.attach(instance, "rest") as reader:
            wait_until(
                lambda: reader.counters()[f"left.{VENUE}"] == 1, WAIT_S, "the end of it"
            )
        assert all(program.stop() == 0 for program in reversed(started))
