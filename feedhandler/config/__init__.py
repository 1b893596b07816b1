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
    RunnerConfig,
    ShmConfig,
    SupervisorConfig,
    VenueConfig,
)
from feedhandler.errors import ConfigError

__all__ = [
    "Config",
    "VenueConfig",
    "RunnerConfig",
    "ShmConfig",
    "SupervisorConfig",
    "ConfigError",
    "Effective",
    "Origin",
    "load",
    "load_effective",
    "known_venues",
]
