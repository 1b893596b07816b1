"""What is not our segment is refused with a reason of its own, and left as it is."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shm_layout import (
    Capacities,
    Reader,
    SegmentBusy,
    SegmentNotReady,
    SegmentRefused,
    Writer,
    segment,
)
from shm_layout.schema import HEADER, MAGIC, OWNER, Plan
from tests.support import SHM

ROLE = "feed:venue"
SMALL = Capacities(instruments=4, ring_slots=16, counters=8, histograms=2)
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change owners")


def forge(path: Path, field: str, value: int | bytes) -> None:
    """Overwrite one field of a segment's header."""
    size = HEADER.field(field).size_bytes
    data = value if isinstance(value, bytes) else value.to_bytes(size, "little")
    with path.open("r+b") as file:
        file.seek(HEADER.offsets[field])
        file.write(data.ljust(size, b"\0"))


def refusal(call: Callable[[], object]) -> str:
    """Return the reason with which a call is refused."""
    with pytest.raises(SegmentRefused) as caught:
        call()
    assert f"reason={caught.value.reason}" in str(caught.value)
    return caught.value.reason


def refused_by_all(instance: str, path: Path) -> set[str]:
    """Return the reasons of attaching and of opening; what is there must stay."""
    before = os.lstat(path)
    content = path.read_bytes() if stat.S_ISREG(before.st_mode) else b""
    reasons = {
        refusal(lambda: Reader.attach(instance, ROLE, 5.0)),
        refusal(lambda: Writer.open(instance, ROLE, SMALL)),
    }
    assert not segment.remove_leftover(f"/fh.{instance}.venue")
    after = os.lstat(path)
    for fact in ("st_ino", "st_mode", "st_uid", "st_nlink", "st_size", "st_mtime_ns"):
        assert getattr(after, fact) == getattr(before, fact), fact
    assert not stat.S_ISREG(before.st_mode) or path.read_bytes() == content
    return reasons


# --- objects that are not ours --------------------------------------------------------


@AS_ROOT
def test_object_of_another_user(instance: str, leftover: Path) -> None:
    os.chown(leftover, 12345, 12345)
    assert refused_by_all(instance, leftover) == {"owner"}
    assert segment.list_segments(instance) == []


@AS_ROOT
def test_locked_object_of_another_user_is_refused_not_busy(
    instance: str, path: Path
) -> None:
    writer = Writer.open(instance, ROLE, SMALL)
    os.chown(path, 12345, 12345)
    assert refused_by_all(instance, path) == {"owner"}
    os.chown(path, os.geteuid(), os.getegid())
    writer.close(unlink=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o666, 0o777])
def test_object_open_to_others(instance: str, leftover: Path, mode: int) -> None:
    leftover.chmod(mode)
    assert refused_by_all(instance, leftover) == {"mode"}


@pytest.mark.parametrize("target", ["segment", "missing"])
def test_symbolic_link(
    instance: str, path: Path, leftover: Path, tmp_path: Path, target: str
) -> None:
    moved = tmp_path / target
    if target == "segment":
        moved.write_bytes(leftover.read_bytes())
    leftover.unlink()
    path.symlink_to(moved)
    before = moved.read_bytes() if target == "segment" else None
    assert refused_by_all(instance, path) == {"file_type"}
    assert path.is_symlink()
    assert (moved.read_bytes() if moved.exists() else None) == before
    path.unlink()


def test_fifo_is_refused_without_waiting_for_its_other_end(
    instance: str, path: Path
) -> None:
    os.mkfifo(path, 0o600)
    assert refused_by_all(instance, path) == {"file_type"}
    path.unlink()


def test_directory(instance: str, path: Path) -> None:
    path.mkdir(0o700)
    assert refused_by_all(instance, path) == {"file_type"}
    path.rmdir()


def test_socket(instance: str, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o600)
        assert refused_by_all(instance, path) == {"file_type"}
    path.unlink()


def test_hard_link(instance: str, leftover: Path) -> None:
    other = SHM / f"{leftover.name}-other"
    other.hardlink_to(leftover)
    try:
        assert refused_by_all(instance, leftover) == {"link"}
    finally:
        other.unlink()


