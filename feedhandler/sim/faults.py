"""Faults as data: their grammar, the table of kinds, and which are active now.

Owns text → `Fault` and the board that says what is active. Owns no effect: the host,
the connections and the venues ask the board and act.

    [venue:]kind[(name=value,…)][@start][+duration]
    hyperliquid:mute@30s+20s    drop(how=rst)@10s    burst(rate=100)@5s+2s
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class FaultError(ValueError):
    """A fault's text that cannot be understood; the message says what would be."""


class Choice(NamedTuple):
    """One of a few words; the first is the default."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]

    def parse(self, text: str) -> str:
        if text not in self.words:
            raise FaultError(f"expected one of {', '.join(self.words)}, got {text!r}")
        return text


class Number(NamedTuple):
    """A number within limits."""

    default: float
    low: float
    high: float

    def parse(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise FaultError(f"expected a number, got {text!r}") from None
        if not (self.low <= value <= self.high):
            raise FaultError(f"expected {self.low:g} to {self.high:g}, got {text}")
        return value


class Word(NamedTuple):
    """Any word; empty means every one."""

    default: str = ""

    def parse(self, text: str) -> str:
        return text


class Kind(NamedTuple):
    summary: str
    parameters: Mapping[str, Choice | Number | Word]
    is_moment: bool = False  # without a duration it happens once


# Which frames a fault of the data touches: all, or those of one channel or symbol.
_PLACE: Mapping[str, Choice | Number | Word] = {"channel": Word(), "symbol": Word()}

# How far prices move, and of which symbol.
_MOVE: Mapping[str, Choice | Number | Word] = {
    "bps": Number(1000, -9000, 90_000),
    "symbol": Word(),
}

KINDS: Mapping[str, Kind] = {
    "mute": Kind(
        "data stops while pongs, acks and heartbeats go on; what=books stops books"
        " alone, what=all everything",
        {"what": Choice(("data", "books", "all")), **_PLACE},
    ),
    "drop": Kind(
        "connections are cut: by reset, by FIN, amid a frame or by a closing frame",
        {
            "how": Choice(("rst", "fin", "mid", "close")),
            "code": Number(1000, 1000, 4999),
        },
        is_moment=True,
    ),
    "life": Kind(
        "connections that are so old are ended in the venue's way",
        {"seconds": Number(60, 0.01, 604_800)},
    ),
    "refuse": Kind(
        "new connections are reset, answered with an HTTP status, find no listener, or"
        " are never answered",
        {
            "how": Choice(("rst", "http", "closed", "hang")),
            "status": Number(503, 400, 599),
        },
    ),
    "never_ack": Kind(
        "subscriptions are not acknowledged, with data=no not served either",
        {"data": Choice(("yes", "no"))},
    ),
    "reject": Kind("subscriptions are refused with the venue's own error", _PLACE),
    "garbage": Kind(
        "data frames are spoilt: cut short, wrong types and numbers, text for binary",
        _PLACE,
    ),
    "crossed": Kind("books in the stream show bid above ask", {}),
    "spike": Kind(
        "prices in the stream are off by so many basis points; REST tells the truth",
        _MOVE,
    ),
    "jump": Kind(
        "the market's prices are others by so many basis points, to all who look",
        _MOVE,
    ),
    "one_sided": Kind("books lose one side", {"side": Choice(("ask", "bid"))}),
    "emptied": Kind(
        "books lose all their levels at once, by a delta where there are deltas",
        {"side": Choice(("both", "ask", "bid"))},
    ),
    "duplicate": Kind("each data frame is sent twice", _PLACE),
    "reorder": Kind("each pair of data frames is sent in the wrong order", _PLACE),
    "delay": Kind("data frames leave late", {"ms": Number(500, 1, 60_000)}),
    "quiet": Kind("the market does not move; contexts go on", {}),
    "burst": Kind(
        "the market moves faster by this factor, at every venue",
        {"rate": Number(20, 0.01, 1000)},
    ),
    "slow_clock": Kind(
        "the venue's time stamps lag behind", {"ms": Number(2000, 1, 3_600_000)}
    ),
    "http": Kind(
        "REST, new streams or both get an error, 429 with Retry-After if given",
        {
            "status": Number(503, 400, 599),
            "retry_after": Number(0, 0, 3600),
            "on": Choice(("rest", "upgrade", "both")),
        },
    ),
    "slow_rest": Kind("REST answers late", {"ms": Number(3000, 1, 120_000)}),
    "gap": Kind(
        "a change of the book is lost; for a duration every second one",
        _PLACE,
        is_moment=True,
    ),
    "corrupt": Kind(
        "books have what cannot be: sizes that do not add up, levels out of order",
        _PLACE,
    ),
    "old_snapshot": Kind("snapshots of the book are old ones", _PLACE),
    "wrong_symbol": Kind("data frames and REST name another market", _PLACE),
}

_SPEC = re.compile(
    r"(?:(?P<venue>[a-z0-9_]{1,32}):)?"
    r"(?P<kind>[A-Za-z][A-Za-z _-]*?)\s*"
    r"(?:\((?P<arguments>[^()]*)\))?\s*"
    r"(?:@(?P<start>[^+@]*))?"
    r"(?:\+(?P<duration>[^+@]*))?"
)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; no venue means every one, no duration means to the end."""

    kind: str
    venue: str = ""
    arguments: Mapping[str, float | str] = field(default_factory=dict)
    start_s: float = 0.0
    duration_s: float | None = None

    def number(self, name: str) -> float:
        value = self._value(name)
        assert isinstance(value, float | int)
        return float(value)

    def word(self, name: str) -> str:
        value = self._value(name)
        assert isinstance(value, str)
        return value

    def touches(self, channel: str, symbol: str) -> bool:
        """True if the fault is meant for frames of this channel and symbol."""
        parameters = KINDS[self.kind].parameters
        for name, value in (("channel", channel), ("symbol", symbol)):
            if name in parameters and self.word(name) not in ("", value):
                return False
        return True

    def __str__(self) -> str:
        venue = f"{self.venue}:" if self.venue else ""
        pairs = [
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.arguments.items()
        ]
        arguments = f"({','.join(pairs)})" if pairs else ""
        duration = "" if self.duration_s is None else f"+{self.duration_s:g}s"
        return f"{venue}{self.kind}{arguments}@{self.start_s:g}s{duration}"

    def _value(self, name: str) -> float | str:
        given = self.arguments.get(name)
        return KINDS[self.kind].parameters[name].default if given is None else given


