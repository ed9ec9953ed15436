"""Keeps the ledger of a box: its events on the chain, how the devices stand in the store's notes and in a file beside.

The note goes into the same transaction as the event, so the two never differ. The file `{store path}.ledger` holds
the same: where a damaged store had to be set aside, the new one begins with it, and no scale loses its commissioning.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import structlog

from edge_agent import clock
from edge_agent.ledger import Asset, event, flags, fold
from edge_agent.model import Instant
from edge_agent.records.bodies import clock_facts
from edge_agent.records.envelope import Draft, draft
from edge_agent.records.flags import Flag
from edge_agent.store import Kept

LEDGER: Final = "ledger"
_PATIENCE: Final = 10.0


class LedgerStore(Protocol):
    """What the registrar needs of the store."""

    @property
    def path(self) -> Path:
        """The store's file."""

    def keep(self, draft: Draft, timeout: float = 5.0) -> Kept:
        """Keep a draft; returns after its COMMIT."""

    def note(self, key: str) -> str | None:
        """A remembered fact."""

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact, with the next commit at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A device as the configuration has it: what decides about its flags, and the facts written there."""

    kind: str
    setup: str
    facts: Mapping[str, Any]


class Registrar:
    """The ledger of one store. Thread-safe; `open` comes first."""

    def __init__(self, store: LedgerStore, zone: tzinfo, devices: Mapping[str, Configured]) -> None:
        self._store = store
        self._zone = zone
        self._devices = devices
        self._assets: Mapping[str, Asset] = {}
        self._one_at_a_time = threading.Lock()
        self._log = structlog.get_logger()

    def open(self) -> None:
        """Bring up how the devices stand."""
        text = self._store.note(LEDGER)
        if text is None:
            with contextlib.suppress(OSError):
                text = ledger_file(self._store.path).read_text()
        if text is not None:
            try:
                self._assets = {each["device"]: Asset.of_plain(each) for each in orjson.loads(text)}
            except (ValueError, KeyError, TypeError) as problem:
                self._log.error("ledger.unreadable", reason=f"{type(problem).__name__}: {problem}")

    def flags(self, device: str, at: Instant) -> tuple[Flag, ...]:
        """What is doubtful about a device at a moment; nothing of one that the configuration does not have."""
        configured = self._devices.get(device)
        if configured is None:
            return ()
        return flags(self.asset(device), kind=configured.kind, setup=configured.setup, day=self._day(at))

    def asset(self, device: str) -> Asset:
        """How a device stands; what the configuration says of it counts where no event has said it."""
        asset = self._assets.get(device, Asset(device=device))
        configured = self._devices.get(device)
        return replace(asset, facts={**configured.facts, **asset.facts}) if configured else asset

    def assets(self) -> list[dict[str, Any]]:
        """Every device that is configured or was ever in the ledger, as plain values with its flags."""
        at = clock.now()
        return [
            {
                **self.asset(device).plain(),
                "kind": self._devices[device].kind if device in self._devices else None,
                "setup": self._devices[device].setup if device in self._devices else None,
                "flags": list(self.flags(device, at)),
            }
            for device in [*self._devices, *(d for d in self._assets if d not in self._devices)]
        ]

    def set(self, device: str, changes: Mapping[str, Any], *, operator: str | None = None) -> Kept:
        """Keep an event of a device; returns after its COMMIT.

        `commissioning` holds for the driver, unit and options in force. Raises KeyError for a device that is neither
        configured nor in the ledger, ValueError for facts that do not fit, and what the store's `keep` raises.
        """
        with self._one_at_a_time:
            if device not in self._devices and device not in self._assets:
                raise KeyError(device)
            at = clock.now()
            if changes.get("commissioning") is not None:
                changes = {**changes, "setup": self._devices[device].setup}
            old = self._assets.get(device, Asset(device=device))
            by = "device" if changes.get("commissioning") else "manual"
            body = event(old, changes, clock=clock_facts(at), operator=operator, captured_by=by)
            record = draft(type=body.TYPE, subject=device, at=at, zone=self._zone, data=body.to_data())
            new = {**self._assets, device: fold(old, body.to_data(), record.time)}
            before = self._store.note(LEDGER)
            text = orjson.dumps([asset.plain() for asset in new.values()]).decode()
            self._store.set_note(LEDGER, text)
            try:
                kept = self._store.keep(record, timeout=_PATIENCE)
            except Exception:  # whatever it was: the ledger must not say what no record says
                self._store.set_note(LEDGER, before if before is not None else "[]")
                raise
            self._assets = new
            self._write_file(text)
            return kept

    def _write_file(self, text: str) -> None:
        """The copy beside the store; without it a set-aside store costs a commissioning, so its loss is only told."""
        path = ledger_file(self._store.path)
        fresh = path.with_name(f"{path.name}.new")
        try:
            with fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as problem:
            self._log.error("ledger.copy_failed", reason=str(problem))

    def _day(self, at: Instant) -> date:
        return datetime.fromtimestamp(at.wall_ms / 1000, UTC).astimezone(self._zone).date()


def ledger_file(store: Path) -> Path:
    """Where the copy of a store's ledger lies."""
    return Path(f"{store}.ledger")
