"""A document as one HTML page that needs no other file, and no network."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any, Final

from feedhandler.report import tables, words
from feedhandler.report.gather import Run
from feedhandler.report.plots import Painter

_STYLE: Final = """
:root { --ink: #28303a; --soft: #69727e; --line: #e1e5ea;
  --bad: #b3261e; --good: #1f7a4d }
* { box-sizing: border-box }
body { font: 14px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink);
  background: #f4f6f8; margin: 0 }
main { max-width: 1160px; margin: 0 auto; padding: 24px 20px 64px }
h1 { font-size: 24px; margin: 0 0 2px } h2 { font-size: 18px; margin: 34px 0 8px }
h3 { font-size: 14px; margin: 18px 0 6px; color: var(--soft) }
.facts { color: var(--soft); margin: 0 0 16px; display: grid;
  grid-template-columns: max-content 1fr; gap: 0 14px }
.facts dt { font-weight: 600 } .facts dd { margin: 0; overflow-wrap: anywhere }
.card { background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; margin: 0 0 14px; overflow-x: auto }
.verdict { font-size: 17px; font-weight: 600; border-left: 6px solid var(--good) }
.verdict.bad { border-color: var(--bad) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  white-space: nowrap }
th, td { padding: 3px 10px 3px 0; text-align: right;
  border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--soft) }
td.left, th.left { text-align: left }
td.wide { white-space: normal; min-width: 260px; color: var(--soft) }
td.left:last-child { white-space: normal; min-width: 260px }
tr.bad td { background: #fdf0ef } tr.bad .mark { color: var(--bad) }
.mark { font-weight: 600; color: var(--good) }
svg.plot { width: 100%; height: auto; display: block }
summary { cursor: pointer; color: var(--soft) }
"""

Rows = Sequence[Sequence[str]]


def render(document: dict[str, Any], run: Run) -> str:
    """Return the page. Raises `UsageError` without the library for plots."""
    painter = Painter()
    parts = [
        *_head(document),
        *_gates(document),
        *_overview(document, run, painter),
    ]
    for kind in ("bbo", "depth", ""):
        parts += _kind(document, run, painter, kind)
    parts += _section("Processes", tables.process_table(document), (0, 8))
    parts += _section("Hops", tables.hop_table(document), (0,))
    title = "Venues that were bad at the same time"
    parts += _section(title, tables.together_table(document), (0,))
    body = "\n".join(parts)
    title = f"feedhandler: {_text(words.title(document))}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _head(document: dict[str, Any]) -> Iterator[str]:
    yield f"<h1>{_text(words.title(document))}</h1>"
    facts = "".join(
        f"<dt>{_text(label)}</dt><dd>{_text(text)}</dd>"
        for label, text in words.facts(document)
    )
    yield f'<dl class="facts">{facts}</dl>'


def _gates(document: dict[str, Any]) -> Iterator[str]:
    gates = document.get("gates")
    if not gates:
        return
    failed = [gate for gate in gates if not gate["passed"]]
    word = (
        f"{len(failed)} of {len(gates)} gates failed"
        if failed
        else (f"All {len(gates)} gates passed")
    )
    yield f'<div class="card verdict{" bad" if failed else ""}">{word}</div>'
    if failed:
        yield f'<div class="card">{_gate_table(failed)}</div>'
    passed = [gate for gate in gates if gate["passed"]]
    yield (
        f'<div class="card"><details><summary>{len(passed)} gates passed</summary>'
        f"{_gate_table(passed)}</details></div>"
    )


def _gate_table(gates: list[dict[str, Any]]) -> str:
    rows = []
    for gate in gates:
        cells = (
            f'<td class="left mark">{"ok" if gate["passed"] else "FAIL"}</td>'
            f'<td class="left">{_text(gate["name"])}</td>'
            f'<td class="left">{_text(gate["subject"])}</td>'
            f"<td>{_text(tables.gate_value(gate['value']))}</td>"
            f"<td>{_text(gate['limit'])}</td>"
            f'<td class="left wide">{_text(gate["evidence"])}</td>'
        )
        rows.append(f'<tr class="{"" if gate["passed"] else "bad"}">{cells}</tr>')
    head = '<th></th><th class="left">gate</th><th class="left">subject</th>'
    head += '<th>value</th><th>limit</th><th class="left">evidence</th>'
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _overview(document: dict[str, Any], run: Run, painter: Painter) -> Iterator[str]:
    if not run.samples:
        return
    names = [_name(row) for row in document["instruments"]]
    venues = [row["venue"] for row in document["venues"]]
    faults = document["faults"] or ()
    if faults:
        title = "Faults of the simulated venues"
        yield from _section(title, tables.fault_table(faults), (0, 1, 2))
    yield "<h2>States, the worst of each block</h2>"
    yield _card(painter.states(run, names, faults))
    yield "<h2>Session ends over time</h2>"
    yield _card(painter.reconnects(run, venues))
    yield "<h2>Memory</h2>"
    yield _card(painter.memory(run))
    yield "<h2>Latency of each hop</h2>"
    yield _card(painter.hops(document["hops"]))


def _kind(
    document: dict[str, Any], run: Run, painter: Painter, kind: str
) -> Iterator[str]:
    quotes = [row for row in document["instruments"] if row["feed_kind"] == kind]
    venues = [row for row in document["venues"] if row["feed_kind"] == kind]
    if not quotes and not venues:
        return
    word = kind or "kind not known"
    yield f"<h2>Feed kind {word}</h2>"
    yield f"<h3>Share of time tradable ({word})</h3>"
    yield _card(_table(tables.tradable_table(quotes), (0, 8)))
    faults = document["faults"] or ()
    names = [_name(row) for row in quotes]
    for begin in range(0, len(names), 12):
        yield f"<h3>Apply-age over time, silences of 5 s and more shaded ({word})</h3>"
        yield _card(painter.ages(run, names[begin : begin + 12], faults))
    for title, rows, left in (
        ("Ages, ms, weighted by time", tables.age_table(quotes), (0,)),
        ("Silences", tables.plateau_table(quotes), (0,)),
        ("States", tables.state_table(quotes), (0,)),
        ("Sessions", tables.session_table(venues), (0, 3, 4)),
        ("Rings and clocks", tables.ring_table(venues), (0,)),
        ("REST and ladder", tables.rest_table(document, kind), (0, 5, 7, 8)),
        ("Trend of apply-age p95, ms", tables.trend_table(quotes), (0,)),
    ):
        yield f"<h3>{title} ({word})</h3>"
        yield _card(_table(rows, left))


def _section(title: str, rows: Rows, left: Sequence[int]) -> Iterator[str]:
    yield f"<h2>{title}</h2>"
    yield _card(_table(rows, left))


def _table(rows: Rows, left: Sequence[int]) -> str:
    lines = []
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        cells = "".join(
            f"<{tag}{' class=left' if index in left else ''}>{_text(cell)}</{tag}>"
            for index, cell in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _card(inside: str) -> str:
    return f'<div class="card">{inside}</div>'


def _name(row: dict[str, Any]) -> str:
    return f"{row['venue']}:{row['instrument']}"


def _text(value: Any) -> str:
    return html.escape(str(value))
