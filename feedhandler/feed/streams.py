"""How the frames of a socket are read: by a decoder, and in the order of a rule.

Owns the pairing alone. A connection is one socket for all that is subscribed, or a
bundle with a socket for each topic, whose frames are numbered apart from each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from feedhandler.book.continuity import Rule
from feedhandler.venues._base import Decode, Market, Subscription, Venue


class Stream(NamedTuple):
    """What one socket needs of its own."""

    decode: Decode
    rule: Rule | None  # where its frames are numbered


def whole(venue: Venue, markets: Mapping[str, Market]) -> Stream:
    """Return the stream of a connection that is one socket."""
    return Stream(venue.decoder(markets), _rule(venue))


def by_topic(
    venue: Venue, markets: Mapping[str, Market], rows: Iterable[Subscription]
) -> dict[str, Stream]:
    """Return the streams of a bundle by their topics; none where requests ask."""
    if venue.has_requests:
        return {}
    return {
        row.topic: Stream(venue.stream_decoder(markets, row.topic), _rule(venue))
        for row in rows
    }


def _rule(venue: Venue) -> Rule | None:
    return venue.frame_rule() if venue.frame_rule else None
