"""The tables of a report, as rows of words; the first row is the head.

Unknown is a dash. Nothing is left out: what a table does not show, the document has.
"""

from __future__ import annotations

from typing import Any, Final

UNKNOWN: Final = "-"
REASONS_SHOWN: Final = 3  # the rest has the least time

Table = list[tuple[str, ...]]


def tradable_table(quotes: list[dict[str, Any]]) -> Table:
    """Return which share of the time each instrument was tradable, and why not."""
    head = ("instrument", "tradable", "after start", "first s", "not, s", "longest s")
    rows: Table = [(*head, "times lost", "lost/h", "what it was instead, s")]
    for row in quotes:
        lost = row["untradable"]
        words = [f"{word} {value:,.1f}" for word, value in lost["instead_s"].items()]
        more = ["…"] if len(words) > REASONS_SHOWN else []
        nothing = UNKNOWN if row["tradable_share"] is None else "none"
        rows.append(
            (
                f"{row['venue']}:{row['instrument']}",
                percent(row["tradable_share"]),
                percent(row["tradable_after_start"]),
                show(lost["first_s"]),
                show(lost["total_s"]),
                show(lost["longest_s"]),
                show(lost["count"]),
                show(lost["per_hour"]),
                ", ".join(words[:REASONS_SHOWN] + more) or nothing,
            )
        )
    return rows


def fault_table(faults: list[dict[str, Any]]) -> Table:
    """Return when each fault of a simulated run began and ended."""
    rows: Table = [("fault", "what", "venues", "began s", "ended s")]
    for number, row in enumerate(faults, 1):
        cells = (show(row["begin_s"]), show(row["end_s"]))
        rows.append((str(number), row["fault"], ", ".join(row["venues"]), *cells))
    return rows


def age_table(quotes: list[dict[str, Any]]) -> Table:
    """Return apply-age, its proof, and event-age of each instrument."""
    words = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    head = ("instrument", "p50", "p95", "p99", "max", "proven p99", "event p50")
    rows: Table = [
        (*head, "event p95", "event p99", "event max", "first s", "unknown s", "quotes")
    ]
    for row in quotes:
        apply, event = row["apply_age"], row["event_age"]
        rows.append(
            (
                f"{row['venue']}:{row['instrument']}",
                *(milliseconds(apply[word]) for word in words),
                milliseconds(row["unproven_age"]["p99_ms"]),
                *(milliseconds(event[word]) for word in words),
                show(apply["first_s"]),
                show(apply["unknown_s"]),
                show(row["quotes"]),
            )
        )
    return rows


def plateau_table(quotes: list[dict[str, Any]]) -> Table:
    """Return how often and for how long each instrument was silent."""
    over = [plateau["over_ms"] for plateau in quotes[0]["plateaus"]] if quotes else []
    head = [f">{ms / 1e3:g}s" for ms in over]
    rows: Table = [
        ("instrument", *head, "longest ms", *(f"Σ s {word}" for word in head))
    ]
    for row in quotes:
        plateaus = row["plateaus"]
        rows.append(
            (
                f"{row['venue']}:{row['instrument']}",
                *(show(plateau["count"]) for plateau in plateaus),
                milliseconds(row["apply_age"]["max_ms"]),
                *(show(plateau["total_s"]) for plateau in plateaus),
            )
        )
    return rows


def state_table(quotes: list[dict[str, Any]]) -> Table:
    """Return the share of time in each state, flaps, and funding."""
    states = sorted({state for row in quotes for state in row["state_share"]})
    rows: Table = [("instrument", *states, "flaps/h", "funding first s", "oldest s")]
    for row in quotes:
        funding = row["funding"]
        oldest = funding["age_max_ms"]
        rows.append(
            (
                f"{row['venue']}:{row['instrument']}",
                *(percent(row["state_share"].get(state, 0.0)) for state in states),
                show(row["flaps_per_hour"]),
                show(funding["first_s"]),
                show(None if oldest is None else oldest / 1e3),
            )
        )
    return rows


def session_table(venues: list[dict[str, Any]]) -> Table:
    """Return session ends and resyncs by reason, and their bursts.

    A venue's tradable share is that of its instruments together.
    """
    head = ("venue", "up", "tradable", "session ends", "resyncs", "worst burst")
    rows: Table = [(*head, "bad s", "longest s")]
    for row in venues:
        bursts = row["bursts"]
        rows.append(
            (
                row["venue"],
                percent(row["link_share"].get("UP")),
                percent(row["tradable_share"]),
                counts(row["session_ends"]),
                counts(row["resyncs"]),
                f"{bursts['worst']} in {bursts['width_s']:g} s",
                show(row["bad_s"]),
                show(row["bad_longest_s"]),
            )
        )
    return rows


