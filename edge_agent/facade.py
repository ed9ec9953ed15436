"""What the page and the control socket may see and do; the agent offers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from edge_agent.board import Watcher
from edge_agent.model import Observation


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a record has come.

    `saved` after COMMIT, `sent` while the platform's word on it is awaited, `delivered` after the verdict, `refused`
    with the platform's code and words.
    """

    state: Literal["saved", "sent", "delivered", "refused"]
    reason: str | None = None
    code: str | None = None


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


CardListener = Callable[[Observation], bool]
"""Told of every scan and tag before the stations; True where it was somebody's card, which then goes no further."""


class Lookups(Protocol):
    """What can be looked up in the store and the books; every answer is bounded. Blocks for the time of a read."""

    def recent(self, limit: int) -> Sequence[RecentRecord]:
        """The newest records, newest first."""

    def since(self, sequence: int, limit: int) -> Sequence[RecentRecord]:
        """The records after a sequence, oldest first."""

    def before(
        self, sequence: int | None, limit: int, *, types: Sequence[str] = (), station: str | None = None
    ) -> tuple[Sequence[RecentRecord], int | None]:
        """The records before a sequence, newest first, and from where to go on; None at the end."""

    def marks(self, first: int, last: int) -> Mapping[int, Mark]:
        """How far the records of a range have come; at most a thousand."""

    def record(self, id_or_sequence: str) -> RecordDetail | None:
        """One record with what later records say of it; None where there is none."""

    def stops(self) -> Sequence[Mapping[str, Any]]:
        """The stops of sale in force, each with what the books say is left of the goods."""

    def trace(self, code: str) -> Mapping[str, Any]:
        """Where something came from and where it went: a bounded graph; see `edge_agent.tracing`."""

    def notice_board(self) -> Mapping[str, Any]:
        """What customers may see of today."""

    def figures(self, days: int) -> Sequence[Mapping[str, Any]]:
        """The figures of the last days, oldest first; the last one is today."""

    def quarantine(
        self, offset: int, limit: int
    ) -> tuple[int, Sequence[tuple[Mapping[str, Any], RecentRecord | None]]]:
        """How many records the platform refused, and some of them, each with its record while it is there."""

    def unpaid(self) -> Sequence[Unpaid]:
        """What was sold a short while ago and is not paid: open tickets and single sales."""

    def settlement(self, pay_digest: str) -> tuple[str, Sequence[str]] | None:
        """The settlement of a payment, and the sales that it paid; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaid:
    """Sales that one payment may be for: a ticket's lines, or a single one. `due_fen` is the sum rounded off."""

    station: str
    lines: tuple[str, ...]
    ticket: str | None
    whole_fen: int
    due_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDetail:
    """One record, its mark, and what later records made of it."""

    record: RecentRecord
    void_by: str | None
    amended_by: tuple[str, ...]
    returns: tuple[str, ...]


Slip = Literal["receipt", "label", "certificate"]
SLIPS: Final[tuple[Slip, ...]] = ("receipt", "label", "certificate")


