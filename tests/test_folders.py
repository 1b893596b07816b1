"""What we keep on disk is for our user alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.folders import is_own_directory, make_private
from shm_layout.segment import remove_leftover, segment_name
from tests.feed.simulated import HYPERLIQUID, Venue
from tests.support import MS, Programs, wait_until


def modes(path: Path, above: Path) -> set[int]:
    """Return the modes of a directory and of those between it and `above`."""
    folders = [path, *path.parents]
    return {folder.stat().st_mode & 0o777 for folder in folders[: folders.index(above)]}


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Let nothing but us restrict a mode; the test's processes inherit it."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_every_directory_that_is_made_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    make_private(path)
    make_private(path)
    assert modes(path, tmp_path) == {0o700}


def test_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(0o755)
    make_private(tmp_path / "theirs" / "ours")
    make_private(tmp_path / "theirs")
    assert (tmp_path / "theirs").stat().st_mode & 0o777 == 0o755


def test_what_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_private(tmp_path / "file" / "below")


def test_only_a_directory_of_this_user_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_own_directory(tmp_path)
    for other in (tmp_path / "file", tmp_path / "link", tmp_path / "nothing"):
        assert not is_own_directory(other)
    assert is_own_directory(Path("/")) == (os.geteuid() == 0), "it is root's"


def test_processes_keep_their_state_and_their_files_private(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    home, out = tmp_path / "x" / "state", tmp_path / "y" / "out"
    budgets, state = (home / "feedhandler" / name for name in (".budgets", instance))
    venue = Venue()
    try:
        environment = {
            "XDG_STATE_HOME": str(home),
            "FEEDHANDLER_HYPERLIQUID_WS_URL": venue.ws_url,
            "FEEDHANDLER_HYPERLIQUID_REST_URL": venue.rest_url,
            "FEEDHANDLER_TELEMETRY_DIRECTORY": str(out),
        }
        for arguments in (("feed", HYPERLIQUID), ("telemetry",)):
            programs.feedhandler(
                *arguments, "--instance", instance, environment=environment
            )
        written = [budgets, state / "hyperliquid.markets.json", out / "telemetry.jsonl"]
        for path in written:
            wait_until(path.exists, 20_000 * MS, path.name)
    finally:
        programs.close()
        remove_leftover(segment_name(instance, f"feed:{HYPERLIQUID}"))
        remove_leftover(segment_name(instance, "telemetry"))
        venue.close()
    for path in (budgets, state, out):
        assert modes(path, tmp_path) == {0o700}, path
