"""The simulated Extended: path streams (v1), JSON-RPC streams (v2) and REST.

listings   what is listed, and the state of one listed market
requests   a path or a client's JSON → a topic, or why not
render     a market's state → the venue's JSON
stream     what one connection subscribed to, what it was sent, and its `seq`
info       the answers of GET /api/v1/info
venue      the venue itself: who gets what, and when

What nobody has recorded, and how it is read here: v1 replays no trades; v1 deltas
carry `c`; only v1 sends fresh snapshots; error codes of v2 are those of JSON-RPC and
of REST; a delisted market has no streams. Candles are not simulated.
"""

from feedhandler.sim.venues.extended.venue import VENUE

__all__ = ["VENUE"]
