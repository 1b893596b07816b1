"""What a client said, as a subscription in the venue's own words."""

from __future__ import annotations

from collections.abc import Container

from feedhandler.sim.venues.hyperliquid.listings import Json
from feedhandler.sim.venues.hyperliquid.render import Topic

MARKET_CHANNELS = ("bbo", "l2Book", "trades", "activeAssetCtx")
_FIELDS = {"coin": str, "dex": str, "nSigFigs": int, "mantissa": int, "fast": bool}


def normalise(subscription: object) -> Json | None:
    """The subscription as the venue echoes it, or None if its shape is wrong.

    Seen in acknowledgements of 2025: unknown keys vanish, `l2Book` gains its options.
    """
    if not isinstance(subscription, dict):
        return None
    kind = subscription.get("type")
    if not isinstance(kind, str):
        return None
    given: Json = {}
    for name, wanted in _FIELDS.items():
        value = subscription.get(name)
        if value is not None and type(value) is not wanted:
            return None
        if value is not None:
            given[name] = value
    if kind in MARKET_CHANNELS and "coin" not in given:
        return None
    if kind == "l2Book":
        options = {
            "nSigFigs": given.get("nSigFigs"),
            "mantissa": given.get("mantissa"),
            "fast": given.get("fast", False),
        }
        return {"type": kind, "coin": given["coin"], **options}
    kept = ("dex",) if kind == "allMids" else ("coin",)
    return {"type": kind, **{name: given[name] for name in kept if name in given}}


def topic_of(subscription: Json, symbols: Container[str]) -> Topic | None:
    """The key of a normalised subscription, or None if the venue has nothing such."""
    kind, symbol = subscription["type"], subscription.get("coin", "")
    if kind == "allMids":
        return Topic(kind) if not subscription.get("dex") else None
    if kind not in MARKET_CHANNELS or symbol not in symbols:
        return None
    if kind != "l2Book":
        return Topic(kind, symbol)
    figures, mantissa = subscription["nSigFigs"], subscription["mantissa"]
    if figures not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5):
        return None
    if mantissa is not None and figures != 5:
        return None
    return Topic(kind, symbol, figures, mantissa, subscription["fast"])
