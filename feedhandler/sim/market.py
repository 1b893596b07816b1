"""One seeded market that every simulated venue shows in its own way.

Owns the state of each asset (fair price, spread, the shape of the book, contexts) and
the random process that moves it. Knows no venue, no clock and no socket: the caller
asks for the next event and says when it happens. The same seed gives the same events.

    market.step() ─▶ Event(at_s, asset, trade?)    the book moved, perhaps by a trade
    market.advance_contexts()                      oracle, mark, funding move
"""

from __future__ import annotations

import heapq
import math
from random import Random
from typing import NamedTuple

LEVELS = 20  # a side; no venue shows fewer in its normal book

# Shares of the events, and how far from its start a price may wander.
TRADE_SHARE = 0.18
MOVE_SHARE = 0.45
TOUCH_SHARE = 0.7  # of the size changes that hit the best level
PULL_HOME = 0.0008  # pull of the log price to its start at each move
SPREAD_RANGE = (0.3, 2.5)  # of the profile's spread
CONSUMED = 0.9  # a trade of more than this share takes the whole level

# Regimes: name, activity, shortest and longest stay in seconds.
NORMAL = ("normal", 1.0, 6.0, 30.0)
QUIET = ("quiet", 0.04, 0.8, 2.0)
BURST = ("burst", 6.0, 0.5, 2.0)


class Profile(NamedTuple):
    """What is typical of one asset; prices in dollars for one coin."""

    asset: str
    price: float
    volatility: float  # relative, of one move
    spread: float  # relative
    gap: float  # relative, mean distance of neighbouring levels
    size: float  # coins at a typical level
    events_per_s: float
    open_interest: float


PROFILES = (
    Profile("BTC", 97_000.0, 1.6e-5, 1.2e-5, 1.3e-5, 1.2, 7.0, 31_000.0),
    Profile("ETH", 3_400.0, 2.4e-5, 3.0e-5, 3.5e-5, 18.0, 6.0, 520_000.0),
    Profile("SOL", 190.0, 4.0e-5, 6.0e-5, 6.0e-5, 160.0, 5.0, 4_100_000.0),
    Profile("HYPE", 24.0, 6.0e-5, 9.0e-5, 6.0e-5, 420.0, 4.0, 22_000_000.0),
    Profile("XRP", 2.4, 5.0e-5, 5.0e-5, 5.0e-5, 9_000.0, 3.0, 60_000_000.0),
    Profile("DOGE", 0.36, 5.0e-5, 6.0e-5, 5.0e-5, 40_000.0, 3.0, 410_000_000.0),
    Profile("PEPE", 1.85e-5, 8.0e-5, 1.2e-4, 8.0e-5, 4.0e8, 3.0, 9.0e12),
)


class Trade(NamedTuple):
    """A taker's order against the touch: its side and its share of that level."""

    buy: bool
    share: float
    fills: int


class Event(NamedTuple):
    """One change of one asset at a market time, counted from the start in seconds."""

    at_s: float
    asset: str
    trade: Trade | None


class Rung(NamedTuple):
    """One level of the venue-neutral book: relative distance from the touch, coins."""

    offset: float
    size: float
    orders: int


class Context(NamedTuple):
    """What a venue tells beside the book; prices in dollars for one coin."""

    oracle: float
    mark: float
    premium: float
    funding_per_hour: float
    open_interest: float
    day_volume: float
    previous_day_price: float


