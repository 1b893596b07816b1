"""The simulated Lighter: its stream at /stream and its REST under /api/v1.

listings   what is listed, and the state of one listed market
books      images, deltas and the chain of nonces that joins them
fills      trades, as rows that name both sides
stats      funding, marks and the day's figures
figures    the channels that tell them
render     a market's state → the venue's JSON frames
requests   a client's JSON → a topic, or the code of an error
sessions   who must be heard of until when
markets    what REST lists
rest       the answers of REST
venue      the venue itself: who gets what, and when
"""

from feedhandler.sim.venues.lighter.venue import VENUE

__all__ = ["VENUE"]