class NotPrinted(ValueError):
    """There is nothing of that kind to show or print, or no printer takes it; `code` says why, the text in words."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


class NotProved(ValueError):
    """A port is not probed, or a step of a commissioning not taken; `code` says why, the text in words."""

    def __init__(self, code: str, what: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(what)
        self.code = code
        self.facts = facts or {}


class WorkshopWindow(Protocol):
    """Setting devices up. There is one probe or one commissioning at a time: else `NotProved` with `busy`."""

    def probe(self, port: str, *, seconds: float, active: bool, pause: bool) -> Mapping[str, Any]:
        """Begin to find out what speaks on a port; returns at once with the job, see `probing`.

        Listens `seconds` with each plausible setting, and asks too where it may be `active`. Raises `NotProved` with
        `bad-port`, or `port-in-use` and the `devices` that have it open; with `pause` these let go for the time.
        """

    def probing(self, job: str) -> Mapping[str, Any] | None:
        """How a probe stands: `{job, port, state, doing, elapsed_s, most_s, timed_out, paused, problem, result}`.

        `state` is running, done, stopped or failed. None for another job than the newest.
        """

    def stop_probing(self, job: str) -> Mapping[str, Any] | None:
        """Have a probe end with what it has heard; None for another job than the newest."""

    def commission(
        self, device: str, step: str, *, shown: str | None, mass: str | None, skip: bool, operator: str | None
    ) -> Mapping[str, Any]:
        """Take one step: compare what the display shows with what is read. Waits up to 5 s for a scale at rest.

        `empty` begins anew, `stop` breaks off. After the last step the result is kept in the ledger: `outcome`, `kept`.
        Raises `NotProved`, and then the step is still due.
        """


class SlipWindow(Protocol):
    """What may be shown and printed of kept records. Everything raises `NotPrinted`."""

    def show(self, record: str) -> Mapping[str, Any]:
        """The receipt as lines, with what its QR code holds."""

    def picture(self, record: str) -> bytes:
        """The QR code as SVG."""

    def print(self, record: str, what: Slip, station: str | None = None) -> Mapping[str, Any]:
        """Have it printed: the printer and the number of the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The last raw bytes of a device's port; `refused` says why there are none to see."""

    driver: str
    port: str
    pieces: Sequence[tuple[str, bytes, float]] = ()
    masked: bool = False
    refused: str | None = None


