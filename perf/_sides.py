"""Other ways to keep one side of a book, for comparison, and changes to feed them.

Each side has `replace(levels)`, `change(levels)` and `best`, as the product's has.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

from feedhandler.book.levels import Level, Levels
from feedhandler.codec.decimal import VALUE_MIN

TOUCH = 100_000.0  # the asks stand above it, a tick of 1 apart
CHANGES = 5  # levels of one delta
NEAR = 8.0  # mean distance of a change from the touch, in levels
FAR_SHARE = 0.1  # of the changes are anywhere in the book


class Own:
    """The product's side."""

    def __init__(self) -> None:
        self.levels = Levels(is_bid=False)
        self.change = self.levels.change

    @property
    def best(self) -> float:
        """Return the lowest price."""
        return self.levels.best

    def replace(self, levels: list[Level]) -> None:
        """Take over an image."""
        self.levels = Levels(levels, is_bid=False)
        self.change = self.levels.change


class SortedKeys:
    """A dict of sizes and a sorted list of prices, the best at its end."""

    def __init__(self) -> None:
        self.sizes: dict[float, float] = {}
        self.keys: list[float] = []
        self.best = 0.0

    def replace(self, levels: list[Level]) -> None:
        """Take over an image."""
        self.sizes = {price: size for price, size in levels if size >= VALUE_MIN}
        self.keys = [-price for price in self.sizes]
        self.keys.sort()
        self.best = -self.keys[-1]

    def change(self, levels: list[Level]) -> None:
        """Set sizes; 0 removes."""
        sizes = self.sizes
        keys = self.keys
        for price, size in levels:
            if size >= VALUE_MIN:
                if price not in sizes:
                    insort(keys, -price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
                del keys[bisect_left(keys, -price)]
        self.best = -keys[-1]


class SortedDictionary:
    """The sorted dictionary of sortedcontainers."""

    def __init__(self) -> None:
        from sortedcontainers import SortedDict

        self.kind = SortedDict
        self.sizes = SortedDict()
        self.best = 0.0

    def replace(self, levels: list[Level]) -> None:
        """Take over an image."""
        self.sizes = self.kind(
            {price: size for price, size in levels if size >= VALUE_MIN}
        )
        self.best = self.sizes.peekitem(0)[0]

    def change(self, levels: list[Level]) -> None:
        """Set sizes; 0 removes."""
        sizes = self.sizes
        for price, size in levels:
            if size >= VALUE_MIN:
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
        self.best = sizes.peekitem(0)[0]


class Arrays:
    """Two numpy arrays in step, the best at their end, moved up or down by one."""

    def __init__(self) -> None:
        self.keys = np.empty(0)
        self.sizes = np.empty(0)
        self.count = 0
        self.best = 0.0

    def replace(self, levels: list[Level]) -> None:
        """Take over an image."""
        image = np.array(levels)
        image = image[image[:, 1] >= VALUE_MIN]
        image = image[np.argsort(-image[:, 0], kind="stable")]
        self.count = len(image)
        self.keys = np.concatenate([-image[:, 0], np.empty(self.count + 4_096)])
        self.sizes = np.concatenate([image[:, 1], np.empty(self.count + 4_096)])
        self.best = -self.keys[self.count - 1]

    def change(self, levels: list[Level]) -> None:
        """Set sizes; 0 removes."""
        keys = self.keys
        sizes = self.sizes
        for price, size in levels:
            count = self.count
            at = int(keys[:count].searchsorted(-price))
            is_held = at < count and keys[at] == -price
            if size >= VALUE_MIN:
                if not is_held:
                    keys[at + 1 : count + 1] = keys[at:count]
                    sizes[at + 1 : count + 1] = sizes[at:count]
                    keys[at] = -price
                    self.count += 1
                sizes[at] = size
            elif is_held:
                keys[at : count - 1] = keys[at + 1 : count]
                sizes[at : count - 1] = sizes[at + 1 : count]
                self.count -= 1
        self.best = -keys[self.count - 1]


@dataclass
class History:
    """An image, changes to it that end where they began, and the best after each."""

    image: list[Level]
    deltas: list[list[Level]]
    bests: list[float]


def make_history(depth: int, deltas: int, near: float | None = NEAR) -> History:
    """Return a history that can go round and round; the same for the same arguments.

    Two in three changes are new sizes; the others remove a level, or add one beside
    another, so that the depth stays; some remove what is not held. The second half
    undoes the first, which is the same kind of work.
    """
    chance = random.Random(depth)
    keys = [TOUCH + 1.0 + position for position in range(depth)]
    sizes = {price: new_size(chance) for price in keys}
    image = list(sizes.items())
    forth: list[list[Level]] = []
    back: list[list[Level]] = []
    bests = [keys[0]]
    for _ in range(deltas // 2):
        delta: list[Level] = []
        undo: list[Level] = []
        for _ in range(CHANGES):
            price, size = choose(chance, keys, depth, near)
            undo.append((price, sizes.get(price, 0.0)))
            delta.append((price, size))
            if size and price not in sizes:
                insort(keys, price)
            if size:
                sizes[price] = size
            elif sizes.pop(price, 0.0):
                del keys[bisect_left(keys, price)]
        forth.append(delta)
        back.append(undo[::-1])
        bests.append(keys[0])
    return History(image, forth + back[::-1], bests[1:] + bests[-2::-1])


def choose(
    chance: random.Random, keys: list[float], depth: int, near: float | None
) -> Level:
    """Return one change of a book with these prices."""
    position = chance.randrange(len(keys))
    if near is not None and chance.random() >= FAR_SHARE:
        position = min(int(chance.expovariate(1 / near)), len(keys) - 1)
    price = keys[position]
    kind = chance.random()
    if kind < 0.64:
        return price, new_size(chance)
    if kind < 0.68:
        return price + 0.25, 0.0
    if len(keys) > depth:
        return price, 0.0
    beside = price + chance.choice((-1.0, -0.5, 0.5, 1.0))
    return max(beside, TOUCH + 0.5), new_size(chance)


def new_size(chance: random.Random) -> float:
    """Return a size as venues print them."""
    return round(chance.random() * 5 + 0.00001, 5)
