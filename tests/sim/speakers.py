"""How a plain client speaks to each simulated venue, and what it understands.

A speaker knows a venue's requests and reads just enough of a frame to tell what it is:
`book`, `live` (the channel that ticks while books stand still), `trade`, `ack`,
`error`, `pong` or `other`. It shares nothing with the simulator or the product.
"""

from __future__ import annotations

import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Frame = str | bytes


@dataclass
class Speaker(ABC):
    """One venue's words; BTC and ETH are the two markets that are subscribed."""

    venue: str
    btc: str
    eth: str
    query: str = ""
    rest: str = ""  # a request for BTC's book
    rest_body: Json | None = None
    cadence: Mapping[str, float] = field(default_factory=dict)
    old_code: int | None = 1000  # of the end of a stream that is too old

    @abstractmethod
    def subscribe(self, symbol: str) -> list[Json]: ...

    @abstractmethod
    def live(self) -> list[Json]:
        """Requests for the channel that ticks while the market stands still."""

    def ping(self) -> Json:
        raise AssertionError(f"{self.venue} has no ping of its own")

    def read(self, frame: Frame) -> tuple[str, str]:
        """What a frame is, and of which market."""
        try:
            told = json.loads(frame)
        except (ValueError, RecursionError):
            return "other", ""
        try:
            return self._read(told)
        except (AttributeError, KeyError, TypeError, IndexError):
            return "other", ""

    @abstractmethod
    def _read(self, told: Any) -> tuple[str, str]: ...


class Hyperliquid(Speaker):
    def subscribe(self, symbol: str) -> list[Json]:
        return [self._ask("bbo", symbol)]

    def live(self) -> list[Json]:
        return [self._ask("activeAssetCtx", self.btc), self._ask("trades", self.btc)]

    def ping(self) -> Json:
        return {"method": "ping"}

    def _ask(self, kind: str, symbol: str) -> Json:
        named = {"type": kind, "coin": symbol}
        return {"method": "subscribe", "subscription": named}

    def _read(self, told: Any) -> tuple[str, str]:
        kinds = {
            "bbo": "book",
            "activeAssetCtx": "live",
            "trades": "trade",
            "subscriptionResponse": "ack",
            "error": "error",
            "pong": "pong",
        }
        data = told.get("data")
        row = data[0] if isinstance(data, list) else data
        symbol = row.get("coin", "") if isinstance(row, dict) else ""
        return kinds.get(told["channel"], "other"), symbol


class Lighter(Speaker):
    places: Mapping[str, str] = {"1": "BTC", "0": "ETH", "39": "ADA"}

    def subscribe(self, symbol: str) -> list[Json]:
        place = {name: place for place, name in self.places.items()}[symbol]
        return [self._ask(f"order_book/{place}")]

    def live(self) -> list[Json]:
        return [self._ask("height"), self._ask("market_stats/1"), self._ask("trade/1")]

    def ping(self) -> Json:
        return {"type": "ping"}

    def _ask(self, channel: str) -> Json:
        return {"type": "subscribe", "channel": channel}

    def _read(self, told: Any) -> tuple[str, str]:
        kinds = {
            "update/order_book": "book",
            "update/height": "live",
            "update/trade": "trade",
            "pong": "pong",
        }
        if "error" in told or told.get("type") == "error":
            return "error", ""
        if told["type"].startswith("subscribed/"):
            return "ack", ""
        _, _, place = told.get("channel", "").partition(":")
        return kinds.get(told["type"], "other"), self.places.get(place, "")


class Aster(Speaker):
    def subscribe(self, symbol: str) -> list[Json]:
        return [self._ask(f"{symbol.lower()}@depth@100ms")]

    def live(self) -> list[Json]:
        names = ("markPrice@1s", "aggTrade")
        return [self._ask(f"{self.btc.lower()}@{name}") for name in names]

    def ping(self) -> Json:
        return {"method": "LIST_SUBSCRIPTIONS", "id": 99}

    def _ask(self, name: str) -> Json:
        return {"method": "SUBSCRIBE", "params": [name], "id": 1}

    def _read(self, told: Any) -> tuple[str, str]:
        kinds = {"depthUpdate": "book", "markPriceUpdate": "live", "aggTrade": "trade"}
        if "result" in told:
            return "pong" if told["id"] == 99 else "ack", ""
        return ("error", "") if "code" in told else (kinds[told["e"]], told["s"])


