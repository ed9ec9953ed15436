"""From a kept record to what is printed or shown of it: finds the sale, its ticket and its origin, and hands it on.

It works from the store alone, so that a receipt never says what is not kept. Whether a stall prints by itself is a
rule of its station; a printer in trouble never holds up a sale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

import orjson
import structlog

from edge_agent.facade import NotPrinted, Slip
from edge_agent.model import Document
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.proof.signing import Signer
from edge_agent.receipts import Issuer, Printout, certificate, documents, label, of_sale, qr, receipt
from edge_agent.records.bodies import Intake, Sale, Settlement
from edge_agent.station.bounded import Bounded
from edge_agent.store import Kept, Store

PRINTED_BY_RULE: Final[Mapping[str, frozenset[Slip]]] = {
    "none": frozenset(),
    "receipt": frozenset({"receipt"}),
    "label": frozenset({"label"}),
    "both": frozenset({"receipt", "label"}),
}
"""What the rule `print` of a station means."""
Event = Mapping[str, Any]

_REMEMBERED: Final = 2_000
_TICKET_REACH: Final = 500
"""So many records before a line, and after it, the other lines of its ticket are looked for."""


class Queue(Protocol):
    """A printer, as far as this module goes; `kinds` holds `receipt` or `label`."""

    @property
    def device(self) -> str:
        """The printer's id."""

    @property
    def kinds(self) -> Sequence[str]:
        """What it is made for."""

    def submit(self, about: str, make: Callable[[], Document | None]) -> int:
        """Have a document printed, which `make` makes in the printer's thread; the job's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """The printers of a station, and what it prints by itself."""

    printers: Sequence[Queue]
    by_itself: frozenset[Slip] = frozenset()

    def printer_for(self, what: Slip) -> Queue | None:
        """The printer that suits best: labels on a label printer, all else on a receipt printer, else any."""
        wanted = "label" if what == "label" else "receipt"
        return next((each for each in self.printers if wanted in each.kinds), next(iter(self.printers), None))


class Slips:
    """Receipts, labels and certificates of one store. Thread-safe."""

    def __init__(
        self,
        store: Store,
        bookkeeper: Bookkeeper,
        issuer: Issuer,
        signer: Callable[[], Signer | None],
        counters: Mapping[str, Counter],
        started_ms: int,
    ) -> None:
        self._store = store
        self._bookkeeper = bookkeeper
        self._issuer = issuer
        self._signer = signer
        self._counters = counters
        self._started_ms = started_ms
        self._printed: Bounded[bool] = Bounded(_REMEMBERED)
        self._log = structlog.get_logger()

    def kept(self, kept: Sequence[Kept]) -> None:
        """Print what a station prints by itself; called by the committer, and never waits."""
        for each in kept:
            counter = self._counters.get(each.subject)
            if counter is None or each.type not in (Sale.TYPE, Settlement.TYPE):
                continue
            for what in counter.by_itself:
                printer = counter.printer_for(what)
                if printer is None or (what == "label" and each.type != Sale.TYPE):
                    continue
                try:
                    printer.submit(f"{what} {each.id}", partial(self._by_itself, each.id, what))
                except Exception as problem:  # noqa: BLE001 -- a printer must never hold up a commit
                    self._log.warning("document.not_printed", about=f"{what} {each.id}", reason=str(problem))

    def print(self, record: str, what: Slip, station: str | None = None) -> Mapping[str, Any]:
        """Have a slip of a kept record printed. Raises `NotPrinted`."""
        event = self._event(record)
        counter = self._counters.get(station or event["subject"])
        printer = counter.printer_for(what) if counter is not None else None
        if printer is None:
            raise NotPrinted("no-printer", f"station {station or event['subject']} has no printer among its devices")
        document = self.document(event["id"], what)
        job = printer.submit(f"{what} {event['id']}", lambda: document)
        self._printed.put(f"{what} {event['id']}", True)
        return {"printer": printer.device, "job": job}

    def document(self, record: str, what: Slip) -> Document:
        """A slip of a kept record; marked as printed again where it may have been. Raises `NotPrinted`."""
        event = self._event(record)
        try:
            if what == "certificate":
                return certificate(self._intake_of(event), self._issuer)
            return (label if what == "label" else receipt)(self._printout(event, what), self._issuer)
        except NotPrinted:
            raise
        except ValueError as problem:
            raise NotPrinted("nothing-to-print", str(problem)) from problem

    def show(self, record: str) -> Mapping[str, Any]:
        """The receipt as the page shows it: its lines, the trace code, and what its QR code holds."""
        event = self._event(record)
        printout = self._printout(event, "receipt")
        code = event["data"].get("trace_code")
        proof = printout.proofs.get(event["id"])
        return {
            "id": event["id"],
            "lines": documents.as_lines(receipt(printout, self._issuer)),
            "trace_code": code,
            "qr": None if code is None else self._issuer.link(code, proof),
            "proof": proof,
        }

    def picture(self, record: str) -> bytes:
        """The QR code of a sale as SVG. Raises `NotPrinted`."""
        text = self.show(record)["qr"]
        made = qr.svg(text) if text else None
        if made is None:
            raise NotPrinted("no-code", "this sale has no trace code, or QR codes cannot be made on this box")
        return made

    # --- finding

    def _by_itself(self, record: str, what: Slip) -> Document | None:
        """The slip after a sale; None for a ticket's line: its receipt comes once, with the payment of them all."""
        event = self._event(record)
        if what == "receipt" and (event["type"] == Sale.TYPE) == bool(event["data"].get("ticket")):
            return None
        document = self.document(record, what)
        self._printed.put(f"{what} {record}", True)
        return document

    def _event(self, record: str) -> Event:
        row = self._store.find(record)
        if row is None:
            raise NotPrinted("unknown", f"there is no record {record}")
        event: Event = orjson.loads(row.body)
        return event

    def _printout(self, event: Event, what: Slip) -> Printout:
        sales = self._sales(event, what)
        signer = self._signer()
        codes = [sale for sale in sales if sale["data"].get("trace_code")]
        at = datetime.fromisoformat(event["time"]).timestamp() * 1000
        return Printout(
            sales=sales,
            origins={
                sale["data"]["batch"]: origin
                for sale in sales
                if sale["data"].get("batch") and (origin := self._origin(sale)) is not None
            },
            proofs={} if signer is None else {sale["id"]: of_sale(sale, signer) for sale in codes},
            again=f"{what} {event['id']}" in self._printed or at < self._started_ms,
        )

    def _sales(self, event: Event, what: Slip) -> list[Event]:
        """The lines that stand on one receipt: those of a settlement or a ticket, else the sale alone."""
        if event["type"] == Settlement.TYPE:
            return [self._event(line) for line in event["data"]["lines"]]
        if event["type"] != Sale.TYPE:
            raise NotPrinted("not-a-sale", f"record {event['id']} is a {event['type']}, and only sales have receipts")
        ticket = event["data"].get("ticket")
        if ticket is None or what == "label":
            return [event]
        at = int(event["sequence"])
        rows = self._store.read(max(1, at - _TICKET_REACH), last=at + _TICKET_REACH, limit=2 * _TICKET_REACH + 1)
        near = (orjson.loads(row.body) for row in rows if ticket.encode() in row.body)
        return [
            each
            for each in near
            if each["type"] == Sale.TYPE and each["subject"] == event["subject"] and each["data"]["ticket"] == ticket
        ]

    def _origin(self, sale: Event) -> Event | None:
        """The record that opened the batch of a sale; None where it is not known here, or no longer."""
        data = sale["data"]
        with self._bookkeeper.turn() as books:
            account = books.batches.find(data["batch"], party=data.get("seller"), goods=data.get("goods_code"))
            opened_by = None if account is None else account.opened_by
        row = None if opened_by is None else self._store.find(opened_by)
        return None if row is None else orjson.loads(row.body)

    def _intake_of(self, event: Event) -> Event:
        intake = event if event["type"] == Intake.TYPE else self._origin(event) if event["data"].get("batch") else None
        if intake is None or intake["type"] != Intake.TYPE:
            raise NotPrinted("no-intake", f"no intake is known behind record {event['id']}")
        return intake
