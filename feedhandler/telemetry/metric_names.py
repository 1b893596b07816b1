"""From a counter of shared memory to a metric: name, unit, labels, meaning.

Owns the names that dashboards and alerts rest on: more may be added, none is removed.
A counter that no table names is in `feedhandler_events_total`, so nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feedhandler.telemetry.sources import FEED, READER, REST, RUNNER, SUPERVISOR


@dataclass(frozen=True, slots=True)
class MetricName:
    """What a counter becomes; `labels` name the dotted parts behind its first word."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    is_gauge: bool = False
    factor: float = 1.0


_VENUE: Final = ("venue",)
_KIND: Final = ("kind",)
_M = MetricName

_FEED: Final = {
    "frames": _M("frames", "Frames received."),
    "published": _M("quotes_published", "Quotes published."),
    "unchanged": _M("quotes_unchanged", "Quotes that confirmed the top unmoved."),
    "connects": _M("connects", "Attempts to open a session."),
    "rejected": _M("rejected", "Frames and parts refused, by reason.", ("reason",)),
    "reconnects": _M("reconnects", "Sessions ended, by reason.", ("reason",)),
    "resyncs": _M("resyncs", "Instruments resynced, by reason.", ("reason",)),
    "disputes": _M("disputes", "Times two channels showed different tops."),
    "outliers": _M("outliers", "Times a price jumped by more than outlier_bps."),
    "budget_fallbacks": _M(
        "budget_fallbacks",
        "Spent without the account that processes share: it is out of reach.",
        _KIND,
    ),
    "budget_resets": _M(
        "budget_resets",
        "Shared accounts begun anew: damaged, or of another boot.",
        _KIND,
    ),
}
_RUNNER: Final = {
    "passes": _M("runner_passes", "Passes over all rings."),
    "pauses": _M("runner_pauses", "Times the runner found itself stopped."),
    "clock_steps": _M("clock_steps", "Times the wall clock was set."),
    "suspends": _M("suspends", "Times the machine slept."),
    "moves": _M("state_changes", "Changes of a quote's state.", _VENUE),
    "drained": _M("ring_drained_records", "Records the runner took.", _VENUE),
    "lost": _M("ring_lost_records", "Overwritten before the runner came.", _VENUE),
    "laps": _M("ring_laps", "Times the writer overtook the runner.", _VENUE),
    "budget_hits": _M("ring_budget_hits", "Passes that left records over.", _VENUE),
    "audit": _M("audits", "REST checks, by their result.", ("result", "venue")),
    "ladder": _M("ladder_steps", "Steps against a dead feed.", ("step", "venue")),
    "command": _M("commands", "Commands to feeds, by result.", ("result", "venue")),
    "agreement_ppm": _M(
        "audit_agreement_ratio",
        "How often REST agrees with the stream of late: 1 always.",
        ("venue", "instrument"),
        is_gauge=True,
        factor=1e-6,
    ),
    "venue_behind_us": _M(
        "exchange_clock_behind_seconds",
        "The venue's stamps are older than ours by this: way + clocks.",
        _VENUE,
        is_gauge=True,
        factor=1e-6,
    ),
    "venue_ahead_us": _M(
        "exchange_clock_ahead_seconds",
        "The venue's stamps are of the future by this.",
        _VENUE,
        is_gauge=True,
        factor=1e-6,
    ),
    "drift_behind_ppm": _M(
        "exchange_clock_drift_behind_ratio",
        "The venue's clock loses so much against ours.",
        _VENUE,
        is_gauge=True,
        factor=1e-6,
    ),
    "drift_ahead_ppm": _M(
        "exchange_clock_drift_ahead_ratio",
        "The venue's clock gains so much on ours.",
        _VENUE,
        is_gauge=True,
        factor=1e-6,
    ),
    "clock_certain": _M(
        "exchange_clock_certain", "1 if our own clock is kept.", _VENUE, is_gauge=True
    ),
}
_REST: Final = {
    "rest_check": _M("rest_checks", "Reasons to ask that came up.", _VENUE),
    "attempt": _M("rest_attempts", "Requests sent.", _VENUE),
    "success": _M("rest_successes", "Requests answered well.", _VENUE),
    "inject": _M("rest_quotes_published", "Answers published.", _VENUE),
    "fail": _M("rest_failures", "Requests failed, by kind.", ("kind", "venue")),
    "discarded": _M(
        "rest_discarded", "Answers not published, by reason.", ("reason", "venue")
    ),
    "budget_fallbacks": _M(
        "rest_budget_fallbacks",
        "Spent without the account of REST weight that processes share.",
        _VENUE,
    ),
    "budget_resets": _M(
        "rest_budget_resets", "Shared accounts of REST weight begun anew.", _VENUE
    ),
    "entered": _M("rest_fallbacks", "Times a stream was given up for REST.", _VENUE),
    "left": _M("rest_fallbacks_left", "Times a stream was back.", _VENUE),
    "fallback": _M(
        "rest_fallback_active",
        "Instruments whose stream is silent, so that REST stands in; 0 is good.",
        _VENUE,
        is_gauge=True,
    ),
    "self_check": _M(
        "rest_self_check",
        "First request: 0 no answer yet, 1 good, 2 and above failed (status says why).",
        _VENUE,
        is_gauge=True,
    ),
}
_SUPERVISOR: Final = {
    "restarts": _M("process_restarts", "Times a process was restarted.", ("role",)),
    "disabled": _M(
        "process_disabled", "1 while it may not be restarted.", ("role",), is_gauge=True
    ),
}
_TABLES: Final = {RUNNER: _RUNNER, REST: _REST, SUPERVISOR: _SUPERVISOR}

# Levels that the samples show, and words that are for nobody else.
_SKIPPED: Final = {RUNNER: ("lag", "asleep_ns", "woke_ns")}
_OTHER: Final = _M("events", "Everything else, by the name of its counter.")


def name_of(role: str, counter: str) -> tuple[MetricName, dict[str, str]] | None:
    """Return the metric of a role's counter and its labels, None for no metric."""
    head, *_ = counter.split(".")
    if head in _SKIPPED.get(role, ()) or role.startswith(READER):
        return None  # a reader's are metrics of its rings
    is_feed = role.startswith(FEED)
    metric = (_FEED if is_feed else _TABLES.get(role, {})).get(head)
    if metric is not None:
        # The last part may hold dots itself, as a name such as 1000PEPE.P does.
        parts = counter.split(".", len(metric.labels))[1:]
        if len(parts) == len(metric.labels):
            labels = {"venue": role.removeprefix(FEED)} if is_feed else {}
            return metric, labels | dict(zip(metric.labels, parts, strict=True))
    return _OTHER, {"role": role, "event": counter}
