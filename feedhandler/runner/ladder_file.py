"""What the ladder remembers over a restart of the runner: a small JSON file.

    {"boot_id": …, "venues": {venue: what `Ladder.dump` returned}}

Its stamps are monotonic, so it means nothing after a reboot, and nothing is what is
left to remember then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from feedhandler import log
from feedhandler.folders import make_private

NAME: Final = "ladder.json"
_BYTES_MAX: Final = 4 * 1024 * 1024


class LadderFile:
    """The file of one instance."""

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._saved: str | None = None

    def load(self) -> dict[str, Any] | None:
        """Return the state of each venue, empty for none; None when it is unusable."""
        try:
            with self._path.open("rb") as file:
                text = file.read(_BYTES_MAX + 1)
            state = json.loads(text)
            if state["boot_id"] != self._boot_id:
                return {}
            venues = state["venues"]
            if not isinstance(venues, dict):
                raise ValueError("venues are no table")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.event("ladder_state_ignored", path=self._path, error=error)
            return None
        return venues

    def save(self, venues: Mapping[str, Any]) -> None:
        """Replace the file in one step, if anything changed."""
        text = json.dumps({"boot_id": self._boot_id, "venues": venues})
        if text == self._saved:
            return
        temporary = self._path.with_suffix(".new")
        try:
            make_private(self._path.parent)
            temporary.write_text(text)
            os.replace(temporary, self._path)
        except OSError as error:
            log.event("ladder_state_not_saved", path=self._path, error=error)
            return  # tried again with the next change or look
        self._saved = text
