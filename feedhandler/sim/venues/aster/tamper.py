"""The faults of the data that Aster's own payloads can show.

Owns what they do to a payload. A lost delta leaves a hole in the `pu` chain, since
every later event names the one that was not sent. There is no checksum here: a corrupt
delta has a negative size, which no book can hold.
"""

from __future__ import annotations

from feedhandler.sim.faults import Fault, FaultBoard
from feedhandler.sim.venues._base import following
from feedhandler.sim.venues.aster.listings import LISTINGS, TRADING, Json
from feedhandler.sim.venues.aster.streams import DIFF, PARTIAL, Stream

_TRADING = [listing.symbol for listing in LISTINGS if listing.status == TRADING]


class Tamper:
    """Asks the board of faults and acts on one payload at a time."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []  # gaps that happen once, not yet used
        self._turns: dict[str, int] = {}  # of each stream under a lasting gap

    def arm(self, board: FaultBoard) -> None:
        """A fault began or ended: remember what is to happen once."""
        if board.find("gap") is None:
            self._turns.clear()
        for fault in board.active():
            if fault.kind == "gap" and fault.duration_s is None:
                self._armed.append(fault)

    def loses(self, board: FaultBoard, stream: Stream, symbol: str) -> bool:
        """True if this delta is not to be sent."""
        if stream.kind != DIFF:
            return False
        for fault in self._armed:
            if fault.touches(stream.channel, symbol):
                self._armed.remove(fault)
                return True
        fault_now = board.find("gap", stream.channel, symbol)
        if fault_now is None or fault_now.duration_s is None:
            return False
        turn = self._turns.get(stream.name, 0)
        self._turns[stream.name] = turn + 1
        return turn % 2 == 0

    def falsify(
        self, board: FaultBoard, stream: Stream, payload: Json
    ) -> tuple[Json, str]:
        """The payload as sent, and the fault that falsified it, if any."""
        symbol, fault = payload["s"], ""
        place = stream.channel, symbol
        if stream.kind in (DIFF, PARTIAL) and board.find("corrupt", *place):
            payload = {
                **payload,
                "b": _spoilt(payload["b"]),
                "a": _spoilt(payload["a"]),
            }
            fault = "corrupt"
        if board.find("wrong_symbol", *place):
            payload = {**payload, "s": other_symbol(symbol)}
            fault = "wrong_symbol"
        return payload, fault


def other_symbol(symbol: str) -> str:
    """Another market that trades."""
    return following(symbol, _TRADING)


def _spoilt(rows: list[list[str]]) -> list[list[str]]:
    return [[price, "-1"] for price, _ in rows[:1]] + rows[1:]