def parse(text: str) -> Fault:
    """Read one fault; raises FaultError with the known kinds or arguments."""
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise FaultError(
            f"cannot read fault {text!r}; "
            "expected [venue:]kind[(name=value,…)][@start][+duration], "
            f"for example mute@30s+20s; kinds: {', '.join(KINDS)}"
        )
    kind = re.sub(r"[ _-]+", "_", match["kind"].strip().lower())
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise FaultError(
            f"unknown fault kind {match['kind']!r}{hint}; kinds: {', '.join(KINDS)}"
        )
    try:
        return Fault(
            kind=kind,
            venue=match["venue"] or "",
            arguments=_arguments(kind, match["arguments"] or ""),
            start_s=_seconds(match["start"], "start") or 0.0,
            duration_s=_seconds(match["duration"], "duration"),
        )
    except FaultError as error:
        raise FaultError(f"in fault {text!r}: {error}") from None


class FaultBoard:
    """Which faults are active at one venue now, newest first."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._active.insert(0, fault)

    def remove(self, fault: Fault) -> bool:
        """Forget this very fault (not an equal one); False if it was gone already."""
        for index, active in enumerate(self._active):
            if active is fault:
                del self._active[index]
                return True
        return False

    def active(self) -> tuple[Fault, ...]:
        return tuple(self._active)

    def find(self, kind: str, channel: str = "", symbol: str = "") -> Fault | None:
        """The newest active fault of a kind that touches this channel and symbol."""
        for fault in self._active:
            if fault.kind == kind and fault.touches(channel, symbol):
                return fault
        return None


def _arguments(kind: str, text: str) -> dict[str, float | str]:
    parameters = KINDS[kind].parameters
    arguments: dict[str, float | str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        name = name.replace("-", "_")
        if name not in parameters or not equals:
            known = ", ".join(f"{known}=" for known in parameters) or "none"
            raise FaultError(f"unknown argument {part!r} of {kind}; arguments: {known}")
        if name in arguments:
            raise FaultError(f"argument {name} given twice")
        try:
            arguments[name] = parameters[name].parse(value)
        except FaultError as error:
            raise FaultError(f"argument {name}: {error}") from None
    return arguments


def _seconds(text: str | None, what: str) -> float | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise FaultError(f"{what}: expected a time such as 30s or 500ms, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]
