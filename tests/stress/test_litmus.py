"""What one store of Python shows to another process: the whole of it, or not.

The protocols rest on a `memoryview` item being one move, which no language promises.
So each interpreter that runs the tests is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stress.conftest import Race, ended, facts_of
from tests.support import MS, wait_until

pytestmark = pytest.mark.stress

SIGHT_MS = 1_000


def watched(race: Race, checker: Path, file: Path, how: str) -> Any:
    """Return what a reader in C saw of a word that is stored in that way."""
    file.write_bytes(b"\x01" * 4096)
    writer = race.start("toggle", file, how)
    wait_until(lambda: file.read_bytes()[0] != 1, 30_000 * MS, "the first store")
    facts = facts_of(race.start_program(checker, "word", file, SIGHT_MS))
    ended(writer)
    return facts


@pytest.mark.parametrize("how", ["word", "double"])
def test_memoryview_item_is_stored_at_once(
    race: Race, checker: Path, tmp_path: Path, how: str
) -> None:
    facts = watched(race, checker, tmp_path / "word", how)
    assert facts["strange"] == 0, facts
    assert facts["changes"] > 1, "the stores were not seen at all"


def test_pack_into_shows_zeros_in_between(
    race: Race, checker: Path, tmp_path: Path
) -> None:
    # The control, and the reason why no word that orders others is stored like this.
    for _ in range(5):
        if watched(race, checker, tmp_path / "word", "pack_into")["strange"]:
            return
    pytest.skip("the processors did not meet: no transient zero within the time")
