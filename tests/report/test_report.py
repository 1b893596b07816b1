"""The commands `report` and `analyze`: text, JSON, page, and what is not there."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from feedhandler.cli.group import main
from feedhandler.report import ages, blocks, whole
from feedhandler.report.gather import Run
from feedhandler.report.manifest import Manifest
from feedhandler.telemetry.read import Telemetry
from tests.report.made import Story, write


def document(story: Story, directory: Path) -> dict[str, Any]:
    _, values, _ = whole.read_directory(write(story, directory))
    return values


def test_the_gate_decides_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(write(Story(), tmp_path / "good"))
    assert main(["report", good, "--gate"]) == 0
    assert "## Gates: passed" in capsys.readouterr().out
    bad = write(Story(mutes={"lighter": [(30, 65)]}), tmp_path / "bad")
    assert main(["report", str(bad)]) == 0
    assert main(["report", str(bad), "--gate"]) == 1
    (bad / "telemetry.jsonl").unlink()
    assert main(["report", str(bad), "--gate"]) == 1
    assert main(["report", str(tmp_path / "nowhere"), "--gate"]) == 2


def test_json_is_strict_and_holds_every_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Story(absent=("lighter",)), tmp_path)
    assert main(["report", str(tmp_path), "--gate", "--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert values["schema"] == 1
    keys = {"name", "subject", "limit", "value", "passed", "evidence"}
    assert all(set(gate) == keys for gate in values["gates"])


def test_feed_kinds_stand_in_tables_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(write(Story(), tmp_path))]) == 0
    text = capsys.readouterr().out
    assert text.index("paradex:BTC-PERP") < text.index("lighter:BTC-PERP")
    for part in re.split(r"^##+ ", text, flags=re.M):
        if "(bbo)" in part.partition("\n")[0]:
            assert "lighter" not in part
        if "(depth)" in part.partition("\n")[0]:
            assert "paradex" not in part


def test_a_page_needs_nothing_but_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    story = Story(
        mutes={"lighter": [(30, 50)]},
        ends={"paradex": [(20.0, "read_timeout"), (21.0, "<b>")]},
    )
    write(story, tmp_path)
    assert main(["report", str(tmp_path), "--gate", "--html"]) == 1
    page = (tmp_path / "report.html").read_text()
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 6  # four of all, ages of each feed kind
    for picture in pictures:
        ElementTree.fromstring(picture)
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    outside = re.findall(r'(?:src|href)="(?!#)[^"]*"', page)
    assert outside == []
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_without_the_library_a_page_says_what_to_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write(Story(seconds=20.0), tmp_path)
    assert main(["report", str(tmp_path), "--html"]) == 2
    assert "feedhandler[report]" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 0


def test_analyze_reads_a_file_and_its_rotated_ones_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Story(), tmp_path)
    path = tmp_path / "telemetry.jsonl"
    assert main(["analyze", str(path), "--json"]) == 0
    whole_run = json.loads(capsys.readouterr().out)
    lines = path.read_bytes().splitlines(keepends=True)
    (tmp_path / "telemetry.jsonl.1").write_bytes(b"".join(lines[:300]))
    path.write_bytes(b"".join(lines[300:]))
    assert main(["analyze", str(tmp_path), "--json"]) == 0
    in_parts = json.loads(capsys.readouterr().out)
    assert in_parts["instruments"] == whole_run["instruments"]
    assert main(["analyze", str(tmp_path / "none")]) == 2


def test_analyze_gives_the_numbers_of_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(
        mutes={"lighter": [(30.0, 50.0)], "paradex": [(32.0, 52.0)]},
        ends={"paradex": [(52.0, "read_timeout")]},
    )
    write(story, tmp_path)
    assert main(["report", str(tmp_path), "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert main(["analyze", str(tmp_path / "telemetry.jsonl"), "--json"]) == 0
    analyzed = json.loads(capsys.readouterr().out)
    assert set(analyzed) == set(reported)
    beside = {"run", "process_ends", "faults"}  # what else a soak left tells of these
    for part in set(reported) - beside:
        assert analyzed[part] == reported[part], part
    assert analyzed["together"]["pairs"]
    assert main(["analyze", str(tmp_path / "telemetry.jsonl")]) == 0
    text = capsys.readouterr().out
    assert "### Trend (depth)" in text
    assert "## Venues that were bad at the same time" in text
    assert "s: lighter, paradex" in text
    assert re.search(r"\| lighter \+ paradex \| +\d", text)


def test_what_cannot_be_read_or_written_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    write(Story(seconds=20.0), tmp_path)
    nowhere = str(tmp_path / "none" / "page.html")
    assert main(["report", str(tmp_path), "--html", "--out", nowhere]) == 2
    (tmp_path / "telemetry.jsonl.1").mkdir()
    assert main(["report", str(tmp_path)]) == 2
    assert main(["report", str(tmp_path), "--gate", "--baseline", nowhere]) == 2
    assert "bug" not in capsys.readouterr().err


def test_a_last_line_that_is_cut_is_told_and_harms_nothing(tmp_path: Path) -> None:
    write(Story(), tmp_path)
    path = tmp_path / "telemetry.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    _, values, manifest = whole.read_directory(tmp_path)
    assert values["evidence"]["is_cut"]
    assert values["evidence"]["damaged"] == 0
    assert all(check.passed for check in whole.gate(values, manifest, None))


def test_venues_that_are_bad_together_are_found(tmp_path: Path) -> None:
    mutes = {"lighter": [(30.0, 50.0)], "paradex": [(32.0, 52.0)]}
    together = document(Story(mutes=mutes), tmp_path)["together"]
    (pair,) = together["pairs"]
    assert pair["venues"] == ["lighter", "paradex"]
    assert pair["seconds"] == pytest.approx(13.0, abs=1.5)  # both above 5 s of age
    assert pair["times_chance"] > 2
    assert together["longest"][0]["venues"] == ["lighter", "paradex"]


def test_bursts_of_session_ends_stand_where_they_were(tmp_path: Path) -> None:
    ends = {"paradex": [(60.0 + n / 10, "stream_end") for n in range(6)]}
    rows = document(Story(ends=ends), tmp_path)["venues"]
    bursts = next(row["bursts"] for row in rows if row["venue"] == "paradex")
    assert bursts["worst"] == 6
    assert bursts["session_ends"].index(6) == int(60 / bursts["width_s"])


def test_trends_show_when_it_became_worse(tmp_path: Path) -> None:
    rows = document(Story(mutes={"lighter": [(90.0, 118.0)]}), tmp_path)["instruments"]
    windows = next(row["windows"] for row in rows if row["venue"] == "lighter")
    assert windows[-1]["p95_ms"] > 10 * windows[2]["p95_ms"]


def test_memory_does_not_grow_with_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "POINTS_MAX", 64)  # reached early, as in long runs
    monkeypatch.setattr(ages, "_BUFFER_MAX", 64)
    kinds = {"lighter": "depth"}
    mutes = [(at_s, at_s + 7.0) for at_s in range(20, 2_400, 25)]
    ends = [(end_s, "stale_watchdog") for _, end_s in mutes]

    def peak(seconds: float) -> int:
        story = Story(
            seconds=seconds,
            sample_ms=1_000,
            kinds=kinds,
            mutes={"lighter": mutes},
            ends={"lighter": ends},
            flaps={"lighter": [at_s for at_s, _ in mutes]},
            missing=tuple(range(50, 2_400, 90)),
        )
        telemetry = Telemetry.of(write(story, tmp_path / str(seconds)))
        tracemalloc.start()
        try:
            Run().read(telemetry)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(50.0)  # what is made once is made by now
    short, long = peak(600.0), peak(2_400.0)
    assert long < 1.1 * short, (short, long)


def test_a_manifest_names_venues_however_its_configuration_is_written() -> None:
    sections = {"venue": {"a": {"enabled": True}, "b": {"enabled": False}}}
    rows = [
        {"section": "venue.a", "key": "enabled", "value": True},
        {"section": "venue.b", "key": "enabled", "value": False},
        {"section": "", "key": "instance", "value": "x"},
    ]
    assert Manifest({"config": sections}).venues == ("a",)
    assert Manifest({"config": {"values": rows}}).venues == ("a",)
    assert Manifest({"venues": ["c"], "config": sections}).venues == ("c",)
    assert Manifest({"config": "nonsense"}).venues == ()
    stamps = {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-01T00:01:30+00:00"}
    assert Manifest(stamps).lasted_s == 90.0
    assert Manifest({"start": "soon"}).lasted_s is None


MACHINE = {
    "system": "Linux 6.1 x86_64",
    "processor": "EPYC",
    "cores": 2,
    "memory_available_bytes": 3 << 30,
    "memory_limit_bytes": None,
    "descriptor_limit": 1_024,
    "load": [0.5, 0.25, 0.1],
    "libraries": {"Python": "3.11.7", "numpy": "2.4"},
    "native_module": "compiled module in use",
}
CLOCK = {"name": "clock", "verdict": "warn", "text": "not set", "advice": "set it"}


def test_machine_and_clock_are_sentences_for_people_and_the_same_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    story = Story(seconds=20.0, manifest={"machine": MACHINE, "clock": CLOCK})
    run = document(story, tmp_path)["run"]
    assert run["machine"].startswith("system Linux 6.1 x86_64, processor EPYC, cores 2")
    assert run["clock"] == "name clock, verdict warn, text not set, advice set it"
    assert main(["report", str(tmp_path), "--html"]) == 0
    machine = (
        "EPYC, 2 cores, 3.0 GiB of memory free at the start, load 0.5 0.25 0.1,"
        " Linux 6.1 x86_64, Python 3.11.7, compiled module in use for shared memory"
    )
    text, page = capsys.readouterr().out, (tmp_path / "report.html").read_text()
    assert f"- machine: {machine}\n- clock: warning: not set; set it\n" in text
    assert f"<dt>machine</dt><dd>{machine}</dd>" in page
    assert "<dt>clock</dt><dd>warning: not set; set it</dd>" in page
    assert "memory_available_bytes" not in text + page


@pytest.mark.parametrize(
    ("manifest", "shown"),
    [
        ({}, None),
        ({"machine": None, "clock": []}, None),
        ({"machine": "a laptop", "clock": "sane"}, "a laptop"),
        ({"machine": {"cores": 1, "load": "high"}, "clock": {"text": 7}}, "1 core"),
    ],
)
def test_a_manifest_of_another_form_is_shown_as_far_as_it_goes(
    tmp_path: Path,
    manifest: dict[str, Any],
    shown: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(Story(seconds=5.0, manifest=manifest), tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [line for line in lines if line.startswith("- machine")]
    assert found == ([f"- machine: {shown}"] if shown else [])


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (("", None), "no end told: killed, or still running"),
        (("Ctrl-C", 0), "Ctrl-C, exit code 0"),
    ],
)
def test_report_of_a_run_that_ended_early_is_whole_and_says_so(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ended: tuple[str, int | None],
    words: str,
) -> None:
    run = write(Story(minutes=90.0, ended=ended), tmp_path)
    assert main(["report", str(run)]) == 0
    text = capsys.readouterr().out
    assert f"- ended: {words}; lasted 120 s, asked for 5400 s" in text
    assert "### Share of time tradable (bbo)" in text
    assert main(["report", str(run), "--gate"]) == 1
    assert "## Gates: FAILED, 1 of" in capsys.readouterr().out


def test_a_title_says_what_of_a_run_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def title(directory: Path) -> str:
        assert main(["report", str(directory)]) == 0
        return capsys.readouterr().out.partition("\n")[0]

    run = write(Story(seconds=90.0, lasted_s=96.0), tmp_path / "run")
    assert title(run) == "# Run of made, 1.5 minutes"
    telemetry = (run / "telemetry.jsonl").read_bytes()
    (run / "telemetry.jsonl").write_bytes(telemetry.partition(b"\n")[0] + b"\n")
    lacks = "telemetry without a sample"
    assert title(run) == f"# Run of made, 1.6 minutes by its manifest: {lacks}"
    (run / "telemetry.jsonl").unlink()
    lacks_all = "# Run of made, 1.6 minutes by its manifest: no telemetry"
    assert title(run) == lacks_all
    (run / "manifest.json").unlink()
    (run / "telemetry.jsonl").write_bytes(telemetry.partition(b"\n")[0] + b"\n")
    assert title(run) == f"# Run of made: {lacks}"
    (run / "telemetry.jsonl").write_bytes(telemetry.partition(b"\n")[2])
    assert title(run) == "# Run without a name, 1.5 minutes"
    (run / "telemetry.jsonl").unlink()
    assert title(run) == "# Run without a name: no telemetry"
    (run / "run.log").unlink()
    assert title(run) == "# No run here: no telemetry, no manifest, no log"


FAULTS = [
    ("lighter", "lighter:mute@30s+20s", 31.5, 51.5),
    ("lighter", "lighter:drop@60s", 61.5, 61.5),
]


def test_faults_stand_in_text_page_and_json_with_their_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    write(Story(faults=FAULTS), tmp_path)
    assert main(["report", str(tmp_path), "--html"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\| 1 +\| lighter:mute@30s\+20s \| lighter \| +31.5 \|", text)
    page = (tmp_path / "report.html").read_text()
    assert "<td class=left>lighter:mute@30s+20s</td>" in page
    states, *_, quiet, harmed = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    for picture in (states, harmed):
        assert "fault begins" in picture
        assert "fault ends" in picture
    assert "fault begins" not in quiet  # of paradex, which no fault names
    assert main(["report", str(tmp_path), "--json"]) == 0
    times = [
        (row["begin_s"], row["end_s"])
        for row in json.loads(capsys.readouterr().out)["faults"]
    ]
    assert times == [(31.5, 51.5), (61.5, 61.5)]


def test_a_run_without_faults_has_no_marks_and_one_without_its_log_knows_none(
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib")
    assert document(Story(), tmp_path)["faults"] == []
    assert main(["report", str(tmp_path), "--html"]) == 0
    assert "fault begins" not in (tmp_path / "report.html").read_text()
    (tmp_path / "run.log").unlink()
    assert whole.read_directory(tmp_path)[1]["faults"] is None
    assert main(["report", str(tmp_path), "--html"]) == 0
