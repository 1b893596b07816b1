"""Success as operators put it: each of their sentences, held against two runs.

First comes what they judge a change by: the share of time in which they could trade.
What cannot be shown is not met: every line that lacks its evidence says so.
"""

from __future__ import annotations

import math
from typing import Any, Final

from feedhandler.report.gates import FUNDING_FIRST_MAX_S, VENUE_BAD_MAX_S

WAIT_MAX_S: Final = 1.0
THRASH_PER_HOUR: Final = 6.0  # steps of the ladder, or entries of REST, for a venue
THRASH_SLACK: Final = 2.0
TRADABLE: Final = "tradable_after_start"  # the metric, in percent
TRADABLE_DROP_MAX: Final = 1.0  # percentage points that the interval may leave open
CHANCE_MIN: Final = 0.1  # more events than chance brings are growth: none, then four

_MET: Final = "met"
_MISSED: Final = "missed"
_UNKNOWN: Final = "no evidence"

Document = dict[str, Any]


def scorecard(
    before: Document, after: Document, metrics: list[Document]
) -> list[Document]:
    """Return a line for each sentence: what it asks, the verdict, the evidence."""
    return [
        _tradable(before, after, metrics),
        _venues_alive(after),
        _funding(after),
        _waits(after),
        _crashes(after),
        ages_no_higher(metrics),
        reconnects_no_more(before, after),
        _losses(before, after),
        _thrash(after),
    ]


_AGES: Final = ("apply_age_p95", "apply_age_p99")


def _line(sentence: str, verdict: str, evidence: str) -> Document:
    return {"sentence": sentence, "verdict": verdict, "evidence": evidence}


def _verdict(is_met: bool) -> str:
    return _MET if is_met else _MISSED


def _tradable(before: Document, after: Document, metrics: list[Document]) -> Document:
    """Return met only where the intervals leave no room for a drop that matters."""
    sentence = f"share of time tradable lower by {TRADABLE_DROP_MAX:g} point at most"
    rows = [row for row in metrics if row["metric"] == TRADABLE]
    names = [{_name(row) for row in side["instruments"]} for side in (before, after)]
    gone = sorted(names[0] - names[1])
    if gone:
        return _line(sentence, _MISSED, f"not in AFTER: {', '.join(gone)}")
    worse = [row for row in rows if row["verdict"] == "worse"]
    if worse:
        text = ", ".join(map(_change, worse))
        return _line(sentence, _MISSED, f"worse: {text}")
    known = [row for row in rows if row["low"] is not None]
    if not known or len(known) < len(names[0]):
        text = f"{len(known)} of {len(names[0])} can be compared"
        return _line(sentence, _UNKNOWN, text)
    least = min(known, key=lambda row: row["low"])
    if least["low"] < -TRADABLE_DROP_MAX:
        text = (
            f"{_change(least)}, by {least['low']:+.1f} to {least['high']:+.1f} points"
        )
        return _line(sentence, _UNKNOWN, f"{text}: longer runs narrow that")
    better = sum(row["verdict"] == "better" for row in known)
    text = f"{better} better, none worse, of {len(known)}; least sure: {_change(least)}"
    return _line(sentence, _MET, text)


def _change(row: Document) -> str:
    return f"{row['subject']} {row['before']:.2f} -> {row['after']:.2f} %"


def _name(row: Document) -> str:
    return f"{row['venue']}:{row['instrument']}"


def _venues_alive(after: Document) -> Document:
    sentence = "no venue stale longer than 2 minutes"
    expected = set(after["run"]["expected_venues"])
    seen = {row["venue"]: row["bad_longest_s"] for row in after["venues"]}
    if not seen or expected - set(seen):
        missing = ", ".join(sorted(expected - set(seen))) or "all of them"
        return _line(sentence, _UNKNOWN, f"never seen: {missing}")
    venue = max(seen, key=lambda name: seen[name])
    is_met = seen[venue] <= VENUE_BAD_MAX_S
    return _line(sentence, _verdict(is_met), f"longest: {venue} {seen[venue]:.1f} s")