class Extended(Speaker):
    def subscribe(self, symbol: str) -> list[Json]:
        return [self._ask("orderbooks", market=symbol, depth="full")]

    def live(self) -> list[Json]:
        mark = self._ask("prices", type="mark", market=self.btc)
        funding = self._ask("funding-rates", market=self.btc)
        return [mark, funding, self._ask("trades", market=self.btc)]

    def ping(self) -> Json:
        return {"jsonrpc": "2.0", "id": "1", "method": "ping", "params": {}}

    def _ask(self, scope: str, **selector: str) -> Json:
        params = {"scope": scope, "selector": selector}
        return {"jsonrpc": "2.0", "id": "1", "method": "subscribe", "params": params}

    def _read(self, told: Any) -> tuple[str, str]:
        if "error" in told:
            return "error", ""
        if "result" in told:
            return "pong" if told["result"]["method"] == "ping" else "ack", ""
        kinds = {"ORDERBOOKS": "book", "PRICES": "live", "TRADES": "trade"}
        data = told["data"]
        row = data[0] if isinstance(data, list) else data
        return kinds.get(told["type"].split(".")[0], "other"), row["m"]


class Paradex(Speaker):
    kinds: Mapping[int, tuple[str, int]] = {
        1: ("trade", 0),
        2: ("book", 48),
        4: ("other", 0),
        5: ("live", 0),
    }

    def subscribe(self, symbol: str) -> list[Json]:
        return [self._ask(f"bbo.{symbol}"), self._ask(f"order_book.{symbol}.deltas")]

    def live(self) -> list[Json]:
        return [self._ask(f"{kind}.{self.btc}") for kind in ("funding_data", "trades")]

    def ping(self) -> Json:
        # There is no ping in its words: an unknown method is answered.
        return {"jsonrpc": "2.0", "id": 99, "method": "ping"}

    def _ask(self, channel: str) -> Json:
        params = {"channel": channel}
        return {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params}

    def read(self, frame: Frame) -> tuple[str, str]:
        if isinstance(frame, str):
            return super().read(frame)
        if len(frame) < 8:
            return "other", ""
        _, template, schema, _ = struct.unpack_from("<4H", frame)
        kinds = {1: "trade", 2: "book", 3: "book", 5: "live"}
        names = [name for name in (self.btc, self.eth) if name.encode() in frame]
        if schema != 1 or template not in kinds or not names:
            return "other", ""
        return kinds[template], names[0]

    def _read(self, told: Any) -> tuple[str, str]:
        if told.get("id") == 99:
            return "pong", ""
        return ("error" if "error" in told else "ack"), ""


SPEAKERS = {
    one.venue: one
    for one in (
        Aster(
            "aster",
            "BTCUSDT",
            "ETHUSDT",
            rest="/fapi/v1/depth?symbol=BTCUSDT&limit=1000",
            cadence={"depth@100ms": 0.02, "markPrice@1s": 0.05},
            old_code=None,
        ),
        Extended(
            "extended",
            "BTC-USD",
            "ETH-USD",
            rest="/info/markets/BTC-USD/orderbook",
            cadence={"orderbooks": 0.02, "prices.mark": 0.05},
        ),
        Hyperliquid(
            "hyperliquid",
            "BTC",
            "ETH",
            rest="/info",
            rest_body={"type": "l2Book", "coin": "BTC"},
            cadence={"activeAssetCtx": 0.05},
        ),
        Lighter(
            "lighter",
            "BTC",
            "ETH",
            rest="/api/v1/orderBookOrders?market_id=1&limit=250",
            cadence={"order_book": 0.02, "height": 0.05},
        ),
        Paradex(
            "paradex",
            "BTC-USD-PERP",
            "ETH-USD-PERP",
            query="?sbeSchemaId=1&sbeSchemaVersion=2",
            rest="/orderbook/BTC-USD-PERP",
            cadence={"funding_data": 0.05},
        ),
    )
}
