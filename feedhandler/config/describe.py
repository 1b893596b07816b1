"""Words for people: what a key allows, and what it is now and why.

Owns the text of `config --effective`; it is itself a valid configuration file.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import inspect

from feedhandler.config.schema import (
    HEADER_PATTERN,
    INSTANCE_PATTERN,
    INSTRUMENT_PATTERN,
    SECTIONS,
    TOP_KEYS,
    Config,
    redact_url,
    split_headers,
)

_PATTERN_WORDS = {
    INSTANCE_PATTERN: "1 to 32 of a-z, 0-9, _ and - (not first)",
    INSTRUMENT_PATTERN: "a name such as BTC-PERP",
    HEADER_PATTERN: 'a header such as "X-Team: desk one"',
}


def describe_range(kind: Any) -> str:
    """Return what a type allows, in words."""
    described = inspect.type_info(kind)
    if isinstance(described, inspect.BoolType):
        return "true or false"
    if isinstance(described, inspect.IntType):
        return f"a whole number from {described.ge} to {described.le}"
    if isinstance(described, inspect.LiteralType):
        return " or ".join(json.dumps(value) for value in described.values)
    if isinstance(described, inspect.VarTupleType):
        item = described.item_type
        words = "text"
        if isinstance(item, inspect.StrType) and item.pattern is not None:
            words = _PATTERN_WORDS.get(item.pattern, item.pattern)
        return f"a list of at least {described.min_length or 0}, each {words}"
    if isinstance(described, inspect.StrType):
        if described.pattern is not None:
            return _PATTERN_WORDS.get(described.pattern, described.pattern)
        return f"text of at most {described.max_length} characters"
    return "a section"


def effective_rows(config: Config) -> list[tuple[str, str, object]]:
    """Return (section, key, value) of every key, credentials hidden."""
    rows: list[tuple[str, str, object]] = [
        ("", key, getattr(config, key)) for key in TOP_KEYS
    ]
    for name, venue in config.venue.items():
        rows.extend(_rows(f"venue.{name}", venue))
    for section in SECTIONS:
        rows.extend(_rows(section, getattr(config, section)))
    return rows


def toml_value(value: object) -> str:
    """Render a value as TOML; JSON's strings, numbers and lists are TOML's too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _rows(section: str, struct: msgspec.Struct) -> list[tuple[str, str, object]]:
    rows: list[tuple[str, str, object]] = []
    for key in struct.__struct_fields__:
        value = getattr(struct, key)
        if key.endswith("_url"):
            value = redact_url(value)
        elif key == "headers":
            value = tuple(f"{name}: ***" for name, _ in split_headers(value))
        rows.append((section, key, value))
    return rows
