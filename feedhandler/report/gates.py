"""Gates: every check with its limit, its value and its evidence; what lacks it fails.

Hard limits are what operators will not trade beyond, whatever is normal; beside them
stand limits derived from a baseline, which catch a doubling long before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from feedhandler.report.ages import START_MAX_S
from feedhandler.report.baselines import FACTOR, LIVE_HOPS, Baseline, short_hop
from feedhandler.report.manifest import FULL_TIME

P95_MAX_MS: Final = 10_000.0
P99_MAX_MS: Final = 30_000.0
PLATEAU_MAX_MS: Final = 30_000.0
VENUE_BAD_MAX_S: Final = 120.0
REASON_MAX: Final = 3
FUNDING_FIRST_MAX_S: Final = 60.0
RSS_SLOPE_MAX_MIB_H: Final = 1.0
RSS_GROWTH_MAX_MIB: Final = 3.0  # in all: what a run of minutes can tell at best
DESCRIPTORS_GROWTH_MAX: Final = 8.0
SAMPLES_MIN: Final = 40  # ten seconds of them
LOST_SHARE_MAX: Final = 0.01  # of the lines, or of the samples
COVERED_MIN: Final = 0.9  # of the time that the manifest says the run took
COVER_SLACK_S: Final = 20.0  # in which processes start, and stop
UNSEEN_SHARE_MAX: Final = 0.05

_AGE_FLOOR_MS: Final = 100.0  # below a few beats of the samples nothing is a regression
_RATE_SLACK: Final = 3.0  # as many events as chance brings to a short run
_FLAPS_SLACK: Final = 5.0
_HOP_FLOOR_MS: Final = 1.0
_HOP_COUNT_MIN: Final = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One gate. `value` is None where there is no evidence, and then it fails."""

    name: str
    subject: str
    limit: str
    value: float | str | None
    passed: bool
    evidence: str

    def row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def check_all(document: dict[str, Any], baseline: Baseline) -> list[Check]:
    """Return every check of a run, in the order of the report."""
    return [
        _ended(document),
        *_telemetry(document),
        *_presence(document),
        *_ages(document, baseline),
        *_venues(document, baseline),
        *_funding(document),
        *_processes(document),
        *_hops(document, baseline),
    ]


def at_most(
    name: str, subject: str, value: float | None, limit: float, unit: str, evidence: str
) -> Check:
    """Return a check that a value is not above its limit; NaN and None fail."""
    return Check(
        name,
        subject,
        f"≤ {limit:,.10g} {unit}".rstrip(),
        value,
        value is not None and value <= limit,
        evidence if value is not None else f"no evidence: {evidence}",
    )


def _ended(document: dict[str, Any]) -> Check:
    """Check that a run took the time it was asked to, and ended in order.

    One that was killed says neither why it ended nor with what.
    """
    run = document["run"]
    reason, code = run["ended"]["reason"], run["ended"]["exit_code"]
    lasted_s, asked_s = run["lasted_s"], run["asked_s"]
    limit = f"{FULL_TIME}, exit code 0, as long as asked"
    text = run["in_words"]["ended"]
    if None in (reason, code, lasted_s, asked_s):
        return Check("run_ended", "run", limit, None, False, f"no evidence: {text}")
    is_whole = reason == FULL_TIME and code == 0 and lasted_s >= asked_s
    return Check("run_ended", "run", limit, reason, is_whole, text)


def _telemetry(document: dict[str, Any]) -> Iterator[Check]:
    read, run = document["evidence"], document["run"]
    lines, damaged, samples = read["lines"], read["damaged"], read["samples"]
    yield Check(
        "telemetry",
        "run",
        f"≥ {SAMPLES_MIN} samples",
        samples,
        samples >= SAMPLES_MIN,
        f"{lines} lines in {', '.join(read['files']) or 'no file'}",
    )
    places = ", ".join(read["damaged_at"])
    share = damaged / lines if lines else None
    text = f"{damaged} of {lines} lines damaged" + (f": {places}" if places else "")
    yield at_most("telemetry_damaged", "run", share, LOST_SHARE_MAX, "of lines", text)
    missing = read["samples_missing"] + (read["dropped"] or 0)
    share = missing / (samples + missing) if samples else None
    text = f"{missing} samples missing or dropped, {samples} there"
    yield at_most("telemetry_missing", "run", share, LOST_SHARE_MAX, "of samples", text)
    lasted_s, asked_s = run["lasted_s"], run["asked_s"]
    least_s = None
    if lasted_s:
        # A host that starts and stops slowly takes longer than the run was to be.
        due_s = min(lasted_s, asked_s or lasted_s)
        least_s = round(min(COVERED_MIN * due_s, lasted_s - COVER_SLACK_S), 1)
    span_s = run["span_s"] if samples else None
    yield Check(
        "telemetry_covers_run",
        "run",
        "unknown" if least_s is None else f"≥ {least_s} s",
        span_s,
        span_s is not None and least_s is not None and span_s >= least_s,
        f"the run took {lasted_s or 'nobody knows how many'} s"
        f" (manifest: {run['manifest'] or 'none'})",
    )


