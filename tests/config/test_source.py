"""A configuration that is no sound file is refused at once, whatever it is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from feedhandler.config.source import FILE_BYTES_MAX, read_source
from feedhandler.errors import ConfigError


def refusal(path: str | Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_source(str(path))
    return str(caught.value)


def test_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


@pytest.mark.timeout(5)
def test_fifo_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)


@pytest.mark.timeout(5)
def test_endless_device_is_refused() -> None:
    assert "not a regular file" in refusal("/dev/zero")


def test_socket_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert "cannot be read" in refusal(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("a = 1")
    path.chmod(0)
    assert "Permission denied" in refusal(path)


def test_empty_path_and_path_with_nul_are_refused() -> None:
    assert "path is empty" in refusal("")
    assert "NUL" in refusal("a\0b")


def test_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert "is empty" in refusal(path)


def test_file_of_more_than_a_mebibyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert str(FILE_BYTES_MAX) in refusal(path)


@pytest.mark.parametrize(
    "raw", [b"\xff\xfea\x00", b'a = "\xff"', b"\x00", b"\xef\xbb\xbfa = 1"]
)
def test_what_is_not_clean_utf8_toml_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(raw)
    assert "not UTF-8 text" in refusal(path) or "not valid TOML" in refusal(path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep"
    path.write_text("a = " + "[" * 100_000)
    assert "not valid TOML" in refusal(path)


def test_place_names_the_line_of_a_key_in_its_own_section(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('[a]\nkey = 1\n[b."c"]\n  key = 2\n')
    source = read_source(str(path))
    assert source.place("a", "key") == f"{path}:2"
    assert source.place("b.c", "key") == f"{path}:4"
    assert source.place("b.c") == f"{path}:3"
    assert source.place("a", "none") == str(path)
