"""Limits are read from control groups of both versions, as far as they go."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedhandler.supervisor import resources

MIB = 1 << 20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    files = {
        "cgroup.controllers": "memory",
        "memory.max": f"{256 * MIB}\n",
        "memory.current": f"{100 * MIB}\n",
        "memory.stat": f"anon 1\ninactive_file {30 * MIB}\n",
        "memory.events": "low 0\noom 4\noom_kill 3\n",
    }
    return write(tmp_path, files)


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    files = {
        "memory/memory.limit_in_bytes": f"{256 * MIB}\n",
        "memory/memory.usage_in_bytes": f"{100 * MIB}\n",
        "memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {30 * MIB}\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    }
    return write(tmp_path, files)


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_limit_use_and_kills_of_either_version(
    version: str, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue(version)
    memory = resources.memory(root)
    assert memory.limit_bytes == 256 * MIB
    assert memory.used_bytes == 70 * MIB, "reclaimable file pages are not in use"
    assert resources.oom_kills(root) == 3


@pytest.mark.parametrize("text", ["max", "9223372036854771712"])
def test_no_limit_is_none_in_either_spelling(text: str, version_2: Path) -> None:
    (version_2 / "memory.max").write_text(text)
    assert resources.memory(version_2).limit_bytes is None


def test_host_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert resources.memory(tmp_path).limit_bytes is None
    host = tmp_path / "vmstat"
    assert resources.oom_kills(tmp_path, host) == 0
    host.write_text("nr_free_pages 1\noom_kill 7\n")
    assert resources.oom_kills(tmp_path, host) == 7, "the host counts for all groups"


def test_kill_for_memory_is_known_for_two_samples() -> None:
    counts = [5]
    watch = resources.OomWatch(lambda: counts[-1])
    assert not watch.has_killed(), "what was before does not count"
    counts.append(6)
    assert watch.has_killed()
    watch.sample(1)
    assert watch.has_killed(), "a sample between the kill and the end hides nothing"
    watch.sample(2)
    assert watch.has_killed(), "one sample a second"
    watch.sample(resources.OOM_SAMPLE_NS + 1)
    assert not watch.has_killed()


def test_host_answers() -> None:
    assert resources.memory().available_bytes > 0
    assert resources.descriptor_limit() > 0
