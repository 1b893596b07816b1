"""Market data of crypto venues in lock-free shared memory, with honest freshness."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feedhandler.client import Feed, Follower, Funding, NotReady, Quote, Record
    from feedhandler.client.attach import attach

__all__ = ["Feed", "Follower", "Funding", "NotReady", "Quote", "Record", "attach"]


def __getattr__(name: str) -> Any:
    """Import the client once it is asked for: commands that do not read go without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module("feedhandler.client"), name)
    globals()[name] = value
    return value
