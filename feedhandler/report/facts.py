"""A run as one document of plain values: what is printed, drawn, gated and compared.

`--json` shows it as it is. Unknown is null and never zero. Ages are milliseconds and
weighted by time; every row of a venue or an instrument says its feed kind.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from feedhandler.report.ages import THRESHOLDS_MS, AgeTrack
from feedhandler.report.gather import Run
from feedhandler.report.host import clock, load, machine
from feedhandler.report.instruments import InstrumentTrack
from feedhandler.report.manifest import Manifest
from feedhandler.report.rests import ladder_facts, rest_facts
from feedhandler.report.runlog import RunLog
from feedhandler.report.spread import EDGES_MS, SIGNED_EDGES_MS, percentiles
from feedhandler.report.tally import Spans
from feedhandler.report.venues import VenueTrack
from shm_layout.directory import Histogram
from shm_layout.limits import BUCKETS

SCHEMA: Final = 1
PERCENTS: Final = [50.0, 95.0, 99.0]
WINDOWS_MAX: Final = 12
SHOWN: Final = (
    "version",
    "commit",
    "command",
    "seed",
    "faults",
    "scenarios",
    "machine",
    "clock",
    "start",
    "end",
)
KINDS: Final = ("bbo", "depth")  # the order in which tables stand

Document = dict[str, Any]


def document(
    run: Run,
    manifest: Manifest | None = None,
    log: RunLog | None = None,
) -> Document:
    """Return everything that is known of a run."""
    names = sorted(run.instruments, key=lambda name: _rank(run, name))
    venues = sorted(run.venues, key=lambda venue: _rank(run, venue))
    return {
        "schema": SCHEMA,
        "run": _run_facts(run, manifest),
        "evidence": evidence(run),
        "venues": [_venue_facts(run, run.venues[venue]) for venue in venues],
        "instruments": [_quote_facts(run, run.instruments[name]) for name in names],
        "processes": [run.processes[role].facts() for role in sorted(run.processes)],
        "process_ends": None if log is None else log.ends,
        "faults": log.placed(run.first_ms) if log is not None and run.samples else None,
        "rest": [rest_facts(run, venue) for venue in venues],
        "ladder": [ladder_facts(run, venue) for venue in venues],
        "hops": [
            hop_facts(name, run.hops[name])
            for name in sorted(run.hops)
            if not name.endswith("/records_a_pass")
        ],
        "together": _together_facts(run),
    }


def evidence(run: Run) -> Document:
    """Return how much was read, and what could not be."""
    read = run.telemetry
    return {
        "files": [] if read is None else [path.name for path in read.paths],
        "lines": 0 if read is None else read.lines,
        "damaged": 0 if read is None else read.damaged,
        "damaged_at": (
            []
            if read is None
            else [f"{path.name}:{line}" for path, line in read.damaged_at]
        ),
        "unknown": 0 if read is None else read.unknown,
        "is_cut": read is not None and read.is_cut,
        "samples": run.samples,
        "samples_missing": 0 if read is None else read.missing,
        "totals": run.totals,
        "dropped": None if run.stop is None else run.stop.dropped,
        "ended": "" if run.stop is None else run.stop.reason,
        "sample_gap_max_s": round(run.sample_gap_max_s, 3),
    }


def age_facts(track: AgeTrack) -> Document:
    """Return the percentiles of one age, over time; null where nothing is known."""
    is_signed = len(track.below) == len(SIGNED_EDGES_MS)
    edges = SIGNED_EDGES_MS if is_signed else EDGES_MS
    values = percentiles(edges, track.below, PERCENTS)
    top = float(track.max_ms)
    facts = {
        f"p{percent:.0f}_ms": number(min(value, top))
        for percent, value in zip(PERCENTS, values.tolist(), strict=True)
    }
    return {
        **facts,
        "max_ms": number(top),
        "first_s": _rounded(track.first_s),
        "known_s": round(float(track.below[-1]) / 1e3, 1),
        "unknown_s": round(track.unknown_s, 2),
        "unseen_s": round(track.unseen_s, 2),
    }


def number(value: float, digits: int = 3) -> float | None:
    """Return a value for the document, None for what is not finite."""
    return round(value, digits) if math.isfinite(value) else None


def hop_facts(name: str, spans: Spans) -> Document:
    """Return one histogram's percentiles, milliseconds, over the span of the run."""
    buckets = [0] * BUCKETS
    for bucket, count in spans.buckets.items():
        if bucket < BUCKETS:
            buckets[bucket] = count
    read = Histogram(
        name, sum(buckets), 0, spans.max_ns, spans.negative, tuple(buckets)
    )
    values = {
        f"p{percent:g}_ms": _ns_to_ms(read.percentile_ns(percent))
        for percent in (50.0, 95.0, 99.0, 99.9)
    }
    return {
        "hop": name,
        "count": read.count,
        "negative": read.negative,
        **values,
        "max_ms": _ns_to_ms(spans.max_ns) if read.count else None,
    }


