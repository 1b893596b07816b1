"""Fixtures for every test; how to use them is told in `tests/support.py`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import support


def pytest_configure(config: pytest.Config) -> None:
    """Let started programs be interrupted.

    A run in a shell's background inherits an ignored SIGINT and would pass it on; a
    signal that is handled here is at its default in what is started.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what `-n auto` means: more than cores, since system tests mostly wait."""
    cores = len(os.sched_getaffinity(0))
    return cores + (cores + 1) // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test of real processes try once more, and be listed as RERUN.

    It shares few cores with its siblings: a second in which nobody ran says nothing of
    the product. What starts none has no such excuse.
    """
    for item in items:
        is_system = item.get_closest_marker("system") is not None
        if is_system or "instance" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how soon each fault was seen and mended, if any was tried."""
    if (support.ROOT / "tests/system/drills").is_dir():  # a copied tree may lack them
        from tests.system.drills import report

        report.pytest_terminal_summary(terminalreporter)


@pytest.fixture
def instance() -> Iterator[str]:
    """A unique instance name; what is left of it fails the test."""
    name = support.new_instance()
    children_before = support.child_ids()
    yield name
    if left := support.remove_leftovers(name, children_before):
        pytest.fail("left behind:\n  " + "\n  ".join(left))


@pytest.fixture
def programs(instance: str, tmp_path: Path) -> Iterator[support.Programs]:
    """Starts processes; it comes after `instance`, so it ends them before."""
    started = support.Programs(tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="session", autouse=True)
def _no_segment_outlives_the_run() -> Iterator[None]:
    """Fail the last test of a worker when any segment of its tests remains."""
    yield
    prefix = support.session_prefix()
    if left := [str(path) for path in support.SHM.glob(f"fh.{prefix}*")]:
        pytest.fail("left behind by an earlier test: " + ", ".join(sorted(left)))
