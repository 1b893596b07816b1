"""A venue's decoder as the claims look at it: every refusal listed, all events sane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from feedhandler.codec.frame import REASONS, FrameError
from feedhandler.events import Event
from feedhandler.venues._base import Decode, Market, Venue
from tests.conformance.facts import WALL_NS, Facts
from tests.conformance.reading import check_sense


class AnyMarket(dict[str, Market]):
    """The markets of a session that follows whatever a frame names."""

    def __missing__(self, key: str) -> Market:
        return Market(key, f"{key}-PERP")

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


@dataclass
class Subject:
    """A venue's decoder, and what the kit knows of its frames."""

    venue: Venue
    facts: Facts
    decode: Decode

    @classmethod
    def of(cls, venue: Venue, facts: Facts) -> Subject:
        return cls(venue, facts, venue.decoder(AnyMarket()))

    def outcome(self, frame: bytes) -> tuple[list[Event], str]:
        """Return the events of a frame, or the reason why it was refused."""
        try:
            return list(self.decode(frame, WALL_NS)), ""
        except FrameError as error:
            return [], checked_reason(error)

    def good(self, frame: bytes, what: str) -> tuple[list[Event], str]:
        """Return the outcome of a frame that may be damaged, checked for sense."""
        try:
            events, reason = self.outcome(frame)
            check_sense(events)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}\n{frame[:400]!r}") from error
        except Exception as error:
            text = f"{what}: {type(error).__name__}: {error}"
            raise AssertionError(f"{text}\n{frame[:400]!r}") from error
        return events, reason


def checked_reason(error: FrameError) -> str:
    """Return why a frame was refused, if it may be refused for that."""
    assert error.reason in REASONS, f"reason not listed: {error.reason}"
    assert error.reason != "handler", "that reason is the shared code's"
    return error.reason
