"""The newest snapshot as Prometheus reads it. The door to `prometheus_client`.

Names follow its conventions: prefix, base units, `_total`, stamps instead of ages (an
age is `time() - …_timestamp_seconds`), and every series is there from the start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from feedhandler.identity import VERSION
from feedhandler.telemetry import records
from feedhandler.telemetry.metric_names import name_of
from feedhandler.telemetry.records import Sample
from feedhandler.telemetry.sample import NO_FEED, NOT_LISTED, SEVERITY
from feedhandler.telemetry.snapshot import Board, Snapshot
from feedhandler.telemetry.sources import FEED
from shm_layout.codes import REASON_NAMES
from shm_layout.directory import bucket_limit_ns

BOUNDS_S: Final = (
    *(1e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2),
    *(2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

# Why a quote is in its state; what telemetry itself gives where there is none.
REASONS: Final = (*filter(None, REASON_NAMES.values()), NO_FEED, NOT_LISTED)

BOUNDS_RECORDS: Final = (0.0, 1.0, 3.0, 15.0, 63.0, 255.0, 1023.0, 4095.0, 16383.0)


def render(board: Board, accept: str) -> tuple[str, bytes]:
    """Return content type and text of the newest snapshot."""
    encoder, content_type = choose_encoder(accept)
    body: bytes = encoder(Metrics(board))
    return content_type, body


class Metrics(Collector):
    """Every metric of the newest snapshot, made when it is asked for."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; before the first sample, what we are and no more."""
        families = _Families()
        families.gauge("build_info", "What runs; always 1.", 1, version=VERSION)
        newest = self._board.newest
        if newest is not None:
            _add_venues(families, newest.sample)
            _add_quotes(families, newest.sample)
            for role, counters in sorted(newest.counters.items()):
                _add_counters(families, role, counters)
            _add_processes(families, newest)
            _add_readers(families, newest.totals)
            _add_histograms(families, newest)
            _add_cadences(families, newest)
        return families.metrics()


class _Families:
    """Metrics by name, in the order in which they were first named."""

    def __init__(self) -> None:
        self._families: dict[str, Any] = {}

    def metrics(self) -> list[Metric]:
        return list(self._families.values())

    def gauge(self, name: str, text: str, value: float | None, **labels: str) -> None:
        family = self._family(GaugeMetricFamily, name, text, labels)
        family.add_metric(labels.values(), math.nan if value is None else value)

    def counter(self, name: str, text: str, value: float, **labels: str) -> None:
        family = self._family(CounterMetricFamily, name, text, labels)
        family.add_metric(labels.values(), value)

    def histogram(
        self,
        name: str,
        text: str,
        histogram: records.Histogram,
        bounds: Sequence[float] = BOUNDS_S,
        unit: float = 1e9,
        **labels: str,
    ) -> None:
        family = self._family(HistogramMetricFamily, name, text, labels)
        buckets = _buckets(histogram, bounds, unit)
        family.add_metric(labels.values(), buckets, histogram.sum_ns / unit)

    def _family(
        self, kind: Any, name: str, text: str, labels: Mapping[str, str]
    ) -> Any:
        family = self._families.get(name)
        if family is None:
            family = kind(f"feedhandler_{name}", text, labels=list(labels))
            self._families[name] = family
        return family


def _add_venues(families: _Families, sample: Sample) -> None:
    gauge, counter = families.gauge, families.counter
    for index, venue in enumerate(sample.venues):
        link = sample.link[index]
        gauge("link_up", "1 while a session is open.", link == "UP", venue=venue)
        gauge("session", "Number of the session.", sample.session[index], venue=venue)
        gauge(
            "liveness_timestamp_seconds",
            "Newest tick of the venue's liveness channel, wall clock.",
            _stamp(sample, sample.liveness_age_ms[index] / 1e3),
            venue=venue,
        )
        skew_ms = sample.exchange_skew_ms[index]
        gauge(
            "exchange_skew_seconds",
            "Least receipt minus event time in the newest sample: way + clock offset.",
            None if skew_ms is None else skew_ms / 1e3,
            venue=venue,
        )
        gauge(
            "ring_lag_records",
            "Records that the runner left in the ring.",
            sample.ring_lag[index],
            venue=venue,
        )
        counter(
            "ring_published_records",
            "Records ever published in the ring.",
            sample.ring_head[index] or 0,
            venue=venue,
        )
        counter(
            "telemetry_lost_records",
            "Records overwritten before telemetry read them.",
            sample.follow_lost[index],
            venue=venue,
        )


def _add_quotes(families: _Families, sample: Sample) -> None:
    gauge = families.gauge
    for index, name in enumerate(sample.instruments):
        venue, _, instrument = name.partition(":")
        labels = {"venue": venue, "instrument": instrument}
        gauge("tradable", "1 if it may be traded on.", sample.tradable[index], **labels)
        for state in SEVERITY:
            is_in = sample.states[index] == state
            gauge("state", "1 for the state it is in.", is_in, **labels, state=state)
        for reason in REASONS:
            is_its = sample.reasons[index] == reason
            text = "1 for the reason of its state; none is set when all is well."
            gauge("state_reason", text, is_its, **labels, reason=reason)
        gauge(
            "apply_timestamp_seconds",
            "When the runner applied its newest stream quote, wall clock.",
            _stamp(sample, sample.apply_age_ns[index] / 1e9),
            **labels,
        )
        gauge(
            "recv_timestamp_seconds",
            "When its newest stream quote was received, wall clock.",
            _stamp(sample, sample.recv_age_ns[index] / 1e9),
            **labels,
        )
        gauge(
            "rest_timestamp_seconds",
            "When its newest REST quote was asked for, wall clock.",
            _stamp(sample, sample.rest_age_ms[index] / 1e3),
            **labels,
        )
        gauge(
            "funding_rate_per_hour_ratio",
            "Funding, a fraction an hour.",
            sample.funding_rate[index],
            **labels,
        )
        gauge(
            "funding_timestamp_seconds",
            "When its funding was received, wall clock.",
            _stamp(sample, sample.funding_age_ms[index] / 1e3),
            **labels,
        )


