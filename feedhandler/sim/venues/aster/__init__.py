"""The simulated Aster: Binance-style streams at /ws and /stream, REST under /fapi.

listings   what is listed, its grids, and the decimal text of a price or a size
tape       a perp's trades, their aggregates, candles and day figures
perp       a perp's book, its update ids and the changes between two of them
streams    a stream's name → what it carries; the chain of one stream's deltas
session    one connection: what it holds, and how much it may say
teller     what each stream has told of trades and of the day
commands   a client's JSON → a command, or the venue's error
render     a perp's state → the payloads of the streams
tamper     the faults that falsify a payload
meter      REST weight, 429 and the ban that follows it
endpoints  the answers of REST
venue      the venue itself: who gets what, and when
"""

from feedhandler.sim.venues.aster.venue import VENUE

__all__ = ["VENUE"]