def _funding(after: Document) -> Document:
    sentence = "funding healthy within 60 s of start"
    rows = [
        row
        for row in after["instruments"]
        if row["venue"] not in after["run"]["without_funding"]
    ]
    if not rows:
        return _line(sentence, _UNKNOWN, "no instrument was seen")
    late = [
        _name(row)
        for row in rows
        if not (row["funding"]["first_s"] or 0.0) <= FUNDING_FIRST_MAX_S
        or row["funding"]["first_s"] is None
    ]
    if late:
        return _line(sentence, _MISSED, f"late or never: {', '.join(late)}")
    last_s = max(row["funding"]["first_s"] for row in rows)
    return _line(sentence, _MET, f"the last one after {last_s:.1f} s")


def _waits(after: Document) -> Document:
    sentence = "a reconnect after a long healthy period waits 1 s at most"
    waits = [
        (wait_s, row["venue"])
        for row in after["venues"]
        for wait_s in row["waits_after_health_s"]
    ]
    if not waits:
        return _line(sentence, _UNKNOWN, "no session of 60 s or more ended")
    sample_s = (after["run"]["sample_ms"] or 0) / 1e3
    longest_s, venue = max(waits)
    # A sample sees a change one interval late at most.
    is_met = longest_s <= WAIT_MAX_S + sample_s
    text = f"{len(waits)} waits, longest {longest_s:.2f} s ({venue}), ±{sample_s:g} s"
    return _line(sentence, _verdict(is_met), text)


def _crashes(after: Document) -> Document:
    sentence = "every crash logged and recovered"
    rows, ends = after["processes"], after["process_ends"]
    if not rows:
        return _line(sentence, _UNKNOWN, "no process was seen")
    restarts = {row["role"]: row["restarts"] for row in rows if row["restarts"]}
    down = [row["role"] for row in rows if not row["up_at_end"]]
    if down:
        return _line(sentence, _MISSED, f"down at the end: {', '.join(down)}")
    if not restarts:
        return _line(sentence, _MET, "no process ended")
    if ends is None:
        return _line(sentence, _UNKNOWN, f"no run.log for {len(restarts)} restarts")
    silent = [
        role
        for role, count in restarts.items()
        if sum(ends.get(role, {}).values()) < count
    ]
    if silent:
        return _line(sentence, _MISSED, f"not in the log: {', '.join(silent)}")
    words = ", ".join(f"{role} {count}" for role, count in restarts.items())
    return _line(sentence, _MET, f"all in the log: {words}")


def ages_no_higher(metrics: list[Document]) -> Document:
    """Return met only where each is no higher, or surely not by what matters."""
    sentence = "lower or equal apply-age p95 and p99"
    rows = [row for row in metrics if row["metric"] in _AGES]
    known = [row for row in rows if not row["note"]]
    worse = [row["subject"] for row in known if row["verdict"] == "worse"]
    if worse:
        return _line(sentence, _MISSED, f"worse: {', '.join(sorted(set(worse)))}")
    if not known or len(known) < len(rows):
        return _line(sentence, _UNKNOWN, f"{len(known)} of {len(rows)} can be compared")
    unsure = [
        row
        for row in known
        if row["after"] > row["before"] and row["high"] >= row["least"]
    ]
    if unsure:
        row = max(unsure, key=lambda row: row["high"])
        text = (
            f"{len(unsure)} of {len(known)} may be higher; least sure:"
            f" {row['metric']} {row['subject']} {row['before']:,.0f} ->"
            f" {row['after']:,.0f} ms, by × {row['low']:.2f} to {row['high']:.2f}"
        )
        return _line(sentence, _UNKNOWN, text)
    better = sum(row["verdict"] == "better" for row in known)
    return _line(sentence, _MET, f"{better} better, none higher, of {len(known)}")


