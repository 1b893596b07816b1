"""Fixtures for the tests of shared memory: implementations, alone and in pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm_layout import Capacities, Writer
from tests.shm_layout.memory import IMPLEMENTATIONS, Memory, Pair, linked
from tests.support import SHM


@pytest.fixture(params=IMPLEMENTATIONS)
def name(request: pytest.FixtureRequest) -> str:
    """Each implementation's name in turn."""
    return str(request.param)


@pytest.fixture
def memory() -> Memory:
    """Fresh memory with a small segment's geometry."""
    return Memory()


@pytest.fixture(
    params=[
        (writer, reader) for writer in IMPLEMENTATIONS for reader in IMPLEMENTATIONS
    ],
    ids="-to-".join,
)
def names(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each writer's name with each reader's."""
    writer, reader = request.param
    return writer, reader


@pytest.fixture
def pair(names: tuple[str, str]) -> Pair:
    """Each writer with each reader, over fresh memory."""
    return Pair(*names)


@pytest.fixture
def path(instance: str) -> Path:
    """Where the segment of the test is, or will be."""
    return SHM / f"fh.{instance}.venue"


@pytest.fixture
def leftover(instance: str, path: Path) -> Iterator[Path]:
    """A whole segment whose writer has ended."""
    capacities = Capacities(instruments=4, ring_slots=16, counters=8, histograms=2)
    with Writer.open(instance, "feed:venue", capacities) as writer:
        writer.publish_quote(0, *linked(1))
    yield path
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
