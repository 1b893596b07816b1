"""Lines reach the file whole or are counted, whatever the disk does."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedhandler.telemetry.jsonl import LineWriter, RotatedFile
from tests.support import MS, wait_until


def line(number: int, width: int = 20) -> bytes:
    return f"{number:0{width - 1}d}\n".encode()


def lines_of(*paths: Path) -> list[int]:
    found = [row for path in paths for row in path.read_bytes().splitlines()]
    return [int(row) for row in found]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("no right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


# --- The file ---


def test_files_are_rotated_by_size_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    file = RotatedFile(path, file_bytes=100, files_max=3)
    for number in range(40):
        file.append(line(number))
    file.close()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["a.jsonl", "a.jsonl.1", "a.jsonl.2"]
    assert all(entry.stat().st_size <= 100 for entry in tmp_path.iterdir())
    kept = lines_of(*(tmp_path / name for name in reversed(names)))
    assert kept == list(range(40 - len(kept), 40))  # the newest, none missing


def test_one_file_alone_is_begun_anew(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "a", file_bytes=100, files_max=1)
    for number in range(6):
        file.append(line(number))
    file.close()
    assert lines_of(*tmp_path.iterdir()) == [5]


def test_every_file_begins_with_its_opening(tmp_path: Path) -> None:
    def opening(number: int) -> bytes:
        return line(1_000 + number)

    file = RotatedFile(tmp_path / "a", 100, 9, opening)
    for number in range(9):
        file.append(line(number))
    file.close()
    again = RotatedFile(tmp_path / "a", 100, 9, opening)
    again.append(line(99))
    again.close()
    assert lines_of(tmp_path / "a.2") == [1_000, 0, 1, 2, 3]
    assert lines_of(tmp_path / "a.1") == [1_001, 4, 5, 6, 7]
    assert lines_of(tmp_path / "a") == [1_002, 8, 1_000, 99]


def test_half_a_line_that_was_left_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(line(1) + b'{"half":')
    file = RotatedFile(path, 1_000, 3)
    file.append(line(2))
    file.close()
    assert lines_of(path) == [1, 2]
    assert file.cut_bytes == len(b'{"half":')


def test_file_that_was_moved_away_gets_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedhandler.telemetry.jsonl._LOOK_S", 0.0)
    path = tmp_path / "a"
    file = RotatedFile(path, 1_000, 3)
    file.append(line(1))
    path.rename(tmp_path / "moved")
    file.append(line(2))
    file.close()
    assert (lines_of(tmp_path / "moved"), lines_of(path)) == ([1], [2])


def test_write_that_fails_halfway_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "a"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = RotatedFile(path, 1 << 20, 3)
    file.append(line(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            file.append(line(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == line(1)
    file.append(line(3))
    file.close()
    assert lines_of(path) == [1, 3]


def test_half_line_that_cannot_be_cut_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    file = RotatedFile(path, 1 << 20, 3)
    file.append(line(1))
    write, calls = os.write, []

    def write_half(fd: int, piece: bytes) -> int:
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(errno.EIO, "no")
        return write(fd, piece[:5] if len(calls) == 1 else piece)

    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_half)
        patched.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="no"):
            file.append(line(2))
    file.append(line(3))
    file.close()
    assert path.read_bytes() == line(1) + line(2)[:5] + b"\n" + line(3)


# --- The thread ---


def test_close_writes_what_waits(tmp_path: Path) -> None:
    writer = LineWriter(RotatedFile(tmp_path / "a", 1 << 20, 2))
    for number in range(1_000):
        assert writer.put(line(number))
    assert writer.close(5_000 * MS)
    assert lines_of(tmp_path / "a") == list(range(1_000))
    assert (writer.written, writer.dropped) == (1_000, 0)
    assert not writer.put(line(1))  # too late, and counted
    assert writer.dropped == 1


def test_full_disk_loses_only_what_had_no_room_and_recovers(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 50_000)
    path = small_disk / "a"
    file = RotatedFile(path, 1 << 20, 2)
    writer = LineWriter(file, lines_max=30, retry_s=0.01)
    count = 0
    while not writer.is_failing:
        writer.put(line(count, 400))
        count += 1
        if not count % 10:
            wait_until(
                lambda: writer.is_failing or not writer._lines, 5_000 * MS, "a pause"
            )
    while writer.put(line(count, 400)):
        count += 1
    assert writer.dropped == 1
    assert writer.errors["ENOSPC"] >= 1
    whole = path.read_bytes()
    assert whole.endswith(b"\n")
    assert len(whole) % 400 == 0

    ballast.unlink()
    wait_until(lambda: not writer.is_failing and not writer._lines, 5_000 * MS)
    writer.put(line(777_777, 400))
    assert not writer.close(5_000 * MS)  # one was dropped
    assert lines_of(path) == [*range(count), 777_777]
    assert writer.fault is None


def test_dev_full_never_takes_a_line_and_never_hurts(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.symlink_to("/dev/full")
    writer = LineWriter(RotatedFile(path, 100, 2), lines_max=3, retry_s=0.01)
    for number in range(10):
        writer.put(line(number))
    wait_until(lambda: writer.errors["ENOSPC"] >= 2, 5_000 * MS, "a second try")
    assert not writer.close(5_000 * MS)
    assert (writer.written, writer.dropped) == (0, 10)
    assert writer.fault is None


def test_directory_that_appears_later_is_written_to(tmp_path: Path) -> None:
    blocked = tmp_path / "place"
    blocked.write_text("a file where a directory should be")
    writer = LineWriter(RotatedFile(blocked / "a", 1_000, 2), retry_s=0.01)
    writer.put(line(1))
    wait_until(lambda: writer.is_failing, 5_000 * MS, "a failure")
    blocked.unlink()
    wait_until(lambda: writer.written == 1, 5_000 * MS, "a line")
    assert writer.close(5_000 * MS)
    assert lines_of(blocked / "a") == [1]


def test_put_never_waits_for_a_slow_disk(tmp_path: Path) -> None:
    released = threading.Event()

    class SlowFile(RotatedFile):
        def append(self, text: bytes) -> None:
            released.wait(30)
            super().append(text)

    writer = LineWriter(SlowFile(tmp_path / "a", 1 << 20, 2), bytes_max=100)
    taken = [writer.put(line(number)) for number in range(20)]
    assert taken == [True] * 5 + [False] * 15
    assert writer.dropped == 15
    released.set()
    writer.close(5_000 * MS)
    assert lines_of(tmp_path / "a") == list(range(5))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_bug_in_the_thread_is_seen(tmp_path: Path) -> None:
    def opening(number: int) -> Any:
        raise ZeroDivisionError

    writer = LineWriter(RotatedFile(tmp_path / "a", 100, 2, opening))
    writer.put(line(1))
    wait_until(lambda: writer.fault is not None, 5_000 * MS, "the fault")
    assert not writer.put(line(2))
    assert not writer.close(5_000 * MS)
    assert writer.dropped == 2
