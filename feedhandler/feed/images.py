"""Which symbols need an image by REST, and when it may be asked for.

    idle ──ask──▶ DUE ──take──▶ UNDER WAY ──arrived──▶ idle, with a gap before the next
                   ▲               │
                   └── failed, or too old: after 1 s, 2 s … 30 s

Owns the state of these requests and their gaps, in one session: an image is asked for
at most once in a gap that doubles with each request, until a book has stood for a
minute. It asks nobody: whoever has a network takes what is due, and says how it went.
"""

from __future__ import annotations

from typing import Final

GAP_NS: Final = 1_000_000_000
GAP_NS_MAX: Final = 30_000_000_000
STEADY_NS: Final = 60_000_000_000

IDLE: Final = 0
DUE: Final = 1
UNDER_WAY: Final = 2


class _Image:
    __slots__ = ("arrived_ns", "due_ns", "gap_ns", "state")

    def __init__(self) -> None:
        self.state = IDLE
        self.due_ns = 0  # no request before
        self.gap_ns = GAP_NS
        self.arrived_ns: int | None = None


class Images:
    """The images by REST of one session."""

    def __init__(self) -> None:
        self._images: dict[str, _Image] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether any image is wanted and not here."""
        return any(image.state != IDLE for image in self._images.values())

    def ask(self, symbol: str, now_ns: int) -> None:
        """Want an image, now or when the gap allows it."""
        image = self._images.setdefault(symbol, _Image())
        if image.state != IDLE:
            return
        arrived_ns = image.arrived_ns
        if arrived_ns is not None and now_ns - arrived_ns >= STEADY_NS:
            image.gap_ns = GAP_NS
        image.state = DUE

    def take_due(self, now_ns: int) -> list[str]:
        """Return the symbols to ask for now; each is under way then."""
        due = [
            symbol
            for symbol, image in self._images.items()
            if image.state == DUE and now_ns >= image.due_ns
        ]
        for symbol in due:
            image = self._images[symbol]
            image.state = UNDER_WAY
            image.due_ns = now_ns + image.gap_ns
            image.gap_ns = min(2 * image.gap_ns, GAP_NS_MAX)
        return due

    def arrived(self, symbol: str, now_ns: int) -> None:
        """The book is whole: nothing is wanted any more."""
        image = self._images.get(symbol)
        if image is not None and image.state != IDLE:
            image.state = IDLE
            image.arrived_ns = now_ns

    def failed(self, symbol: str, now_ns: int, wait_ns: int = 0) -> None:
        """No image, or none that serves: again after the gap, or the wait if longer."""
        image = self._images.get(symbol)
        if image is not None and image.state == UNDER_WAY:
            image.state = DUE
            image.due_ns = max(image.due_ns, now_ns + wait_ns)

    def forget(self, symbol: str) -> None:
        """The symbol is not followed any more."""
        self._images.pop(symbol, None)