class Asset:
    """The true state of one asset and the process that moves it."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile = profile
        # The book; `bids` and `asks` hold LEVELS rungs, the touch first.
        self.mid = profile.price
        self.half_spread = profile.spread / 2
        self.bids: list[Rung] = []
        self.asks: list[Rung] = []
        # Randomness: contexts have their own, so that they never disturb the book.
        self._random = Random(f"{seed}:{profile.asset}:book")
        self._context_random = Random(f"{seed}:{profile.asset}:context")
        # Activity.
        self._regime = NORMAL
        self._regime_ends_s = 0.0
        self.next_at_s = 0.0
        # Contexts.
        self._basis = 0.0
        self._funding_per_hour = 1.25e-5
        self._open_interest = profile.open_interest
        self._day_volume = profile.open_interest * profile.price
        self._previous_day_price = profile.price * self._context_random.gauss(1, 0.01)
        self._fill_sides()
        self._schedule(0.0)

    def step(self) -> Event:
        """Apply the next event and schedule the one after it."""
        at_s = self.next_at_s
        draw = self._random.random()
        trade = None
        if draw < TRADE_SHARE:
            trade = self._trade()
        elif draw < TRADE_SHARE + MOVE_SHARE:
            self._move(self._random.gauss(0.0, self.profile.volatility))
            self._requote(self._random.random() < 0.5, 0)
        else:
            touch = self._random.random() < TOUCH_SHARE
            level = 0 if touch else self._random.randrange(1, LEVELS)
            self._requote(self._random.random() < 0.5, level)
        self._schedule(at_s)
        return Event(at_s, self.profile.asset, trade)

    def advance_context(self) -> None:
        """Move oracle, funding and open interest by one small step."""
        random = self._context_random
        self._basis = 0.9 * self._basis + random.gauss(0.0, 4.0e-5)
        target = 1.25e-5 + self._basis / 8
        self._funding_per_hour += 0.05 * (target - self._funding_per_hour)
        self._open_interest *= 1 + random.gauss(0.0, 1.0e-5)
        self._day_volume *= 1 + abs(random.gauss(0.0, 1.0e-5))

    def context(self) -> Context:
        oracle = self.mid * (1 - self._basis)
        return Context(
            oracle=oracle,
            mark=(2 * self.mid + oracle) / 3,
            premium=self._basis,
            funding_per_hour=self._funding_per_hour,
            open_interest=self._open_interest,
            day_volume=self._day_volume,
            previous_day_price=self._previous_day_price,
        )

    def _move(self, change: float) -> None:
        away = math.log(self.mid / self.profile.price)
        self.mid *= math.exp(change - PULL_HOME * away)
        low, high = SPREAD_RANGE
        wider = 2 * self.half_spread / self.profile.spread
        wider = wider * math.exp(self._random.gauss(0.0, 0.1))
        self.half_spread = min(max(wider, low), high) * self.profile.spread / 2

    def _requote(self, bid: bool, level: int) -> None:
        side = self.bids if bid else self.asks
        side[level] = self._rung(side[level].offset)

    def _trade(self) -> Trade:
        buy = self._random.random() < 0.5
        share = min(1.0, self._random.expovariate(3.0) + 0.02)
        side = self.asks if buy else self.bids
        touch = side[0]
        if share > CONSUMED:
            share = 1.0
            step = self.half_spread + abs(self._random.gauss(0.0, self.profile.gap))
            self._move(step if buy else -step)
            side[0] = self._rung(touch.offset)
        else:
            orders = max(1, round(touch.orders * (1 - share)))
            side[0] = Rung(touch.offset, touch.size * (1 - share), orders)
        return Trade(buy, share, self._random.choice((1, 1, 1, 2, 3)))

    def _fill_sides(self) -> None:
        for side in (self.bids, self.asks):
            offset = 0.0
            for _ in range(LEVELS):
                side.append(self._rung(offset))
                offset += self.profile.gap * (0.3 + self._random.expovariate(1.4))

    def _rung(self, offset: float) -> Rung:
        size = self.profile.size * self._random.lognormvariate(-0.6, 1.1)
        orders = 1 + int(self._random.expovariate(0.4))
        return Rung(offset, size, orders)

    def _schedule(self, now_s: float) -> None:
        at_s = now_s
        while True:
            per_s = self.profile.events_per_s * self._regime[1]
            at_s += self._random.expovariate(per_s)
            if at_s < self._regime_ends_s:
                break
            # The regime ends first: the waiting time starts anew under the next one.
            at_s = max(self._regime_ends_s, now_s)
            self._regime = self._next_regime(at_s)
        self.next_at_s = at_s

    def _next_regime(self, now_s: float) -> tuple[str, float, float, float]:
        """Choose the next regime; the start is normal, so that users see movement."""
        if self._regime is NORMAL and self._regime_ends_s > 0:
            regime = self._random.choice((QUIET, BURST))
        else:
            regime = NORMAL
        self._regime_ends_s = now_s + self._random.uniform(regime[2], regime[3])
        return regime


class Market:
    """All assets under one seed, and the order of their events."""

    def __init__(self, seed: int, profiles: tuple[Profile, ...] = PROFILES) -> None:
        self.seed = seed
        self.assets = {profile.asset: Asset(profile, seed) for profile in profiles}
        self._due = [(asset.next_at_s, name) for name, asset in self.assets.items()]
        heapq.heapify(self._due)

    @property
    def next_at_s(self) -> float:
        """Market time of the next event."""
        return self._due[0][0]

    def step(self) -> Event:
        """Apply the next event of any asset and return it."""
        _, name = self._due[0]
        asset = self.assets[name]
        event = asset.step()
        heapq.heapreplace(self._due, (asset.next_at_s, name))
        return event

    def advance_contexts(self) -> None:
        for asset in self.assets.values():
            asset.advance_context()
