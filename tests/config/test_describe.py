"""What is shown of a configuration: complete, loadable, and without credentials."""

from __future__ import annotations

import tomllib

import pytest

from feedhandler.config import Config, VenueConfig
from feedhandler.config.describe import effective_rows, toml_value
from feedhandler.config.schema import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://example.org/ws", "wss://example.org/ws"),
        ("wss://me:secret@example.org/ws", "wss://***@example.org/ws"),
        ("wss://token@example.org", "wss://***@example.org"),
        ("wss://a:b@c@example.org/x", "wss://***@example.org/x"),
        ("https://h/p?key=secret&b=c#d", "https://h/p?key=***&b=***#d"),
        ("", ""),
    ],
)
def test_credentials_in_an_address_are_hidden(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_rows_hold_every_key_and_no_secret() -> None:
    venue = VenueConfig(ws_url="wss://me:canary@example.org/?key=canary")
    rows = effective_rows(Config(venue={"lighter": venue}))
    assert "canary" not in repr(rows)
    shown = [(section, key) for section, key, _ in rows]
    for key in VenueConfig.__struct_fields__:
        assert ("venue.lighter", key) in shown


def test_shown_values_are_valid_toml() -> None:
    for _, key, value in effective_rows(Config(venue={"lighter": VenueConfig()})):
        parsed = tomllib.loads(f"{key} = {toml_value(value)}")[key]
        assert parsed == (list(value) if isinstance(value, tuple) else value)
