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


class SlipWindow(Protocol):
    """What may be shown and printed of kept records; `edge_agent.slips.Slips` says what each does and raises."""

    def show(self, record: str) -> Mapping[str, Any]:
        """The receipt as lines, with what its QR code holds."""

    def picture(self, record: str) -> bytes:
        """The QR code as SVG."""

    def print(self, record: str, what: Literal["receipt", "label", "certificate"], station: str | None = None) -> Any:
        """Have it printed: the printer and the number of the job."""


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

    @property
    def slips(self) -> SlipWindow:
        """Receipts, labels and certificates of kept records."""

    def correct(
        self, kind: str, record: str, *, reason: str, operator: str | None, details: Mapping[str, Any]
    ) -> CommandResult:
        """Void, amend or return a kept record; see `Corrector.correct`. Refused: the code, and the words."""

    def keys(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Change the signing key, or say that it is right."""

    def catalogue(self, station: str | None = None) -> dict[str, Any]:
        """What is sold here and who is: `{"versions": {kind: number}, "goods": […], "parties": […]}`.

        Goods stand in the page's order. Each has `code`, `name`, `plu`, `gtins`, `initials` (pinyin), `category`,
        `mode` (weight|piece), `price_fen` and `price_per` (today's, at the station's party where one is named),
        `order`, `colour`, `picture` (for `attachment`), `crate`, `relief`, `tolerance_permille`; with a station also
        the open `batches` of its party, oldest first, each `{batch, left_mg, left_qty, opened_ms}`, and `stopped`
        where all of them are under a stop of sale. Parties are without their contacts. A new catalogue is posted to
        the board as `catalogue`. Raises KeyError for no such station.
        """

    def import_catalogue(
        self, data: bytes, *, kind: str | None = None, source: str = "page", add: bool = False
    ) -> dict[str, Any]:
        """Import a CSV or JSON file, all of it or nothing: `{"kind", "version", "rows", "faults"}`.

        `kind` is goods, parties or prices; None: told by its columns. `version` is None where there are `faults`, each
        `{line, column, what, hint}`. `add` keeps what the file does not name. Raises ValueError for another kind.
        """

    def ledger(self) -> list[dict[str, Any]]:
        """Every device as an asset, with its flags."""

    def ledger_set(self, device: str, changes: Mapping[str, Any], operator: str | None = None) -> CommandResult:
        """Keep an event of a device's life; returns after it is committed. Refused: the code, and the words."""