FOREIGN = {
    "one byte": b"x",
    "short": b"somebody's notes\n",
    "header": b"\x7fELF".ljust(HEADER.size_bytes, b"\1"),
    "long": b"\1" * 100_000,
    "late magic": b"\0" + MAGIC + bytes(600),
    "nearly magic": MAGIC[:-1] + b"?" + bytes(600),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_foreign_bytes(instance: str, path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)
    assert refused_by_all(instance, path) == {"magic"}
    path.unlink()


def test_foreign_bytes_after_a_blank_header_are_not_removed(
    instance: str, path: Path
) -> None:
    content = bytes(3 << 20) + b"somebody's notes"
    path.touch(0o600)
    path.write_bytes(content)
    assert refusal(lambda: Writer.open(instance, ROLE, SMALL)) == "magic"
    assert not segment.remove_leftover(f"/fh.{instance}.venue")
    assert path.read_bytes() == content
    path.unlink()


# --- ours, but not for us -------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("layout_version", 3, "version"),
        ("layout_version", 0xFFFF_FFFF, "version"),
        ("layout_digest", 1, "digest"),
        ("segment_bytes", 4096, "size"),
        ("segment_bytes", (1 << 64) - 1, "size"),
        ("instruments_max", 0, "layout"),
        ("instruments_max", 0xFFFF_FFFF, "layout"),
        ("ring_slots", 17, "layout"),
        ("ring_slots", 4, "layout"),
        ("counters_max", 0, "layout"),
        ("histograms_max", 1 << 31, "layout"),
        ("owner_offset", 520, "layout"),
        ("counters_offset", 0, "layout"),
        ("directory_offset", 1 << 63, "layout"),
        ("latest_offset", 0, "layout"),
        ("ring_offset", (1 << 64) - 128, "layout"),
        ("histograms_offset", 4096, "layout"),
        ("boot_id", b"00000000-0000-0000-0000-000000000000", "boot"),
        ("boot_id", b"\xff" * 40, "boot"),
        ("time_namespace", 1, "time_namespace"),
    ],
)
def test_reader_refuses_and_the_next_writer_replaces(
    instance: str, leftover: Path, field: str, value: int | bytes, reason: str
) -> None:
    forge(leftover, field, value)
    before = leftover.read_bytes()
    assert refusal(lambda: Reader.attach(instance, ROLE, 5.0)) == reason
    assert leftover.read_bytes() == before

    # Its lock is free, so it is the leftover of a dead writer of ours.
    with leftover.open("rb") as old, Writer.open(instance, ROLE, SMALL) as writer:
        assert not writer.adopted
        assert writer.read_slot(0) is None
        old.seek(HEADER.offsets["superseded"])
        assert old.read(8) == (1).to_bytes(8, "little"), "old readers are told"
        Reader.attach(instance, ROLE).close()
        writer.close(unlink=True)


@pytest.mark.parametrize(("found", "next_epoch"), [(7, 8), (1 << 31, 1), (-1, 1)])
def test_epochs_go_on_unless_the_old_one_is_damaged(
    instance: str, leftover: Path, found: int, next_epoch: int
) -> None:
    forge(leftover, "layout_digest", 12345)
    with leftover.open("r+b") as file:
        file.seek(HEADER.size_bytes + OWNER.offsets["epoch"])
        file.write(found.to_bytes(8, "little", signed=True))
    with Writer.open(instance, ROLE, SMALL) as writer:
        assert (writer.adopted, writer.epoch()) == (False, next_epoch)
        writer.close(unlink=True)


def test_file_cut_short_is_refused_before_it_is_touched(
    instance: str, leftover: Path
) -> None:
    # A mapping beyond the end would be a SIGBUS, which Python cannot survive.
    for size in (HEADER.size_bytes, 4096, leftover.stat().st_size - 4096):
        os.truncate(leftover, size)
        assert refusal(lambda: Reader.attach(instance, ROLE)) == "size"
    Writer.open(instance, ROLE, SMALL).close(unlink=True)


def test_file_of_another_size_is_refused(instance: str, leftover: Path) -> None:
    os.truncate(leftover, leftover.stat().st_size + 4096)
    assert refusal(lambda: Reader.attach(instance, ROLE)) == "size"


def test_another_role_at_this_name_is_replaced(instance: str, leftover: Path) -> None:
    forge(leftover, "role", b"feed:other")
    writer = Writer.open(instance, ROLE, SMALL)
    assert not writer.adopted
    writer.close(unlink=True)


def test_living_writer_is_not_replaced_however_its_header_looks(
    instance: str, path: Path
) -> None:
    with Writer.open(instance, ROLE, SMALL) as writer:
        for field in ("layout_digest", "boot_id", "segment_bytes"):
            forge(path, field, 99 if field != "boot_id" else b"x")
            with pytest.raises(SegmentBusy):
                Writer.open(instance, ROLE, SMALL)
            assert not segment.remove_leftover(f"/fh.{instance}.venue")
        assert writer.is_linked
        writer.close(unlink=True)


