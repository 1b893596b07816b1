"""What a client asks for, as a topic: by a v1 path or by a v2 selector."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from feedhandler.sim.venues.extended.listings import Json

V1, V2 = "/stream.extended.exchange/v1", "/stream.extended.exchange/v2/rpc"
ALL = ""  # as a symbol: every market

# JSON-RPC's own codes, and the venue's for a market it does not list.
PARSE_ERROR = (-32700, "Parse error")
INVALID_REQUEST = (-32600, "Invalid request")
UNKNOWN_METHOD = (-32601, "Method not found")
INVALID_PARAMS = (-32602, "Invalid params")
UNKNOWN_MARKET = (1001, "Market not found")

_V1_SCOPES: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("orderbooks",): ("orderbooks", "full"),
    ("publicTrades",): ("trades", ""),
    ("funding",): ("funding-rates", ""),
    ("prices", "mark"): ("prices", "mark"),
    ("prices", "index"): ("prices", "index"),
}


class Topic(NamedTuple):
    """The key of a subscription; `option` is the depth or the type of price."""

    scope: str
    option: str = ""
    symbol: str = ALL

    @property
    def channel(self) -> str:
        """The name in the table of cadences, the truth log and faults."""
        if self.option in ("", "full"):
            return self.scope
        return f"{self.scope}.{self.option}"

    @property
    def id(self) -> str:
        """The name that v2 puts on every frame."""
        market = self.symbol or "all"
        if self.option == "rfq":
            return f"{self.scope}.{market}.rfq"
        return f"{self.channel}.{market}"


class Refused(NamedTuple):
    code: int
    message: str


def of_path(
    path: str, query: Mapping[str, str], symbols: Container[str]
) -> Topic | None:
    """The topic of a v1 stream, or None where the venue answers 404."""
    parts = tuple(part for part in path.removeprefix(V1).split("/") if part)
    name = parts[:2] if parts[:1] == ("prices",) else parts[:1]
    if not path.startswith(V1) or name not in _V1_SCOPES:
        return None
    rest = parts[len(name) :]
    symbol = rest[0] if rest else ALL
    if len(rest) > 1 or (rest and symbol not in symbols):
        return None
    scope, option = _V1_SCOPES[name]
    if scope == "orderbooks" and "depth" in query:
        if query["depth"] != "1":
            return None
        option = "1"
    return Topic(scope, option, symbol)


def of_params(params: object, symbols: Container[str]) -> Topic | Refused | None:
    """The topic of a v2 request, why not, or None where the venue stays silent.

    A depth that does not exist got no answer at all.
    """
    if not isinstance(params, dict):
        return Refused(*INVALID_PARAMS)
    scope, selector = params.get("scope"), params.get("selector")
    if not isinstance(selector, dict):
        return Refused(*INVALID_PARAMS)
    market = selector.get("market")
    option: Any = ""
    if market is not None and not isinstance(market, str):
        return Refused(*INVALID_PARAMS)
    if scope == "orderbooks":
        option = selector.get("depth", "full")
        if option not in ("full", "1"):
            return None
        if selector.get("rfqOnly"):
            option = "rfq"
    elif scope == "prices":
        option = selector.get("type")
        if option not in ("mark", "index"):
            return Refused(*INVALID_PARAMS)
    elif scope not in ("trades", "funding-rates"):
        return Refused(*INVALID_PARAMS)
    if market is not None and market not in symbols:
        return Refused(*UNKNOWN_MARKET)
    return Topic(scope, option, market or ALL)


def request_id(request: Json) -> str | int | None:
    """The id to answer with; the recorded ones are text."""
    number = request.get("id")
    return number if type(number) in (str, int) else None
