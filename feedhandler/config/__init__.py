"""Configuration: one TOML file, overridden by the environment, checked before use."""

from feedhandler.config.load import (
    Effective,
    Origin,
    known_venues,
    load,
    load_effective,
)
from feedhandler.config.schema import (
    Config,
    LadderConfig,
    RestConfig,
    RunnerConfig,
    ShmConfig,
    SupervisorConfig,
    VenueConfig,
    redact_url,
    split_headers,
)
from feedhandler.errors import ConfigError

__all__ = [
    "Config",
    "VenueConfig",
    "LadderConfig",
    "RestConfig",
    "RunnerConfig",
    "ShmConfig",
    "SupervisorConfig",
    "ConfigError",
    "Effective",
    "Origin",
    "load",
    "load_effective",
    "known_venues",
    "redact_url",
    "split_headers",
]
