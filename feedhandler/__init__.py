"""Market data of crypto venues in lock-free shared memory, with honest freshness."""

from feedhandler.client import (
    Feed,
    Follower,
    Funding,
    NotReady,
    Quote,
    Record,
    attach,
)

__all__ = ["Feed", "Follower", "Funding", "NotReady", "Quote", "Record", "attach"]
