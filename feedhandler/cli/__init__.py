"""The command line: click commands that parse, call and print, without logic."""

from __future__ import annotations

from typing import Final

__all__ = ["main"]

# As `feedhandler.errors` has it, which may be what is being imported.
_INTERRUPTED: Final = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised."""
    try:
        # Imported here, which takes a moment: Ctrl-C may come already.
        from feedhandler.cli.group import main as run
    except KeyboardInterrupt:
        return _INTERRUPTED
    return run(arguments)
