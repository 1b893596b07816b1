"""The reading side: attach to an instance, read quotes and verdicts, follow records."""

from feedhandler.client.feed import Feed, attach
from feedhandler.client.follow import Record
from feedhandler.client.quote import Quote

__all__ = ["Feed", "Quote", "Record", "attach"]