def windows(track: AgeTrack, windows_max: int = WINDOWS_MAX) -> list[Document]:
    """Return an age's percentiles window by window: the trend."""
    blocks = track.blocks
    if blocks is None or not blocks.count:
        return []
    each = math.ceil(blocks.count / windows_max)
    found = []
    for begin in range(0, blocks.count, each):
        below = blocks.rows[begin : begin + each].sum(axis=0)
        values = percentiles(EDGES_MS, below, PERCENTS)
        found.append(
            {
                "from_s": begin * blocks.width_s,
                "to_s": (begin + each) * blocks.width_s,
                "p50_ms": number(float(values[0])),
                "p95_ms": number(float(values[1])),
                "p99_ms": number(float(values[2])),
            }
        )
    return found


def _rank(run: Run, name: str) -> tuple[int, str]:
    kind = run.feed_kind(name.partition(":")[0])
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), name)


def _run_facts(run: Run, manifest: Manifest | None) -> Document:
    shown = Manifest() if manifest is None else manifest
    expected = () if manifest is None else manifest.venues
    if not expected and run.starts:
        expected = tuple(run.starts[-1].venues)
    version = run.starts[-1].version if run.starts else None
    return {
        **{key: shown.shown(key) for key in SHOWN},
        "version": shown.shown("version") or version,
        "in_words": {
            "machine": machine(shown.values.get("machine")),
            "clock": clock(shown.values.get("clock")),
            "load": load(shown.values),
            "ended": shown.end_in_words,
        },
        "manifest": None if manifest is None else manifest.problem or "read",
        "simulated": manifest is not None and manifest.is_simulated,
        "lasted_s": None if manifest is None else manifest.lasted_s,
        "asked_s": None if manifest is None else manifest.asked_s,
        "ended": shown.ended,
        "expected_venues": sorted(expected),
        "without_funding": [] if manifest is None else manifest.without_funding,
        "instance": run.starts[-1].instance if run.starts else shown.shown("instance"),
        "sample_ms": run.starts[-1].sample_ms if run.starts else None,
        "span_s": round(run.span_s, 3),
        "first_ms": run.first_ms,
        "last_ms": run.last_ms,
    }


def _quote_facts(run: Run, track: InstrumentTrack) -> Document:
    hours = track.seen_s / 3_600
    flaps = int(np.nan_to_num(track.flaps.rows).sum())
    market = run.markets.get(f"{track.venue}:{track.instrument}")
    return {
        "venue": track.venue,
        "instrument": track.instrument,
        "feed_kind": run.feed_kind(track.venue),
        "fresh_ms": None if market is None else market.fresh_ms,
        "quotes": track.quotes,
        "apply_age": age_facts(track.apply),
        "event_age": age_facts(track.event),
        "unproven_age": age_facts(track.proof),
        "plateaus": _plateaus(track.apply),
        "unproven_plateaus": _plateaus(track.proof),
        "silences_s": [
            [round(begin, 2), round(end, 2)] for begin, end in track.apply.silences()
        ],
        "state_share": _shares(track.state_s, track.seen_s),
        "reason_share": _shares(track.reason_s, track.seen_s),
        "tradable_share": _rounded(track.tradable.share, 5),
        "tradable_after_start": _rounded(track.tradable.share_after_start, 5),
        "untradable": track.tradable.facts(),
        "rest_share": _share(track.rest_s, track.seen_s),
        "moves": track.moves,
        "flaps": flaps,
        "flaps_per_hour": round(flaps / hours, 3) if hours else None,
        "bad_longest_s": round(track.bad_longest_s, 2),
        "funding": {
            "first_s": _rounded(track.funding_first_s),
            "age_max_ms": _rounded(track.funding_max_ms),
            "stale_s": round(track.funding_stale_s, 2),
        },
        "windows": windows(track.apply),
    }


