"""The life of one segment: create, adopt, retire, attach, remove.

A segment is the shared-memory object `/fh.<instance>.<place>`, mode 0600. Its writer
holds an exclusive `flock` on it for life; the kernel drops the lock when the process is
gone, also for a zombie. Whoever holds the lock may initialise, adopt or remove it;
nobody else changes a byte. Readers map it read-only and check everything first. This
module is the one door to `posix_ipc`.

    absent ──create──▶ not ready ──ready word──▶ ready ──retire──▶ superseded, unlinked
                          ▲ lock free: start over   │ lock free, same layout: adopt
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import re
import time

import posix_ipc

from shm_layout import identity
from shm_layout.checks import (
    MODE,
    capacities_of,
    check_header,
    check_object,
    check_ours,
    holder_of,
    read_header,
    text,
)
from shm_layout.core import make_writer
from shm_layout.errors import (
    SegmentBusy,
    SegmentMissing,
    SegmentNotReady,
    SegmentRefused,
    SegmentSpace,
)
from shm_layout.limits import Capacities
from shm_layout.schema import (
    HEADER,
    LAYOUT_DIGEST,
    LAYOUT_VERSION,
    MAGIC,
    OWNER,
    Plan,
)

_DIRECTORY = "/dev/shm"
_INSTANCE = re.compile(r"[a-z0-9_][a-z0-9_-]{0,31}", re.ASCII)
_PLACE = re.compile(r"(reader-)?[a-z0-9_]{1,32}", re.ASCII)
_ROLES = ("runner", "rest", "telemetry", "supervisor")
_PREFIX = "/fh."
_POLL_S = 0.005
_NO_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EINVAL)
_EPOCH = HEADER.size_bytes + OWNER.offsets["epoch"]


def segment_name(instance: str, role: str) -> str:
    """Return the name of a role's segment: `/fh.default.lighter` for `feed:lighter`.

    `reader:<name>` is at `reader-<name>`. Raises `SegmentRefused` for a name that could
    leave its directory or mislead.
    """
    place = role.removeprefix("feed:").replace("reader:", "reader-", 1)
    if not _INSTANCE.fullmatch(instance):
        raise SegmentRefused(
            "name", f"an instance is 1 to 32 of a-z 0-9 _ -: instance={instance!r}"
        )
    name = f"{_PREFIX}{instance}.{place}"
    if not _PLACE.fullmatch(place) or role_of(name) != role:
        raise SegmentRefused("name", f"a role is 1 to 32 of a-z 0-9 _: role={role!r}")
    return name


def role_of(name: str) -> str:
    """Return the role that a segment of that name has: `segment_name` backwards."""
    place = name.rpartition(".")[2]
    if place.startswith("reader-"):
        return place.replace("-", ":", 1)
    return place if place in _ROLES else f"feed:{place}"


def list_segments(instance: str | None = None) -> list[str]:
    """Return the names of our user's objects that look like segments, sorted."""
    names = []
    for entry in os.scandir(_DIRECTORY):
        if not _is_name(f"/{entry.name}", instance):
            continue
        with contextlib.suppress(FileNotFoundError):  # removed since it was listed
            if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                names.append(f"/{entry.name}")
    return sorted(names)


def _is_name(name: str, instance: str | None = None) -> bool:
    head, _, place = name.removeprefix(_PREFIX).rpartition(".")
    is_formed = _INSTANCE.fullmatch(head) and _PLACE.fullmatch(place)
    is_ours = name == f"{_PREFIX}{head}.{place}" and bool(is_formed)
    return is_ours and instance in (None, head)


def free_bytes() -> int:
    """Return how much shared memory is left for us."""
    status = os.statvfs(_DIRECTORY)
    return status.f_bavail * status.f_frsize


class OwnedSegment:
    """A segment that this process writes: mapped read-write, lock held for life."""

    def __init__(self, name: str, fd: int, mapping: mmap.mmap, adopted: bool) -> None:
        self.name = name
        self.fd = fd
        self.mapping = mapping
        self.adopted = adopted
        self.is_foreign = False  # set in a forked child, which must not write
        _OWNED.add(self)

    @property
    def is_linked(self) -> bool:
        """Say whether the name still leads to this segment."""
        return _inode_of(self.name) == os.fstat(self.fd).st_ino

    def retire(self) -> None:
        """Tell readers to let go, and remove the name. The mapping stays valid."""
        _store_word(self.mapping, HEADER.offsets["superseded"], 1)
        if self.is_linked:
            _unlink(self.name)

    def close(self) -> None:
        """Give up the lock and the mapping; whoever still views it keeps it alive."""
        _OWNED.discard(self)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        try:
            self.mapping.close()
        except BufferError:
            return  # a view is still exported: the mapping goes with its last view


