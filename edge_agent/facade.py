"""What the page and the control socket may see and do; the agent offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edge_agent.board import Watcher


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a record has come: `saved` after COMMIT, `delivered` after the verdict, `refused` with the reason."""

    state: Literal["saved", "delivered", "refused"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RecentRecord:
    """One kept record as stored, and its mark."""

    body: bytes
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command led to: the records that are committed now, or why nothing was done."""

    refused: str | None
    kept: tuple[Mapping[str, Any], ...]
    reason: str | None = None


class Facade(Protocol):
    """The agent as the page sees it."""

    def status(self) -> dict[str, Any]:
        """The agent's state as plain values."""

    def views(self) -> dict[str, Any]:
        """The newest view of each station."""

    def recent(self, limit: int = 20) -> Sequence[RecentRecord]:
        """The newest records, newest first."""

    def watch(self) -> AbstractContextManager[Watcher]:
        """A watcher of the board."""

    def requeue(self, sequences: list[int] | None) -> int:
        """Send quarantined records again as they are; all of them for None. Returns how many."""

    def command(
        self, station: str, name: str, arguments: Mapping[str, Any], operator: str | None = None, timeout: float = 5.0
    ) -> CommandResult:
        """Have a station do something; returns after its records are committed."""

    def correct(
        self, kind: str, record: str, *, reason: str, operator: str | None, details: Mapping[str, Any]
    ) -> CommandResult:
        """Void, amend or return a kept record; see `Corrector.correct`. Refused: the code, and the words."""

    def keys(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Change the signing key, or say that it is right."""
