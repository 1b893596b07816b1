"""The reading side: attach to an instance, read quotes and verdicts, follow records."""

from feedhandler.client.attach import attach
from feedhandler.client.feed import Feed
from feedhandler.client.follow import Follower, Record
from feedhandler.client.funding import Funding
from feedhandler.client.quote import Quote
from feedhandler.client.ready import NotReady

__all__ = ["Feed", "Follower", "Funding", "NotReady", "Quote", "Record", "attach"]