# Held strongly until closed: a lock that nobody names any more would outlive its owner
# in a forked child.
_OWNED: set[OwnedSegment] = set()


def _disown_after_fork() -> None:
    # The lock belongs to the open file description, which a forked child shares. The
    # child drops its copy, so that the lock dies with the parent, and may not write.
    for segment in list(_OWNED):
        segment.is_foreign = True
        if segment.fd >= 0:
            os.close(segment.fd)
            segment.fd = -1


os.register_at_fork(after_in_child=_disown_after_fork)


def create_or_adopt(instance: str, role: str, capacities: Capacities) -> OwnedSegment:
    """Return this role's segment, locked and ready, with a new epoch.

    Raises `SegmentBusy` while another writer lives, `SegmentSpace` when it does not
    fit, `SegmentRefused` when the name is taken by something that is not ours.
    """
    name, last_epoch = segment_name(instance, role), 0
    while True:
        fd = _open_or_create(name, capacities)
        try:
            check_object(name, fd)
            _lock(name, fd)
            if _inode_of(name) != os.fstat(fd).st_ino:
                os.close(fd)  # retired between open and lock: start over
                continue
            verdict = _judge_existing(name, fd, role, capacities)
            if verdict == "retire":
                last_epoch = _retire(name, fd)
                os.close(fd)
                continue
            if verdict == "fill":
                mapping = _fill(name, fd, instance, role, capacities)
            else:
                mapping = _map(fd, os.fstat(fd).st_size)
        except BaseException:
            os.close(fd)
            raise
        _store_word(mapping, _EPOCH, max(_load_word(mapping, _EPOCH), last_epoch) + 1)
        return OwnedSegment(name, fd, mapping, adopted=verdict == "adopt")


def attach(instance: str, role: str, timeout_s: float = 0.0) -> mmap.mmap:
    """Map a role's segment read-only after every check; wait for it at most that long.

    Raises `SegmentMissing` or `SegmentNotReady` at the deadline and `SegmentRefused` at
    once: waiting does not mend a wrong object.
    """
    name = segment_name(instance, role)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return _attach_once(name)
        except (SegmentMissing, SegmentNotReady):
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_S)


def current_inode(instance: str, role: str) -> int:
    """Return the inode that the name leads to now, 0 when there is none."""
    return _inode_of(segment_name(instance, role))


def remove_leftover(name: str) -> bool:
    """Remove a segment whose writer is dead; say whether it was removed.

    Refuses, by returning False, whatever is locked, foreign or not a segment.
    """
    if not _is_name(name):
        return False  # posix_ipc crashes on some names
    try:
        fd = _open(name, os.O_RDWR)
    except (SegmentMissing, SegmentRefused):
        return False
    try:
        check_object(name, fd)
        _lock(name, fd)
        if _inode_of(name) != os.fstat(fd).st_ino:
            return False  # retired by somebody else: the name is not this object's
        check_ours(name, fd)
        _retire(name, fd)
        return True
    except (SegmentBusy, SegmentRefused):
        return False
    finally:
        os.close(fd)


# --- Steps -------------------------------------------------------------------------


def _open_or_create(name: str, capacities: Capacities) -> int:
    while True:
        try:
            memory = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=MODE, size=0)
        except posix_ipc.ExistentialError:
            try:
                return _open(name, os.O_RDWR)
            except SegmentMissing:
                continue  # removed in between: create it after all
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                needed_bytes = Plan(capacities).segment_bytes
                raise SegmentSpace(name, needed_bytes, free_bytes()) from error
            raise
        os.fchmod(memory.fd, MODE)  # the umask may have taken bits away
        return int(memory.fd)


def _open(name: str, access: int) -> int:
    # O_NONBLOCK keeps the open of a FIFO from waiting; shm_open adds O_NOFOLLOW.
    try:
        memory = posix_ipc.SharedMemory(
            name, os.O_NONBLOCK, size=0, read_only=access == os.O_RDONLY
        )
    except posix_ipc.ExistentialError as error:
        raise SegmentMissing(f"no such segment: name={name}") from error
    except posix_ipc.PermissionsError as error:
        raise SegmentRefused("owner", f"access denied: name={name}") from error
    except (OSError, ValueError) as error:
        # A directory is EINVAL, for which posix_ipc has a ValueError without errno.
        if getattr(error, "errno", errno.EINVAL) not in _NO_FILE:
            raise
        raise SegmentRefused("file_type", f"no regular file: name={name}") from error
    return int(memory.fd)


