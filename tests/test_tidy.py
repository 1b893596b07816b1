"""The style that a program can check, checked over every file of the tree.

Sizes, words and calls that are banned (each with what to use instead), comments
on memory order, pictures on benchmarks. A rule that found nothing to look at
fails too, and each is shown a text that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

MODULE_LINES_MAX = 400
VENUE_LINES_MAX = 650  # a venue is one file, whatever its protocol takes
FUNCTION_LINES_MAX = 50
PRODUCT = ("feedhandler", "shm_layout")
PYTHON = (*PRODUCT, "perf", "tests")
TEXTS = (
    *(".py", ".c", ".h", ".md", ".toml", ".yml", ".sh", ".txt", ".conf", ".service"),
    "",
)

# Longer than the limits, each with its reason.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}

# Put together here, so that this file does not break its own rules.
MARKERS = re.compile(
    r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b"
)
MACHINE_PATHS = re.compile("|".join(f"/{name}/" for name in ("home", "root", "work")))

BANNED_IMPORTS = {
    "dill": "no code in data: use records or JSON",
    "marshal": "no code in data: use records or JSON",
    "multiprocessing": "processes are started by exec and share segments only",
    "pickle": "no code in data: use records or JSON",
    "shelve": "no code in data: use records or JSON",
    "yaml": "no code in data: use TOML",
}
BANNED_CALLS = {
    "eval": "no code in data",
    "exec": "no code in data",
    "__import__": "use importlib.import_module",
}
# Banned everywhere, even where multiprocessing itself is compared with.
BANNED_EVERYWHERE = "multiprocessing.shared_memory"

Complaints = Iterator[str]
Rule = Callable[[str, str], Complaints]


# --- rules: (name of the file, its text) -> complaints ------------------------


def module_is_short(name: str, text: str) -> Complaints:
    count = text.count("\n")
    is_venue = name.startswith("feedhandler/venues/")
    limit = VENUE_LINES_MAX if is_venue else MODULE_LINES_MAX
    if count > limit and name not in LONG_MODULES:
        yield f"{name}: {count} lines, at most {limit}"


def functions_are_short(name: str, text: str) -> Complaints:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            key = f"{name}:{node.name}"
            if count > FUNCTION_LINES_MAX and key not in LONG_FUNCTIONS:
                yield f"{key}: {count} lines, at most {FUNCTION_LINES_MAX}"


def module_says_what_it_is(name: str, text: str) -> Complaints:
    if not ast.get_docstring(ast.parse(text)):
        yield f"{name}: has no docstring"


def no_marker_is_left(name: str, text: str) -> Complaints:
    for line, content in enumerate(text.splitlines(), 1):
        if found := MARKERS.search(content):
            yield f"{name}:{line}: {found[0]}: file an issue instead"


def no_path_of_a_machine(name: str, text: str) -> Complaints:
    for line, content in enumerate(text.splitlines(), 1):
        if found := MACHINE_PATHS.search(content):
            yield f"{name}:{line}: {found[0]} is a path of one machine"


def nothing_banned_is_imported(name: str, text: str) -> Complaints:
    for imported, line in _imports(text):
        reason = BANNED_IMPORTS.get(imported.partition(".")[0])
        if reason:
            yield f"{name}:{line}: imports {imported}: {reason}"


def no_shared_memory_of_multiprocessing(name: str, text: str) -> Complaints:
    for imported, line in _imports(text):
        if imported.startswith(BANNED_EVERYWHERE):
            yield f"{name}:{line}: {imported} unlinks what others still use"


def nothing_banned_is_called(name: str, text: str) -> Complaints:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            reason = BANNED_CALLS.get(node.func.id)
            if reason:
                yield f"{name}:{node.lineno}: calls {node.func.id}: {reason}"


def handlers_act(name: str, text: str) -> Complaints:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield f"{name}:{node.lineno}: bare except"
        if all(_is_nothing(statement) for statement in node.body):
            yield f"{name}:{node.lineno}: empty handler: count it, or suppress it"


def no_test_sleeps(name: str, text: str) -> Complaints:
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "time.sleep"
            and name != "tests/support.py"
        ):
            yield f"{name}:{node.lineno}: time.sleep: use wait_until"


def order_names_its_other_half(name: str, text: str) -> Complaints:
    lines = text.splitlines()
    for line, content in enumerate(lines, 1):
        if re.search(r"(#|/\*|//|^ \*)\s*ORDER:", content):
            sentence = " ".join(
                part.strip(" #/*") for part in lines[line - 1 : line + 2]
            )
            if not re.search(r"ORDER: pairs with (the )?\w+", sentence):
                yield f"{name}:{line}: ORDER without `pairs with` and a name"


def benchmark_has_picture_and_small_mode(name: str, text: str) -> Complaints:
    picture = ast.get_docstring(ast.parse(text)) or ""
    if not re.search(r"[─│▶]|-->|\+--", picture):
        yield f"{name}: has no picture on top"
    if "_harness" not in text or "run(" not in text:
        yield f"{name}: does not run in the harness, which gives it --small"


def _imports(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def _is_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


# --- which files each rule is for ----------------------------------------------


def texts() -> list[Path]:
    """Return every text file of ours: no data, nothing made, nothing hidden."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in (*PYTHON, "bin", "ops", ".ci"):
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(
        path
        for path in found
        if path.suffix in TEXTS
        and not path.name.startswith(".venv")
        and not {"frames", "__pycache__"} & set(path.parts)
    )


