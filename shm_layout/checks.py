"""What an object in shared memory must prove before we use it.

The object's size comes from `fstat`, never from its header; every check refuses with a
reason of its own and changes nothing.
"""

from __future__ import annotations

import os
import stat
import time

from shm_layout import identity
from shm_layout.errors import SegmentNotReady, SegmentRefused
from shm_layout.limits import Capacities
from shm_layout.schema import (
    HEADER,
    LAYOUT_DIGEST,
    LAYOUT_VERSION,
    MAGIC,
    OWNER,
    Plan,
)

MODE = 0o600
_HOLDER_S = 0.5
_POLL_S = 0.005
_BLOCK_BYTES = 1 << 20
_READY = HEADER.offsets["ready"]


def check_object(name: str, fd: int) -> None:
    """Refuse what is not a private regular file of ours."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise SegmentRefused("file_type", f"not a regular file: name={name}")
    if status.st_uid != os.geteuid():
        raise SegmentRefused(
            "owner",
            f"belongs to another user: name={name} uid={status.st_uid} "
            f"expected={os.geteuid()}",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SegmentRefused(
            "mode",
            f"open to other users: name={name} mode={stat.S_IMODE(status.st_mode):o} "
            f"expected={MODE:o}",
        )
    if status.st_nlink > 1:
        raise SegmentRefused("link", f"has a second name: name={name}")


def check_magic(name: str, header: bytes) -> None:
    """Refuse a header that our own writers cannot have left, wherever they died."""
    if not header.startswith(MAGIC) and not MAGIC.startswith(header.rstrip(b"\0")):
        raise SegmentRefused(
            "magic", f"not a feedhandler segment, left untouched: name={name}"
        )


def check_ours(name: str, fd: int) -> None:
    """Refuse content that our own writers cannot have left; what passes may go."""
    header = os.pread(fd, HEADER.size_bytes, 0)
    check_magic(name, header)
    if header.startswith(MAGIC):
        return
    # A creator that died before the header leaves nothing but zeros behind it.
    position = len(header)
    while block := os.pread(fd, _BLOCK_BYTES, position):
        if block.strip(b"\0"):
            raise SegmentRefused(
                "magic", f"foreign bytes, left untouched: name={name} after={position}"
            )
        position += len(block)


def read_header(fd: int) -> bytes:
    """Return a header that is whole if its ready word says so."""
    # ORDER: pairs with the store of the ready word in segment._fill. The word is read
    # first: one read of everything may copy the first fields before they are filled
    # and the ready word after.
    ready = os.pread(fd, 8, _READY)
    header = os.pread(fd, HEADER.size_bytes, 0)
    return header[:_READY] + ready + header[_READY + 8 :]


def check_header(name: str, header: bytes, size_bytes: int) -> dict[str, int | bytes]:
    """Refuse a header that does not describe a segment of ours and of this boot."""
    check_magic(name, header)
    if len(header) < HEADER.size_bytes:
        raise SegmentNotReady(f"shorter than a header: name={name} bytes={size_bytes}")
    values = dict(
        zip(
            (field.name for field in HEADER.fields),
            HEADER.struct.unpack(header),
            strict=True,
        )
    )
    if values["magic"] != MAGIC:
        raise SegmentNotReady(f"not filled yet: name={name}")
    if values["ready"] != 1 and values["layout_version"] in (0, LAYOUT_VERSION):
        raise SegmentNotReady(f"not ready: name={name}")
    if values["layout_version"] != LAYOUT_VERSION:
        raise SegmentRefused(
            "version",
            f"another layout version: name={name} found={values['layout_version']} "
            f"expected={LAYOUT_VERSION}; run the same version everywhere",
        )
    if values["layout_digest"] != LAYOUT_DIGEST:
        raise SegmentRefused(
            "digest",
            f"same version, other tables: name={name} "
            f"found={values['layout_digest']:x} expected={LAYOUT_DIGEST:x}",
        )
    if values["segment_bytes"] != size_bytes:
        raise SegmentRefused(
            "size",
            f"size differs from the header's: name={name} bytes={size_bytes} "
            f"header={values['segment_bytes']}",
        )
    _check_geometry(name, values)
    if text(values["boot_id"]) != identity.boot_id():
        raise SegmentRefused("boot", f"from an earlier boot: name={name}")
    here = identity.time_namespace()
    if values["time_namespace"] != here:
        raise SegmentRefused(
            "time_namespace",
            f"stamped in another time namespace: name={name} "
            f"found={values['time_namespace']} here={here}",
        )
    return values


def _check_geometry(name: str, values: dict[str, int | bytes]) -> None:
    try:
        plan = Plan(capacities_of(values))
    except ValueError as error:
        raise SegmentRefused("layout", f"{error}: name={name}") from error
    expected = plan.offsets() | {"segment_bytes": plan.segment_bytes}
    for section, offset in expected.items():
        if values[section] != offset:
            raise SegmentRefused(
                "layout",
                f"section out of place: name={name} {section}={values[section]!r} "
                f"expected={offset}",
            )


def capacities_of(values: dict[str, int | bytes]) -> Capacities:
    return Capacities(
        instruments=int(values["instruments_max"]),
        ring_slots=int(values["ring_slots"]),
        counters=int(values["counters_max"]),
        histograms=int(values["histograms_max"]),
    )


def text(value: int | bytes) -> str:
    assert isinstance(value, bytes)
    return value.rstrip(b"\0").decode("utf-8", "replace")


def holder_of(fd: int) -> int:
    """Return the pid of the lock's holder, 0 when it does not tell in time.

    It enters itself just after it has the lock: until then its predecessor's pid, or
    none, stands there.
    """
    deadline_s = time.monotonic() + _HOLDER_S
    offset = HEADER.size_bytes + OWNER.offsets["pid"]
    while True:
        words = os.pread(fd, 16, offset).ljust(16, b"\0")
        pid, start_ticks = (int.from_bytes(words[i : i + 8], "little") for i in (0, 8))
        if identity.is_alive(pid, start_ticks):
            return pid
        if time.monotonic() >= deadline_s:
            return 0
        time.sleep(_POLL_S)
