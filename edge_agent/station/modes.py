"""Which modes a station can work in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from edge_agent.station.base import Settings, Station
from edge_agent.station.books import Books
from edge_agent.station.filling import FillingStation
from edge_agent.station.inspection import InspectionStation
from edge_agent.station.intake import IntakeStation
from edge_agent.station.log import LogStation
from edge_agent.station.sale import SaleStation
from edge_agent.station.shift import Staffed
from edge_agent.station.transfer import TransferStation
from edge_agent.station.transform import TransformStation

MODES: Final[Mapping[str, Callable[[Settings, Books], Station]]] = MappingProxyType(
    {
        "log": LogStation,
        "sale": SaleStation,
        "intake": IntakeStation,
        "transfer": TransferStation,
        "inspection": InspectionStation,
        "transform": TransformStation,
        "filling": FillingStation,
    }
)

ADDITIONS_BY_DEFAULT: Final = frozenset({"sale", "filling"})
"""Modes in which goods added without return to zero are a new load unless the rules say otherwise."""


def make_station(settings: Settings, books: Books) -> Station:
    """The station of a mode. Raises KeyError for a mode that is not known."""
    return Staffed(MODES[settings.mode](settings, books), settings)
