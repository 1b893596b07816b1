"""A document as Markdown that reads well in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from feedhandler.report import tables, words

_KINDS: Final = ("bbo", "depth", "")
_KIND_WORDS: Final = {
    "bbo": "feed kind bbo: moves only when the touch does",
    "depth": "feed kind depth: comes at the venue's own rate",
    "": "feed kind not known",
}

Rows = Sequence[Sequence[str]]


def render(document: dict[str, Any]) -> str:
    """Return the whole report."""
    lines = [*_head(document), *_gates(document), *_faults(document)]
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


def _head(document: dict[str, Any]) -> Iterator[str]:
    yield f"# {words.title(document)}"
    yield ""
    for label, text in words.facts(document):
        yield f"- {label}: {text}"
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
                tables.gate_value(gate["value"]),
                gate["limit"],
                "ok" if gate["passed"] else "FAIL",
                gate["evidence"],
            )
            for gate in sorted(gates, key=lambda gate: gate["passed"])
        ],
        left=(0, 1, 4, 5),
    )
    yield ""


def _faults(document: dict[str, Any]) -> Iterator[str]:
    if document["faults"]:
        yield "## Faults of the simulated venues"
        yield ""
        rows = tables.fault_table(document["faults"])
        yield from table(rows[0], rows[1:], left=(0, 1, 2))
        yield ""


def _kind(document: dict[str, Any], kind: str) -> Iterator[str]:
    quotes = [row for row in document["instruments"] if row["feed_kind"] == kind]
    venues = [row for row in document["venues"] if row["feed_kind"] == kind]
    if not quotes and not venues:
        return
    yield f"## Venues of {_KIND_WORDS[kind]}"
    yield ""
    for title, rows, left in (
        ("Share of time tradable", tables.tradable_table(quotes), (0, 8)),
        ("Ages", tables.age_table(quotes), (0,)),
        ("Silences", tables.plateau_table(quotes), (0,)),
        ("States", tables.state_table(quotes), (0,)),
        ("Sessions", tables.session_table(venues), (0,)),
        ("Rings and clocks", tables.ring_table(venues), (0,)),
        ("REST and ladder", tables.rest_table(document, kind), (0,)),
        ("Trend", tables.trend_table(quotes), (0,)),
    ):
        yield f"### {title} ({kind or 'kind not known'})"
        yield ""
        yield from table(rows[0], rows[1:], left)
        yield ""


def _processes(document: dict[str, Any]) -> Iterator[str]:
    rows = tables.process_table(document)
    yield "## Processes"
    yield ""
    yield from table(rows[0], rows[1:])
    yield ""


def _hops(document: dict[str, Any]) -> Iterator[str]:
    rows = tables.hop_table(document)
    yield "## Hops inside this host, and from the venue to us"
    yield ""
    yield from table(rows[0], rows[1:])
    yield ""


def _together(document: dict[str, Any]) -> Iterator[str]:
    together = document["together"]
    yield "## Venues that were bad at the same time"
    yield ""
    seconds = together["seconds_by_count"]
    text = ", ".join(f"{count}: {value:,.1f} s" for count, value in seconds.items())
    yield f"Seconds by how many were not LIVE or QUIET: {text or 'unknown'}"
    yield ""
    rows = tables.together_table(document)
    if len(rows) > 1:
        yield from table(rows[0], rows[1:])
        yield ""
    for span in together["longest"]:
        names = ", ".join(span["venues"])
        yield f"- {span['from_s']:,.1f} to {span['to_s']:,.1f} s: {names}"
