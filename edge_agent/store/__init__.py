"""The store: records on one hash chain in one SQLite file, durable before anyone is told that they are saved."""

from edge_agent.store.catalogues import CatalogueVersion
from edge_agent.store.errors import (
    CommitFailed,
    KeyForbidden,
    KeyUnusable,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreUnusable,
)
from edge_agent.store.keys import key_file, key_path
from edge_agent.store.lock import Lock
from edge_agent.store.outbox import Outbox
from edge_agent.store.ranges import Ranges
from edge_agent.store.reading import Reader
from edge_agent.store.salvage import salvage
from edge_agent.store.store import PLATFORM, Store
from edge_agent.store.succession import RESUMED, Resumed, Superseded
from edge_agent.store.tickets import Ticket
from edge_agent.store.values import Counts, Head, Kept, Limits, Refused, Row, Salvaged, Settled, SigningKey
from edge_agent.store.verification import Verification

__all__ = [
    "PLATFORM",
    "RESUMED",
    "CatalogueVersion",
    "CommitFailed",
    "Counts",
    "Head",
    "Kept",
    "KeyForbidden",
    "KeyUnusable",
    "Limits",
    "Lock",
    "Outbox",
    "Ranges",
    "Reader",
    "Refused",
    "Resumed",
    "Row",
    "Salvaged",
    "Settled",
    "SigningKey",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreUnusable",
    "Superseded",
    "Ticket",
    "Verification",
    "key_file",
    "key_path",
    "salvage",
]
