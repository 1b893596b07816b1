"""Registered readers in telemetry: each ring's lag and losses, while they live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

import feedhandler
from feedhandler.client import Follower
from feedhandler.telemetry import sources
from feedhandler.telemetry.readers import living_readers
from feedhandler.telemetry.records import ReaderRing, Totals
from shm_layout import Capacities, Writer
from tests.support import MS, Programs, wait_until
from tests.telemetry.segments import VENUE, S, Segments, segments
from tests.telemetry.test_prometheus import scrape, value
from tests.telemetry.test_records import validator
from tests.telemetry.test_snapshot import snapshot

RING = f"feed:{VENUE}"
LABELS = {"reader": "bot", "ring": RING}


@contextmanager
def reader(made: Segments) -> Iterator[Follower]:
    with (
        feedhandler.attach(made.instance) as feed,
        feed.follower(name="bot") as follower,
    ):
        yield follower


def publish(made: Segments, count: int) -> None:
    for _ in range(count):
        made.quote(made.now_ns)


def test_totals_have_the_rings_of_each_reader(instance: str) -> None:
    with segments(instance, ring_slots=64) as made, reader(made) as follower:
        publish(made, 100)
        read = len(follower.poll())
        publish(made, 5)
        made.now_ns += S
        totals = snapshot(made).totals
        validator().validate(msgspec.to_builtins(totals))
        (shown,) = totals.readers
        assert shown.name == "bot"
        assert 1_000 <= shown.poll_age_ms < 60_000
        ring = {row.ring: row for row in shown.rings}[RING]
        assert ring == ReaderRing(
            ring=RING, read=read, lost=100 - read, laps=1, lag=5, lag_max=100
        )
        assert {process.role for process in totals.processes} == {RING, "runner"}


def test_totals_of_before_there_were_readers_are_read(instance: str) -> None:
    with segments(instance) as made:
        document = msgspec.to_builtins(snapshot(made).totals)
    del document["readers"]
    validator().validate(document)
    assert msgspec.convert(document, Totals).readers == []


def test_lag_and_losses_of_a_reader_are_metrics(instance: str) -> None:
    with segments(instance, ring_slots=64) as made:
        assert not [name for name in scrape(made) if "reader" in name]
        with reader(made) as follower:
            publish(made, 100)
            read = len(follower.poll())
            publish(made, 3)
            made.now_ns += S
            families = scrape(made)
    assert value(families, "reader_lag_records", **LABELS) == 3
    assert value(families, "reader_lag_max_records", **LABELS) == 100
    assert value(families, "reader_read_records_total", **LABELS) == read
    assert value(families, "reader_lost_records_total", **LABELS) == 100 - read
    assert value(families, "reader_laps_total", **LABELS) == 1
    stamp_s = value(families, "reader_poll_timestamp_seconds", reader="bot")
    assert stamp_s < made.now_ns / 1e9
    roles = {
        sample.labels.get("role")
        for family in families.values()
        for sample in family.samples
    }
    assert "reader:bot" not in roles, "it is in the metrics of readers alone"


def test_dead_reader_is_in_no_metric(instance: str, programs: Programs) -> None:
    with segments(instance) as made:
        program = programs.feedhandler("tap", "--instance", instance, "--name", "bot")

        def is_shown() -> bool:
            made.now_ns += sources.LOOK_NS
            made.sources.look(made.now_ns)
            return bool(living_readers(made.sources.readers, made.now_ns))

        wait_until(is_shown, 20_000 * MS, "a reader")
        program.kill()
        assert not is_shown()
        assert "reader:bot" in made.sources.readers, "its segment is still there"
        assert not [name for name in scrape(made) if "reader" in name]


def test_readers_beyond_the_limit_do_not_keep_out_our_own_segments(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SEGMENTS_MAX", 4)
    with segments(instance) as made:
        opened = [
            Writer.open(instance, f"reader:bot{number}", Capacities(1, 8, 8, 1))
            for number in range(5)
        ]
        made.sources.look(made.now_ns)
        shown = set(made.sources.readers)
        for writer in opened:
            writer.close(unlink=True)
    assert shown == {RING, "runner", "reader:bot0", "reader:bot1"}
