"""One process over a run: which changes of its owner are restarts."""

from __future__ import annotations

import pytest

from feedhandler.report.processes import ProcessTrack
from feedhandler.telemetry.records import Process


def seen(pid: int, epoch: int) -> Process:
    return Process(
        role="rest",
        pid=pid,
        epoch=epoch,
        up=int(pid > 0),
        heartbeat_age_ms=20.0,
        progress=1,
        rss_bytes=None,
        cpu_s=None,
        threads=None,
        descriptors=None,
        counters={},
    )


@pytest.mark.parametrize(
    ("owners", "restarts"),
    [
        ([(7, 1), (7, 1)], 0),
        ([(0, 1), (7, 1)], 0),  # its segment was seen before its owner
        ([(7, 1), (8, 2)], 1),
        ([(7, 1), (7, 2)], 1),  # the kernel gave the same number again
        ([(7, 1), (0, 2), (8, 2)], 1),
    ],
)
def test_a_restart_is_one_owner_after_another(
    owners: list[tuple[int, int]], restarts: int
) -> None:
    track = ProcessTrack("rest")
    for place, (pid, epoch) in enumerate(owners):
        track.add(float(place), seen(pid, epoch))
    assert track.restarts == restarts
    assert track.looks == len(owners)
