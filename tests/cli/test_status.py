"""`status` and `tap` over real segments: live, hung, dead and absent."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from feedhandler.cli.snapshot import is_healthy, read_status
from shm_layout import Reader, SegmentError
from tests.support import MS, Program, Programs, wait_until

ROLE = "feed:hyperliquid"

# A feed that publishes quotes and trades, one side of the second instrument absent.
FEED = """
import math, signal, sys, time
from shm_layout import LINK_UP, SIDE_BID, TIME_NONE, Capacities, Instrument, Writer
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
writer = Writer.open(sys.argv[1], "feed:hyperliquid", Capacities(8, 1024))
indexes = [
    writer.add_instrument(Instrument(
        venue="hyperliquid", instrument=f"{name}-PERP", symbol=name, feed_kind="bbo",
        tick=0.5, lot=1e-5, multiplier=1.0, fresh_ms=3000,
    ))
    for name in ("BTC", "ETH")
]
frames = writer.counter("frames")
writer.set_counter(writer.counter("reconnects.stale_watchdog"), 2)
writer.set_counter(writer.counter("resyncs.crossed"), 1)
writer.set_counter(writer.counter("rejected.json"), 3)
writer.set_link(LINK_UP, 5)
step = 0
while True:
    step += 1
    now = time.monotonic_ns()
    writer.publish_quote(
        indexes[0], 0, 5, time.time_ns(), now, step, 97000.5, 1.25, 97001.0, 0.5
    )
    writer.publish_quote(
        indexes[1], 2, 5, TIME_NONE, now, step, 3400.0, 2.0, math.nan, math.nan
    )
    writer.publish_trade(indexes[0], 0, 5, TIME_NONE, now, 0, 97001.0, 0.1, SIDE_BID, 9)
    writer.count(frames)
    writer.beat(time.monotonic_ns(), step)
    time.sleep(0.01)
