"""Waits between attempts, by numbers alone, and the file that outlives a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.transport.backoff import FAILURES_UNKNOWN, Backoff, StateFile

WALL_MS = 1_785_000_000_000


def backoff(jitter: float = 1.0, failures: int = 0, until_wall_ms: int = 0) -> Backoff:
    return Backoff(1_000, 30_000, lambda: jitter, failures, until_wall_ms)


def test_wait_doubles_to_its_limit_and_grows_again_later() -> None:
    waits = backoff()
    found = [waits.failed(WALL_MS) for _ in range(22)]
    assert found[:6] == [1_000, 2_000, 4_000, 8_000, 16_000, 30_000]
    assert found[9] == 30_000
    assert found[10] == 60_000
    assert found[19] == 60_000
    assert found[20] == 120_000


@given(jitter=st.floats(0, 1, exclude_max=True), failures=st.integers(0, 999))
def test_jitter_is_full_and_two_attempts_are_never_close(
    jitter: float, failures: int
) -> None:
    waits = backoff(jitter, failures)
    wait_ms = waits.failed(WALL_MS)
    assert 250 <= wait_ms <= waits.limit_ms
    assert wait_ms == max(250, round(jitter * waits.limit_ms))


def test_healthy_session_makes_the_next_wait_short() -> None:
    waits = backoff(failures=50)
    waits.succeeded()
    assert waits.failed(WALL_MS) == 1_000


def test_heavy_failure_counts_for_several() -> None:
    assert backoff().failed(WALL_MS, weight=10) == 30_000
    assert backoff(failures=1).failed(WALL_MS, weight=10) == 60_000


def test_host_that_asks_for_a_longer_wait_gets_it() -> None:
    assert backoff(0.0).failed(WALL_MS, retry_after_ms=7_000) == 7_000
    assert backoff(1.0, 30).failed(WALL_MS, retry_after_ms=7_000) == 120_000


def test_new_process_waits_for_what_is_left() -> None:
    before = backoff()
    before.failed(WALL_MS)
    after = Backoff(1_000, 30_000, lambda: 1.0, **before.state)
    assert after.remaining_ms(WALL_MS + 400) == 600
    assert after.remaining_ms(WALL_MS + 1_000) == 0
    assert after.failed(WALL_MS) == 2_000


@pytest.mark.parametrize("moved_ms", [-86_400_000, 86_400_000])
def test_moved_wall_clock_stretches_no_wait(moved_ms: int) -> None:
    after = backoff(failures=3, until_wall_ms=WALL_MS + 4_000)
    assert after.remaining_ms(WALL_MS + moved_ms) == 0


def test_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "new" / "venue.backoff.json")
    assert file.load() == {}
    state = {"failures": 7, "until_wall_ms": WALL_MS}
    assert file.save(state)
    assert file.load() == state
    assert [path.name for path in (tmp_path / "new").iterdir()] == [
        "venue.backoff.json"
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"failures":1}',
        b'{"failures":"1","until_wall_ms":0}',
        b'{"failures":true,"until_wall_ms":0}',
        b'{"failures":1.5,"until_wall_ms":0}',
        b"\xff\xfe",
        b"[" * 4_000,
        json.dumps({"failures": 1, "until_wall_ms": 0, "pad": "x" * 9_000}).encode(),
    ],
)
def test_damaged_state_counts_as_half_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "venue.backoff.json"
    path.write_bytes(content)
    assert StateFile(path).load() == {
        "failures": FAILURES_UNKNOWN,
        "until_wall_ms": 0,
    }


def test_state_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = StateFile(tmp_path / "file" / "venue.backoff.json")
    assert not file.save({"failures": 1, "until_wall_ms": 0})


@given(
    failures=st.integers(-(1 << 70), 1 << 70), until=st.integers(-(1 << 70), 1 << 70)
)
def test_absurd_state_yields_a_bounded_wait(failures: int, until: int) -> None:
    waits = backoff(1.0, failures, until)
    assert 0 <= waits.remaining_ms(WALL_MS) <= 120_000
    assert 250 <= waits.failed(WALL_MS) <= 120_000
