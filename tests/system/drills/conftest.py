"""A world for the drills of a module, and the pen that each of them writes with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.drills.drill import PROPERTY, Drill
from tests.system.drills.world import World, running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance at scaled timings, shared by the drills that follow each other."""
    with running(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def drill(world: World, request: pytest.FixtureRequest) -> Iterator[Drill]:
    """One drill in the shared world; its reads are judged when it is over."""
    world.wait(world.is_steady, "the last drill to be over")
    made = Drill(world)
    yield made
    for line in made.end():
        request.node.user_properties.append((PROPERTY, line))
