"""Finds the frames that a venue's server sent, and where each came from.

A fixture is `tests/venues/<venue>/frames/ws_*` or `sbe_*`: one frame, or one a line.
PROVENANCE.md beside it says whether it was recorded. What a client sends, and expected
results, are no frames.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec

from tests.conformance.facts import VENUES, MissingFacts, facts_of

NOT_FRAMES = ("request", "decoded")
RECORDED = ("recorded", "probably recorded", "values look captured", "real")
# Of a fixture with many frames so many are taken, the first and others at random.
FRAMES_MAX = 4

_ROW = re.compile(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", re.MULTILINE)
_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Case(NamedTuple):
    """One frame of a venue's fixtures."""

    venue: str
    file: str
    number: int
    frame: bytes
    is_recorded: bool

    @property
    def name(self) -> str:
        return f"{self.venue}/{self.file}:{self.number}"

    @property
    def kind(self) -> str:
        """`json`, `text` (a greeting that is none) or `binary`."""
        if self.frame[:1] in (b"{", b"["):
            return "json"
        is_text = self.frame.isascii() and self.frame.decode().isprintable()
        return "text" if is_text else "binary"

    @property
    def document(self) -> Any:
        return json.loads(self.frame)


@cache
def provenance(venue: str) -> dict[str, str]:
    """Return the verdict on each fixture of a venue."""
    path = VENUES / venue / "frames" / "PROVENANCE.md"
    if not path.is_file():
        raise MissingFacts(f"venue {venue}: write {path}")
    text = path.read_text()
    return {name: verdict.strip() for name, verdict in _ROW.findall(text)}


def files(venue: str) -> list[str]:
    """Return the fixtures that hold frames of a venue's server."""
    found = [
        path.name
        for pattern in ("ws_*", "sbe_*")
        for path in (VENUES / venue / "frames").glob(pattern)
    ]
    return sorted(
        name for name in found if not any(word in name for word in NOT_FRAMES)
    )


def frames(venue: str, file: str) -> list[bytes]:
    """Return every frame of a fixture, unwrapped."""
    body = (VENUES / venue / "frames" / file).read_bytes().strip()
    if not file.endswith(".jsonl"):
        return list(_unwrap(body)) if body[:1] == b"{" else [body]
    return [frame for line in body.splitlines() for frame in _unwrap(line)]


@cache
def cases(venue: str, *, is_sampled: bool = True) -> list[Case]:
    """Return the frames of a venue in the protocol that its file speaks."""
    facts = facts_of(venue)
    rng = random.Random(venue)
    verdicts = provenance(venue)
    found: list[Case] = []
    for file in files(venue):
        if facts.foreign and file.startswith(facts.foreign):
            continue
        is_recorded = verdicts.get(file, "").startswith(RECORDED)
        rows = [
            Case(venue, file, index, frame, is_recorded)
            for index, frame in enumerate(frames(venue, file))
        ]
        if is_sampled and len(rows) > FRAMES_MAX:
            others = rng.sample(range(1, len(rows)), FRAMES_MAX - 1)
            rows = [rows[index] for index in (0, *sorted(others))]
        found += rows
    return found


def _unwrap(line: bytes) -> Iterator[bytes]:
    """Yield the frame that a row wraps, if it is the server's."""
    row = _decode_row(line)
    if "b64" in row:
        yield base64.b64decode(json.loads(bytes(row["b64"])))
    elif "hex" in row:
        yield bytes.fromhex(json.loads(bytes(row["hex"])))
    elif "opcode" in row:
        yield json.loads(bytes(row["text"])).encode().strip()
    elif "msg" in row and ("dir" in row or "recv_ns" in row):
        if bytes(row.get("dir", msgspec.Raw(b'"recv"'))) != b'"send"':
            yield bytes(row["msg"])
    elif "frame" in row:
        if b"REST" not in bytes(row.get("_step", b"")):
            yield bytes(row["frame"])
    elif "first_event" in row:
        yield bytes(row["first_event"])
    else:
        yield line