def reconnects_no_more(before: Document, after: Document) -> Document:
    """Compare counts, which few events tell better than rates over blocks of time."""
    sentence = "no growth of reconnects"
    counts = [_ends(side) for side in (before, after)]
    spans_s = [side["run"]["span_s"] for side in (before, after)]
    if not counts[0] or not all(spans_s):
        return _line(sentence, _UNKNOWN, "no venue was seen")
    gone = sorted({*counts[0]} - {*counts[1]})
    if gone:
        return _line(sentence, _UNKNOWN, f"not in AFTER: {', '.join(gone)}")
    pairs = {venue: (old, counts[1][venue]) for venue, old in counts[0].items()}
    old, new = (sum(column) for column in zip(*pairs.values(), strict=True))
    text = f"session ends {old} -> {new}"
    grown = [
        f"{venue} {pair[0]} -> {pair[1]}"
        for venue, pair in pairs.items()
        if pair[1] * spans_s[0] > pair[0] * spans_s[1]
    ]
    if not grown:
        return _line(sentence, _MET, text)
    text = f"{text}: {', '.join(grown)}"
    share = spans_s[1] / sum(spans_s)
    chance = min(_chance(*pair, share) for pair in ((old, new), *pairs.values()))
    if chance < CHANCE_MIN:
        return _line(sentence, _MISSED, text)
    return _line(sentence, _UNKNOWN, f"{text}, by chance 1 in {1 / chance:.0f}")


def _ends(side: Document) -> dict[str, int]:
    """Return how many sessions ended by venue; one that was never seen is missing."""
    return {
        row["venue"]: sum(row["session_ends"].values())
        for row in side["venues"]
        if row["frames"] is not None
    }


def _chance(old: int, new: int, share: float) -> float:
    """Return how likely so many of all events fall into AFTER, or more, by chance.

    With nothing changed each falls into it by its share of the time: a binomial tail.
    """
    count = old + new
    ways = math.lgamma(count + 1)  # as a logarithm: thousands of ends overflow else
    return math.fsum(
        math.exp(
            ways
            - math.lgamma(some + 1)
            - math.lgamma(count - some + 1)
            + some * math.log(share)
            + (count - some) * math.log1p(-share)
        )
        for some in range(new, count + 1)
    )


def _losses(before: Document, after: Document) -> Document:
    sentence = "no growth of ring loss or budget hits"
    sums = []
    for side in (before, after):
        if not side["venues"]:
            return _line(sentence, _UNKNOWN, "no venue was seen")
        row_values = [(row["ring_lost"], row["budget_hits"]) for row in side["venues"]]
        if any(value is None for pair in row_values for value in pair):
            return _line(sentence, _UNKNOWN, "a runner's counters are missing")
        hours = max(side["run"]["span_s"] / 3_600, 1e-9)
        sums.append([sum(column) / hours for column in zip(*row_values, strict=True)])
    is_met = all(new <= old for old, new in zip(*sums, strict=True))
    words = (
        f"lost/h {sums[0][0]:.1f} -> {sums[1][0]:.1f},"
        f" budget hits/h {sums[0][1]:.1f} -> {sums[1][1]:.1f}"
    )
    return _line(sentence, _verdict(is_met), words)


def _thrash(after: Document) -> Document:
    sentence = "layers A and B do not thrash"
    hours = after["run"]["span_s"] / 3_600
    worst, where = 0.0, "none"
    for row, ladder in zip(after["rest"], after["ladder"], strict=True):
        if row["entered"] is None or ladder["steps"] is None:
            return _line(sentence, _UNKNOWN, f"{row['venue']}: no counters")
        steps = sum(n for step, n in ladder["steps"].items() if step != "release")
        count = max(row["entered"], steps)
        if count > worst:
            worst, where = count, row["venue"]
    if not after["rest"]:
        return _line(sentence, _UNKNOWN, "no venue was seen")
    is_met = worst <= THRASH_PER_HOUR * hours + THRASH_SLACK
    text = f"most: {where} {worst:g} in {hours:.2f} h"
    return _line(sentence, _verdict(is_met), text)