def _tradable_share(run: Run, venue: str) -> float | None:
    """Return the share of a venue: that of its instruments together."""
    tracks = [
        track.tradable for track in run.instruments.values() if track.venue == venue
    ]
    known_s = sum(track.known_s for track in tracks)
    return _share(sum(track.tradable_s for track in tracks), known_s)


def _plateaus(track: AgeTrack) -> list[Document]:
    return [
        {
            "over_ms": threshold,
            "count": track.counts[index],
            "total_s": round(track.totals_ms[index] / 1e3, 3),
            "longest_ms": (number(track.max_ms) if track.counts[index] else 0.0),
        }
        for index, threshold in enumerate(THRESHOLDS_MS)
    ]


def _venue_facts(run: Run, track: VenueTrack) -> Document:
    hours = track.seen_s / 3_600
    ends = {
        label: count
        for label, count in track.ends.grown().items()
        if label != "shutdown"
    }
    total = sum(ends.values())
    counts = {
        name: tally.grown if tally.is_known else None
        for name, tally in track.counts.items()
    }
    frames = counts["frames"]
    published = counts["published"]
    unchanged = counts["unchanged"]
    return {
        "venue": track.venue,
        "feed_kind": track.feed_kind,
        "link_share": _shares(track.link_s, track.seen_s),
        "tradable_share": _tradable_share(run, track.venue),
        "session_ends": ends,
        "session_ends_per_hour": round(total / hours, 3) if hours else None,
        "resyncs": track.resync_counts(),
        "waits_after_health_s": [round(wait, 3) for wait in track.waits_s],
        "bad_s": round(track.bad_s, 2),
        "bad_longest_s": round(track.bad_longest_s, 2),
        **counts,
        "late": dict(track.late),
        "frames_hz": (
            round(frames / track.seen_s, 2)
            if frames is not None and track.seen_s
            else None
        ),
        "conflated_share": _share_of(published, unchanged),
        "ring_lag_max": track.lag_max,
        "liveness_max_ms": _rounded(track.liveness_max_ms),
        "exchange_skew": track.skew(),
        "bursts": _bursts(track),
    }


def _bursts(track: VenueTrack) -> Document:
    blocks = track.ends_over_time
    counts = blocks.rows[:, 0].tolist()
    return {
        "width_s": blocks.width_s,
        "session_ends": [int(count) for count in counts],
        "worst": int(max(counts, default=0)),
    }


def _together_facts(run: Run) -> Document:
    span_s = run.span_s
    shares = {
        name: (track.bad_s / span_s if span_s else 0.0)
        for name, track in run.venues.items()
    }
    pairs = []
    for (first, second), seconds in sorted(run.pairs_s.items()):
        by_chance_s = shares[first] * shares[second] * span_s
        pairs.append(
            {
                "venues": [first, second],
                "seconds": round(seconds, 2),
                "by_chance_s": round(by_chance_s, 2),
                "times_chance": (
                    round(seconds / by_chance_s, 1) if by_chance_s > 0 else None
                ),
            }
        )
    longest = sorted(run.together, key=lambda span: span[0] - span[1])[:10]
    return {
        "seconds_by_count": {
            str(count): round(seconds, 2)
            for count, seconds in sorted(run.stale_together_s.items())
        },
        "pairs": pairs,
        "longest": [
            {"from_s": round(begin, 2), "to_s": round(end, 2), "venues": list(venues)}
            for begin, end, venues in longest
        ],
    }


def _shares(seconds: dict[str, float], whole_s: float) -> dict[str, float]:
    return (
        {name: round(value / whole_s, 5) for name, value in sorted(seconds.items())}
        if whole_s
        else {}
    )


def _share(part_s: float, whole_s: float) -> float | None:
    return round(part_s / whole_s, 5) if whole_s else None


def _share_of(whole: int | None, part: int | None) -> float | None:
    return None if not whole or part is None else round(part / whole, 4)


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def _ns_to_ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 6)
