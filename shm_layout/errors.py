"""What can go wrong with shared memory, told apart by what the caller does next.

SegmentError
  SegmentMissing     nobody has created it yet: wait and try again
  SegmentNotReady    its writer is still filling it: wait and try again
  SegmentRefused     it is not what it should be: tell a person, touch nothing
  SegmentBusy        another writer lives: leave it alone
  SegmentSpace       shared memory is full: free some, or ask for less
  OwnershipLost      another writer has taken over: stop writing at once
  SlotUnreadable     one slot is damaged: skip it, the next publish heals it
  CapacityExceeded   a fixed table is full: raise its capacity
"""

from __future__ import annotations


class SegmentError(Exception):
    """Base of everything this package raises about a segment."""


class SegmentMissing(SegmentError):
    """No segment of that name exists."""


class SegmentNotReady(SegmentError):
    """The segment exists but its ready word was not set before the deadline."""


class SegmentRefused(SegmentError):
    """The object is not a segment that we may use; it is left as it is.

    `reason` is one word: owner, mode, file_type, link, size, magic, version, digest,
    layout, boot, time_namespace, name or platform.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{text} reason={reason}")
        self.reason = reason


class SegmentBusy(SegmentError):
    """Another process holds the writer's lock. `pid` is 0 when it is unknown."""

    def __init__(self, name: str, pid: int) -> None:
        super().__init__(
            f"another writer holds the segment: name={name} pid={pid or 'unknown'}"
        )
        self.pid = pid


class SegmentSpace(SegmentError):
    """Shared memory cannot hold the segment."""

    def __init__(self, name: str, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"not enough shared memory: name={name} needed_bytes={needed_bytes} "
            f"free_bytes={free_bytes}; free some in /dev/shm, enlarge it, or lower "
            "[shm] ring_slots"
        )
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class OwnershipLost(SegmentError):
    """The segment carries a foreign epoch: this process must not write any more."""


class SlotUnreadable(SegmentError):
    """A slot failed its checks on every try."""


class CapacityExceeded(SegmentError):
    """A table of fixed size has no room for one more entry."""
