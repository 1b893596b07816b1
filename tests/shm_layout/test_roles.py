"""Roles and the names of their segments: each has one, and leads back to it."""

from __future__ import annotations

import pytest

from shm_layout import Capacities, Reader, SegmentRefused, Writer, segment

SMALL = Capacities(instruments=1, ring_slots=8, counters=4, histograms=1)
ROLES = {
    "feed:lighter": "lighter",
    "feed:v" + 31 * "x": "v" + 31 * "x",
    "feed:reader": "reader",
    "reader:bot": "reader-bot",
    "reader:" + 32 * "x": "reader-" + 32 * "x",
    "runner": "runner",
    "rest": "rest",
    "telemetry": "telemetry",
    "supervisor": "supervisor",
}


@pytest.mark.parametrize("role", ROLES)
def test_role_has_a_name_that_leads_back_to_it(role: str) -> None:
    name = segment.segment_name("default", role)
    assert name == f"/fh.default.{ROLES[role]}"
    assert segment.role_of(name) == role


@pytest.mark.parametrize(
    "role",
    [
        "",
        "feed:",
        "feed:runner",
        "feed:reader-bot",
        "feed:reader:bot",
        "feed:feed:x",
        "feed:../x",
        "feed:a.b",
        "feed:" + 33 * "x",
        "reader:",
        "reader:reader:bot",
        "reader:a-b",
        "reader:a.b",
        "reader:" + 33 * "x",
        "reader-bot",
        "Reader:bot",
        "other:bot",
        "lighter",
    ],
)
def test_role_that_could_mislead_is_refused(role: str) -> None:
    with pytest.raises(SegmentRefused) as caught:
        segment.segment_name("default", role)
    assert caught.value.reason == "name"


def test_reader_may_own_a_segment_and_tell_what_it_lost(instance: str) -> None:
    role = "reader:" + 32 * "b"
    with Writer.open(instance, role, SMALL) as own:
        lag, lost = own.counter("lag"), own.counter("lost")
        own.set_counter(lag, 12)
        own.count(lost, 3)
        own.beat(5, 1)
        assert [segment.role_of(name) for name in segment.list_segments(instance)] == [
            role
        ]
        with Reader.attach(instance, role) as known:
            assert known.counters() == {"lag": 12, "lost": 3}
            assert known.heartbeat_ns() == 5
    assert segment.remove_leftover(segment.segment_name(instance, role))
