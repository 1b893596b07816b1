"""What the kit must be told of a venue, because no declaration of it says so.

`tests/venues/<venue>/conformance.py` defines `FACTS`; like the venue itself it is found
by its name. It holds how the venue's server speaks, and no claim.

A frame of a conversation is made for a `step`, which counts from 1: its sequence and
its time grow with the step, and its best bid is `bid_at(step)`, so that what was
published tells which frame it came from. A change follows the step before it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from tests.support import ROOT

VENUES = ROOT / "tests" / "venues"

# After every recorded frame: 2026-11-18 11:06:40 UTC, and not on the hour.
WALL_MS = 1_795_000_000_000
WALL_NS = WALL_MS * 1_000_000
STEP_MS = 10
# From here on the bid lies above the ask, of the same step and of the one before.
CROSSED_STEP = 1_000
# From here on the bid of an image is its ask.
LOCKED_STEP = 2_000


class Numbers(NamedTuple):
    """What a frame says, read without the venue's decoder."""

    prices: frozenset[float]
    pairs: frozenset[tuple[float, float]]  # a price and a size that belong together
    references: frozenset[float]  # whatever could be a reference price
    times_ns: frozenset[int]
    level_count: int  # how many texts or fields are prices


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How the kit speaks for a venue's server."""

    # What the venue calls the base of a market of a thousand PEPE.
    multiple: str

    # What a subscription carries -> the fixture whose every frame carries it.
    carried: Mapping[str, str]
    # Beginnings of fixtures in a protocol that the venue's file does not speak.
    foreign: tuple[str, ...] = ()
    # Beginnings of fixtures with frames that are rightly refused or say less.
    mixed: tuple[str, ...] = ()
    # Beginnings of fixtures of channels that nobody subscribes.
    strange: tuple[str, ...] = ()

    # Key, or index in a list, of a price in a JSON frame -> those of its sizes.
    sizes_of: Mapping[str | int, tuple[str | int, ...]]
    # Reads a binary frame.
    numbers: Callable[[bytes], Numbers] | None = None

    # (symbol, step) -> a frame. A venue whose images come by REST has no `image`, one
    # that sends nothing but images no `change`.
    quote: Callable[[str, int], bytes]
    image: Callable[[str, int], bytes] | None
    change: Callable[[str, int], bytes] | None
    liveness: Callable[[str, int], bytes]
    trade: Callable[[str, int], bytes]

    # Request -> the frames that accept it, the frame that refuses it.
    accept: Callable[[str], Sequence[bytes]]
    refuse: Callable[[str], bytes]
    # Frames that prove no data to be alive.
    idle: tuple[bytes, ...]

    # Base (`BTC`, `SOL`, `multiple`) -> the answers to `discovery` with its market.
    discover: Callable[[str], list[bytes]]
    # (symbol, step) -> the answer to `snapshot_request`, and the venue's error instead.
    snapshot: Callable[[str, int], bytes]
    snapshot_error: bytes
    # Whether the answer names its market.
    is_snapshot_named: bool = True
    # The answer to `funding_request`, where funding comes by REST.
    funding: bytes = b""


def bid_at(step: int) -> str:
    """Return the best bid of a step; a change adds it to the bids before."""
    if step >= LOCKED_STEP:
        return ask_at(step)
    above = 1_000 if step >= CROSSED_STEP else 0
    return f"{100 + step + above}.5"


def ask_at(step: int) -> str:
    """Return the best ask of an image."""
    return f"{500 + step}.5"


def time_ms(step: int) -> int:
    """Return the event time of a step: before the kit's clock."""
    return WALL_MS - 60_000 + STEP_MS * step


class MissingFacts(AssertionError):
    """A venue has no `tests/venues/<venue>/conformance.py`, or it is incomplete."""


@cache
def facts_of(name: str) -> Facts:
    """Return the facts of a venue; fail with what is missing."""
    path = VENUES / name / "conformance.py"
    if not path.is_file():
        raise MissingFacts(f"venue {name}: write {path.relative_to(ROOT)} (see facts)")
    spec = importlib.util.spec_from_file_location(f"conformance_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        facts: Facts = module.FACTS
    except Exception as error:
        raise MissingFacts(f"venue {name}: {path.name}: {error!r}") from error
    return facts


def body_of(name: str, file: str) -> bytes:
    """Return a whole fixture of a venue."""
    return (VENUES / name / "frames" / file).read_bytes()
