"""The schema in the tree is the one that is written by."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from feedhandler.telemetry.records import json_schema
from feedhandler.telemetry.totals import collect
from tests.support import ROOT
from tests.telemetry.segments import S, segments

SCHEMA = ROOT / "ops" / "telemetry.schema.json"


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def test_schema_file_is_the_tables() -> None:
    made = json.dumps(json_schema(), indent=2) + "\n"
    assert SCHEMA.read_text() == made, (
        "the tables and ops/telemetry.schema.json differ: a field that went or changed"
        " its meaning is a new SCHEMA; then write json_schema() to the file"
    )


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_samples_moves_and_totals_are_valid(instance: str) -> None:
    with segments(instance) as made:
        check = validator().validate
        check(msgspec.to_builtins(made.sample()))
        made.live()
        made.verdict(made.now_ns, moved=True)
        made.feed.record(made.feed.histogram("recv_to_publish"), 1_500)
        made.feed.record(made.feed.histogram("recv_to_publish"), -3)
        check(msgspec.to_builtins(made.sample()))
        for move in made.sampler.moves(0):
            check(msgspec.to_builtins(move))
        readers = made.sources.readers
        totals = collect(
            readers,
            {role: reader.counters() for role, reader in readers.items()},
            made.sampler.cadence,
            made.now_ns,
            made.now_ns,
            S,
        )
        check(msgspec.to_builtins(totals))
        me = {process.role: process for process in totals.processes}["feed:lighter"]
        assert (me.rss_bytes or 0) > 1 << 20
        assert (me.descriptors or 0) > 2
        assert (me.threads or 0) > 0
        assert me.cpu_s is not None
        (hop,) = totals.histograms
        assert (hop.name, hop.count, hop.negative) == (
            "feed:lighter/recv_to_publish",
            2,
            1,
        )


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "sampel"},
        {"ts_ms": "now"},
        {"apply_age_ns": [-2]},
        {"tradable": [2]},
        {"venues": [1]},
    ],
)
def test_schema_refuses_what_is_wrong(instance: str, damage: dict[str, object]) -> None:
    with segments(instance) as made:
        sample = msgspec.to_builtins(made.sample())
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(sample | damage)
