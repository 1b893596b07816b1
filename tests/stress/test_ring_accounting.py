"""The ring under fire: received and lost together are what was sent, exactly."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.shm_layout.memory import IMPLEMENTATIONS
from tests.stress.conftest import Race, ended, facts_of
from tests.support import MS, wait_until

pytestmark = pytest.mark.stress

SENT = {"native": 300_000, "twin": 120_000}


@pytest.mark.parametrize("slots", [8, 64, 4_096])
@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
def test_received_and_lost_is_what_was_sent(
    race: Race, checker: Path, writer_name: str, slots: int
) -> None:
    sent = SENT[writer_name]
    writer = race.start("send", race.instance, sent, slots, implementation=writer_name)
    wait_until(lambda: "ready" in writer.stdout(), 30_000 * MS, "a ready writer")
    follow = ("follow", race.instance)
    readers = [
        race.start(*follow, 64, 0, implementation="native"),
        race.start(*follow, 16, 0, implementation="twin"),
    ]
    slow = [
        race.start(*follow, 64, 3 * slots, implementation=name)
        for name in IMPLEMENTATIONS
    ]
    readers += [*slow, race.start_program(checker, "ring", race.path)]
    writer.process.send_signal(signal.SIGUSR1)

    for reader in readers:
        facts = facts_of(reader)
        assert facts["received"] + facts["lost"] == sent, facts
        assert facts["cursor"] == sent
        assert facts["torn"] == 0, facts
        assert facts["wrong"] == 0, facts
        assert facts["received"] > 0
        assert reader not in slow or facts["laps"] > 0, "the slow one was not lapped"
    assert facts_of(writer)["sent"] == sent


@pytest.mark.parametrize("is_careless", [0, 1])
def test_look_at_the_intent_is_what_finds_a_lap(race: Race, is_careless: int) -> None:
    # The control: both readers are overtaken in the middle of every record. The one
    # that does not look afterwards takes a mix for a record, every time.
    rounds = 20
    writer = race.start("publish", race.instance)
    facts = facts_of(race.start("overtaken", race.instance, rounds, is_careless))
    if is_careless:
        assert facts["torn"] == facts["read"] == rounds
    else:
        assert facts["read"] == 0
        assert facts["lost"] > 0
    ended(writer)
