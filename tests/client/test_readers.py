"""Readers with a name: what they show of themselves, and what they leave alone."""

from __future__ import annotations

import gc
import os

import pytest

from feedhandler.client.registration import RINGS_MAX, Registration
from feedhandler.supervisor.leftovers import find_holder
from feedhandler.telemetry.readers import rings_of
from feedhandler.telemetry.records import ReaderRing
from shm_layout import OwnershipLost, Reader, SegmentBusy, segment
from tests.client.host import VENUE, Host, attached
from tests.shm_layout.processes import forked
from tests.support import MS, Programs, segment_paths, wait_until

RING = f"feed:{VENUE}"

# A reader that never closes what it opened: it polls once, or for ever.
READER = """
import sys, time, feedhandler
follower = feedhandler.attach(sys.argv[1]).follower(name="bot")
follower.poll()
print("polled", flush=True)
while sys.argv[2] == "for ever":
    follower.poll()
    time.sleep(0.001)
"""


def roles(instance: str) -> set[str]:
    return {segment.role_of(name) for name in segment.list_segments(instance)}


def shown(host: Host, name: str = "bot", ring: str = RING) -> ReaderRing:
    """Return what anybody sees now of a reader and one ring."""
    with Reader.attach(host.instance, f"reader:{name}") as reader:
        rows = rings_of(reader, {RING: host.feed})
    (row,) = [row for row in rows if row.ring == ring]
    return row


def counts(row: ReaderRing) -> tuple[int, int, int]:
    return row.read, row.lost, row.laps


def contents(instance: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in segment_paths(instance)}


def publish(host: Host, count: int) -> None:
    for number in range(count):
        host.quote(float(number + 1))


def test_reader_with_a_name_shows_what_it_read_and_what_waits(instance: str) -> None:
    with attached(instance) as (host, feed), feed.follower(name="bot") as follower:
        publish(host, 3)
        assert (shown(host).lag, counts(shown(host))) == (3, (0, 0, 0))
        assert len(follower.poll()) >= 3
        assert (shown(host).lag, counts(shown(host))) == (0, (3, 0, 0))
        assert shown(host).lag_max == 3, "the most that ever waited is kept"
        assert shown(host, ring="runner").lag == 0


def test_lag_grows_without_a_poll_and_after_a_lap_every_loss_is_counted(
    instance: str,
) -> None:
    with (
        attached(instance, ring_slots=64) as (host, feed),
        feed.follower(kinds=["quote"], name="bot") as follower,
    ):
        for waiting in (40, 80, 200):
            publish(host, waiting - shown(host).lag)
            assert shown(host).lag == shown(host).lag_max == waiting
        read = len(follower.poll())
        row = shown(host)
        assert (row.lag, row.lag_max) == (0, 200)
        assert counts(row) == (read, 200 - read, 1)
        assert follower.lost == row.lost > 0
        publish(host, 100)
        read += len(follower.poll())
        assert counts(shown(host)) == (read, 300 - read, 2)


def test_what_one_batch_leaves_is_lag(instance: str) -> None:
    with attached(instance, ring_slots=4_096) as (host, feed):
        assert host.runner is not None
        host.runner.close()
        host.runner = None
        with feed.follower(name="bot") as follower:
            publish(host, 1_500)
            assert len(follower.poll()) == 1_024
            with Reader.attach(instance, "reader:bot") as reader:
                assert reader.counters()[f"lag.{RING}"] == 1_500 - 1_024
            follower.poll()
            assert shown(host).lag == 0


def test_name_of_a_living_reader_is_refused_and_it_reads_on(instance: str) -> None:
    with attached(instance) as (host, feed), feed.follower(name="bot") as first:
        with pytest.raises(SegmentBusy, match=f"reader-bot pid={os.getpid()}"):
            feed.follower(name="bot")
        with feed.follower(name="other"):
            host.quote()
            assert first.poll()
            assert shown(host).read == 1
            assert shown(host, "other").lag == 1


@pytest.mark.parametrize(
    "name", ["", "My", "a-b", "a.b", "a/b", "../a", "a b", "ä", "x" * 33, "reader:a"]
)
def test_name_that_cannot_be_is_refused_and_nothing_is_left(
    instance: str, name: str
) -> None:
    with attached(instance) as (_, feed):
        before = roles(instance)
        with pytest.raises(ValueError, match="a reader's name is 1 to 32"):
            feed.follow(name=name)
        with pytest.raises(ValueError, match="unknown kind"):
            feed.follow(kinds=["qoute"], name="bot")
        assert roles(instance) == before


