"""A document as Markdown that reads well in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from feedhandler.report.facts import SHOWN

UNKNOWN: Final = "-"
_KINDS: Final = ("bbo", "depth", "")
_KIND_WORDS: Final = {
    "bbo": "feed kind bbo: moves only when the touch does",
    "depth": "feed kind depth: comes at the venue's own rate",
    "": "feed kind not known",
}

Rows = Sequence[Sequence[str]]
Table = list[tuple[str, ...]]


def render(document: dict[str, Any]) -> str:
    """Return the whole report."""
    lines = [*_head(document), *_gates(document)]
    for kind in _KINDS:
        lines += _kind(document, kind)
    lines += _processes(document)
    lines += _hops(document)
    lines += _together(document)
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Rows, left: Sequence[int] = (0,)) -> Iterator[str]:
    """Yield a Markdown table; columns are aligned to the right, but for `left`."""
    widths = [
        max(len(row[index]) for row in (head, *rows)) for index in range(len(head))
    ]
    for number, row in enumerate((head, *rows)):
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(cells)} |"
        if not number:
            rules = [
                "-" * width if index in left else "-" * (width - 1) + ":"
                for index, width in enumerate(widths)
            ]
            yield f"| {' | '.join(rules)} |"


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


def _head(document: dict[str, Any]) -> Iterator[str]:
    run, read = document["run"], document["evidence"]
    yield f"# Run of {show(run['instance'])}, {run['span_s'] / 60:.1f} minutes"
    yield ""
    for key in SHOWN:
        if run[key] is not None:
            yield f"- {key}: {run[key]}"
    yield f"- venues expected: {', '.join(run['expected_venues']) or 'unknown'}"
    yield (
        f"- read: {read['lines']:,} lines, {read['samples']:,} samples,"
        f" {read['damaged']} damaged, {read['samples_missing']} missing,"
        f" longest pause {read['sample_gap_max_s']} s"
        + (", last line cut" if read["is_cut"] else "")
    )
    for place in read["damaged_at"]:
        yield f"- damaged line: {place}"
    if run["manifest"] not in (None, "read"):
        yield f"- {run['manifest']}"
    yield (
        "- ages are weighted by time, in ms; an unknown age counts as the time since"
        " the last quote; before the first there is a deadline instead"
    )
    yield ""


def _gates(document: dict[str, Any]) -> Iterator[str]:
    gates = document.get("gates")
    if not gates:
        return
    failed = [gate for gate in gates if not gate["passed"]]
    verdict = f"FAILED, {len(failed)} of {len(gates)}" if failed else "passed"
    yield f"## Gates: {verdict}"
    yield ""
    head = ("gate", "subject", "value", "limit", "", "evidence")
    yield from table(
        head,
        [
            (
                gate["name"],
                gate["subject"],
                gate_value(gate["value"]),
                gate["limit"],
                "ok" if gate["passed"] else "FAIL",
                gate["evidence"],
            )
            for gate in sorted(gates, key=lambda gate: gate["passed"])
        ],
        left=(0, 1, 4, 5),
    )
    yield ""


def gate_value(value: Any) -> str:
    """Render the value of a gate."""
    return f"{value:,.6g}" if isinstance(value, float) else show(value)


def _kind(document: dict[str, Any], kind: str) -> Iterator[str]:
    quotes = [row for row in document["instruments"] if row["feed_kind"] == kind]
    venues = [row for row in document["venues"] if row["feed_kind"] == kind]
    if not quotes and not venues:
        return
    yield f"## Venues of {_KIND_WORDS[kind]}"
    yield ""
    for title, rows in (
        ("Ages", age_table(quotes)),
        ("Silences", plateau_table(quotes)),
        ("States", state_table(quotes)),
        ("Sessions", session_table(venues)),
        ("Rings and clocks", ring_table(venues)),
        ("REST and ladder", rest_table(document, kind)),
        ("Trend", trend_table(quotes)),
    ):
        yield f"### {title} ({kind or 'kind not known'})"
        yield ""
        yield from table(rows[0], rows[1:])
        yield ""


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
    rows: Table = [
        ("instrument", *states, "tradable", "flaps/h", "funding first s", "oldest s")
    ]
    for row in quotes:
        funding = row["funding"]
        oldest = funding["age_max_ms"]
        rows.append(
            (
                f"{row['venue']}:{row['instrument']}",
                *(percent(row["state_share"].get(state, 0.0)) for state in states),
                percent(row["tradable_share"]),
                show(row["flaps_per_hour"]),
                show(funding["first_s"]),
                show(None if oldest is None else oldest / 1e3),
            )
        )
    return rows


def session_table(venues: list[dict[str, Any]]) -> Table:
    """Return session ends and resyncs by reason, and their bursts."""
    rows: Table = [
        ("venue", "up", "session ends", "resyncs", "worst burst", "bad s", "longest s")
    ]
    for row in venues:
        bursts = row["bursts"]
        rows.append(
            (
                row["venue"],
                percent(row["link_share"].get("UP")),
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


def _processes(document: dict[str, Any]) -> Iterator[str]:
    rows = process_table(document)
    yield "## Processes"
    yield ""
    yield from table(rows[0], rows[1:])
    yield ""


def _hops(document: dict[str, Any]) -> Iterator[str]:
    rows = hop_table(document)
    yield "## Hops inside this host, and from the venue to us"
    yield ""
    yield from table(rows[0], rows[1:])
    yield ""


def _together(document: dict[str, Any]) -> Iterator[str]:
    together = document["together"]
    yield "## Venues that were bad at the same time"
    yield ""
    seconds = together["seconds_by_count"]
    words = ", ".join(f"{count}: {value:,.1f} s" for count, value in seconds.items())
    yield f"Seconds by how many were not LIVE or QUIET: {words or 'unknown'}"
    yield ""
    rows = together_table(document)
    if len(rows) > 1:
        yield from table(rows[0], rows[1:])
        yield ""
    for span in together["longest"]:
        names = ", ".join(span["venues"])
        yield f"- {span['from_s']:,.1f} to {span['to_s']:,.1f} s: {names}"