def _add_counters(families: _Families, role: str, counters: Mapping[str, int]) -> None:
    for counter, value in counters.items():
        named = name_of(role, counter)
        if named is None:
            continue
        metric, labels = named
        add = families.gauge if metric.is_gauge else families.counter
        add(metric.name, metric.text, value * metric.factor, **labels)


def _add_processes(families: _Families, newest: Snapshot) -> None:
    gauge = families.gauge
    for process in newest.totals.processes:
        role = process.role
        gauge("process_up", "1 while its heartbeat is young.", process.up, role=role)
        gauge(
            "process_heartbeat_timestamp_seconds",
            "Its newest heartbeat, wall clock.",
            _stamp(newest.totals, process.heartbeat_age_ms / 1e3),
            role=role,
        )
        gauge("process_epoch", "Writers of its segment.", process.epoch, role=role)
        gauge(
            "process_resident_memory_bytes",
            "Memory it holds.",
            process.rss_bytes,
            role=role,
        )
        gauge("process_threads", "Threads it runs.", process.threads, role=role)
        gauge(
            "process_open_fds", "Descriptors it holds.", process.descriptors, role=role
        )
        if process.cpu_s is not None:
            text = "User and system time it used."
            families.counter("process_cpu_seconds", text, process.cpu_s, role=role)


def _add_readers(families: _Families, totals: records.Totals) -> None:
    gauge, counter = families.gauge, families.counter
    for reader in totals.readers:
        gauge(
            "reader_poll_timestamp_seconds",
            "When a registered reader last polled, wall clock.",
            _stamp(totals, reader.poll_age_ms / 1e3),
            reader=reader.name,
        )
        for row in reader.rings:
            labels = {"reader": reader.name, "ring": row.ring}
            gauge("reader_lag_records", "Waiting for the reader.", row.lag, **labels)
            gauge(
                "reader_lag_max_records", "The most that waited.", row.lag_max, **labels
            )
            counter("reader_read_records", "Records it read.", row.read, **labels)
            counter(
                "reader_lost_records", "Overwritten before it came.", row.lost, **labels
            )
            counter("reader_laps", "Times a writer overtook it.", row.laps, **labels)


def _add_histograms(families: _Families, newest: Snapshot) -> None:
    for histogram in newest.totals.histograms:
        role, _, name = histogram.name.partition("/")
        if name == "records_a_pass":
            text = "Records the runner took in one pass."
            families.histogram("pass_records", text, histogram, BOUNDS_RECORDS, 1.0)
            continue
        hop, _, venue = name.partition(".")
        if role.startswith(FEED) and name != "loop_lag":
            hop, venue = name, role.removeprefix(FEED)
        if venue and not (role.startswith(FEED) and name == "loop_lag"):
            text = "Latency of one step on a record's way."
            families.histogram("hop_seconds", text, histogram, venue=venue, hop=hop)
        else:
            text = "How long, or how late, a step of a process was."
            families.histogram("step_seconds", text, histogram, role=role, step=name)


def _add_cadences(families: _Families, newest: Snapshot) -> None:
    sample, totals = newest.sample, newest.totals
    for spread in _each(sample.instruments, totals.cadence):
        text = "Time between stream quotes of one session."
        _add_interval(families, "quote", text, spread)
    for spread in _each(sample.instruments, totals.ticks):
        text = "Time between ticks of its liveness channel, seen once a sample."
        _add_interval(families, "liveness", text, spread)
    for spread in _each(sample.venues, totals.signs):
        text = "Time between signs of life of a venue: its quotes and ticks together."
        _add_interval(families, "sign_of_life", text, spread)


def _each(
    names: Sequence[str], spreads: Sequence[records.Histogram]
) -> Iterable[records.Histogram]:
    """Return the spread of every name, an empty one where none is known yet."""
    found = {name: _empty(name) for name in names}
    return (found | {spread.name: spread for spread in spreads}).values()


def _empty(name: str) -> records.Histogram:
    return records.Histogram(
        name=name, count=0, sum_ns=0, max_ns=0, negative=0, buckets=[]
    )


def _add_interval(
    families: _Families, what: str, text: str, spread: records.Histogram
) -> None:
    venue, _, instrument = spread.name.partition(":")
    labels = {"venue": venue} | ({"instrument": instrument} if instrument else {})
    name = f"{what}_interval_seconds"
    families.histogram(name, text, spread, BOUNDS_S, 1e9, **labels)


def _buckets(
    histogram: records.Histogram, bounds: Sequence[float], unit: float
) -> list[tuple[str, float]]:
    """Return (upper bound, cumulative count); a bucket counts where it lies whole."""
    pairs = list(zip(histogram.buckets[::2], histogram.buckets[1::2], strict=True))
    rows: list[tuple[str, float]] = []
    seen, at = histogram.negative, 0
    for bound in bounds:
        while at < len(pairs) and bucket_limit_ns(pairs[at][0]) <= bound * unit:
            seen += pairs[at][1]
            at += 1
        rows.append((repr(bound), seen))
    rows.append(("+Inf", seen + sum(count for _, count in pairs[at:])))
    return rows


def _stamp(record: Sample | records.Totals, age_s: float) -> float | None:
    """Return the wall time of an age, None when it is unknown."""
    return None if age_s < 0 else record.ts_ms / 1e3 - age_s
