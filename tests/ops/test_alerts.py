"""Alerts that can fire: every selector of every rule finds series in a running product.

    alerts.rules.yml ─▶ selectors ─┐
    alerts.md, runbook.md ─▶ names ┴─▶ compared with /metrics of a whole demo

A series is there from the start, at zero; so a rule that finds none is misspelt.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import pytest

import feedhandler
from shm_layout import SegmentMissing
from tests.ops import words
from tests.support import MS, Programs, free_port, wait_until

parser = pytest.importorskip("prometheus_client.parser")

RUNBOOK, ALERTS, _ = words.PAGES
OF_PROMETHEUS = {"up": {"job": "feedhandler"}}  # not ours: made with each scrape
LANGUAGE = {
    *("sum", "by", "on", "and", "or", "unless", "time", "rate", "increase", "delta"),
    *("absent", "histogram_quantile"),
}
GROUPING = re.compile(r"\b(?:by|on) ?\(([^)]*)\)")
SELECTOR = re.compile(r"(?<![\w.])([a-z_]\w*)(?:\{([^}]*)\})?(?:\[\w+\])?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')

Series = Mapping[str, list[dict[str, str]]]  # name -> labels of each series


@dataclass(slots=True)
class Rule:
    """One alert, as its file has it."""

    name: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        return self.fields["expr"]


def rules(text: str) -> list[Rule]:
    """Read the rules; the file keeps to so small a part of YAML that a line tells."""
    found: list[Rule] = []
    folded = ""
    for line in text.splitlines():
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if indent <= 8:
            folded = ""
        if not content or content.startswith("#"):
            continue
        name, sign, value = content.partition(": ")
        if folded:
            kept = found[-1].fields
            kept[folded] = f"{kept[folded]} {content}".strip()
        elif content.startswith("- alert: "):
            found.append(Rule(value))
        elif indent >= 8 and sign and re.fullmatch(r"\w+", name):
            folded = name if value == ">-" else ""
            found[-1].fields[name] = "" if folded else value.strip('"')
        else:
            assert content in ("groups:", "rules:", "labels:", "annotations:") or (
                content.startswith("- name: feedhandler.")
            ), line
    return found


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield the name of each selector with its matchers."""
    for name, matchers in SELECTOR.findall(GROUPING.sub(" ", expression)):
        if name not in LANGUAGE:
            yield name, MATCHER.findall(matchers)


def problems(expression: str, series: Series) -> Iterator[str]:
    """Yield what an expression asks for and no series has."""
    labels: set[str] = set()
    for name, matchers in selectors(expression):
        if name in OF_PROMETHEUS:
            wanted = {label: value for label, _, value in matchers}
            if wanted != OF_PROMETHEUS[name]:
                yield f"{name}: {wanted}"
            continue
        found = series.get(name, [])
        if not found:
            yield f"{name}: no such metric"
        labels.update(*found)
        for label, sign, value in matchers:
            for word in value.split("|") if sign.endswith("~") else [value]:
                if not any(one.get(label) == word for one in found):
                    yield f"{name}: no series with {label}={word}"
        positive = [
            (label, value.split("|") if sign == "=~" else [value])
            for label, sign, value in matchers
            if not sign.startswith("!")
        ]
        if found and not any(
            all(one.get(label) in values for label, values in positive) for one in found
        ):
            yield f"{name}: no series has all of {positive}"
    for names in GROUPING.findall(expression):
        for label in re.findall(r"\w+", names):
            if label not in labels:
                yield f"grouped by {label}, which no series has"


def shown_labels(rule: Rule, series: Series) -> set[str]:
    """Return the labels that a firing alert of this rule has."""
    aggregated = re.match(r"(?:sum|histogram_quantile\(0\.99, sum) by", rule.expression)
    grouping = GROUPING.search(rule.expression)
    if aggregated and grouping:
        return set(re.findall(r"\w+", grouping[1])) - {"le"}
    name, _ = next(selectors(rule.expression))
    return set(series.get(name, [{}])[0])


