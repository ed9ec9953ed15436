"""Which modes a station can work in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from edge_agent.station.base import Settings, Station
from edge_agent.station.log import LogStation
from edge_agent.station.sale import SaleStation

MODES: Final[Mapping[str, Callable[[Settings], Station]]] = MappingProxyType({"log": LogStation, "sale": SaleStation})

ADDITIONS_BY_DEFAULT: Final = frozenset({"sale"})
"""Modes in which goods added without return to zero are a new load unless the rules say otherwise."""


def make_station(settings: Settings) -> Station:
    """The station of a mode. Raises KeyError for a mode that is not known."""
    return MODES[settings.mode](settings)
