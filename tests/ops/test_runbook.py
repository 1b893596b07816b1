"""What operators read is true: every word, command, key and place in it exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from feedhandler.config.schema import SECTIONS, VenueConfig
from feedhandler.feed.labels import SESSION_ENDS
from feedhandler.report.tune import KNOBS
from feedhandler.venues._base import load_venue, venue_names
from shm_layout.codes import REASON_NAMES, STATE_NAMES
from tests.ops import words
from tests.support import ROOT

RUNBOOK, _, TUNING = words.PAGES
PARTS = ("- **Starts from**", "- **Look**", "- **Act")


def symptoms() -> dict[str, str]:
    """Return the text of each symptom by its heading."""
    text = RUNBOOK.read_text()
    _, _, rest = text.partition("\n## Symptoms")
    rest, _, _ = rest.partition("\n## Chores")
    parts = re.split(r"^### (.*)$", rest, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("page", words.PAGES, ids=lambda page: page.stem)
def test_every_word_in_code_style_is_the_products(page: Path) -> None:
    assert not sorted(set(words.unknown(page.read_text())))


@pytest.mark.parametrize(
    "word",
    ["`reconects.seq_gap`", "`ladder.resubscribes`", "`FROZEN`", "`ops/nothing.md`"],
)
def test_a_word_of_nobody_is_found(word: str) -> None:
    assert list(words.unknown(f"See {word}.")) == [word.strip("`")]


@pytest.mark.parametrize(
    "page", [*words.PAGES, *words.FRONT], ids=lambda page: page.stem
)
def test_every_command_line_would_be_accepted(page: Path) -> None:
    lines = words.commands(page.read_text())
    problems = [words.problem_of_command(line) for line in lines]
    assert not [problem for problem in problems if problem]
    assert lines or page.stem == "SECURITY"


@pytest.mark.parametrize(
    "line",
    [
        "feedhandler stat",
        "feedhandler status --jsn",
        "feedhandler start --demo --fault 'lightr:mute@3s+4s'",
        "FEEDHANDLER_REST_AFTR_MS=1 feedhandler start",
    ],
)
def test_a_command_line_that_is_wrong_is_found(line: str) -> None:
    assert words.problem_of_command(line)


@pytest.mark.parametrize(
    "page", [*words.PAGES, *words.FRONT], ids=lambda page: page.stem
)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = words.LINK.findall(page.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert not [link for link in local if not (page.parent / link).exists()]


def test_every_symptom_says_what_to_see_and_what_to_do() -> None:
    found = symptoms()
    assert len(found) > 20
    for heading, text in found.items():
        for part in PARTS:
            assert text.count(part) == 1, f"{heading}: {part}"
        start = text.partition(PARTS[0])[2].partition(PARTS[1])[0]
        assert words.spans(start) or "exit code" in start, heading


def test_every_state_and_reason_is_explained() -> None:
    for page in (RUNBOOK, ROOT / "README.md"):
        named = set(words.spans(page.read_text()))
        missing = {*STATE_NAMES.values(), *REASON_NAMES.values()} - named - {""}
        # It is seen before there is a quote.
        allowed = {"never_spoken"} if page == RUNBOOK else set()
        assert missing <= allowed, page.name


def test_every_label_of_a_session_end_has_its_row() -> None:
    text = symptoms()["Sessions end again and again"]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    named = [label for row in rows for label in words.spans(row)]
    assert sorted(named) == sorted(SESSION_ENDS)


def test_every_venue_is_described_as_it_is_declared() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.*) \|$", RUNBOOK.read_text(), re.MULTILINE)
    found = dict(rows)
    assert sorted(found) == venue_names()
    for name, row in found.items():
        venue = load_venue(name)
        limits = ", ".join(str(venue.fresh_ms[kind]) for kind in ("bbo", "depth"))
        assert row.endswith(limits), name
        assert f"`{venue.liveness_channel}`" in row, name


def test_defaults_and_bounds_of_tuning_are_those_in_effect() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)\.([a-z_]+)` \| (-?\d+) \|.*\| (.*?) \|$",
        TUNING.read_text(),
        re.MULTILINE,
    )
    bounds = {(knob.section, knob.key): knob for knob in KNOBS}
    for section, key, default, last in rows:
        kind = VenueConfig if section == "venue" else SECTIONS[section]
        assert getattr(kind(), key) == int(default), (section, key)
        knob = bounds.pop((section, key), None)
        if knob is not None:
            assert last == f"{knob.least_ms} to {knob.most_ms}", (section, key)
    assert len(rows) > 15
    assert not bounds


def test_module_map_of_the_readme_names_what_is_there() -> None:
    text = (ROOT / "README.md").read_text().partition("## Where things are")[2]
    paths = re.findall(r"^ {4}((?:\w[\w./]*)(?: {2}\w+/)*)", text, re.MULTILINE)
    named = {path.rstrip("/") for line in paths for path in line.split()}
    assert all((ROOT / path).exists() for path in named), named
    packages = {
        f"feedhandler/{path.parent.name}"
        for path in (ROOT / "feedhandler").glob("*/__init__.py")
    }
    # Commands and configuration are described by themselves.
    assert packages - named == {"feedhandler/cli", "feedhandler/config"}