def _presence(document: dict[str, Any]) -> Iterator[Check]:
    expected = document["run"]["expected_venues"]
    yield Check(
        "expected_venues",
        "run",
        "≥ 1 known",
        len(expected),
        bool(expected),
        ", ".join(expected) or "no evidence: neither manifest nor telemetry names any",
    )
    quotes: dict[str, int] = {}
    for row in document["instruments"]:
        quotes[row["venue"]] = quotes.get(row["venue"], 0) + row["quotes"]
    for venue in expected:
        count = quotes.get(venue)
        yield Check(
            "venue_present",
            venue,
            "≥ 1 quote",
            count,
            bool(count),
            "no evidence: not in the telemetry" if count is None else f"{count} quotes",
        )


def _ages(document: dict[str, Any], baseline: Baseline) -> Iterator[Check]:
    for row in document["instruments"]:
        name = f"{row['venue']}:{row['instrument']} ({row['feed_kind'] or 'kind?'})"
        age, raw = row["unproven_age"], row["apply_age"]
        text = (
            f"apply-age p95 {raw['p95_ms']} p99 {raw['p99_ms']} max {raw['max_ms']} ms"
            f" over {raw['known_s']} s; proven by REST where quiet"
        )
        words = "the age before it counts in no percentile"
        first_s = raw["first_s"]
        yield at_most("first_quote", name, first_s, START_MAX_S, "s", words)
        p95, p99 = age["p95_ms"], age["p99_ms"]
        yield at_most("apply_age_p95", name, p95, P95_MAX_MS, "ms", text)
        yield at_most("apply_age_p99", name, p99, P99_MAX_MS, "ms", text)
        longest = age["max_ms"]
        yield at_most("plateau", name, longest, PLATEAU_MAX_MS, "ms", text)
        whole_s = raw["known_s"] + raw["unseen_s"]
        unseen = raw["unseen_s"] / whole_s if whole_s else None
        text = f"{raw['unseen_s']} s between samples that are lost"
        yield at_most("age_unseen", name, unseen, UNSEEN_SHARE_MAX, "of time", text)
        yield from _against_normal(row, name, baseline)


def _against_normal(
    row: dict[str, Any], name: str, baseline: Baseline
) -> Iterator[Check]:
    normal = baseline.normal(row["venue"], row["instrument"], row["feed_kind"])
    age = row["unproven_age"]
    for word in ("p95_ms", "p99_ms"):
        figure = None if normal is None else getattr(normal, word)
        gate = f"apply_age_{word[:3]}_normal"
        if figure is None:
            yield _no_baseline(gate, name, baseline)
            continue
        limit = round(max(_AGE_FLOOR_MS, FACTOR * figure), 1)
        text = f"{FACTOR} × {figure} ms of baseline {baseline.source}"
        yield at_most(gate, name, age[word], limit, "ms", text)
    figure = None if normal is None else normal.flaps_per_hour
    if figure is None:
        yield _no_baseline("flaps_normal", name, baseline)
        return
    seen_s = age["known_s"]
    limit = round(FACTOR * figure * seen_s / 3_600 + _FLAPS_SLACK, 1)
    text = f"{FACTOR} × {figure}/h of baseline {baseline.source}, and {_FLAPS_SLACK:g}"
    flaps = row["flaps"] if seen_s else None
    yield at_most("flaps_normal", name, flaps, limit, "flaps", text)


def _no_baseline(gate: str, subject: str, baseline: Baseline) -> Check:
    text = f"no evidence: baseline {baseline.source} has no figure for it"
    return Check(gate, subject, "unknown", None, False, text)


def _venues(document: dict[str, Any], baseline: Baseline) -> Iterator[Check]:
    span_s = document["run"]["span_s"]
    for row in document["venues"]:
        name = f"{row['venue']} ({row['feed_kind'] or 'kind?'})"
        bad_s = row["bad_longest_s"] if span_s else None
        text = "longest time with an instrument neither LIVE nor QUIET"
        yield at_most("venue_stale", name, bad_s, VENUE_BAD_MAX_S, "s", text)
        for gate, key in (("session_ends", "session_ends"), ("resyncs", "resyncs")):
            counts = row[key]
            known = row["frames"] is not None
            worst = max(counts.values(), default=0) if known else None
            words = ", ".join(f"{word} {count}" for word, count in counts.items())
            text = words or ("none" if known else "the feed was never seen")
            yield at_most(gate, name, worst, REASON_MAX, "of one reason", text)
        late = row["late"]
        for key in ("ring_lost", "ring_laps"):
            text = "over the whole run"
            yield at_most(key, name, row[key], 0, "", text)
        hits = None if row["budget_hits"] is None else late["budget_hits"]
        text = f"after 30 s of warm-up; {row['budget_hits']} in all"
        yield at_most("budget_hits", name, hits, 0, "", text)
        yield _ends_check(row, name, span_s, baseline)


