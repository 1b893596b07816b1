"""Imports point one way: the table below, held over every module of the product.

    shm_layout ◀─ codec, events, book ◀─ venues ◀─ feed ◀─┐
        ▲                        transport ◀──────┘        │
        └────────── runner, client, telemetry ◀────────── cli ─▶ supervisor, sim

The whole syntax tree is read: imports inside functions, those for types alone
and `import_module("…")` count like any other.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("shm_layout", "feedhandler")

# What anything but the innermost packages may use.
BASE = "shm_layout feedhandler.clock feedhandler.errors feedhandler.limits"
EDGE = (
    f"{BASE} feedhandler.config feedhandler.folders feedhandler.identity"
    " feedhandler.log"
)

# Unit -> the units it may import. A module belongs to the longest name that
# begins its own; every unit may import itself.
TABLE: dict[str, str] = {
    # The bytes that processes share know nothing of ours.
    "shm_layout": "",
    # Leaves: each stands alone, or on errors.
    "feedhandler.clock": "",
    "feedhandler.errors": "shm_layout",
    "feedhandler.folders": "",
    "feedhandler.identity": "",
    "feedhandler.limits": "",
    "feedhandler.resolver": "",
    "feedhandler.sink": "",
    "feedhandler.log": "feedhandler.clock feedhandler.sink",
    "feedhandler.lifetime": "feedhandler.errors feedhandler.log",
    "feedhandler.config": "shm_layout feedhandler.errors feedhandler.log",
    # Frame → event → record, where nothing does I/O.
    "feedhandler.events": "feedhandler.limits",
    "feedhandler.codec": "feedhandler.errors feedhandler.limits",
    "feedhandler.book": (
        "feedhandler.codec feedhandler.events feedhandler.errors feedhandler.limits"
    ),
    "feedhandler.venues": (
        "feedhandler.codec feedhandler.book feedhandler.events feedhandler.errors"
        " feedhandler.limits"
    ),
    # The edges of a feed process, and of the one that asks by REST.
    "feedhandler.transport": f"{EDGE} feedhandler.codec",
    "feedhandler.discovery": f"{EDGE} feedhandler.codec feedhandler.venues",
    "feedhandler.venue_host": f"{EDGE} feedhandler.transport feedhandler.venues",
    "feedhandler.feed": (
        f"{EDGE} feedhandler.codec feedhandler.book feedhandler.events"
        " feedhandler.venues feedhandler.transport feedhandler.discovery"
        " feedhandler.venue_host feedhandler.resolver feedhandler.lifetime"
    ),
    "feedhandler.rest": (
        f"{EDGE} feedhandler.codec feedhandler.book feedhandler.events"
        " feedhandler.venues feedhandler.transport feedhandler.discovery"
        " feedhandler.venue_host feedhandler.resolver feedhandler.lifetime"
    ),
    # Readers: shared memory is all they know of the other processes.
    "feedhandler.verdict": BASE,
    "feedhandler.runner": f"{EDGE} feedhandler.verdict feedhandler.runner.restart",
    "feedhandler.runner.restart": "shm_layout",
    "feedhandler.telemetry": f"{EDGE} feedhandler.verdict",
    "feedhandler.report": f"{EDGE} feedhandler.telemetry",
    "feedhandler.soak": (
        f"{EDGE} feedhandler.supervisor feedhandler.telemetry feedhandler.report"
    ),
    "feedhandler.client": f"{BASE} feedhandler.verdict",
    # Processes, and the simulator that shares one thing with the product.
    "feedhandler.supervisor": f"{EDGE} feedhandler.runner.restart",
    "feedhandler.sim": "feedhandler.codec",
    "feedhandler.cli": "*",
    "feedhandler.__main__": "feedhandler.cli",
    "feedhandler": "feedhandler.client feedhandler.errors",
}

# Third party -> the only places that may import it.
DOORS: dict[str, str] = {
    "aiohttp": "feedhandler.transport.rest feedhandler.sim",
    "click": "feedhandler.cli",
    "msgspec": (
        "feedhandler.codec feedhandler.config feedhandler.events feedhandler.venues"
        " feedhandler.sim feedhandler.telemetry feedhandler.report"
    ),
    "numpy": (
        "shm_layout feedhandler.client feedhandler.runner feedhandler.verdict"
        " feedhandler.telemetry feedhandler.report"
    ),
    "matplotlib": "feedhandler.report.plots",
    "posix_ipc": "shm_layout.segment",
    "prometheus_client": "feedhandler.telemetry.prometheus",
    "psutil": "feedhandler.supervisor feedhandler.telemetry.usage",
    "rich": "feedhandler.cli.table",
    "uvloop": "feedhandler.feed",
    "websockets": "feedhandler.transport",
}


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    """Return every module of the product by its name."""
    return {
        module_name(path): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def imported(source: str, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """Yield each name that `source` imports, as absolute as can be, and its line.

    `from a import b` yields `a.b`: whether `b` is a module is not known here.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            if node.level:
                kept = len(parts) - node.level + is_package
                stem = ".".join([*parts[:kept], *filter(None, [node.module])])
            else:
                stem = node.module or ""
            for alias in node.names:
                yield f"{stem}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and node.args:
            function = node.func
            name = getattr(function, "attr", getattr(function, "id", ""))
            first = node.args[0]
            if name in ("import_module", "__import__") and isinstance(
                first, ast.Constant
            ):
                yield str(first.value), node.lineno


