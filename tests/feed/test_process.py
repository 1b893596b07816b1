"""The real process against the simulated venue: faults, signals, exits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedhandler.errors import (
    EXIT_BUG,
    EXIT_BUSY,
    EXIT_DONE,
    EXIT_OWNERSHIP_LOST,
    EXIT_USAGE,
)
from feedhandler.transport.budget import CONNECTS, Budget, budget_key
from feedhandler.venues._base import load_venue
from shm_layout import FLAG_RESTARTED, FLAG_SYNCING, LINK_UP, Capacities
from shm_layout.schema import OWNER, Plan
from shm_layout.segment import remove_leftover, segment_name
from tests.feed.simulated import ROLE, Feed, Venue, check_truth, feeding
from tests.support import MS, Programs, wait_until

QUICK = {
    "stale_ms": 600,
    "first_data_ms": 600,
    "ack_ms": 150,
    "connect_timeout_ms": 1_000,
}
RECORDING = (
    Path(__file__).parents[1]
    / "venues/hyperliquid/frames/ws_recording_btc_20250126.jsonl"
)


@pytest.fixture
def pair(instance: str, programs: Programs) -> Iterator[tuple[Venue, Feed]]:
    """A venue and a feed with short deadlines, already live."""
    with feeding(instance, programs, QUICK) as (venue, feed):
        feed.wait_live()
        yield venue, feed


def test_feed_publishes_what_the_venue_sent_and_nothing_else(
    pair: tuple[Venue, Feed],
) -> None:
    venue, feed = pair
    feed.wait(lambda: feed.count("published") > 100, "a hundred records")
    assert check_truth(feed, venue) > 20
    rows = feed.reader.instruments()
    assert [(row.instrument, row.symbol) for row in rows] == [
        ("BTC-PERP", "BTC"),
        ("ETH-PERP", "ETH"),
    ]
    feed.wait(lambda: feed.reader.instruments()[0].lot == 1e-5, "discovery")
    stages = feed.reader.owner().stages
    names = ("configured", "segment", "connected", "subscribed", "first_quote")
    feed.wait(lambda: feed.reader.owner().stages["subscribed"] > 0, "acks")
    assert all(stages[name] > 0 for name in names if name != "subscribed")
    feed.program.stop()
    log = feed.program.stderr()
    for word in ("connected", "subscribed", "first_quote", "label=shutdown"):
        assert word in log
    assert "WS_AUDIT venue=hyperliquid reconnect_reason=shutdown count=1 " in log


def test_termination_is_clean_within_a_second(pair: tuple[Venue, Feed]) -> None:
    _, feed = pair
    begin_s = time.monotonic()
    for _ in range(5):
        feed.program.process.send_signal(signal.SIGTERM)
    assert feed.program.wait(2_000 * MS) == EXIT_DONE
    assert time.monotonic() - begin_s < 1_000 * MS
    assert feed.reader.owner().link != LINK_UP


def test_killed_feed_is_live_again_in_place_within_three_seconds(
    pair: tuple[Venue, Feed],
) -> None:
    venue, feed = pair
    epoch = feed.reader.owner().epoch
    session = feed.reader.owner().session
    feed.program.kill()
    begin_s = time.monotonic()
    feed.start()
    feed.wait(lambda: feed.reader.owner().session > session, "the next session")
    feed.wait_live()
    assert time.monotonic() - begin_s < 3_000 * MS
    assert feed.reader.owner().epoch == epoch + 1
    assert any(row["flags"] & FLAG_RESTARTED for row in feed.quotes())
    assert check_truth(feed, venue) > 0


def test_second_feed_of_the_venue_is_refused(pair: tuple[Venue, Feed]) -> None:
    _, feed = pair
    first = feed.program
    second = feed.start()
    assert second.wait() == EXIT_BUSY
    feed.program = first
    assert first.is_running()
    feed.wait_live()


def ended(feed: Feed, label: str) -> Any:
    return lambda: feed.count(f"reconnects.{label}") > 0


def test_muted_venue_with_living_pongs_is_left_and_found_again(
    pair: tuple[Venue, Feed],
) -> None:
    venue, feed = pair
    venue.inject("mute")
    feed.wait(ended(feed, "stale_watchdog"), "the watchdog")
    venue.clear()
    feed.wait_live()
    assert check_truth(feed, venue) > 0


def test_venue_that_never_acknowledges_ends_as_subscribe_error(
    pair: tuple[Venue, Feed],
) -> None:
    venue, feed = pair
    # A request repeated to a venue that serves it comes back as already subscribed,
    # which is as good as an ack: so this one serves nothing either.
    venue.inject("never_ack(data=no)")
    venue.inject("drop(how=rst)")
    feed.wait(ended(feed, "stream_end"), "the cut")
    feed.wait(ended(feed, "subscribe_error"), "unacknowledged requests")
    venue.clear()
    feed.wait_live()


@pytest.mark.parametrize(
    ("how", "label"),
    [
        ("rst", "stream_end"),
        ("fin", "stream_end"),
        ("mid", "stream_end"),
        ("close", "ws_closed"),
    ],
)
def test_cut_connection_is_labelled_and_replaced(
    pair: tuple[Venue, Feed], how: str, label: str
) -> None:
    venue, feed = pair
    session = feed.reader.owner().session
    venue.inject(f"drop(how={how})")
    feed.wait(ended(feed, label), label)
    feed.wait(lambda: feed.reader.owner().session > session, "the next session")
    feed.wait_live()
    assert check_truth(feed, venue) > 0


def test_lost_acks_are_made_good_by_asking_again(pair: tuple[Venue, Feed]) -> None:
    venue, feed = pair
    feed.wait(lambda: feed.count("acks") >= 6, "the first acks")
    venue.inject("never_ack")
    venue.inject("drop(how=rst)")
    feed.wait(lambda: feed.count("acks") >= 12, "requests already subscribed")
    assert feed.count("reconnects.subscribe_error") == 0
    feed.wait_live()


def test_garbage_is_counted_and_never_published(pair: tuple[Venue, Feed]) -> None:
    venue, feed = pair
    venue.inject("garbage")
    feed.wait(
        lambda: (
            sum(
                value
                for name, value in feed.reader.counters().items()
                if name.startswith("rejected.")
            )
            > 10
        ),
        "refused frames",
    )
    venue.clear()
    feed.wait_live()
    assert check_truth(feed, venue) > 0


def test_crossed_book_turns_syncing_and_heals(pair: tuple[Venue, Feed]) -> None:
    venue, feed = pair
    venue.inject("crossed")
    feed.wait(lambda: feed.latest()["flags"] & FLAG_SYNCING, "a resync of BTC")
    assert feed.count("resyncs.crossed") > 0
    venue.clear()
    feed.wait_live()
    assert not any(row["bid"] > row["ask"] for row in feed.quotes())
    assert check_truth(feed, venue) > 0


def test_refused_connections_back_off_and_recover(
    instance: str, programs: Programs
) -> None:
    faults = ["refuse(how=http,status=503)"]
    with feeding(instance, programs, QUICK, faults=faults) as (venue, feed):
        feed.wait(lambda: feed.count("reconnects.http_status") > 1, "refusals")
        venue.clear()
        feed.wait_live()
        assert feed.count("connects") > feed.count("reconnects.http_status")


def test_stopped_feed_publishes_no_backlog_when_it_goes_on(
    pair: tuple[Venue, Feed],
) -> None:
    venue, feed = pair
    before = feed.reader.owner()
    os.kill(feed.program.pid, signal.SIGSTOP)
    stalled_ns = time.monotonic_ns()
    count = len(venue.entries())
    wait_until(
        lambda: time.monotonic_ns() - stalled_ns > 1_300_000_000, 5_000 * MS, "a pause"
    )
    assert len(venue.entries()) >= count
    os.kill(feed.program.pid, signal.SIGCONT)
    feed.wait(ended(feed, "stale_watchdog"), "the pause to be noticed")
    assert feed.count("self_stalls") > 0
    feed.wait_live()
    assert feed.reader.owner().session > before.session
    assert check_truth(feed, venue) > 0


def test_heartbeat_goes_on_while_the_venue_is_away(
    instance: str, programs: Programs
) -> None:
    with feeding(instance, programs, QUICK, faults=["refuse"]) as (_, feed):
        feed.wait(lambda: feed.count("reconnects.connect_error") > 0, "a refusal")
        first_ns = feed.reader.heartbeat_ns()
        feed.wait(lambda: feed.reader.heartbeat_ns() > first_ns, "a heartbeat")


def test_feed_works_without_rest_by_the_naming_rule(
    instance: str, programs: Programs
) -> None:
    faults = ["http(status=429,retry_after=300)"]
    with feeding(instance, programs, QUICK, faults=faults) as (_, feed):
        feed.wait_live()
        feed.wait(lambda: feed.count("discovery.fail") > 0, "a failed discovery")
        assert "retry_in_s=" in feed.program.stderr()


def test_recording_is_published_image_by_image(
    instance: str, programs: Programs
) -> None:
    settings = {**QUICK, "feed_kind": "depth", "fast": "false", "trades": "true"}
    settings |= {"instruments": "BTC-PERP", "stale_ms": 5_000}
    options = {"replay": RECORDING, "replay_speed": 20.0}
    with feeding(instance, programs, settings, **options) as (venue, feed):
        feed.wait(lambda: len(feed.quotes()) >= 46, "every book of the recording")
        assert check_truth(feed, venue) >= 46


def test_feed_that_lost_its_segment_stops_writing_and_says_so(
    pair: tuple[Venue, Feed], instance: str
) -> None:
    _, feed = pair
    owner = Plan(Capacities()).owner_offset
    path = Path("/dev/shm") / segment_name(instance, ROLE).lstrip("/")
    with path.open("r+b") as segment:
        segment.seek(owner + OWNER.offsets["epoch"])
        segment.write((99).to_bytes(8, "little"))
    assert feed.program.wait(5_000 * MS) == EXIT_OWNERSHIP_LOST


def test_feed_whose_segment_was_removed_ends_so_that_a_new_one_is_made(
    pair: tuple[Venue, Feed], instance: str
) -> None:
    _, feed = pair
    (Path("/dev/shm") / segment_name(instance, ROLE).lstrip("/")).unlink()
    assert feed.program.wait(5_000 * MS) == EXIT_OWNERSHIP_LOST


def test_budgets_that_cannot_be_shared_are_counted(
    instance: str, programs: Programs
) -> None:
    folder = Path(programs.environment()["XDG_STATE_HOME"], "feedhandler")
    folder.mkdir(parents=True)
    (folder / ".budgets").touch()  # where a directory should be
    with feeding(instance, programs, QUICK) as (_, feed):
        feed.wait_live()
        for kind in ("connects", "messages", "weight"):
            name = f"budget_fallbacks.{kind}"
            feed.wait(lambda name=name: feed.count(name) > 0, name)
            assert feed.count(f"budget_resets.{kind}") == 0


def test_wait_for_the_budget_of_connects_is_said(
    instance: str, programs: Programs
) -> None:
    folder = Path(programs.environment()["XDG_STATE_HOME"], "feedhandler", ".budgets")
    with feeding(instance, programs, QUICK) as (venue, feed):
        feed.wait_live()
        per_minute = load_venue("hyperliquid").limits.connects_per_minute
        key = budget_key(venue.ws_url, CONNECTS)
        budget = Budget(folder, key, per_minute, per_minute * 2 // 3)
        while not budget.take(1, time.monotonic_ns()):
            pass
        venue.inject("drop")
        feed.wait(
            lambda: "reason=connects_per_minute" in feed.program.stderr(), "a word"
        )


def test_bug_in_a_task_ends_the_process(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    source = f"""
import sys
from feedhandler.config import Config, VenueConfig
from feedhandler.feed import link, process
async def broken(self):
    raise RuntimeError("a bug")
link.Link.run = broken
config = Config(instance={instance!r}, state_dir={str(tmp_path)!r})
sys.exit(process.run("hyperliquid", config))
"""
    program = programs.python("-c", source)
    assert program.wait() == EXIT_BUG
    assert "a bug" in program.stderr()
    assert remove_leftover(segment_name(instance, ROLE))


def test_unknown_venue_is_a_usage_error(instance: str, programs: Programs) -> None:
    source = (
        "import sys; from feedhandler.config import Config; "
        "from feedhandler.feed.process import run; "
        f"sys.exit(run('nosuch', Config(instance={instance!r})))"
    )
    program = programs.python("-c", source)
    assert program.wait() == EXIT_USAGE
    assert "hyperliquid" in program.stderr()
