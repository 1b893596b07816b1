"""Scenario scripts: what is read, what is refused, and what a scale does to times."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedhandler.config.schema import VenueConfig
from feedhandler.errors import UsageError
from feedhandler.sim import KINDS
from feedhandler.sim.faults import parse
from feedhandler.soak import scenario
from feedhandler.telemetry.records import Sample
from tests.support import ROOT

SHIPPED = sorted((ROOT / "ops" / "scenarios").glob("*.toml"))
OF_ITS_OWN = {
    "state",
    "reason",
    "source",
    "link",
    "reconnects",
    "resyncs",
    "final",
    "not_good_s",
    "tradable_share",
    "reconnects_count",
}
TEXT = """
name = "one"
shows = "something"
minutes = 5

[config]
session_limit_ms = 200_000
trades = false

[[fault]]
spec = "lighter:mute"
at_s = [60, 160]
lasts_s = 40

[[fault]]
spec = "burst(rate=3)"
at_s = [30]

[[expect]]
venue = "lighter"
what = "state"
seen = ["STALE"]
from_s = 60
to_s = 100

[gates]
fail = ["plateau lighter"]
"""


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "one.toml"
    path.write_text(text)
    return path


def test_script_at_its_own_time_is_read_as_it_stands(tmp_path: Path) -> None:
    read = scenario.read(write(tmp_path))
    assert read.minutes == 5
    assert read.faults == (
        "lighter:mute@60s+40s",
        "lighter:mute@160s+40s",
        "burst(rate=3)@30s",
    )
    assert read.config == {"session_limit_ms": 200_000, "trades": False}
    assert (read.expects[0].from_s, read.expects[0].to_s) == (60, 100)
    assert read.gates_fail == ("plateau lighter",)


def test_scale_shortens_everything_but_the_start_up(tmp_path: Path) -> None:
    read = scenario.read(write(tmp_path), 0.1)
    assert read.minutes * 60 == pytest.approx(6 + 24)
    assert read.faults == (
        "lighter:mute@6s+4s",
        "lighter:mute@16s+4s",
        "burst(rate=3)@3s",
    )
    assert read.config == {"session_limit_ms": 20_000, "trades": False}
    assert (read.expects[0].from_s, read.expects[0].to_s) == (6, 10)
    assert scenario.read(write(tmp_path), 0.01).faults[0] == "lighter:mute@2.5s+0.4s"


def test_harmed_venues_are_those_that_faults_name(tmp_path: Path) -> None:
    read = scenario.read(write(tmp_path))
    assert read.harmed == {"lighter", "*"}
    assert read.faults_of(["aster"]) == ["burst(rate=3)@30s"]
    assert len(read.faults_of(["lighter"])) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT.replace("minutes = 5\n", ""), "minutes"),
        (TEXT + "[extra]\na = 1\n", "'extra'"),
        (TEXT.replace("lasts_s", "last_s"), "'last_s' in [fault]"),
        (TEXT.replace("from_s", "since"), "'since' in [expect]"),
        (TEXT.replace("fail =", "fails ="), "'fails' in [gates]"),
        (TEXT.replace("minutes = 5", 'minutes = "five"'), "five"),
        ("name = [", "scenario"),
    ],
)
def test_wrong_script_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as error:
        scenario.read(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_missing_script_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"known: burst, .*quiet_night"):
        scenario.find("quiet_nigth")
    with pytest.raises(UsageError, match="No such file"):
        scenario.read(Path("nowhere.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_script_names_only_what_exists(path: Path) -> None:
    read = scenario.read(path)
    assert read.name == path.stem
    assert read.shows.strip()
    assert read.expects, "a scenario without an expected outcome shows nothing"
    assert set(read.config) <= set(VenueConfig.__struct_fields__)
    for text in read.faults:
        fault = parse(text)
        assert fault.kind in KINDS
        assert fault.start_s < read.minutes * 60
    for expect in read.expects:
        assert expect.what in OF_ITS_OWN | set(Sample.__struct_fields__)
        assert (
            expect.seen
            or expect.never
            or (expect.at_least, expect.at_most)
            != (
                None,
                None,
            )
        )


def test_every_scenario_that_operators_asked_for_is_shipped() -> None:
    assert {path.stem for path in SHIPPED} == {
        "quiet_night",
        "burst",
        "venue_outage",
        "rolling_disconnects",
        "bursty_tail",
        "slow_clock",
        "day_rotation",
    }
