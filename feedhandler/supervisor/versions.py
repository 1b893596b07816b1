"""Which versions of everything run here."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

LIBRARIES: Final = ("websockets", "numpy", "msgspec", "aiohttp", "click", "psutil")


def library_versions() -> list[tuple[str, str]]:
    """Return (name, version) of Python, the kernel and the libraries that matter."""
    versions = [("Python", platform.python_version()), ("Linux", platform.release())]
    for name in LIBRARIES:
        try:
            versions.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            versions.append((name, "missing"))
    return versions
