"""What Prometheus reads: valid, conventional, and never a series too few."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from feedhandler.feed.counters import NAMES
from feedhandler.telemetry.metric_names import name_of
from feedhandler.telemetry.prometheus import render
from feedhandler.telemetry.snapshot import Board
from shm_layout import FLAG_SYNCING
from shm_layout.codes import REASON_NAMES
from tests.telemetry.segments import VENUE, WALL_NS, S, Segments, segments
from tests.telemetry.test_snapshot import snapshot

QUOTE = {"venue": VENUE, "instrument": "BTC-PERP"}


def scrape(made: Segments) -> dict[str, Metric]:
    board = Board(made.instance, [VENUE], 250)
    board.newest = snapshot(made)
    content_type, body = render(board, "")
    assert content_type.startswith("text/plain; version=0.0.4")
    families = {
        family.name: family for family in text_string_to_metric_families(body.decode())
    }
    content_type, body = render(board, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    strict = {
        family.name: family
        for family in openmetrics.text_string_to_metric_families(body.decode())
    }
    assert set(strict) == set(families)
    return families


def value(
    families: dict[str, Metric], name: str, family_name: str = "", **labels: str
) -> float:
    family = families[f"feedhandler_{family_name or name.removesuffix('_total')}"]
    (found,) = [
        sample.value
        for sample in family.samples
        if sample.name == f"feedhandler_{name}" and sample.labels == labels
    ]
    return found


def test_every_metric_follows_the_conventions(instance: str) -> None:
    with segments(instance) as made:
        for name in NAMES:
            made.feed.counter(name)
        made.feed.record(made.feed.histogram("recv_to_publish"), 1_500)
        made.live()
        families = scrape(made)
    assert len(families) > 25
    for name, family in families.items():
        assert re.fullmatch(r"feedhandler_[a-z_]+", name), name
        assert re.fullmatch(r"\S.*\.", family.documentation), name
        assert not re.search(r"_(ms|ns|us|total)$", name), name
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total"), name
            assert set(sample.labels) <= {
                *("venue", "instrument", "reason", "role", "state", "hop", "step"),
                *("event", "le", "version", "result", "kind"),
            }, name


def test_series_of_a_feed_are_there_before_anything_happened(instance: str) -> None:
    with segments(instance) as made:
        for name in NAMES:
            made.feed.counter(name)
        families = scrape(made)
        assert value(families, "reconnects_total", venue=VENUE, reason="enforcer") == 0
        assert value(families, "resyncs_total", venue=VENUE, reason="crossed") == 0
        assert value(families, "rejected_total", venue=VENUE, reason="json") == 0
        event = {"role": f"feed:{VENUE}", "event": "images.fail"}
        assert value(families, "events_total", **event) == 0
        assert value(families, "state", **QUOTE, state="UNKNOWN") in (0, 1)


def test_quotes_are_stamps_and_unknown_is_not_a_number(instance: str) -> None:
    with segments(instance) as made:
        families = scrape(made)
        assert math.isnan(value(families, "apply_timestamp_seconds", **QUOTE))
        assert value(families, "tradable", **QUOTE) == 0
        made.live(age_ns=S // 2)
        families = scrape(made)
    assert value(families, "tradable", **QUOTE) == 1
    stamp_s = value(families, "apply_timestamp_seconds", **QUOTE)
    assert stamp_s == pytest.approx(WALL_NS / 1e9 - 0.5, abs=0.002)
    states = [s for s in families["feedhandler_state"].samples if s.value == 1]
    assert [sample.labels["state"] for sample in states] == ["LIVE"]


def test_reason_of_a_state_is_the_one_that_is_set(instance: str) -> None:
    def reasons(families: Mapping[str, Metric]) -> list[str]:
        samples = families["feedhandler_state_reason"].samples
        assert len(samples) > len(REASON_NAMES)
        return [sample.labels["reason"] for sample in samples if sample.value == 1]

    with segments(instance) as made:
        assert len(reasons(scrape(made))) == 1
        made.live()
        assert reasons(scrape(made)) == []
        made.feed.mark(0, FLAG_SYNCING)
        assert reasons(scrape(made)) == ["resync"]


def test_histogram_counts_up_to_each_bound(instance: str) -> None:
    with segments(instance) as made:
        hop = made.feed.histogram("recv_to_publish")
        for value_ns in (-5, 900, 20_000, 20_000, 3 * S, 500 * S):
            made.feed.record(hop, value_ns)
        family = scrape(made)["feedhandler_hop_seconds"]
    counts = {
        sample.labels["le"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }
    assert [counts[bound] for bound in ("1e-06", "1e-05", "2.5e-05")] == [2, 2, 4]
    assert [counts[bound] for bound in ("2.5", "5.0", "60.0", "+Inf")] == [4, 5, 5, 6]
    assert list(counts.values()) == sorted(counts.values())


def test_before_the_first_sample_only_the_build_is_known() -> None:
    _, body = render(Board("x", [VENUE], 250), "")
    assert re.findall(rb"^feedhandler_\w+", body, re.M) == [b"feedhandler_build_info"]


@pytest.mark.parametrize(
    ("role", "counter", "name", "labels"),
    [
        ("feed:aster", "frames", "frames", {"venue": "aster"}),
        (
            "feed:aster",
            "rejected.a.b",
            "rejected",
            {"venue": "aster", "reason": "a.b"},
        ),
        ("feed:aster", "acks", "events", {"role": "feed:aster", "event": "acks"}),
        ("runner", "lost.aster", "ring_lost_records", {"venue": "aster"}),
        (
            "runner",
            "agreement_ppm.aster.1000PEPE.P",
            "audit_agreement_ratio",
            {"venue": "aster", "instrument": "1000PEPE.P"},
        ),
        ("runner", "lost", "events", {"role": "runner", "event": "lost"}),
        (
            "rest",
            "fail.http_429.aster",
            "rest_failures",
            {"kind": "http_429", "venue": "aster"},
        ),
        (
            "feed:aster",
            "budget_fallbacks.connects",
            "budget_fallbacks",
            {"venue": "aster", "kind": "connects"},
        ),
        ("rest", "budget_resets.aster", "rest_budget_resets", {"venue": "aster"}),
        ("feed:aster", "outliers", "outliers", {"venue": "aster"}),
        ("supervisor", "restarts.feed:x", "process_restarts", {"role": "feed:x"}),
    ],
)
def test_counter_becomes_a_metric(
    role: str, counter: str, name: str, labels: dict[str, str]
) -> None:
    named = name_of(role, counter)
    assert named is not None
    assert (named[0].name, named[1]) == (name, labels)


def test_levels_that_are_no_counters_are_left_out() -> None:
    assert name_of("runner", "lag.aster") is None
    assert name_of("runner", "woke_ns") is None
    assert name_of("reader:bot", "lag.feed:aster") is None


def test_intervals_of_quotes_ticks_and_signs_of_life_are_histograms(
    instance: str,
) -> None:
    with segments(instance) as made:
        empty = scrape(made)
        for _ in range(3):
            made.live(age_ns=0)
            made.feed.stamp_liveness(made.index, made.now_ns)
            made.sample()
            made.pass_ns(2 * S)
        families = scrape(made)
    for name, labels in (
        ("quote", QUOTE),
        ("liveness", QUOTE),
        ("sign_of_life", {"venue": VENUE}),
    ):
        metric = f"{name}_interval_seconds"
        assert families[f"feedhandler_{metric}"].type == "histogram"
        assert value(empty, f"{metric}_count", metric, **labels) == 0, "from the start"
        assert value(families, f"{metric}_count", metric, **labels) == 2
        assert value(families, f"{metric}_sum", metric, **labels) == 4
        assert value(families, f"{metric}_bucket", metric, **labels, le="1.0") == 0
        assert value(families, f"{metric}_bucket", metric, **labels, le="2.5") == 2
