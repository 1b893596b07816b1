"""Runs made up from a seed: telemetry as the real process writes it, with a truth.

A `Story` says what happens; `records` tells it in the records of `telemetry.records`,
and `write` leaves a directory as a soak does. Quotes arrive at random times that are
kept, so that a test can compute what the ages really were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from feedhandler.report.manifest import FULL_TIME
from feedhandler.telemetry import records
from feedhandler.telemetry.buckets import Spread

WALL_MS = 1_763_700_000_000
MONO_NS = 5_000_000_000_000
MIB = 1 << 20
HOPS = ("loop_lag", "recv_to_publish")

Floats = npt.NDArray[np.float64]
Times = list[tuple[float, str]]


@dataclass
class Story:
    """One run. Times are seconds of the run; keys are venues unless told otherwise."""

    seconds: float = 120.0
    seed: int = 1
    sample_ms: int = 250
    totals_s: float = 5.0
    kinds: dict[str, str] = field(
        default_factory=lambda: {"lighter": "depth", "paradex": "bbo"}
    )
    gaps_ms: dict[str, float] = field(default_factory=dict)  # mean; default 100
    ticks_s: dict[str, float] = field(default_factory=dict)  # period; default 1
    periodic: bool = False
    instruments: tuple[str, ...] = ("BTC-PERP", "ETH-PERP")
    starts_s: float = 1.0  # unknown until then

    # What goes wrong.
    mutes: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    confirmed: bool = False  # a mute is a quiet market that REST confirms
    flaps: dict[str, list[float]] = field(default_factory=dict)
    ends: dict[str, Times] = field(default_factory=dict)
    resyncs: dict[str, Times] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)  # when
    hits: dict[str, float] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    funding_s: dict[str, float] = field(default_factory=dict)  # when it comes
    rss_mib_h: dict[str, float] = field(default_factory=dict)  # by role
    files_more: dict[str, int] = field(default_factory=dict)
    hop_ms: float = 0.2
    process_ends: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str, float, float | None]] = field(default_factory=list)
    missing: tuple[int, ...] = ()  # numbers of samples that were lost
    lasted_s: float | None = None
    minutes: float | None = None  # that it was asked to go on for; all of `seconds`
    ended: tuple[str, int | None] = (FULL_TIME, 0)  # reason, exit code
    config: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)  # what else it holds

    def arrivals(self, venue: str, instrument: str) -> Floats:
        """Return when the quotes of one instrument came."""
        gap_s = self.gaps_ms.get(venue, 100.0) / 1e3
        if self.periodic:
            return np.arange(self.starts_s, self.seconds, gap_s)
        generator = np.random.default_rng(
            [self.seed, *venue.encode(), *instrument.encode()]
        )
        count = int(2 * self.seconds / gap_s) + 50
        times = self.starts_s + np.cumsum(generator.exponential(gap_s, count))
        times = times[times < self.seconds]
        for begin, end in self.mutes.get(venue, ()):
            times = times[(times < begin) | (times >= end)]
        result: Floats = np.concatenate(([self.starts_s], times))
        return result

    def ticks(self, venue: str) -> Floats:
        """Return when the liveness channel of one instrument ticked."""
        return np.arange(self.starts_s, self.seconds, self.ticks_s.get(venue, 1.0))


def records_of(story: Story) -> Iterator[records.Record]:
    """Yield every record of the run, in order."""
    yield records.Start(
        schema=records.SCHEMA,
        ts_ms=WALL_MS,
        ts_mono_ns=MONO_NS,
        instance="made",
        pid=1,
        version="0.1.0",
        boot_id="boot",
        file_number=0,
        venues=sorted(story.kinds),
        sample_ms=story.sample_ms,
        totals_ms=int(story.totals_s * 1e3),
        heartbeat_limit_ms=500,
        quiet_confirm_ms=15_000,
    )
    arrivals = {
        f"{venue}:{name}": story.arrivals(venue, name)
        for venue in sorted(story.kinds)
        if venue not in story.absent
        for name in story.instruments
    }
    step_s = story.sample_ms / 1e3
    next_totals_s = 0.0
    last_s = -1.0
    count = int(story.seconds / step_s) + 1
    for number in range(count):
        at_s = number * step_s
        yield from _moves(story, last_s, at_s)
        if number not in story.missing:
            yield _sample(story, number, at_s, last_s, arrivals)
        last_s = at_s
        if at_s >= next_totals_s:
            next_totals_s += story.totals_s
            yield _totals(story, at_s, arrivals)
    yield records.Stop(
        schema=records.SCHEMA,
        ts_ms=_wall(story.seconds),
        ts_mono_ns=_mono(story.seconds),
        reason="SIGTERM",
        samples=count - len(story.missing),
        dropped=0,
    )


def write(story: Story, directory: Path) -> Path:
    """Leave what a soak leaves."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(record) for record in records_of(story)]
    (directory / "telemetry.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    lasted_s = story.seconds if story.lasted_s is None else story.lasted_s
    manifest = {
        "version": "0.1.0",
        "commit": "abc",
        "command": "feedhandler soak --demo",
        "demo": True,
        "instance": "made",
        "seed": story.seed,
        **story.manifest,
        "start": WALL_MS,
        "end": WALL_MS + int(lasted_s * 1e3),
        "minutes": story.seconds / 60 if story.minutes is None else story.minutes,
        "ended": dict(zip(("reason", "exit_code"), story.ended, strict=True)),
        "config": {"venue": {name: {} for name in story.kinds}, **story.config},
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    log = [
        f"2026-01-01T00:00:00.000Z supervisor process_ended process={role} pid=7"
        f" cause={cause} lifetime_ms=5 restart_in_ms=3"
        for role, cause in story.process_ends
    ]
    log += fault_lines(story)
    (directory / "run.log").write_text("\n".join(["started", *log]) + "\n")
    return directory


def fault_lines(story: Story) -> Iterator[str]:
    """Yield what the simulation says of each fault: (venue, text, begin, end)."""
    for venue, text, *times in story.faults:
        for verb, at_s in zip(("started", "ended"), times, strict=True):
            if at_s is not None:
                stamp = datetime.fromtimestamp(_wall(at_s) / 1e3, UTC)
                text_ms = stamp.isoformat(timespec="milliseconds")
                yield f"{text_ms} sim| {venue} fault {verb} {text}"


def _moves(story: Story, last_s: float, at_s: float) -> Iterator[records.Move]:
    for venue, times in story.flaps.items():
        for time_s in times:
            if last_s < time_s <= at_s:
                for name in story.instruments:
                    yield _move(venue, name, time_s, "LIVE", "STALE")
                    yield _move(venue, name, time_s, "STALE", "LIVE")


def _move(venue: str, name: str, at_s: float, old: str, new: str) -> records.Move:
    return records.Move(
        schema=records.SCHEMA,
        ts_ms=_wall(at_s),
        ts_mono_ns=_mono(at_s),
        venue=venue,
        instrument=name,
        state=new,
        reason="age",
        previous=old,
        since_ns=_mono(at_s),
        moves=1,
        session=1,
    )


def _sample(
    story: Story, number: int, at_s: float, last_s: float, arrivals: dict[str, Floats]
) -> records.Sample:
    venues = sorted({*story.kinds} - {*story.absent})
    columns: dict[str, list[Any]] = {}
    states: dict[str, list[str]] = {venue: [] for venue in venues}
    for key, times in arrivals.items():
        venue = key.partition(":")[0]
        row = _quote(story, venue, times, at_s, last_s)
        states[venue].append(row["states"])
        for name, value in {"instruments": key, **row}.items():
            columns.setdefault(name, []).append(value)
    for venue in venues:
        row = _feed(story, venue, at_s, states[venue])
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    for name in records.Sample.__struct_fields__[4:]:
        columns.setdefault(name, [])
    return records.Sample(
        schema=records.SCHEMA,
        number=number,
        ts_ms=_wall(at_s),
        ts_mono_ns=_mono(at_s),
        **columns,
    )


def _feed(story: Story, venue: str, at_s: float, states: list[str]) -> dict[str, Any]:
    up = at_s >= story.starts_s
    bad = [state for state in states if state not in ("LIVE", "QUIET")]
    frames = int(at_s * 10) if up else None
    return {
        "venues": venue,
        "feed_kind": story.kinds[venue],
        "venue_state": bad[0] if bad else "LIVE",
        "link": "UP" if up else "CONNECTING",
        "session": 1,
        "epoch": 1,
        "venue_age_ms": -1,
        "venue_age_event_ms": None,
        "liveness_age_ms": 100.0,
        "exchange_skew_ms": 2.5,
        "reconnects": _counts(story.ends.get(venue, []), at_s),
        "resyncs": _counts(story.resyncs.get(venue, []), at_s),
        "frames": frames,
        "frames_hz": 10.0,
        "published": frames,
        "unchanged": 0,
        "rejected": 0,
        "ring_head": frames,
        "ring_lag": 0,
        "ring_laps": int(at_s >= story.lost.get(venue, 1e9)),
        "ring_lost": 5 * int(at_s >= story.lost.get(venue, 1e9)),
        "ring_drained": frames,
        "budget_hits": int(at_s >= story.hits.get(venue, 1e9)),
        "follow_lost": 0,
    }


def _quote(
    story: Story, venue: str, times: Floats, at_s: float, last_s: float
) -> dict[str, Any]:
    end = int(np.searchsorted(times, at_s, side="right"))
    begin = int(np.searchsorted(times, last_s, side="right"))
    is_known = end > 0
    age_s = at_s - float(times[end - 1]) if is_known else 0.0
    gaps = np.diff(times[max(0, begin - 1) : end])
    is_quiet = is_known and age_s > 5.0
    state = "LIVE" if is_known else "UNKNOWN"
    if is_quiet:
        state = "QUIET" if story.confirmed else "STALE"
    funding_s = story.funding_s.get(venue, 2.0)
    return {
        "states": state,
        "reasons": "age" if state == "STALE" else "",
        "sources": "STREAM" if is_known else "NONE",
        "tradable": int(state in ("LIVE", "QUIET")),
        "apply_age_ns": round(age_s * 1e9) if is_known else -1,
        "recv_age_ns": round(age_s * 1e9) if is_known else -1,
        "event_age_ms": age_s * 1e3 + 20.0 if is_known else None,
        "rest_age_ms": -1,
        "confirmed_age_ms": 1_000.0 if is_quiet and story.confirmed else -1,
        "quotes": end - begin,
        "gap_max_ns": round(float(gaps.max()) * 1e9) if len(gaps) else 0,
        "funding_rate": 1e-5,
        "funding_age_ms": 500.0 if at_s >= funding_s else -1,
    }


def _totals(story: Story, at_s: float, arrivals: dict[str, Floats]) -> records.Totals:
    venues = sorted({*story.kinds} - {*story.absent})
    feeds = [f"feed:{venue}" for venue in venues]
    count = int(at_s * 20)
    hops = [f"{feed}/{hop}" for feed in feeds for hop in HOPS]
    ticks = {key: story.ticks(key.partition(":")[0]) for key in arrivals}
    signs = {
        venue: np.sort(
            np.concatenate(
                [
                    times
                    for stamps in (arrivals, ticks)
                    for key, times in stamps.items()
                    if key.startswith(f"{venue}:")
                ]
            )
        )
        for venue in venues
    }
    return records.Totals(
        schema=records.SCHEMA,
        ts_ms=_wall(at_s),
        ts_mono_ns=_mono(at_s),
        processes=[_process(story, role, at_s) for role in (*feeds, "rest", "runner")],
        markets=[
            records.Market(
                venue=key.partition(":")[0],
                instrument=key.partition(":")[2],
                symbol="x",
                feed_kind=story.kinds[key.partition(":")[0]],
                fresh_ms=1_000,
                tick=0.1,
            )
            for key in arrivals
        ],
        histograms=[_hop(name, count, story.hop_ms) for name in hops],
        cadence=_silences(arrivals, at_s),
        ticks=_silences(ticks, at_s),
        signs=_silences(signs, at_s),
    )


def _silences(stamps: dict[str, Floats], at_s: float) -> list[records.Histogram]:
    found = []
    for name, times in stamps.items():
        spread = Spread()
        spread.add(np.round(np.diff(times[times <= at_s]) * 1e9).astype(np.int64))
        found.append(spread.record(name))
    return found


def _hop(name: str, count: int, hop_ms: float) -> records.Histogram:
    spread = Spread()
    spread.add(np.full(count, int(hop_ms * 1e6), np.int64))
    return spread.record(name)


def _process(story: Story, role: str, at_s: float) -> records.Process:
    grown = story.rss_mib_h.get(role, 0.0) * at_s / 3_600
    wobble = 0.05 * np.sin(at_s)
    files = 20 + (story.files_more.get(role, 0) if at_s > story.seconds / 2 else 0)
    counters = {"passes": int(at_s * 100)}
    if role == "rest":
        for venue in story.kinds:
            for name in ("rest_check", "attempt", "success", "inject"):
                counters[f"{name}.{venue}"] = int(at_s / 10)
    return records.Process(
        role=role,
        pid=100,
        epoch=1,
        up=1,
        heartbeat_age_ms=20.0,
        progress=int(at_s),
        rss_bytes=int((50 + grown + wobble) * MIB),
        cpu_s=round(0.01 * at_s, 4),
        threads=4,
        descriptors=files,
        counters=counters,
    )


def _counts(times: Times, at_s: float) -> dict[str, int]:
    found: dict[str, int] = {}
    for time_s, word in times:
        if time_s <= at_s:
            found[word] = found.get(word, 0) + 1
    return found


def _wall(at_s: float) -> int:
    return WALL_MS + round(at_s * 1e3)


def _mono(at_s: float) -> int:
    return MONO_NS + round(at_s * 1e9)