def _ends_check(
    row: dict[str, Any], name: str, span_s: float, baseline: Baseline
) -> Check:
    ends = sum(row["session_ends"].values())
    figure = baseline.ends_per_hour(row["venue"], row["feed_kind"])
    if figure is None:
        return _no_baseline("session_ends_normal", name, baseline)
    limit = round(FACTOR * figure * span_s / 3_600 + _RATE_SLACK, 1)
    text = f"{FACTOR} × {figure}/h of baseline {baseline.source}, and {_RATE_SLACK:g}"
    value = ends if row["frames"] is not None else None
    return at_most("session_ends_normal", name, value, limit, "ends", text)


def _funding(document: dict[str, Any]) -> Iterator[Check]:
    for row in document["instruments"]:
        if row["venue"] in document["run"]["without_funding"]:
            continue
        name = f"{row['venue']}:{row['instrument']} ({row['feed_kind'] or 'kind?'})"
        funding = row["funding"]
        age_ms = funding["age_max_ms"]
        text = f"oldest {'-' if age_ms is None else round(age_ms / 1e3, 1)} s"
        first_s = funding["first_s"]
        yield at_most("funding_first", name, first_s, FUNDING_FIRST_MAX_S, "s", text)
        stale_s = None if first_s is None else funding["stale_s"]
        yield at_most("funding_stale", name, stale_s, 0, "s above 600 s of age", text)


def _processes(document: dict[str, Any]) -> Iterator[Check]:
    roles = document["processes"]
    wanted = {f"feed:{venue}" for venue in document["run"]["expected_venues"]}
    wanted |= {"runner"}
    for role in sorted(wanted - {row["role"] for row in roles}):
        text = "no evidence: never seen"
        yield Check("process_seen", role, "seen", None, False, text)
    ends = document["process_ends"]
    for row in roles:
        role = row["role"]
        causes = (ends or {}).get(role, {})
        words = ", ".join(f"{cause} {count}" for cause, count in causes.items())
        text = words or ("no end in the log" if ends is not None else "no run.log")
        worst = max([*causes.values(), 0 if causes else row["restarts"]])
        yield at_most("restarts", role, worst, REASON_MAX, "of one cause", text)
        yield _memory(row)
        files = row["descriptors"]
        growth = (
            None if files["first"] is None else round(files["max"] - files["first"], 1)
        )
        text = f"{files['first']} first, {files['max']} at most"
        yield at_most("descriptors", role, growth, DESCRIPTORS_GROWTH_MAX, "more", text)


def _memory(row: dict[str, Any]) -> Check:
    per_h, span_s = row["rss_slope_mib_h"], row["rss_span_s"]
    hours = span_s / 3_600
    limit = RSS_SLOPE_MAX_MIB_H
    if hours:
        limit = max(limit, RSS_GROWTH_MAX_MIB / hours)
    last = row["rss_mib"]["last"]
    text = f"Theil–Sen over {span_s} s, start-up left out; at end {last} MiB"
    return at_most("rss_slope", row["role"], per_h, round(limit, 2), "MiB/h", text)


def _hops(document: dict[str, Any], baseline: Baseline) -> Iterator[Check]:
    found = False
    # Who else used the processor is half of what these gates measure.
    load = document["run"]["in_words"]["load"] or "load of the host unknown"
    for row in document["hops"]:
        if short_hop(row["hop"]) not in LIVE_HOPS:
            continue
        found = True
        figure = baseline.hop_p99_ms(row["hop"])
        if figure is None:
            yield _no_baseline("hop_p99_normal", row["hop"], baseline)
            continue
        limit = round(max(_HOP_FLOOR_MS, FACTOR * figure), 3)
        value = row["p99_ms"] if row["count"] >= _HOP_COUNT_MIN else None
        text = f"{row['count']} values; {FACTOR} × {figure} ms of {baseline.source}"
        text += f"; {load}"
        yield at_most("hop_p99_normal", row["hop"], value, limit, "ms", text)
    if not found:
        text = "no evidence: no histogram in the telemetry"
        yield Check("hop_p99_normal", "run", "known", None, False, text)
