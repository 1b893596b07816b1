"""Writers killed and interrupted at any point: every slot stays readable and whole."""

from __future__ import annotations

import pytest

from tests.shm_layout.memory import IMPLEMENTATIONS, load
from tests.stress.conftest import Race, facts_of

pytestmark = pytest.mark.stress

KILLS = {"native": 1_000, "twin": 500}
INTERRUPTS = 2_000
SEED = 20_261_121


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_killed_writer_leaves_every_slot_readable(race: Race, name: str) -> None:
    load("native")  # both readers look at what the dead one left
    kills = ("kills", race.instance, KILLS[name], SEED)
    facts = facts_of(race.start(*kills, implementation=name, module="deaths"))
    assert facts["kills"] == KILLS[name]
    for fault in ("unreadable", "torn", "reversed", "wrong"):
        assert facts[fault] == 0, facts
    assert facts["received"] + facts["lost"] == facts["head"]
    # Killing writers that did not write, or never in the middle, would prove nothing.
    assert facts["epoch"] > KILLS[name] // 2
    # The native stores take a hundredth of its time, so how many kills meet them is
    # chance (11 of 1,000 here, 68 of 500 for the twin); test_abandon.py meets each.
    assert name == "native" or facts["mid_ring"] + facts["mid_slot"] > 0


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_interrupted_publish_leaves_every_slot_readable(race: Race, name: str) -> None:
    load("native")
    interrupts = ("interrupts", race.instance, INTERRUPTS, SEED)
    facts = facts_of(race.start(*interrupts, implementation=name, module="deaths"))
    for fault in ("unreadable", "torn", "reversed", "wrong"):
        assert facts[fault] == 0, facts
    assert facts["received"] + facts["lost"] == facts["published"]
    if name == "twin":  # the native one is not interrupted inside, only between
        assert facts["inside"] > INTERRUPTS // 4
        assert facts["mid_ring"] + facts["mid_slot"] > 0
