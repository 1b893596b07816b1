"""The version is written at two places, which must not differ."""

from __future__ import annotations

import tomllib

from feedhandler.identity import USER_AGENT, VERSION
from tests.support import ROOT


def test_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert f"feedhandler/{project['version']}" == USER_AGENT
