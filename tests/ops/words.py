"""The words that documents for operators may use, from the product's own lists.

A word in code style is a promise: it can be found in `status`, in a log, in a metric or
in the configuration. `unknown` says which promises of a text are not kept.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache

import click
from msgspec import Struct

import feedhandler
from feedhandler.cli.group import COMMANDS, group
from feedhandler.codec.frame import REASONS
from feedhandler.config.environment import collect
from feedhandler.config.schema import SECTIONS, TOP_KEYS, VenueConfig
from feedhandler.feed.counters import NAMES
from feedhandler.feed.labels import RESYNCS, SESSION_ENDS
from feedhandler.rest import validate
from feedhandler.rest.board import KINDS
from feedhandler.runner import audit, ladder
from feedhandler.runner.ladder_file import NAME
from feedhandler.sim.faults import parse as parse_fault
from feedhandler.supervisor.leftovers import ROLES_WITHOUT_VENUE
from feedhandler.venues._base import Limits, load_venue, venue_names
from shm_layout import codes, schema
from tests.support import ROOT

RULES = ROOT / "ops" / "alerts.rules.yml"
PAGES = [ROOT / "ops" / f"{name}.md" for name in ("runbook", "alerts", "tuning")]
FRONT = [ROOT / "README.md", ROOT / "SECURITY.md"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
METRIC = re.compile(r"feedhandler_[a-z_]+")

# Of the venues, Prometheus and the system: what stands in front of them is ours.
FOREIGN = {
    *("chrony", "df -h", "kill -9", "prometheus-client", "supervisorctl", "up"),
    *("l2Book", "ticker", "order_book", "orderbooks", "orderbooks.1", "increase()"),
    *("bookTicker", "depth@100ms", "promtool", "this type"),
}
PROGRAMS = ("curl", "pip", "promtool")


def spans(text: str) -> list[str]:
    """Return what stands in code style within sentences and tables."""
    return [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", text))]


def commands(text: str) -> list[str]:
    """Return every command line, of fenced and of indented blocks and of sentences."""
    shells = [body for language, body in FENCE.findall(text) if language == "sh"]
    lines = [line for body in shells for line in body.splitlines()]
    lines += re.findall(r"^ {4}(bin/feedhandler .*?)(?: {2,}.*)?$", text, re.MULTILINE)
    lines += [span for span in spans(text) if re.match(r"(bin/)?feedhandler ", span)]
    return [line for line in lines if line]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def problem_of_command(line: str) -> str:
    """Return what is wrong with a command line, nothing when it would be accepted."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        if _problem_of_variable(name, value):
            return f"{line}: {name} is no variable"
    if not words or words[0] in PROGRAMS:
        return ""
    if words[0] not in ("feedhandler", "bin/feedhandler"):
        return f"{line}: {words[0]} is no program of ours"
    if words[1] == "--version" or (len(words) == 2 and words[1] in COMMANDS):
        return ""  # a command that is spoken of
    if words[1] not in COMMANDS:
        return f"{line}: {words[1]} is no command"
    try:
        made = _command(words[1]).make_context(words[1], words[2:])
    except click.exceptions.Exit:
        return ""  # it was accepted and has done all it does
    except click.ClickException as error:
        return f"{line}: {error.format_message()}"
    faults = [spec for spec in made.params.get("faults", ()) if ":" in spec]
    for spec in faults:
        parse_fault(spec.partition(":")[2])  # raises for what is none
    named = {*made.params.get("venues", ()), *(s.partition(":")[0] for s in faults)}
    strangers = sorted(named - set(venue_names()))
    return f"{line}: unknown venues {strangers}" if strangers else ""


def unknown(text: str) -> Iterator[str]:
    """Yield what stands in code style and is nowhere in the product."""
    words = known_words()
    for span in spans(text):
        if span in words or span in FOREIGN or METRIC.fullmatch(span):
            continue  # metrics are compared with those of a running product
        if re.match(r"(bin/)?feedhandler ", span):
            continue  # a command line, see `commands`
        if not (_is_key(span) or _is_place(span) or _is_call(span) or _is_fact(span)):
            yield span