def unit_of(name: str) -> str | None:
    """Return the unit of the table that a module or one of its names is in."""
    found = [unit for unit in TABLE if is_within(name, unit)]
    return max(found, key=len, default=None)


def is_within(name: str, place: str) -> bool:
    return name == place or name.startswith(place + ".")


def complaints(source: str, module: str, is_package: bool = False) -> list[str]:
    """Return what one module imports against the rules."""
    unit = unit_of(module)
    if unit is None or (unit == "feedhandler" and not is_package):
        return [f"{module}: not in the table of tests/test_imports.py"]
    found = []
    for name, line in imported(source, module, is_package):
        reason = refusal(unit, module, name)
        if reason:
            found.append(f"{module}:{line}: imports {name}: {reason}")
    return found


def refusal(unit: str, module: str, name: str) -> str | None:
    """Return why `module` may not import `name`, or None when it may."""
    top = name.partition(".")[0]
    if top in PACKAGES:
        return first_party_refusal(unit, module, name)
    if top in sys.stdlib_module_names:
        return None
    if top not in DOORS:
        return "no door is named for it"
    if not any(is_within(module, door) for door in DOORS[top].split()):
        return f"its door is {DOORS[top]}"
    return None


def first_party_refusal(unit: str, module: str, name: str) -> str | None:
    target = unit_of(name)
    allowed = TABLE[unit].split()
    if target == "feedhandler" and name.count(".") == 1:
        # A name of the package itself, such as its version, is no module.
        return None if unit in ("feedhandler", "feedhandler.cli") else "looks upwards"
    if target != unit and target not in allowed and "*" not in allowed:
        return f"{unit} may import {TABLE[unit] or 'nothing of ours'}"
    package, _, leaf = module.rpartition(".")
    if unit == "feedhandler.venues" and package == unit and leaf[0] != "_":
        other = name.removeprefix(unit + ".").partition(".")[0]
        if target == unit and not other.startswith("_"):
            return "a venue knows no other venue"
    if target == "shm_layout" != unit:
        inner = [part for part in name.split(".")[1:] if part.startswith("_")]
        if inner:
            return "private to shm_layout"
    return None


def test_every_import_points_the_permitted_way() -> None:
    every = modules()
    assert len(every) > 20, "the product was not found"
    found = [
        complaint
        for name, path in every.items()
        for complaint in complaints(
            path.read_text(), name, is_package=path.name == "__init__.py"
        )
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_dependency_has_a_door_and_every_door_a_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        requirement.partition(">")[0].replace("-", "_")
        for requirement in [
            *project["dependencies"],
            *project["optional-dependencies"]["fast"],
            *project["optional-dependencies"]["metrics"],
            *project["optional-dependencies"]["report"],
        ]
    }
    assert declared == set(DOORS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("shm_layout.ring", "import feedhandler.errors"),
        ("shm_layout.ring", "import posix_ipc"),
        ("feedhandler.codec.json", "from feedhandler.venues import _base"),
        ("feedhandler.book.order_book", "def f():\n    import feedhandler.feed"),
        ("feedhandler.venues.lighter", "from feedhandler.venues import hyperliquid"),
        ("feedhandler.venues.lighter", "from . import hyperliquid"),
        ("feedhandler.venues.lighter", "import websockets"),
        ("feedhandler.transport.rest", "from ..venues.hyperliquid import VENUE"),
        ("feedhandler.runner.drain", "from feedhandler.feed import session"),
        ("feedhandler.runner.drain", "import importlib as i\ni.import_module('click')"),
        ("feedhandler.runner.drain", "from shm_layout import _native"),
        ("feedhandler.sim.market", "from feedhandler import log"),
        ("feedhandler.codec.json", "from feedhandler import attach"),
        ("feedhandler.codec.json", "import requests"),
        (
            "feedhandler.codec.json",
            "import typing as t\nif t.TYPE_CHECKING:\n    import feedhandler.feed",
        ),
        ("feedhandler.newcomer", ""),
    ],
)
def test_forbidden_import_is_found(module: str, source: str) -> None:
    assert len(complaints(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("shm_layout.segment", "import posix_ipc\nfrom shm_layout import schema"),
        ("feedhandler.venues.lighter", "from feedhandler.venues._base import Venue"),
        ("feedhandler.venues.lighter", "from feedhandler.codec import decimal"),
        ("feedhandler.runner.drain", "from shm_layout import Reader"),
        ("feedhandler.cli.status", "import click\nfrom feedhandler import __version__"),
        ("feedhandler.transport.rest", "import aiohttp, asyncio"),
    ],
)
def test_permitted_import_passes(module: str, source: str) -> None:
    assert complaints(source, module) == []