def test_killed_readers_name_is_free_and_its_counters_go_on(
    instance: str, programs: Programs
) -> None:
    with attached(instance) as (host, feed):
        program = programs.python("-c", READER, instance, "for ever")
        wait_until(program.stdout, 20_000 * MS, "a poll")
        publish(host, 5)
        wait_until(lambda: shown(host).read == 5, 10_000 * MS, "five records")
        program.kill()
        assert find_holder(instance, "reader:bot") is None
        assert shown(host).read == 5, "what it left can be read"
        with feed.follower(kinds=["quote"], name="bot") as follower:
            assert (shown(host).lag, shown(host).lag_max) == (0, 0)
            host.quote()
            assert len(follower.poll()) == 1
            assert counts(shown(host)) == (6, 0, 0)


def test_ring_that_a_dead_reader_followed_is_not_shown_of_the_next(
    instance: str,
) -> None:
    with attached(instance) as (host, feed):
        first = Registration(instance, "bot")
        first.follow("feed:aster", 7)
        first.note("feed:aster", 3, 2, 12, 40)
        first._writer.close()  # as the end of its process does: the segment stays
        with (
            feed.follower(name="bot"),
            Reader.attach(instance, "reader:bot") as reader,
        ):
            rows = rings_of(reader, {RING: host.feed})
            assert {row.ring for row in rows} == {RING, "runner"}
            assert reader.counters()["lost.feed:aster"] == 2


def test_closed_follower_gives_its_name_back(instance: str) -> None:
    with attached(instance) as (_, feed):
        before = roles(instance)
        follower = feed.follower(name="bot")
        assert roles(instance) - before == {"reader:bot"}
        follower.close()
        follower.close()
        assert roles(instance) == before
        assert follower.poll() == []
        for _ in feed.follow(name="bot", timeout_s=0.0):
            pass
        assert roles(instance) == before


def test_follower_that_nobody_closes_gives_its_name_back_too(
    instance: str, programs: Programs
) -> None:
    with attached(instance) as (_, feed):
        before = roles(instance)
        feed.follow(name="bot")  # never begun
        gc.collect()
        assert roles(instance) == before
        program = programs.python("-c", READER, instance, "once")
        assert program.wait() == 0, program.stderr()
        assert program.stdout() == "polled\n"
        assert roles(instance) == before


def test_forked_child_does_not_show_itself_under_the_name_of_its_parent(
    instance: str,
) -> None:
    with attached(instance) as (host, feed), feed.follower(name="bot") as follower:
        follower.poll()
        host.quote()

        def read() -> None:
            with pytest.raises(OwnershipLost):
                follower.poll()
            follower.close()

        assert os.waitpid(forked(read), 0)[1] == 0
        assert shown(host).lag == 1, "the parent has not read it yet"
        assert find_holder(instance, "reader:bot") is not None
        assert len(follower.poll()) >= 1


def test_reader_without_a_name_writes_nothing_in_shared_memory(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote()
        before = contents(instance)
        with feed.follower(from_start=True) as follower:
            assert follower.poll()
        assert contents(instance) == before


def test_reading_with_a_name_changes_no_other_segment(instance: str) -> None:
    with attached(instance, ring_slots=64) as (host, feed):
        with feed.follower(name="bot") as follower:
            publish(host, 200)
            before = contents(instance)
            assert follower.poll()
            after = contents(instance)
        mine = f"fh.{instance}.reader-bot"
        assert after.pop(mine) != before.pop(mine)
        assert after == before


def test_replaced_ring_is_followed_on_under_the_same_counts(instance: str) -> None:
    with attached(instance) as (host, feed), feed.follower(name="bot") as follower:
        publish(host, 50)
        follower.poll()
        read = shown(host).read
        host.feed.close(unlink=True)
        host.feed = host.open_feed(ring_slots=128)
        host.quote()
        assert shown(host).lag == 0, "of the new ring it knows nothing yet"
        wait_until(
            lambda: follower.poll() and shown(host).read > read,
            10_000 * MS,
            "a record of the new ring",
        )
        assert shown(host).lag == 0


def test_ring_too_many_is_read_and_not_shown(instance: str) -> None:
    registration = Registration(instance, "bot")
    for number in range(RINGS_MAX + 3):
        registration.follow(f"feed:v{number}", 0)
        registration.note(f"feed:v{number}", 1, 0, 1, 1)
    with Reader.attach(instance, "reader:bot") as reader:
        rows = rings_of(reader, {})
    assert len(rows) == RINGS_MAX
    assert {row.read for row in rows} == {1}
    registration.close()


def test_segment_of_a_reader_is_small(instance: str) -> None:
    registration = Registration(instance, "bot")
    (path,) = segment_paths(instance)
    assert path.stat().st_size <= 64 << 10
    registration.close()