class Facade(Protocol):
    """The agent as the page sees it."""

    @property
    def lookups(self) -> Lookups:
        """What can be looked up."""

    def status(self) -> dict[str, Any]:
        """The agent's state as plain values."""

    def views(self) -> dict[str, Any]:
        """The newest view of each station."""

    def recent(self, limit: int = 20) -> Sequence[RecentRecord]:
        """The newest records, newest first."""

    def watch(
        self, topics: tuple[str, ...] = (), wake: Callable[[], None] | None = None
    ) -> AbstractContextManager[Watcher]:
        """A watcher of the board; see `Board.watch`."""

    def on_card(self, listener: CardListener | None) -> None:
        """Have somebody look at scans and tags before the stations do; None: nobody."""

    def requeue(self, sequences: list[int] | None) -> int:
        """Send quarantined records again as they are; all of them for None. Returns how many."""

    def command(
        self,
        station: str,
        name: str,
        arguments: Mapping[str, Any],
        operator: str | None = None,
        timeout: float = 5.0,
        *,
        key: str | None = None,
    ) -> CommandResult:
        """Have a station do something; returns after its records are committed. Raises KeyError for no such station.

        With a `key`, the same request again keeps nothing more and gives the same answer, over a restart too.
        """

    def note_complaint(self, station: str | None, fields: Mapping[str, Any], operator: str | None) -> CommandResult:
        """Keep a complaint."""

    def stops(self) -> Sequence[Mapping[str, Any]]:
        """The stops of sale in force, each with what is left of the goods and whether somebody took note of it."""

    def confirm_stop(self, stop: str, station: str | None, operator: str | None) -> CommandResult:
        """Keep that somebody has taken note of a stop of sale."""

    def instrument(self, device: str, name: str, operator: str | None) -> CommandResult:
        """Send a command (`zero`, `tare` …) to an instrument, and keep that it was sent. Raises KeyError."""

    def restart(self, device: str) -> None:
        """Close a device's port and open it anew. Raises KeyError for no such device."""

    def log_tail(self, after: int, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest lines of the log after a number, oldest first; each has its number `n`."""

    def configuration(self) -> Mapping[str, Any]:
        """The configuration as it is used, without what is secret."""

    def memo(self, name: str) -> str | None:
        """What the page's server had remembered over a restart."""

    def set_memo(self, name: str, text: str) -> None:
        """Have a text remembered over a restart; on disk within a second or so."""

    def settings(self) -> Mapping[str, Any]:
        """The facts of the page: site, gateway, stations with their devices, complaint number."""

    @property
    def slips(self) -> SlipWindow:
        """Receipts, labels and certificates of kept records."""

    @property
    def workshop(self) -> WorkshopWindow:
        """Probing ports and commissioning scales."""

    def correct(
        self, kind: str, record: str, *, reason: str, operator: str | None, details: Mapping[str, Any]
    ) -> CommandResult:
        """Void, amend or return a kept record; see `Corrector.correct`. Refused: the code, and the words."""

    def city(self) -> dict[str, Any]:
        """The city profile: `{name, title, source, price_per, vouchers: [{type, name, name_en, code}],
        operators: [{code, name, name_en}], law: [{id, says, source, since, value, unit}]}`."""

    def keys(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Change the signing key, or say that it is right."""

    def catalogue(self, station: str | None = None) -> dict[str, Any]:
        """What is sold here and who is: `{"versions": {kind: number}, "goods": […], "parties": […]}`.

        Goods stand in the order of the station's tiles, else in the catalogue's. Each has `code`, `name`, `plu`,
        `gtins`, `initials` (pinyin), `category`, `mode` (weight|piece), `price_fen` and `price_per` (today's, at the
        station's party where one is named), `order`, `colour`, `picture` (for `attachment`), `crate`, `relief`,
        `tolerance_permille`; with a station also the open `batches` of its party, oldest first, each
        `{batch, left_mg, left_qty, opened_ms}`, and `stopped` where all of them are under a stop of sale, with the
        `stop`. Parties are without their contacts. A new catalogue, and another arrangement of tiles, is posted to
        the board as `catalogue`. Raises KeyError for no such station.
        """

    def arrange(self, station: str, *, order: object = None, looks: object = None) -> None:
        """Change how the tiles of a station's goods lie and look; see `Tiles.set`. On disk when this returns; told on
        the board as `catalogue`. Raises `BadTiles` (edge_agent.tiles), and KeyError for no such station.
        """

    def import_catalogue(
        self, data: bytes, *, kind: str | None = None, source: str = "page", add: bool = False
    ) -> dict[str, Any]:
        """Import a CSV or JSON file, all of it or nothing: `{"kind", "version", "rows", "faults"}`.

        `kind` is goods, parties or prices; None: told by its columns. `version` is None where there are `faults`, each
        `{line, column, what, hint}`. `add` keeps what the file does not name. Raises ValueError for another kind.
        """

    def attach(self, data: bytes) -> dict[str, Any]:
        """Keep a picture or certificate (JPEG, PNG, WebP, PDF), to be named by a record as `sha256`; returns after it
        is synchronised to disk: `{"sha256", "size", "media_type", "state"}`.

        Raises `NotTaken` (edge_agent.attachments) with `code` unknown-type, too-large or no-room, and the words.
        """

    def attachment(self, sha256: str) -> tuple[bytes, str] | None:
        """Bytes and media type of an attachment that is here; None where it is not."""

    def attachments(self) -> list[dict[str, Any]]:
        """All attachments, oldest first, each with its state: waiting, delivered or refused."""

    def requeue_attachments(self, sha256: str | None = None) -> int:
        """Send refused attachments again, one or all; returns how many."""

    def take_courier(self, header: Mapping[str, str], lines: bytes) -> dict[str, int]:
        """Take lines of a courier file: verdicts on our records, or records to deliver. Raises ValueError with why not.

        What changed: `accepted`, `rejected`, `new`, `known`.
        """

    def ledger(self) -> list[dict[str, Any]]:
        """Every device as an asset, with its flags."""

    def ledger_set(self, device: str, changes: Mapping[str, Any], operator: str | None = None) -> CommandResult:
        """Keep an event of a device's life; returns after it is committed. Refused: the code, and the words."""

    def recording(self, device: str, *, unmasked: bool = False) -> Recording:
        """The last raw bytes of a device's port. Raises KeyError for no such device."""
