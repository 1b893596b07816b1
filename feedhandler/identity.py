"""Who we say we are to others: the product's version and its User-Agent.

A constant, because `importlib.metadata` costs milliseconds at start and knows nothing
of a checkout that is not installed; a test holds it equal to pyproject.toml.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
USER_AGENT: Final = f"feedhandler/{VERSION}"