def python_files(*folders: str) -> list[Path]:
    return [
        path
        for path in texts()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders
    ]


def product_code() -> list[Path]:
    return [
        path
        for path in texts()
        if path.suffix in (".py", ".c", ".h")
        and path.relative_to(ROOT).parts[0] in PRODUCT
    ]


def benchmarks() -> list[Path]:
    return [path for path in python_files("perf") if not path.name.startswith("_")]


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (module_is_short, python_files(*PYTHON)),
        (functions_are_short, python_files(*PYTHON)),
        (module_says_what_it_is, python_files(*PYTHON)),
        (no_marker_is_left, texts()),
        (no_path_of_a_machine, texts()),
        (nothing_banned_is_imported, python_files(*PRODUCT)),
        (no_shared_memory_of_multiprocessing, python_files(*PYTHON)),
        (nothing_banned_is_called, python_files(*PRODUCT, "perf")),
        (handlers_act, python_files(*PYTHON)),
        (no_test_sleeps, python_files("tests")),
        (order_names_its_other_half, product_code()),
        (benchmark_has_picture_and_small_mode, benchmarks()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rule_holds_in_every_file(rule: Rule, files: list[Path]) -> None:
    assert files, "nothing to look at"
    found = [
        complaint
        for path in files
        for complaint in rule(str(path.relative_to(ROOT)), path.read_text())
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (module_is_short, "a = 1\n" * 401),
        (functions_are_short, "def f():\n" + "    a = 1\n" * 50),
        (module_says_what_it_is, "import os\n"),
        (no_marker_is_left, "# " + "TO" + "DO: later"),
        (no_path_of_a_machine, "path = '/" + "home/somebody'"),
        (nothing_banned_is_imported, "def f():\n    import pickle"),
        (nothing_banned_is_imported, "from multiprocessing import Queue"),
        (no_shared_memory_of_multiprocessing, f"import {BANNED_EVERYWHERE}"),
        (
            no_shared_memory_of_multiprocessing,
            "from multiprocessing import shared_memory",
        ),
        (nothing_banned_is_called, "eval('1')"),
        (handlers_act, "try:\n    f()\nexcept:\n    g()"),
        (handlers_act, "try:\n    f()\nexcept OSError:\n    pass"),
        (handlers_act, "try:\n    f()\nexcept OSError:\n    ..."),
        (no_test_sleeps, "import time\ntime.sleep(1)"),
        (order_names_its_other_half, "f()  # ORDER: release"),
        (order_names_its_other_half, "/* ORDER: release\n * the tail. */"),
        (benchmark_has_picture_and_small_mode, '"""No picture."""\n_harness.run()'),
        (benchmark_has_picture_and_small_mode, '"""a ──▶ b"""\nprint()'),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rule_finds_what_breaks_it(rule: Rule, text: str) -> None:
    assert len(list(rule("example.py", text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "fence()  # ORDER: pairs with the fence after INTENT in write.",
        "/* ORDER: pairs with the acquire load of tail in\n * fh_ring_read. */",
    ],
)
def test_order_that_names_its_other_half_passes(text: str) -> None:
    assert not list(order_names_its_other_half("example", text))


def test_every_exception_to_a_limit_is_still_needed() -> None:
    for name in LONG_MODULES:
        assert (ROOT / name).read_text().count("\n") > MODULE_LINES_MAX, name
    for key in LONG_FUNCTIONS:
        name, _, function = key.partition(":")
        lengths = [
            (node.end_lineno or 0) - node.lineno + 1
            for node in ast.walk(ast.parse((ROOT / name).read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name == function
        ]
        assert max(lengths, default=0) > FUNCTION_LINES_MAX, key
