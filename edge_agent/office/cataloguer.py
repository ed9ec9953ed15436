"""Keeps the catalogue of a box: imports whole files or nothing, and hands every new catalogue to the stations.

Participants that an import brings or changes become records, so that the platform knows them; their contacts stay
here.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, Protocol

import orjson
import structlog

from edge_agent import clock
from edge_agent.catalogue import EMPTY, KINDS, Catalogue, Fault, Kind, PartyItem, read_catalogue
from edge_agent.model import Instant
from edge_agent.records.bodies import Party, clock_facts
from edge_agent.records.envelope import Draft, draft
from edge_agent.store import CatalogueVersion, Kept

_PATIENCE: Final = 20.0
_NOT_ROWS: Final = (ValueError, TypeError, KeyError, AttributeError)


class CatalogueStore(Protocol):
    """What the cataloguer needs of the store."""

    def newest_catalogue(self, kind: str) -> CatalogueVersion | None:
        """The newest version that is kept."""

    def keep_catalogue(
        self, kind: str, body: bytes, *, rows: int, source: str, at: Instant, timeout: float = 20.0
    ) -> CatalogueVersion:
        """Keep a version; returns after its COMMIT."""

    def keep(self, draft: Draft, timeout: float = 5.0) -> Kept:
        """Keep a draft; returns after its COMMIT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an import came to: a new version, or the faults for which nothing was imported."""

    kind: Kind | None
    version: int | None = None
    rows: int = 0
    faults: tuple[Fault, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        faults = [{"line": f.line, "column": f.column, "what": f.what, "hint": f.hint} for f in self.faults]
        return {"kind": self.kind, "version": self.version, "rows": self.rows, "faults": faults}


class Cataloguer:
    """The catalogue of one store. Thread-safe; `open` comes first. `use` is told every new catalogue."""

    def __init__(
        self, store: CatalogueStore, zone: tzinfo, subject: str, use: Callable[[Catalogue], None] = lambda _new: None
    ) -> None:
        self._store = store
        self._zone = zone
        self._subject = subject
        self._use = use
        self._one_at_a_time = threading.Lock()
        self._log = structlog.get_logger()
        self.catalogue = EMPTY

    def open(self) -> None:
        """Bring up what is kept. What cannot be read is said and left out: a stall sells without a catalogue too."""
        with self._one_at_a_time:
            self._bring_up()

    def take(
        self,
        data: bytes,
        *,
        kind: Kind | None = None,
        source: str,
        add: bool = False,
        announce: bool = True,
        initials: Callable[[str], str | None] | None = None,
    ) -> Outcome:
        """Import a file, all of it or nothing; returns after its COMMIT. Raises what the store raises.

        `add` leaves what the file does not name; else the file is all there is. `announce` makes records of
        participants that are new or changed; not wanted for what the platform itself sent.
        """
        with self._one_at_a_time:
            read = read_catalogue(
                data,
                kind=kind,
                known=self.catalogue,
                initials=initials,
                beside=self._rows if add else lambda _kind: (),
            )
            if read.faults or read.kind is None:
                return Outcome(kind=read.kind, faults=read.faults)
            at = clock.now()
            before = self.catalogue.parties
            body = orjson.dumps(read.rows, option=orjson.OPT_SORT_KEYS)
            version = self._store.keep_catalogue(
                read.kind, body, rows=len(read.rows), source=source, at=at, timeout=_PATIENCE
            )
            self._bring_up()
            if read.kind == "parties" and announce:
                self._announce(before, self.catalogue.parties.values(), at)
            self._log.info("catalogue.imported", kind=read.kind, version=version.version, rows=len(read.rows))
            return Outcome(kind=read.kind, version=version.version, rows=len(read.rows))

    def _rows(self, kind: Kind) -> list[dict[str, Any]]:
        """The rows of the newest version that is whole."""
        version = self._store.newest_catalogue(kind)
        return [] if version is None else rows_of(version)

    def _bring_up(self) -> None:
        rows: dict[Kind, list[dict[str, Any]]] = {}
        versions: dict[Kind, int] = {}
        for kind in KINDS:
            try:
                found = self._rows(kind)
                Catalogue.of_rows({kind: found})
            except _NOT_ROWS as problem:
                self._log.error("catalogue.unreadable", kind=kind, reason=f"{type(problem).__name__}: {problem}")
                continue
            version = self._store.newest_catalogue(kind)
            rows[kind], versions[kind] = found, version.version if version else 0
        self.catalogue = Catalogue.of_rows(rows, versions)
        self._use(self.catalogue)

    def _announce(self, before: Mapping[str, PartyItem], after: Iterable[PartyItem], at: Instant) -> None:
        for party in after:
            old = before.get(party.code)
            if old is None or old.public() != party.public():
                body = Party(
                    clock=clock_facts(at),
                    captured_by="import",
                    party=party.code,
                    code=party.code,
                    name=party.name,
                    kind=party.kind,
                    position=party.position,
                    uscc=party.uscc,
                    licence_no=next(iter(party.licences.values()), None),
                )
                self._store.keep(
                    draft(type=body.TYPE, subject=self._subject, at=at, zone=self._zone, data=body.to_data()), _PATIENCE
                )


def catalogue_of(rows: Callable[[Kind], list[dict[str, Any]]]) -> Catalogue:
    """The catalogue of the rows of each kind. Raises ValueError, TypeError or KeyError for what are none."""
    return Catalogue.of_rows({kind: rows(kind) for kind in KINDS})


def rows_of(version: CatalogueVersion) -> list[dict[str, Any]]:
    """The rows of a kept version. Raises ValueError where its bytes are not what was kept."""
    if hashlib.sha256(version.body).hexdigest() != version.sha256:
        raise ValueError(f"version {version.version} of the {version.kind} is damaged")
    rows = orjson.loads(version.body)
    if not isinstance(rows, list):
        raise ValueError(f"version {version.version} of the {version.kind} holds no rows")
    return rows