def scrape(port: int) -> dict[str, list[dict[str, str]]]:
    """Return every series of a running product, by the name of its sample."""
    found: dict[str, list[dict[str, str]]] = {}
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            body = answer.read().decode()
    except (OSError, HTTPException):
        return {}  # not up yet
    for family in parser.text_string_to_metric_families(body):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def feed_is_there(instance: str) -> bool:
    try:
        feedhandler.attach(instance).close()
    except SegmentMissing:
        return False
    return True


def test_every_rule_and_every_named_metric_has_its_series(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    port = free_port()
    programs.feedhandler(
        *("start", "--demo", "--no-table", "--instance", instance),
        environment={
            "FEEDHANDLER_TELEMETRY_ENABLED": "true",
            "FEEDHANDLER_TELEMETRY_DIRECTORY": str(tmp_path / "telemetry"),
            "FEEDHANDLER_TELEMETRY_HTTP_PORT": str(port),
            "FEEDHANDLER_REST_AUDIT_MS": "500",  # agreement begins with a first check
        },
    )
    alerts = rules(words.RULES.read_text())
    named = {
        name
        for page in words.PAGES
        for span in words.spans(page.read_text())
        for name in re.findall(r"\bfeedhandler_[a-z_]+", span)
    }
    wait_until(
        lambda: feed_is_there(instance), 20_000 * MS, "a feed for a reader to follow"
    )
    programs.feedhandler("tap", "--instance", instance, "--name", "reader")
    left: list[str] = []

    def is_whole() -> dict[str, list[dict[str, str]]]:
        series = scrape(port)
        known = {*series, *(re.sub("_(total|count)$", "", name) for name in series)}
        left[:] = [
            *(f"{r.name}: {p}" for r in alerts for p in problems(r.expression, series)),
            *sorted(named - known),
        ]
        return {} if left else series

    try:
        series = wait_until(is_whole, 35_000 * MS, "every series")
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(left)) from None
    for rule in alerts:
        shown = set(re.findall(r"\$labels\.(\w+)", rule.fields["summary"]))
        assert shown <= shown_labels(rule, series), rule.name


@pytest.mark.parametrize(
    "expression",
    [
        "feedhandler_tradeable == 0",
        'feedhandler_tradable{venu="lighter"} == 0',
        'feedhandler_tradable{venue=~"lighter|lihgter"} == 0',
        'feedhandler_tradable{venue!="lihgter"} == 0',
        'feedhandler_tradable{venue="lighter",instrument="ETH-PERP"} == 0',
        "sum by (place) (feedhandler_tradable) == 0",
        'up{job="feedhandlr"} == 0',
    ],
)
def test_a_rule_that_could_never_fire_is_found(expression: str) -> None:
    labels = [
        {"venue": "lighter", "instrument": "BTC-PERP"},
        {"venue": "aster", "instrument": "ETH-PERP"},
    ]
    series = {"feedhandler_tradable": labels}
    assert not list(problems("sum by (venue) (feedhandler_tradable) == 0", series))
    assert list(problems(expression, series))


def test_every_rule_has_severity_summary_and_a_place_in_the_runbook() -> None:
    found = rules(words.RULES.read_text())
    places = words.anchors(RUNBOOK.read_text())
    assert len({rule.name for rule in found}) == len(found) > 30
    for rule in found:
        assert rule.fields["severity"] in ("page", "ticket"), rule.name
        assert rule.fields["summary"], rule.name
        page, _, anchor = rule.fields["runbook"].partition("#")
        assert page == "ops/runbook.md", rule.name
        assert anchor in places, rule.name
        # A gauge may be odd for one scrape; a counter that grew has grown.
        counts = re.match(r"(sum by \(venue\) \()?(increase|delta)\(", rule.expression)
        assert bool(counts) != ("for" in rule.fields), rule.name


def test_page_lists_the_rules_as_they_are() -> None:
    rows = re.findall(
        r"^\| `(Feedhandler\w+)` \| (\w+) \| .* \| `(\S+)` \|$",
        ALERTS.read_text(),
        re.MULTILINE,
    )
    found = rules(words.RULES.read_text())
    assert [row[:2] for row in rows] == [(r.name, r.fields["severity"]) for r in found]
    for (_, _, start), rule in zip(rows, found, strict=True):
        assert start in rule.expression, rule.name
