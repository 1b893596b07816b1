"""What a venue's discovery last answered, kept on disk for every process that asks.

A feed asks its venue and writes the file; the feed itself, the next time, and the REST
process read it. It holds the venue's own bytes, so that they are read by the same
decoder as a fresh answer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.codec.frame import FrameError, pack_documents, unpack_documents
from feedhandler.folders import make_private
from feedhandler.venues._base import Market, Venue

CACHE_BYTES_MAX: Final = 4 * 1024 * 1024


def cache_path(state_path: Path, venue_name: str) -> Path:
    """Return where an instance keeps a venue's answers."""
    return state_path / f"{venue_name}.markets.json"


def load_markets(venue: Venue, path: Path) -> list[Market]:
    """Return the markets in the kept answers; none where there are none to use."""
    try:
        with path.open("rb") as file:
            body = file.read(CACHE_BYTES_MAX + 1)
        bodies = unpack_documents(body)
        if len(bodies) != len(venue.discovery):
            raise FrameError("shape", f"answers={len(bodies)}")  # of another version
        return venue.parse_markets(bodies)
    except FileNotFoundError:
        return []
    except (OSError, FrameError) as error:
        log.event("discovery_cache_ignored", path=path, error=error)
        return []


def save_answers(path: Path, bodies: Sequence[bytes]) -> None:
    """Replace the kept answers in one step; a failure is logged."""
    temporary = path.with_suffix(".new")
    try:
        make_private(path.parent)
        temporary.write_bytes(pack_documents(bodies))
        os.replace(temporary, path)
    except OSError as error:
        log.event("discovery_cache_not_saved", path=path, error=error)
