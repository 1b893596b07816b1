"""Real frames to decode, from the recorded session and samples that the tests use.

The recorded session holds books only: its `bbo` frames are made here from their tops,
in the form of the `bbo` sample. All frames of a kind carry one time, so that going
round and round is never a step back, and differ in their prices and sizes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "tests/venues/hyperliquid/frames"
COIN = "BTC"
LEVELS = 20


def books() -> list[bytes]:
    """Return `l2Book` frames of 20 levels a side."""
    return [encoded("l2Book", book) for book in recorded_books()]


def fast_books() -> list[bytes]:
    """Return the same books as the `fast` feed sends them: 5 levels a side."""
    return [
        encoded("l2Book", {**book, "levels": [side[:5] for side in book["levels"]]})
        for book in recorded_books()
    ]


def quotes() -> list[bytes]:
    """Return `bbo` frames with the tops of the same books."""
    return [
        encoded(
            "bbo",
            {
                "coin": COIN,
                "time": book["time"],
                "bbo": [side[0] for side in book["levels"]],
            },
        )
        for book in recorded_books()
    ]


def sample(name: str) -> list[bytes]:
    """Return a sample of one frame as a list of it."""
    return [(FOLDER / name).read_bytes()]


def tops() -> list[tuple[float, float]]:
    """Return best bid and ask of each book, read by other means than the decoder."""
    return [
        (float(book["levels"][0][0]["px"]), float(book["levels"][1][0]["px"]))
        for book in recorded_books()
    ]


def recorded_books() -> list[dict[str, Any]]:
    """Return the full books of the recorded session, all at the time of its last."""
    found = []
    for line in (FOLDER / "ws_recording_btc_20250126.jsonl").read_text().splitlines():
        message = json.loads(line).get("msg")
        if isinstance(message, dict) and message.get("channel") == "l2Book":
            book = message["data"]
            if [len(side) for side in book["levels"]] == [LEVELS, LEVELS]:
                found.append(book)
    assert found, "the recorded session holds no full book"
    return [{**book, "time": found[-1]["time"]} for book in found]


def encoded(channel: str, data: dict[str, Any]) -> bytes:
    """Return a frame as the venue writes it: no blanks."""
    frame = {"channel": channel, "data": data}
    return json.dumps(frame, separators=(",", ":")).encode()