def ring_table(venues: list[dict[str, Any]]) -> Table:
    """Return rates, ring, conflation and exchange skew."""
    head = ("venue", "frames/s", "lag max", "laps", "lost", "budget hits")
    rows: Table = [(*head, "unchanged", "rejected", "skew ms min", "median", "max")]
    for row in venues:
        skew = row["exchange_skew"]
        rows.append(
            (
                row["venue"],
                show(row["frames_hz"]),
                show(row["ring_lag_max"]),
                show(row["ring_laps"]),
                show(row["ring_lost"]),
                show(row["budget_hits"]),
                percent(row["conflated_share"]),
                show(row["rejected"]),
                *(show(skew[word], 2) for word in ("min_ms", "median_ms", "max_ms")),
            )
        )
    return rows


def rest_table(document: dict[str, Any], kind: str) -> Table:
    """Return what REST and the ladder did."""
    head = ("venue", "attempts", "success", "inject", "discard", "failures")
    rows: Table = [(*head, "stood in", "audits", "ladder")]
    steps = {row["venue"]: row for row in document["ladder"]}
    for row in document["rest"]:
        if row["feed_kind"] != kind:
            continue
        ladder = steps[row["venue"]]
        rows.append(
            (
                row["venue"],
                show(row["attempts"]),
                percent(row.get("success_ratio")),
                percent(row.get("inject_ratio")),
                percent(row.get("discard_ratio")),
                counts(row.get("failures")),
                show(row["entered"]),
                counts(ladder["audits"]),
                counts(ladder["steps"]),
            )
        )
    return rows


def trend_table(quotes: list[dict[str, Any]]) -> Table:
    """Return apply-age p95 window by window."""
    longest: list[dict[str, Any]] = max(
        (row["windows"] for row in quotes), key=len, default=[]
    )
    head = tuple(f"{window['to_s'] / 60:.1f} min" for window in longest)
    rows: Table = [("p95 until", *head)]
    for row in quotes:
        cells = [milliseconds(window["p95_ms"]) for window in row["windows"]]
        cells += [UNKNOWN] * (len(head) - len(cells))
        rows.append((f"{row['venue']}:{row['instrument']}", *cells))
    return rows


def process_table(document: dict[str, Any]) -> Table:
    """Return what each process used, and how it ended."""
    head = ("process", "RSS MiB", "slope MiB/h", "CPU %", "slope %/h", "descriptors")
    rows: Table = [(*head, "threads", "restarts", "ends by cause")]
    ends = document["process_ends"]
    for row in document["processes"]:
        causes = None if ends is None else ends.get(row["role"], {})
        rows.append(
            (
                row["role"],
                show(row["rss_mib"]["last"]),
                show(row["rss_slope_mib_h"], 2),
                show(row["cpu_percent"]),
                show(row["cpu_slope_percent_h"], 2),
                show(row["descriptors"]["max"], 0),
                show(row["threads_max"]),
                show(row["restarts"]),
                counts(causes),
            )
        )
    return rows


def hop_table(document: dict[str, Any]) -> Table:
    """Return the latency of each hop."""
    words = ("p50_ms", "p95_ms", "p99_ms", "p99.9_ms", "max_ms")
    rows: Table = [("hop", "values", "p50 ms", "p95", "p99", "p99.9", "max")]
    for row in document["hops"]:
        cells = (milliseconds(row[word]) for word in words)
        rows.append((row["hop"], show(row["count"]), *cells))
    return rows


def together_table(document: dict[str, Any]) -> Table:
    """Return how long each two venues were bad together, the worst pair first."""
    rows: Table = [("venues", "together s", "by chance s", "times chance")]
    pairs = document["together"]["pairs"]
    for pair in sorted(pairs, key=lambda pair: -pair["seconds"]):
        rows.append(
            (
                " + ".join(pair["venues"]),
                show(pair["seconds"]),
                show(pair["by_chance_s"], 2),
                show(pair["times_chance"]),
            )
        )
    return rows


def show(value: Any, digits: int = 1) -> str:
    """Render one value; unknown is a dash."""
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def milliseconds(value: float | None) -> str:
    """Render an age, exact where it is short."""
    if value is None:
        return UNKNOWN
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """Render a share."""
    return UNKNOWN if value is None else f"{100 * value:.2f}%"


def counts(values: dict[str, int] | None) -> str:
    """Render counts by name."""
    if values is None:
        return UNKNOWN
    return ", ".join(f"{name} {count}" for name, count in values.items()) or "none"


def gate_value(value: Any) -> str:
    """Render the value of a gate."""
    return f"{value:,.6g}" if isinstance(value, float) else show(value)
