"""What the kernel can do to a segment: full memory, no inode, another clock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Programs

ROLE = "feed:venue"


def unshared(*options: str) -> list[str]:
    """Return the command that unshares, or skip where the kernel refuses."""
    command = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), *options]
    try:
        trial = subprocess.run(
            [*command, "true"], capture_output=True, text=True, timeout=20, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unshare program")
    if trial.returncode:
        pytest.skip(f"may not unshare: {trial.stderr.strip()}")
    return command


def test_full_shared_memory_is_an_error_with_figures(programs: Programs) -> None:
    source = """
import os
os.system("mount -t tmpfs -o size=1m tmpfs /dev/shm")
from shm_layout import Capacities, SegmentSpace, Writer
from shm_layout.schema import Plan
try:
    Writer.open("full", "feed:venue")
except SegmentSpace as error:
    print("needed", error.needed_bytes == Plan(Capacities()).segment_bytes)
    print("free", 900_000 < error.free_bytes <= 1 << 20)
    text = str(error)
    print("said", f"={error.needed_bytes} " in text, f"={error.free_bytes};" in text)
print("left", os.listdir("/dev/shm"))
small = Writer.open("full", "feed:venue", Capacities(4, 16, 8, 2))
print("small", small.publish_quote(0, 0, 0, 0, 0, 0, 1.0, 1.0, 1.0, 1.0))
with open("/dev/shm/filler", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError as error:
        print("filled", error.errno)
for number in range(100):
    small.publish_quote(number % 4, 0, 0, 0, 0, 0, 1.0, 1.0, 1.0, 1.0)
print("goes on", small.head())
"""
    command = unshared("--mount")
    program = programs.start(*command, sys.executable, "-c", source)
    assert program.wait() == 0, program.stderr()
    assert program.stdout().splitlines() == [
        "needed True",
        "free True",
        "said True True",
        "left []",
        "small 1",
        "filled 28",
        "goes on 101",
    ]


def test_no_free_inode_is_the_same_error(programs: Programs) -> None:
    source = """
import os
os.system("mount -t tmpfs -o size=64m,nr_inodes=1 tmpfs /dev/shm")
from shm_layout import SegmentSpace, Writer
try:
    Writer.open("full", "feed:venue")
except SegmentSpace as error:
    print("figures", error.needed_bytes > 1 << 20, error.free_bytes == 64 << 20)
print("left", os.listdir("/dev/shm"))
"""
    program = programs.start(*unshared("--mount"), sys.executable, "-c", source)
    assert program.wait() == 0, program.stderr()
    assert program.stdout().splitlines() == ["figures True True", "left []"]


def test_reader_in_another_time_namespace_is_refused(
    instance: str, leftover: Path, programs: Programs
) -> None:
    source = f"""
from shm_layout import Reader, SegmentRefused
try:
    Reader.attach({instance!r}, {ROLE!r})
except SegmentRefused as error:
    print(error.reason)
"""
    command = unshared("--time", "--fork", "--monotonic", "86400")
    program = programs.start(*command, sys.executable, "-c", source)
    assert program.wait() == 0, program.stderr()
    assert program.stdout().strip() == "time_namespace"
