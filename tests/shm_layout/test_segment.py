"""The life of a segment: create, adopt, retire, attach, remove."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from shm_layout import (
    TIME_NONE,
    Capacities,
    Instrument,
    OwnershipLost,
    Reader,
    SegmentBusy,
    SegmentMissing,
    SegmentRefused,
    Writer,
    schema,
    segment,
)
from shm_layout.schema import Plan
from tests.shm_layout.memory import linked, number_of, records
from tests.support import MS, SHM, Programs, segment_paths, wait_until

ROLE = "feed:venue"
SMALL = Capacities(instruments=4, ring_slots=16, counters=8, histograms=2)
BTC = Instrument("venue", "BTC-PERP", "BTC")
ETH = Instrument("venue", "ETH-PERP", "ETH")


def path_of(instance: str) -> Path:
    return SHM / f"fh.{instance}.venue"


def opened(instance: str, capacities: Capacities = SMALL) -> Writer:
    return Writer.open(instance, ROLE, capacities)


def test_created_segment_is_private_whole_and_reserved(instance: str) -> None:
    with opened(instance) as writer:
        status = path_of(instance).stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_uid == os.geteuid()
        assert status.st_size == Plan(SMALL).segment_bytes
        assert status.st_blocks * 512 >= status.st_size, "a hole would be a SIGBUS"
        assert (writer.epoch(), writer.adopted, writer.session) == (1, False, 0)
        writer.close(unlink=True)
    assert segment_paths(instance) == []


def test_mode_does_not_depend_on_the_umask(instance: str) -> None:
    before = os.umask(0o477)
    try:
        writer = opened(instance)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path_of(instance).stat().st_mode) == 0o600
    writer.close(unlink=True)


def test_new_owner_is_known_and_nothing_looks_alive(instance: str) -> None:
    with opened(instance) as writer, Reader.attach(instance, ROLE) as reader:
        owner = reader.owner()
        assert owner.pid == os.getpid()
        assert owner.epoch == 1
        assert (owner.heartbeat_ns, owner.link) == (0, 0)
        assert owner.stages.pop("started") > 0
        assert set(owner.stages.values()) == {TIME_NONE}
        writer.close(unlink=True)


def test_adopted_segment_goes_on_in_place(instance: str) -> None:
    writer = opened(instance)
    indexes = [writer.add_instrument(entry) for entry in (BTC, ETH)]
    counter = writer.counter("frames")
    histogram = writer.histogram("delay")
    writer.count(counter, 5)
    writer.record(histogram, 77)
    writer.set_link(2, 41)
    writer.publish_quote(0, *linked(1))
    reader = Reader.attach(instance, ROLE)
    inode = path_of(instance).stat().st_ino
    writer.close()

    heir = opened(instance)
    assert (heir.adopted, heir.epoch(), heir.session) == (True, 2, 41)
    assert path_of(instance).stat().st_ino == inode
    assert [heir.add_instrument(entry) for entry in (ETH, BTC)] == indexes[::-1]
    assert heir.counter("frames") == counter
    assert heir.histogram("delay") == histogram
    heir.count(counter, 2)
    assert heir.publish_quote(0, *linked(2)) == 2

    # The reader has never let go of its mapping.
    assert not reader.is_superseded()
    assert reader.is_current()
    assert reader.epoch() == 2
    assert reader.link() == (0, 41), "the link of a dead writer is down"
    assert reader.counters() == {"frames": 7}
    assert reader.histograms()[0].count == 1
    record = reader.read_slot(0)
    assert record is not None
    assert number_of(record) == 2
    out = records(8)
    assert reader.drain(0, out) == (2, 0, 2)
    assert out["epoch"][:2].tolist() == [1, 2]
    reader.close()
    heir.close(unlink=True)


def test_restarted_flag_marks_every_quote_and_keeps_its_stamps(instance: str) -> None:
    with opened(instance) as writer:
        for entry in (BTC, ETH):
            writer.add_instrument(entry)
        writer.publish_quote(0, *linked(9))
    heir = opened(instance)
    heir.mark_all(8)
    record = heir.read_slot(0)
    assert record is not None
    fields = dict(
        zip(schema.QUOTE.offsets, schema.QUOTE.struct.unpack(record), strict=True)
    )
    assert fields["flags"] == linked(9)[0] | 8
    assert fields["recv_ns"] == linked(9)[3]
    assert (fields["bid"], fields["epoch"]) == (9.0, 2)
    assert heir.read_slot(1) is None, "what was never known is not made up"
    heir.close(unlink=True)


def test_damaged_slot_does_not_stop_the_mark_of_others(instance: str) -> None:
    with opened(instance) as writer:
        for entry in (BTC, ETH):
            writer.add_instrument(entry)
        for instrument in (0, 1):
            writer.publish_quote(instrument, *linked(instrument + 1))
        offset = writer.plan.latest_offset
    with path_of(instance).open("r+b") as file:
        file.seek(offset)
        file.write((99).to_bytes(8, "little"))
    heir = opened(instance)
    heir.mark_all(8)
    record = heir.read_slot(1)
    assert record is not None
    assert schema.QUOTE.struct.unpack(record)[3] & 8
    heir.close(unlink=True)


@pytest.mark.parametrize(
    "capacities",
    [
        Capacities(5, 16, 8, 2),
        Capacities(4, 32, 8, 2),
        Capacities(4, 16, 9, 2),
        Capacities(4, 16, 8, 3),
    ],
)
def test_changed_capacities_retire_the_old_segment(
    instance: str, capacities: Capacities
) -> None:
    with opened(instance) as writer:
        writer.publish_quote(0, *linked(3))
    old = Reader.attach(instance, ROLE)
    heir = opened(instance, capacities)

    assert (heir.adopted, heir.epoch()) == (False, 2), "no verdict on the old counts"
    assert old.is_superseded()
    assert not old.is_current()
    record = old.read_slot(0)
    assert record is not None, "an old reader still reads what it had"
    assert number_of(record) == 3
    with Reader.attach(instance, ROLE) as new:
        assert new.capacities == capacities
        assert new.is_current()
        assert new.read_slot(0) is None
    old.close()
    heir.close(unlink=True)


def test_changed_tables_retire_the_old_segment(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(instance).close()
    old = Reader.attach(instance, ROLE)
    for module in ("checks", "segment"):
        monkeypatch.setattr(f"shm_layout.{module}.LAYOUT_DIGEST", 12345)
    heir = opened(instance)
    assert not heir.adopted
    assert old.is_superseded()
    monkeypatch.undo()
    with pytest.raises(SegmentRefused, match="same version, other tables") as caught:
        Reader.attach(instance, ROLE)
    assert caught.value.reason == "digest"
    old.close()
    heir.close(unlink=True)


def test_unlinked_segment_is_not_current_and_a_new_one_begins(instance: str) -> None:
    writer = opened(instance)
    reader = Reader.attach(instance, ROLE)
    path_of(instance).unlink()
    assert not writer.is_linked
    assert not reader.is_current()
    assert not reader.is_superseded(), "nobody retired it"
    writer.publish_quote(0, *linked(1))
    assert reader.read_slot(0) is not None
    writer.close(unlink=True)
    assert reader.is_superseded()
    reader.close()


def test_retired_writer_does_not_remove_the_next_segment(instance: str) -> None:
    first = opened(instance)
    path_of(instance).unlink()
    second = opened(instance)
    first.close(unlink=True)
    assert second.is_linked
    second.close(unlink=True)


# --- one writer -----------------------------------------------------------------------


def test_second_writer_in_the_process_is_refused(instance: str) -> None:
    with opened(instance) as writer:
        with pytest.raises(SegmentBusy) as caught:
            opened(instance)
        assert caught.value.pid == os.getpid()
        assert writer.publish_quote(0, *linked(1)) == 1, "the first goes on"
        assert writer.epoch() == 1
        writer.close(unlink=True)


def test_other_capacities_do_not_get_past_a_living_writer(instance: str) -> None:
    with opened(instance) as writer:
        with pytest.raises(SegmentBusy):
            opened(instance, Capacities())
        assert writer.is_linked
        assert not writer.is_superseded()
        writer.close(unlink=True)


def test_lock_is_free_after_close_although_somebody_still_reads(instance: str) -> None:
    writer = opened(instance)
    read_slot, publish = writer.read_slot, writer.publish_quote
    publish(0, *linked(1))
    writer.close()
    heir = opened(instance)
    assert heir.adopted
    assert read_slot(0) is not None
    with pytest.raises(OwnershipLost):
        publish(0, *linked(2))
    heir.close(unlink=True)


def test_closed_writer_publishes_nothing(instance: str) -> None:
    writer = opened(instance)
    publish, beat, record = writer.publish_quote, writer.beat, writer.record
    histogram = writer.histogram("delay")
    writer.close()
    with Reader.attach(instance, ROLE) as reader:
        with pytest.raises(OwnershipLost):
            publish(0, *linked(1))
        with pytest.raises(OwnershipLost):
            beat(1, 1)
        with pytest.raises(OwnershipLost):
            record(histogram, 1)
        assert reader.head() == 0
    assert segment.remove_leftover(f"/fh.{instance}.venue")


def test_writer_that_fails_to_start_gives_the_lock_back(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Writer) -> None:
        raise RuntimeError("no stamp")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_stamp_owner", fail)
        with pytest.raises(RuntimeError):
            opened(instance)
    opened(instance).close(unlink=True)


def test_close_is_harmless_twice(instance: str) -> None:
    writer = opened(instance)
    reader = Reader.attach(instance, ROLE)
    for _ in range(2):
        reader.close()
        writer.close(unlink=True)


# --- attaching ------------------------------------------------------------------------


def test_attach_without_a_segment_says_so_at_once(instance: str) -> None:
    with pytest.raises(SegmentMissing, match=instance):
        Reader.attach(instance, ROLE)


def test_attach_before_creation_waits_for_it(instance: str, programs: Programs) -> None:
    program = programs.python(
        "-c",
        "import shm_layout, sys\n"
        "print('waiting', flush=True)\n"
        f"with shm_layout.Reader.attach({instance!r}, {ROLE!r}, 60) as reader:\n"
        "    print('attached', reader.epoch())\n",
    )
    wait_until(lambda: "waiting" in program.stdout(), 30_000 * MS)
    writer = opened(instance)
    assert program.wait() == 0, program.stderr()
    assert "attached 1" in program.stdout()
    writer.close(unlink=True)


def test_reader_maps_read_only(instance: str) -> None:
    with opened(instance) as writer, Reader.attach(instance, ROLE) as reader:
        with pytest.raises(TypeError, match="read"):
            reader._mapping[0:1] = b"x"
        assert memoryview(reader._mapping).readonly
        writer.close(unlink=True)


def test_roles_and_instances_are_apart(instance: str) -> None:
    names = [
        (instance, "feed:venue"),
        (instance, "runner"),
        (f"{instance}-b", "runner"),
    ]
    writers = [Writer.open(*name, SMALL) for name in names]
    for number, writer in enumerate(writers, 1):
        writer.publish_quote(0, *linked(number))
    for number, name in enumerate(names, 1):
        with Reader.attach(*name) as reader:
            record = reader.read_slot(0)
            assert record is not None
            assert number_of(record) == number
    assert segment.list_segments(instance) == [
        f"/fh.{instance}.runner",
        f"/fh.{instance}.venue",
    ]
    for writer in writers:
        writer.close(unlink=True)


def test_rounds_of_open_attach_close_leak_no_descriptor(instance: str) -> None:
    opened(instance).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        with opened(instance), Reader.attach(instance, ROLE) as reader:
            reader.read_slot(0)
    assert len(os.listdir("/proc/self/fd")) == before
    writer = opened(instance)
    assert writer.epoch() == 202
    writer.close(unlink=True)


def test_failed_rounds_leak_no_descriptor(instance: str) -> None:
    writer = opened(instance)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with pytest.raises(SegmentBusy):
            opened(instance)
        with pytest.raises(SegmentMissing):
            Reader.attach(instance, "feed:other")
        assert not segment.remove_leftover(f"/fh.{instance}.venue")
    assert len(os.listdir("/proc/self/fd")) == before
    writer.close(unlink=True)


def test_segments_may_vanish_while_they_are_listed(instance: str) -> None:
    is_over = threading.Event()

    def churn() -> None:
        while not is_over.is_set():
            path = SHM / f"fh.{instance}.churn"
            path.touch(0o600)
            path.unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(300):
            assert set(segment.list_segments(instance)) <= {f"/fh.{instance}.churn"}
    finally:
        is_over.set()
        thread.join()
