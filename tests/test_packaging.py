"""What a user installs: names, versions, typed packages, a wheel without a compiler."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support import MS, ROOT, Programs

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "feedhandler", "shm_layout")
SITE_PACKAGES = sysconfig.get_path("platlib")
# The front end of setuptools would fetch a second setuptools and rename its
# result between directories; the command under it does neither.
BUILD = "import setuptools; setuptools.setup()"


# Refuses what file systems may refuse: links, and renames between directories.
REFUSE = """
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int folder_chars(const char *path)
{
    int count = (int)strlen(path);
    while (count > 1 && path[count - 1] == '/')
        count--;
    while (count > 0 && path[count - 1] != '/')
        count--;
    return count;
}

int link(const char *from, const char *to)
{
    (void)from, (void)to;
    errno = EPERM;
    return -1;
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
    (void)a, (void)b, (void)flags;
    return link(from, to);
}

int rename(const char *from, const char *to)
{
    int count = folder_chars(from);
    if (count != folder_chars(to) || strncmp(from, to, (size_t)count) != 0) {
        errno = EXDEV;
        return -1;
    }
    return (int)syscall(SYS_renameat2, -100, from, -100, to, 0);
}
"""


def build_wheel(
    folder: Path,
    compiler: str,
    command: str = "bdist_wheel",
    environment: dict[str, str] | None = None,
) -> Path:
    """Build a wheel of a copy of the sources and return its path."""
    pytest.importorskip("setuptools", minversion="77")
    checkout = folder / "a checkout with blanks"
    checkout.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            made = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(source, checkout / name, ignore=made)
        elif source.exists():
            shutil.copy(source, checkout / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, command, "--dist-dir", str(folder)],
        cwd=checkout,
        env={**os.environ, "CC": compiler, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the twin is for x86-64")
def test_wheel_without_a_compiler_holds_everything_but_the_native_module(
    tmp_path: Path, programs: Programs
) -> None:
    wheel = build_wheel(tmp_path, compiler=str(tmp_path / "no-such-compiler"))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    assert not [name for name in names if "_native." in name and name.endswith(".so")]
    assert {
        "feedhandler/py.typed",
        "shm_layout/py.typed",
        "shm_layout/feedhandler_shm.h",
    } <= names
    assert {name.split("/")[0] for name in names} == {
        "feedhandler",
        "shm_layout",
        f"feedhandler-{PROJECT['version']}.dist-info",
    }
    program = programs.python(
        "-PS",  # neither the checkout, where this runs, nor an editable install of it
        "-c",
        "import shm_layout; print(shm_layout.__file__, shm_layout.IMPLEMENTATION)",
        environment={"PYTHONPATH": f"{tmp_path / 'installed'}:{SITE_PACKAGES}"},
    )
    assert program.wait(20_000 * MS) == 0, program.stderr()
    assert program.stdout().startswith(str(tmp_path))
    assert program.stdout().split()[-1] == "twin"


@pytest.fixture
def compiler() -> str:
    found = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not found:
        pytest.skip("no C compiler on this machine")
    return found


@pytest.mark.slow
def test_editable_wheel_needs_no_link_and_no_rename_between_folders(
    tmp_path: Path, compiler: str
) -> None:
    source, shim = tmp_path / "refuse.c", tmp_path / "refuse.so"
    source.write_text("#define _GNU_SOURCE\n" + REFUSE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, source], check=True)
    preload = {"LD_PRELOAD": str(shim)}
    (tmp_path / "inner").mkdir()
    refused = subprocess.run(
        [sys.executable, "-c", "import os; os.rename('refuse.c', 'inner/refuse.c')"],
        cwd=tmp_path,
        env={**os.environ, **preload},
        capture_output=True,
        text=True,
    )
    assert "cross-device" in refused.stderr
    wheel = build_wheel(tmp_path, compiler, "editable_wheel", preload)
    assert wheel.name.startswith("feedhandler-")
    assert list(tmp_path.rglob("shm_layout/_native.abi3.so"))


@pytest.mark.slow
def test_wheel_with_a_compiler_serves_every_later_python(
    tmp_path: Path, compiler: str
) -> None:
    wheel = build_wheel(tmp_path, compiler)
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert "shm_layout/_native.abi3.so" in archive.namelist()


@pytest.mark.parametrize("package", ["feedhandler", "shm_layout"])
def test_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_command_line_tells_the_version_of_the_project(programs: Programs) -> None:
    program = programs.feedhandler("--version")
    assert program.wait(20_000 * MS) == 0, program.stderr()
    assert program.stdout().split()[-1] == PROJECT["version"]


def test_installed_version_is_the_version_of_the_project() -> None:
    try:
        installed = importlib.metadata.version("feedhandler")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the project runs from its checkout, not installed")
    assert installed == PROJECT["version"]


def test_license_is_named_and_complete() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("name", ["demo", "feedhandler", "test"])
def test_program_in_bin_can_be_started(name: str) -> None:
    assert os.access(ROOT / "bin" / name, os.X_OK)
