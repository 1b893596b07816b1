"""Compiles and runs C for the tests; skips where there is no compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shm_layout import picture
from tests.shm_layout.memory import compiler_of

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
STANDARDS = {"c": "-std=c11", "c++": "-std=c++11"}
SANITIZED = (
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)


def compiled(
    folder: Path, source: str, *options: str, language: str = "c", name: str = "program"
) -> Path:
    """Return the path of the program that `source` becomes."""
    compiler = compiler_of(language)
    if compiler is None:
        pytest.skip(f"no {language} compiler")
    suffix = {"c": "c", "c++": "cc"}[language]
    file, program = folder / f"{name}.{suffix}", folder / name
    file.write_text(source)
    include = picture.HEADER_PATH.parent
    result = subprocess.run(
        [compiler, STANDARDS[language], *options, f"-I{include}", "-o", program, file],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if "cannot find -l" in result.stderr or "unrecognized" in result.stderr:
        pytest.skip(f"the compiler lacks something: {result.stderr.strip()}")
    assert result.returncode == 0, result.stderr
    return program


def output(program: Path, *arguments: object, timeout_s: float = 60.0) -> list[str]:
    """Run a compiled program and return its lines; a failed one fails the test."""
    result = subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()
