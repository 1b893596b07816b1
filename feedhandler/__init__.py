"""Market data of crypto venues in lock-free shared memory, with honest freshness."""

from feedhandler.client import Feed, Quote, Record, attach

__all__ = ["Feed", "Quote", "Record", "attach"]
