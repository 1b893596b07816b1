"""Compiles a C program of this folder against `feedhandler_shm.h`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
HEADERS = FOLDER.parent / "shm_layout"


def build(source: str, folder: Path) -> str:
    """Compile `source` into `folder` and return the program's path.

    Raises `RuntimeError` with the reason when that is not possible here.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise RuntimeError("no C compiler")
    program = str(folder / Path(source).stem)
    done = subprocess.run(
        [compiler, "-std=c11", "-O2", f"-I{HEADERS}", "-o", program, FOLDER / source],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"it does not compile: {done.stderr.strip()}")
    return program
