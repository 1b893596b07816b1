"""The command line: click commands that parse, call and print, without logic."""

from feedhandler.cli.group import main

__all__ = ["main"]
