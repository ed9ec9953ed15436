"""TOML to validated settings: their shape, with every error at once.

Each problem names the file, the key, what is wrong and what would be right. Only what can be known from the
text alone is checked here; which drivers exist and whether a port can work is checked by the agent, which
knows the registry, and reported in the same form.
"""

from edge_agent.config.load import DEFAULT_PATH, ENVIRONMENT_VARIABLE, load, parse
from edge_agent.config.problems import ConfigError, Problem
from edge_agent.config.sections import BatchList, Config, Device, Rules, Station, UplinkSection, Web

__all__ = [
    "DEFAULT_PATH",
    "ENVIRONMENT_VARIABLE",
    "BatchList",
    "Config",
    "ConfigError",
    "Device",
    "Problem",
    "Rules",
    "Station",
    "UplinkSection",
    "Web",
    "load",
    "parse",
]