# --- not there yet --------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, HEADER.size_bytes - 1, 4096, 100_000])
def test_blank_object_is_not_ready_and_the_next_writer_fills_it(
    instance: str, path: Path, size: int
) -> None:
    path.touch(0o600)
    os.truncate(path, size)
    with pytest.raises(SegmentNotReady):
        Reader.attach(instance, ROLE, 0.02)
    writer = Writer.open(instance, ROLE, SMALL)
    assert not writer.adopted
    assert path.stat().st_size == Plan(SMALL).segment_bytes
    writer.close(unlink=True)


def test_segment_without_its_ready_word_is_not_ready(
    instance: str, leftover: Path
) -> None:
    forge(leftover, "ready", 0)
    with pytest.raises(SegmentNotReady, match="not ready"):
        Reader.attach(instance, ROLE, 0.02)


@pytest.mark.parametrize("filled", range(0, HEADER.size_bytes, 8))
def test_header_half_filled_is_waited_for_not_refused(
    instance: str, leftover: Path, filled: int
) -> None:
    content = leftover.read_bytes()
    ready = HEADER.offsets["ready"]
    if filled > ready:
        content = content[:ready] + bytes(8) + content[ready + 8 :]
    leftover.write_bytes(content[:filled].ljust(len(content), b"\0"))
    with pytest.raises(SegmentNotReady):
        Reader.attach(instance, ROLE)


@pytest.mark.parametrize("filled", [8, 12, 16, 24, 200])
def test_header_filled_during_the_read_is_waited_for(
    instance: str, leftover: Path, filled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A read that overlaps the fill: its first bytes are old, its last are new.
    whole = leftover.read_bytes()
    pread = os.pread
    reads = []

    def overlapping(fd: int, count: int, offset: int) -> bytes:
        reads.append(offset)
        if count == HEADER.size_bytes and len(reads) == 2:
            return whole[:filled].ljust(256, b"\0") + whole[256 : HEADER.size_bytes]
        if len(reads) == 1:
            return bytes(count)  # not yet filled
        return pread(fd, count, offset)

    monkeypatch.setattr(os, "pread", overlapping)
    Reader.attach(instance, ROLE, 20.0).close()
    assert len(reads) == 4, "it looked once more"


def test_name_that_escapes_is_refused() -> None:
    names = ["../x", "..", ".", "/x", "x/y", "x\0y", "", " ", "a b", "a\n", "x" * 33]
    names += ["x" * 300, "é", "A", "-x", "a.b", "a\u0661"]
    for name in names:
        assert refusal(partial(Reader.attach, name, ROLE)) == "name"
        assert refusal(partial(Writer.open, name, ROLE)) == "name"
        assert refusal(partial(Reader.attach, "test", f"feed:{name}")) == "name"
    for name in ("/../x", "/../../etc/passwd", "/fh.x", "/", "", "/x\0y", "/" * 300):
        assert not segment.remove_leftover(name)


# --- leftovers ------------------------------------------------------------------------


def test_leftover_is_removed_and_its_readers_are_told(
    instance: str, leftover: Path
) -> None:
    with Reader.attach(instance, ROLE) as reader:
        assert segment.remove_leftover(f"/fh.{instance}.venue")
        assert not leftover.exists()
        assert reader.is_superseded()
        assert reader.read_slot(0) is not None
    assert not segment.remove_leftover(f"/fh.{instance}.venue"), "nothing is there"


def test_half_made_leftover_is_removed(instance: str, path: Path) -> None:
    for size in (0, 100, 4096):
        path.touch(0o600)
        os.truncate(path, size)
        assert segment.remove_leftover(f"/fh.{instance}.venue")
        assert not path.exists()


def test_living_segment_is_no_leftover(instance: str, path: Path) -> None:
    with Writer.open(instance, ROLE, SMALL) as writer:
        assert not segment.remove_leftover(f"/fh.{instance}.venue")
        assert path.exists()
        writer.close(unlink=True)


def test_removal_does_not_hit_the_segment_that_took_the_name(
    instance: str, leftover: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Between the open and the lock, a new writer retires it and takes its name.
    lock = segment._lock
    writers: list[Writer] = []

    def lock_late(name: str, fd: int) -> None:
        monkeypatch.setattr(segment, "_lock", lock)
        writers.append(Writer.open(instance, ROLE, Capacities(8, 16, 8, 2)))
        lock(name, fd)

    monkeypatch.setattr(segment, "_lock", lock_late)
    assert not segment.remove_leftover(f"/fh.{instance}.venue")
    assert writers[0].is_linked
    assert not writers[0].is_superseded()
    writers[0].close(unlink=True)
