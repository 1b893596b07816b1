"""One line a venue and interval, of one form."""

from __future__ import annotations

import re

from feedhandler.telemetry.rx_stats import RxStats
from tests.telemetry.segments import MS, VENUE, segments

KEYS = (
    "venue feed_kind state link session interval_ms frames_hz frames published"
    " unchanged rejected budget_hits reconnects resyncs lag lost age_ms gap_max_ms"
    " skew_ms ts_ms"
).split()


def facts(line: str) -> dict[str, str]:
    name, *words = line.split(" ")
    assert name == "market_rx_stats"
    return dict(re.fullmatch(r"(\w+)=(\S+)", word).groups() for word in words)  # type: ignore[union-attr]


def test_line_counts_its_interval_alone(instance: str) -> None:
    stats = RxStats()
    with segments(instance) as made:
        frames = made.feed.counter("frames")
        made.feed.count(frames, 1_000)
        made.live()
        stats.take(made.sample())
        for _ in range(4):
            made.pass_ns(250 * MS)
            made.feed.count(frames, 10)
            made.live()
            sample = made.sample()
            stats.take(sample)
        (line,) = stats.lines(sample)
        made.pass_ns(1_000 * MS)
        made.beat()
        (next_line,) = stats.lines(made.sample())
    first = facts(line)
    assert tuple(first) == tuple(KEYS)
    assert first["venue"] == VENUE
    assert (first["frames"], first["interval_ms"]) == ("40", "1000")
    assert (first["frames_hz"], first["gap_max_ms"]) == ("40.0", "250.0")
    assert (first["state"], first["age_ms"]) == ("LIVE", "5.0")
    second = facts(next_line)
    assert (second["frames"], second["gap_max_ms"]) == ("0", "0.0")


def test_unknown_is_a_dash(instance: str) -> None:
    stats = RxStats()
    with segments(instance) as made:
        made.feed.close(unlink=True)
        sample = made.sample()
        stats.take(sample)
        (line,) = stats.lines(sample)
    found = facts(line)
    assert tuple(found) == tuple(KEYS)
    assert (found["frames"], found["age_ms"], found["skew_ms"]) == ("-", "-", "-")
    assert found["link"] == "ABSENT"


def test_interval_of_a_feed_that_comes_up_begins_with_it(instance: str) -> None:
    stats = RxStats()
    with segments(instance) as made:
        stats.take(made.sample())  # no counter is registered yet
        made.feed.count(made.feed.counter("frames"), 500)
        made.pass_ns(500 * MS)
        stats.take(made.sample())
        made.feed.count(made.feed.counter("frames"), 5)
        made.pass_ns(500 * MS)
        sample = made.sample()
        stats.take(sample)
        (line,) = stats.lines(sample)
    found = facts(line)
    assert (found["frames"], found["interval_ms"]) == ("5", "500")
