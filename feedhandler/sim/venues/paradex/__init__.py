"""The simulated Paradex: binary streams at /v1, with REST beside them.

listings   what is listed, and the state of one listed perp
books      a book as a client sees it, and what changed from one to the next
sbe        values → the venue's binary frames
render     a perp's state → frames for the stream
channels   a client's channel name → what it asks for, or why not
rest       the answers of REST
venue      the venue itself: who gets what, and when
"""

from feedhandler.sim.venues.paradex.venue import VENUE

__all__ = ["VENUE"]