@cache
def known_words() -> frozenset[str]:
    """Return the words that can be looked up one by one."""
    ends, refusals = list(SESSION_ENDS), list(REASONS)
    venues = [load_venue(name) for name in venue_names()]
    return frozenset(
        {
            *codes.STATE_NAMES.values(),
            *codes.REASON_NAMES.values(),
            *codes.SOURCE_NAMES.values(),
            *codes.FLAG_NAMES.values(),
            *codes.RESULT_NAMES.values(),
            *codes.COMMAND_NAMES.values(),
            *codes.FEED_KIND_NAMES.values(),
            *(name for name in vars(schema) if name.isupper()),
            *(*NAMES, *ends, *refusals, *RESYNCS, *KINDS, *validate.REASONS),
            *(f"failures.{kind}" for kind in KINDS),
            *(f"discarded.{reason}" for reason in validate.REASONS),
            *(*ladder.STEPS, audit.AGREED, audit.DISAGREED, audit.DISCARDED),
            *(*venue_names(), *ROLES_WITHOUT_VENUE, *COMMANDS),
            *(venue.liveness_channel for venue in venues),
            *(*_events(), *_constants("supervisor", "cli", "rest", "telemetry")),
            *re.findall(r"alert: (\w+)", RULES.read_text()),
            *_matched(),
            *(*_facts(), *Limits.__struct_fields__),
            *("tradable", "runbook", "venue", "role", "event", "reason", "step"),
        }
    )


def _matched() -> list[str]:
    """Return the values that rules match, which a running product is compared with."""
    values = re.findall(r"\w[!=]~?\"([\w.|]+)\"", RULES.read_text())
    return [word for value in values for word in value.split("|")]


def _is_key(span: str) -> bool:
    """Say whether it is a key of the configuration, a section or a variable."""
    section, _, key = span.strip("[]").rpartition(".")
    if span.startswith("["):
        is_venues = section == "venue" and key in venue_names()
        return is_venues or span.strip("[]") in SECTIONS
    if span.startswith("FEEDHANDLER_"):
        name, _, value = span.partition("=")
        return not _problem_of_variable(name, value)
    if span == "venue.":
        return True
    name = span.partition(" = ")[0]
    if not section:
        kinds: list[type[Struct]] = [*SECTIONS.values(), VenueConfig]
        return name in TOP_KEYS or any(name in k.__struct_fields__ for k in kinds)
    kind = VenueConfig if section == "venue" else SECTIONS.get(section)
    return kind is not None and key in kind.__struct_fields__


def _is_place(span: str) -> bool:
    """Say whether it is a file, a page of the endpoint or a place in the system."""
    if span in ("/metrics", "/health", "/ready", "/dev/shm", "DIR", ".budgets"):
        return True
    if span in (NAME, f"DIR/{NAME}", "~/.local/state/feedhandler/<instance>"):
        return True
    return "/" in span and (ROOT / span).exists()


def _is_call(span: str) -> bool:
    """Say whether it is a call of the reading side with arguments that it has."""
    if found := re.match(r"feed\.(\w+)", span):
        return hasattr(feedhandler.Feed, found[1])
    if span.startswith("attach("):
        names = re.findall(r"(\w+)=", span)
        return set(names) <= set(inspect.signature(feedhandler.attach).parameters)
    return False


def _is_fact(span: str) -> bool:
    """Say whether it is `fact=word` of a log line, or an option, or an example."""
    name, sign, word = span.partition("=")
    if sign:
        return name in _facts() and word in known_words()
    if span.startswith("--"):
        options = {
            option
            for command in COMMANDS
            for parameter in _command(command).params
            for option in parameter.opts
        }
        return span.split()[0] in options
    return bool(
        re.fullmatch(r"refused: \w+|exit_\d+|SIG[A-Z]+|oom|\"writing\": false", span)
        or METRIC.search(span)  # an expression
        or span == "time() - …_timestamp_seconds"
    )


def _command(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def _problem_of_variable(name: str, value: str) -> bool:
    return bool(collect({name: value}, venue_names())[1])


@cache
def _trees() -> list[tuple[str, ast.Module]]:
    """Return the modules of the product by their package, without the simulator."""
    found = []
    for path in sorted((ROOT / "feedhandler").rglob("*.py")):
        package = path.relative_to(ROOT / "feedhandler").parts[0]
        if package != "sim":
            found.append((package, ast.parse(path.read_text())))
    return found


def _calls() -> Iterator[ast.Call]:
    """Yield every call that writes a line of a log."""
    for _, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("event", "note", "_note"):
                    yield node


@cache
def _events() -> frozenset[str]:
    """Return the names of log lines."""
    constants = [
        part
        for call in _calls()
        if call.args
        for part in ast.walk(call.args[0])
        if isinstance(part, ast.Constant)
    ]
    return frozenset(part.value for part in constants if isinstance(part.value, str))


@cache
def _facts() -> frozenset[str]:
    """Return the names of what log lines tell, and the words that they tell."""
    told = [word for call in _calls() for word in call.keywords]
    words = [word.value.value for word in told if isinstance(word.value, ast.Constant)]
    names = [word.arg for word in told]
    return frozenset(word for word in (*names, *words) if isinstance(word, str))


@cache
def _constants(*packages: str) -> frozenset[str]:
    """Return the words that those packages print: whole constants, no sentences."""
    return frozenset(
        node.value
        for package, tree in _trees()
        if package in packages
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-z][a-z0-9_]*", node.value)
    )