def _lock(name: str, fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SegmentBusy(name, holder_of(fd)) from error


def _inode_of(name: str) -> int:
    try:
        return os.lstat(_DIRECTORY + name).st_ino
    except FileNotFoundError:
        return 0


def _judge_existing(name: str, fd: int, role: str, capacities: Capacities) -> str:
    """Say what the lock's holder does with the object: fill, adopt or retire it."""
    size_bytes = os.fstat(fd).st_size
    if size_bytes == 0:
        return "fill"
    check_ours(name, fd)
    try:
        values = check_header(name, read_header(fd), size_bytes)
    except (SegmentNotReady, SegmentRefused):
        # Ours, but never ready, or of another layout, boot or time namespace.
        return "retire"
    is_same = (
        capacities_of(values) == capacities
        and text(values["role"]) == role
        and values["superseded"] == 0
    )
    return "adopt" if is_same else "retire"


def _retire(name: str, fd: int) -> int:
    """Mark and unlink a segment; return its epoch: no verdict on it may count again."""
    epoch, size_bytes = 0, os.fstat(fd).st_size
    if size_bytes >= _EPOCH + 8:
        with mmap.mmap(fd, size_bytes) as mapping:
            _store_word(mapping, HEADER.offsets["superseded"], 1)
            epoch = _load_word(mapping, _EPOCH)
    _unlink(name)
    return epoch if epoch < 1 << 31 else 0  # more than ever were: it is damaged


def _unlink(name: str) -> None:
    with contextlib.suppress(posix_ipc.ExistentialError):  # removed by hand meanwhile
        posix_ipc.unlink_shared_memory(name)


def _fill(
    name: str, fd: int, instance: str, role: str, capacities: Capacities
) -> mmap.mmap:
    """Reserve every page, write the header, and store the ready word last."""
    plan = Plan(capacities)
    try:
        os.posix_fallocate(fd, 0, plan.segment_bytes)
    except OSError as error:
        free = free_bytes()
        _unlink(name)
        if error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EFBIG):
            raise SegmentSpace(name, plan.segment_bytes, free) from error
        raise
    mapping = _map(fd, plan.segment_bytes)
    values = {field.name: 0 for field in HEADER.fields} | {
        "magic": MAGIC,
        "layout_version": LAYOUT_VERSION,
        "header_bytes": HEADER.size_bytes,
        "layout_digest": LAYOUT_DIGEST,
        "segment_bytes": plan.segment_bytes,
        "created_ns": time.time_ns(),
        "time_namespace": identity.time_namespace(),
        "boot_id": identity.boot_id().encode(),
        "instance": instance.encode(),
        "role": role.encode(),
        "instruments_max": capacities.instruments,
        "ring_slots": capacities.ring_slots,
        "counters_max": capacities.counters,
        "histograms_max": capacities.histograms,
        **plan.offsets(),
    }
    HEADER.struct.pack_into(mapping, 0, *values.values())
    # ORDER: pairs with read_header in checks.py: whoever sees the ready word sees the
    # header. The epoch is still 0, so a writer of epoch 0 may store it.
    make_writer(mapping, plan.geometry(), 0, 0).store(HEADER.offsets["ready"], 1)
    return mapping


def _map(fd: int, size_bytes: int) -> mmap.mmap:
    # The mapping keeps a duplicate of its descriptor, and a duplicate holds the lock:
    # beyond `close` while a view is exported, and in a forked child beyond the death of
    # its parent. A descriptor opened anew has no part in the lock.
    fresh = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    try:
        return mmap.mmap(fresh, size_bytes)
    finally:
        os.close(fresh)


def _attach_once(name: str) -> mmap.mmap:
    fd = _open(name, os.O_RDONLY)
    try:
        check_object(name, fd)
        size_bytes = os.fstat(fd).st_size
        check_header(name, read_header(fd), size_bytes)
        return mmap.mmap(fd, size_bytes, prot=mmap.PROT_READ)
    finally:
        os.close(fd)


def _load_word(mapping: mmap.mmap, offset: int) -> int:
    with memoryview(mapping) as view, view.cast("Q") as words:
        return int(words[offset // 8])


def _store_word(mapping: mmap.mmap, offset: int, value: int) -> None:
    # A memoryview item is one aligned move. `struct.pack_into` would store zeros first.
    with memoryview(mapping) as view, view.cast("Q") as words:
        words[offset // 8] = value & 0xFFFF_FFFF_FFFF_FFFF
