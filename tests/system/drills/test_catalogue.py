"""Every row of the catalogue has a drill, a test that is there, or a reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.system.drills.catalogue import DRILLS, PROVEN, ROWS, SKIPPED

FOLDER = Path(__file__).parent


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_row_is_shown_somewhere_or_says_why_not(row: str) -> None:
    if row in SKIPPED:
        assert row not in DRILLS
        assert row not in PROVEN
        pytest.skip(SKIPPED[row])
    assert row in DRILLS or row in PROVEN
    for name in PROVEN.get(row, ()):
        path, _, function = name.partition("::")
        assert function in functions(ROOT / path), name
    if row in DRILLS:
        for file in DRILLS[row]:
            assert row in mentioned(FOLDER / file)


def mentioned(path: Path) -> set[str]:
    return set(re.findall(r"\bF\d{2,3}\b", path.read_text("utf-8")))


def test_nothing_else_is_listed() -> None:
    assert {*DRILLS, *PROVEN, *SKIPPED} == set(ROWS)


@pytest.mark.parametrize("file", sorted(p.name for p in FOLDER.glob("*_drills.py")))
def test_every_drill_is_of_a_listed_row(file: str) -> None:
    listed = {row for row, files in DRILLS.items() if file in files}
    assert mentioned(FOLDER / file) <= listed
