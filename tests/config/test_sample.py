"""`ops/feedhandler.toml` shows every key, its default and its range."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest

from feedhandler.config import Config, VenueConfig, load
from feedhandler.config.schema import SECTIONS, TOP_KEYS
from tests.support import ROOT

SAMPLE = ROOT / "ops" / "feedhandler.toml"
TEXT = SAMPLE.read_text()
VENUE = "hyperliquid"


def sections() -> dict[str, type[msgspec.Struct]]:
    return {f"venue.{VENUE}": VenueConfig, **SECTIONS}


def test_sample_loads_and_changes_no_default() -> None:
    loaded = load(str(SAMPLE), {}, venues=[VENUE])
    assert loaded == Config(venue={VENUE: VenueConfig()})


def test_sample_shows_every_key_and_no_other() -> None:
    values = tomllib.loads(TEXT)
    assert set(values["venue"]) == {VENUE}
    for name, kind in sections().items():
        table = values["venue"][VENUE] if name.startswith("venue") else values[name]
        assert list(table) == list(kind.__struct_fields__), name
    assert {key for key in values if not isinstance(values[key], dict)} == set(TOP_KEYS)


@pytest.mark.parametrize("name", sections())
def test_sample_states_the_range_of_each_number(name: str) -> None:
    body = TEXT.partition(f"[{name}]")[2].partition("\n[")[0]
    for field in msgspec.structs.fields(sections()[name]):
        described = msgspec.inspect.type_info(field.type)
        if not isinstance(described, msgspec.inspect.IntType):
            continue
        before = body.partition(f"\n{field.name} = ")[0]
        comment = re.split(r"\n\n", before)[-1].replace("\n#", "")
        assert f"{described.ge} to {described.le}" in comment, field.name
