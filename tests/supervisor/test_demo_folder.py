"""The demo's directory stands where everybody may write: only our own is used."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from feedhandler.errors import ResourcesMissing
from feedhandler.supervisor import checks, demo_folder
from feedhandler.supervisor.stop import stop_instance
from tests.supervisor.fakes import FEED, fake_feed, heartbeat_ns, supervise
from tests.support import MS, Programs, segment_paths, wait_until

ROLE = "feed:hyperliquid"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the temporary directory, which is a private one here."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    monkeypatch.setenv("TMPDIR", str(path))  # for processes that a test starts
    return path


def make_used(instance: str) -> Path:
    """Make the directory, with something in it."""
    path = demo_folder.make(instance)
    (path / instance).mkdir()
    (path / instance / "kept").write_text("of a simulated venue")
    return path


def test_made_for_this_user_alone_and_removed_with_what_is_in_it(
    temporary: Path, instance: str
) -> None:
    path = make_used(instance)
    assert path.parent == temporary
    assert path.stat().st_mode & 0o777 == 0o700
    assert demo_folder.remove(instance)
    assert not list(temporary.iterdir())
    assert not demo_folder.remove(instance), "there is none any more"


def test_link_of_its_name_is_neither_used_nor_followed(
    tmp_path: Path, instance: str
) -> None:
    target = tmp_path / "somebody's"
    target.mkdir()
    (target / "kept").touch()
    link = demo_folder.path_of(instance)
    link.symlink_to(target)
    assert not demo_folder.remove(instance)
    with pytest.raises(ResourcesMissing, match=instance):
        demo_folder.make(instance)
    assert [path.name for path in target.iterdir()] == ["kept"]
    link.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_directory_of_another_user_is_neither_used_nor_removed(instance: str) -> None:
    path = make_used(instance)
    os.chown(path, 65_534, -1)
    assert not demo_folder.remove(instance)
    with pytest.raises(ResourcesMissing, match="exists"):
        demo_folder.make(instance)
    assert demo_folder.dead_instances() == []
    os.chown(path, 0, -1)
    assert demo_folder.remove(instance)


def test_what_a_dead_demo_left_is_a_leftover_and_a_running_ones_is_not(
    instance: str, programs: Programs
) -> None:
    path = make_used(instance)
    assert demo_folder.dead_instances() == [instance]
    assert str(path) in checks.check_leftovers(checks.Config()).text
    programs.python("-c", FEED, instance, ROLE)
    wait_until(lambda: heartbeat_ns(instance, ROLE), 10_000 * MS, "a heartbeat")
    assert demo_folder.dead_instances() == []
    assert stop_instance(instance, print)
    assert not path.exists()


def test_stop_removes_it_when_nothing_runs(instance: str) -> None:
    path = make_used(instance)
    assert not stop_instance(instance, print)
    assert not path.exists()


def test_next_start_removes_it_with_the_demo_or_without(
    instance: str, programs: Programs
) -> None:
    path = make_used(instance)
    program = supervise(programs, instance, fake_feed(instance))
    wait_until(lambda: not path.exists(), 10_000 * MS, "its removal")
    wait_until(lambda: heartbeat_ns(instance, ROLE), 10_000 * MS, "a heartbeat")
    assert program.stop() == 0
    assert not segment_paths(instance)
