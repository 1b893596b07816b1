"""Venues that declare or ask something wrong: what the claims must notice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from feedhandler.book.continuity import Rule, SnapshotOnly
from feedhandler.events import TIME_NONE, BookEvent, FundingEvent
from feedhandler.venues._base import (
    LIVENESS,
    Market,
    Options,
    RestRequest,
    Subscription,
    Venue,
)
from tests.conformance.template_venue import Template


def with_parts(**parts: Any) -> Venue:
    """Return the template with other declarations or methods."""
    venue: Venue = type("Wrong", (Template,), parts)()
    return venue


class Unordered(Template):
    """Its changes follow nothing."""

    continuity: ClassVar[Mapping[str, type[Rule]]] = {
        "bbo": SnapshotOnly,
        "depth": SnapshotOnly,
    }


class Mute(Template):
    """It subscribes no liveness."""

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        wanted = super().subscriptions(symbol, options)
        return [row for row in wanted if row.carries != LIVENESS]


class Misnaming(Template):
    """It publishes multiples under their own names."""

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        rows = super().parse_markets(bodies)
        return [Market(row.symbol, f"{row.symbol}-PERP") for row in rows]


class Trusting(Template):
    """It believes any answer of the REST host."""

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        rows = json.loads(bodies[0])["markets"]
        return [Market(row["name"], f"{row['name']}-PERP") for row in rows]

    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        row = json.loads(body)
        bids, asks = (
            [(float(price), float(size)) for price, size in row.get(side, [])]
            for side in ("bids", "asks")
        )
        return BookEvent(market.key, TIME_NONE, True, bids, asks, row.get("number", 0))


class Forgetful(Template):
    """Its request for an image names no market."""

    def snapshot_request(self, market: Market) -> RestRequest:
        return RestRequest("GET", "/v1/book")


class Endless(Template):
    """It never ends a subscription."""

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        return super().request(topics, request_id)


class Funded(Template):
    """It asks for funding by REST, and reads none."""

    def funding_request(self, market: Market) -> RestRequest:
        return RestRequest("GET", f"/v1/funding?market={market.key}")


class Unfunded(Template):
    """It asks for no funding, and raises what nobody expects."""

    def parse_funding(self, market: Market, body: bytes, wall_ns: int) -> FundingEvent:
        raise KeyError("rate")
