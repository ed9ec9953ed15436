"""The catalogue of a box: goods, market participants, and prices by date. Sans-I/O."""

from edge_agent.catalogue.importing import MOST_BYTES, Imported, read_catalogue
from edge_agent.catalogue.tables import Fault
from edge_agent.catalogue.values import EMPTY, KINDS, Catalogue, GoodsItem, Kind, PartyItem, Price, kind_of_text

__all__ = [
    "EMPTY",
    "KINDS",
    "MOST_BYTES",
    "Catalogue",
    "Fault",
    "GoodsItem",
    "Imported",
    "Kind",
    "PartyItem",
    "Price",
    "kind_of_text",
    "read_catalogue",
]
