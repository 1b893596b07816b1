"""The simulated Hyperliquid: its stream at /ws and its info endpoint at POST /info.

listings   what is listed, and the state of one listed perp
render     a perp's state → the venue's JSON
requests   a client's JSON → a subscription, or why not
info       the answers of POST /info
recorded   recorded frames → a perp's state
venue      the venue itself: who gets what, and when
"""

from feedhandler.sim.venues.hyperliquid.venue import VENUE

__all__ = ["VENUE"]