"""

CONTRACT = {
    "processes": {"role", "pid", "state", "epoch", "heartbeat_age_ms", "restarts"},
    "venues": {
        "venue",
        "feed_kind",
        "state",
        "session",
        "reconnects",
        "resyncs",
        "frames",
        "published",
        "unchanged",
        "rejected",
    },
    "instruments": {
        "venue",
        "instrument",
        "symbol",
        "feed_kind",
        "state",
        "reason",
        "tradable",
        "source",
        "bid",
        "bid_size",
        "ask",
        "ask_size",
        "apply_age_ms",
        "recv_age_ms",
        "event_age_ms",
    },
    "rings": {"venue", "head", "drained", "lag", "laps", "lost", "budget_hits"},
}


def head(instance: str) -> int:
    try:
        with Reader.attach(instance, ROLE) as reader:
            return reader.head()
    except SegmentError:
        return 0


@pytest.fixture
def feed(instance: str, programs: Programs) -> Iterator[Program]:
    program = programs.python("-c", FEED, instance)
    wait_until(lambda: head(instance) > 6, 10_000 * MS, "records")
    yield program
    program.close()
    stop = programs.feedhandler("stop", "--instance", instance)
    assert stop.wait() == 0


def status(programs: Programs, instance: str) -> tuple[dict[str, Any], int]:
    program = programs.feedhandler("status", "--json", "--instance", instance)
    code = program.wait()
    return json.loads(program.stdout()), code


def document_of(states: dict[str, str], venue_state: str = "LIVE") -> dict[str, Any]:
    rows = [{"role": role, "state": state} for role, state in states.items()]
    return {"processes": rows, "venues": [{"venue": "a", "state": venue_state}]}


@pytest.mark.parametrize(
    ("states", "venue_state", "healthy"),
    [
        ({"runner": "running", "feed:a": "running"}, "LIVE", True),
        ({"runner": "running", "feed:a": "running"}, "QUIET", True),
        ({"runner": "running", "feed:a": "running"}, "SYNCING", False),
        ({"runner": "running", "feed:a": "hung"}, "LIVE", False),
        ({"runner": "hung", "feed:a": "running"}, "LIVE", False),
        ({"feed:a": "running"}, "LIVE", False),
        (
            {"supervisor": "dead", "runner": "running", "feed:a": "running"},
            "LIVE",
            True,
        ),
        (
            {"runner": "running", "feed:a": "running", "feed:b": "disabled"},
            "LIVE",
            False,
        ),
    ],
)
def test_healthy_means_every_feed_and_the_runner(
    states: dict[str, str], venue_state: str, healthy: bool
) -> None:
    assert is_healthy(document_of(states, venue_state)) == healthy


def test_json_keeps_its_contract(
    instance: str, programs: Programs, feed: Program
) -> None:
    document, code = status(programs, instance)
    assert code == 1, "without a runner nothing may be traded on"
    assert document["schema"] == 1
    assert document["instance"] == instance
    assert document["ts_ms"] > 1_700_000_000_000
    for name, keys in CONTRACT.items():
        assert document[name], name
        for row in document[name]:
            assert keys <= set(row), name
    (process,) = document["processes"]
    assert (process["role"], process["pid"]) == (ROLE, feed.pid)
    assert process["state"] == "running"
    (venue,) = document["venues"]
    assert venue["reconnects"] == {"stale_watchdog": 2}
    assert venue["resyncs"] == {"crossed": 1}
    assert venue["rejected"] == {"json": 3}
    assert venue["session"] == 5
    bitcoin, ether = document["instruments"]
    assert (bitcoin["bid"], bitcoin["ask"]) == (97000.5, 97001.0)
    assert (ether["ask"], ether["ask_size"], ether["event_age_ms"]) == (None,) * 3
    assert not bitcoin["tradable"]
    assert bitcoin["reason"] == "runner_dead"


def test_with_a_runner_the_sound_quote_is_tradable(
    instance: str, programs: Programs, feed: Program
) -> None:
    runner = programs.feedhandler("runner", "--instance", instance)

    def verdict() -> bool:
        document, code = status(programs, instance)
        first, second = document["instruments"]
        assert not second["tradable"], "one side is absent"
        return bool(first["tradable"]) and code == 1  # the other one spoils the venue

    wait_until(verdict, 20_000 * MS, "a verdict")
    assert runner.stop() == 0


def test_stopped_feed_is_hung_and_dead_feed_is_dead(
    instance: str, programs: Programs, feed: Program
) -> None:
    os.kill(feed.pid, signal.SIGSTOP)

    def state() -> str:
        document, code = status(programs, instance)
        assert code == 1
        return str(document["processes"][0]["state"])

    wait_until(lambda: state() == "hung", 10_000 * MS, "hung")
    feed.kill()
    assert state() == "dead"
    document, _ = status(programs, instance)
    assert document["venues"][0]["state"] == "DOWN"
    assert document["instruments"][0]["bid"] == 97000.5, "the last quote is still shown"


def test_nothing_running_is_said_with_exit_1(instance: str, programs: Programs) -> None:
    document, code = status(programs, instance)
    assert code == 1
    assert document["processes"] == document["instruments"] == []
    program = programs.feedhandler("status", "--instance", instance)
    assert program.wait() == 1
    assert "nothing runs" in program.stdout()


@pytest.mark.parametrize("command", ["status", "stop"])
def test_wrong_name_is_told_what_runs_instead(
    instance: str, programs: Programs, feed: Program, command: str
) -> None:
    program = programs.feedhandler(command, "--instance", "none-such")
    program.wait()
    said, _, running = program.stdout().strip().partition("; running: ")
    assert said == "nothing runs: instance=none-such"
    assert instance in running.split(", ")


def test_text_shows_prices_with_their_digits(
    instance: str, programs: Programs, feed: Program
) -> None:
    program = programs.feedhandler("status", "--instance", instance)
    assert program.wait() == 1
    lines = program.stdout().splitlines()
    (row,) = [line for line in lines if "BTC-PERP" in line]
    assert "97000.5  97001.0" in row
    assert "reconnects.stale_watchdog=2" in program.stdout()
    assert "\x1b" not in program.stdout()


def test_tap_follows_what_was_asked_for(
    instance: str, programs: Programs, feed: Program
) -> None:
    program = programs.feedhandler(
        *("tap", "--instance", instance, "--venue", "hyperliquid", "--kind", "trade"),
        *("--symbol", "BTC", "--count", "5", "--json"),
    )
    assert program.wait() == 0
    records = [json.loads(line) for line in program.stdout().splitlines()]
    assert len(records) == 5
    assert {record["kind"] for record in records} == {"trade"}
    assert records[0]["instrument"] == "BTC-PERP"
    assert records[0]["aggressor"] == "bid"
    assert records[0]["event_ns"] is None
    sequences = [record["sequence"] for record in records]
    assert sequences == sorted(sequences)


def test_tap_shows_an_absent_side_as_a_dash(
    instance: str, programs: Programs, feed: Program
) -> None:
    program = programs.feedhandler(
        "tap", "--instance", instance, "--symbol", "ETH-PERP", "--count", "1"
    )
    assert program.wait() == 0
    assert "2 @ 3400 x - @ -" in program.stdout()


def test_tap_ends_quietly_with_its_reader_and_at_ctrl_c(
    instance: str, programs: Programs, feed: Program
) -> None:
    arguments = ("tap", "--instance", instance)
    program = programs.feedhandler(*arguments)
    wait_until(program.stdout, 10_000 * MS, "a record")
    assert program.stop(signal.SIGINT) == 130
    assert not program.stderr().strip()


def test_tap_shows_both_prices_with_the_digits_of_one(
    instance: str, programs: Programs, feed: Program
) -> None:
    program = programs.feedhandler(
        *("tap", "--instance", instance, "--symbol", "BTC", "--kind", "quote"),
        *("--count", "1"),
    )
    assert program.wait() == 0
    assert "1.25 @ 97000.5 x 97001.0 @ 0.5" in program.stdout()


def test_tap_of_dead_feeds_says_so(
    instance: str, programs: Programs, feed: Program
) -> None:
    feed.kill()

    def reasons() -> set[str]:
        return {row["reason"] for row in read_status(instance)["instruments"]}

    wait_until(lambda: reasons() == {"writer_dead"}, 5_000 * MS, "the verdict")
    program = programs.feedhandler("tap", "--instance", instance)
    wait_until(program.stderr, 10_000 * MS, "a word")
    assert program.stderr().startswith("waiting for a feed that lives")
    assert program.stop(signal.SIGINT) == 130
    assert not program.stdout()


def test_tap_says_what_it_waits_for(
    instance: str, programs: Programs, feed: Program
) -> None:
    program = programs.feedhandler(
        *("tap", "--instance", instance, "--venue", "hyperliquid", "--venue", "nyse"),
        *("--symbol", "BTC", "--symbol", "NOSUCH", "--count", "1"),
    )
    assert program.wait() == 0
    assert program.stderr().splitlines() == [
        "waiting for nyse: no such venue runs (running: hyperliquid)",
        "waiting for NOSUCH: no venue lists it (`feedhandler status` shows what is)",
    ]


def test_tap_of_nothing_says_how_to_start_it(instance: str, programs: Programs) -> None:
    program = programs.feedhandler("tap", "--instance", instance)
    assert program.wait() == 1
    assert "feedhandler start" in program.stderr()
