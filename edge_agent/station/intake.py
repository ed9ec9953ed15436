"""Mode `intake`: goods come in with their papers, and a batch is opened.

What is known of the goods is gathered from scans and commands until `confirm` weighs them. A scanned trace code is
the sale by which they were bought: voucher 1, and the batch number unless another is given. A scanned link is taken
for the commitment certificate (承诺达标合格证), a participant's code for the supplier; goods codes bring lot and
expiry. Beside it stand the market's review and the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge_agent.model import Command, Observation, Scan
from edge_agent.records.bodies import Entry, Import, Intake, IntakeReview, Voucher
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.base import Outcome, Settings, View, weight_view
from edge_agent.station.books import Books
from edge_agent.station.codes_seen import goods_of, party_of, understand
from edge_agent.station.desk import Action, Desk, carry_out

_FORM: Final = (
    *("party", "batch", "goods_code", "goods_name", "specification", "brand", "producer", "produced", "expiry", "lot"),
    *("price_fen", "price_per", "supplier", "supplier_name", "origin_code", "origin_name", "upstream_trace"),
    *("plate_no", "temperature_milli_c"),
)
_VOUCHER: Final = ("type", "no", "issuer", "quantity", "origin", "issued", "url", "attachment")
_IMPORT: Final = ("country", "importer", "consignee", "entry_no", "entry_day", "port", "quarantine_no")
_MOST_VOUCHERS: Final = 20
_TRADE_VOUCHER: Final = "1"
_LONGEST_LINK: Final = 2_000


class IntakeStation:
    """Where goods come in."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._books = books
        self._desk = Desk(settings, books)
        self._actions: dict[str, Action] = {
            "set": self._set,
            "voucher": self._add_voucher,
            "import": self._set_import,
            "clear": self._start_again,
            "confirm": self._confirm,
            "take": self._take_in,
            "review": self._review,
            "entry": self._enter,
            "tare": self._desk.set_tare,
            "deduct": self._desk.set_deduction,
            "loss": self._desk.lose,
            "stocktake": self._desk.count,
            "environment": self._desk.sense,
        }
        self._forget()

    def _forget(self) -> None:
        self._form: dict[str, Any] = {}
        self._vouchers: list[Voucher] = []
        self._import: Import | None = None
        self._not_understood: str | None = None

    @property
    def view(self) -> View:
        """How the station stands, with the form, and `missing`: what an intake should have and has not yet."""
        return weight_view(
            self._settings,
            self._desk.platters.in_use,
            form=dict(self._form),
            vouchers=[{"type": v.type, "no": v.no, "url": v.url} for v in self._vouchers],
            imported=self._import is not None,
            missing=self._missing(),
            not_understood=self._not_understood,
            **self._desk.view,
        )

    def _missing(self) -> list[str]:
        found = {
            "goods_code": "goods_code" in self._form,
            "supplier": "supplier" in self._form or "supplier_name" in self._form,
            "origin": "origin_code" in self._form or "origin_name" in self._form or self._import is not None,
            "vouchers": bool(self._vouchers),
        }
        return [name for name, there in found.items() if not there]

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; a scan fills in the form."""
        if isinstance(observation.event, Scan):
            self._scan(observation.event)
        else:
            self._desk.platters.observe(observation)
        return ()

    def _scan(self, scan: Scan) -> None:
        seen = understand(scan, self._settings.role, self._settings.codes)
        party, goods = party_of(seen), goods_of(seen, self._books.catalogue)
        kind = seen.classified.code_class
        text = seen.text.strip()
        self._not_understood = None
        if party is not None:
            self._form["supplier" if self._settings.party or "party" in self._form else "party"] = party
        elif kind == "trace-code" and seen.classified.valid is not False:
            self._form["upstream_trace"] = text
            self._put_voucher(Voucher(type=_TRADE_VOUCHER, no=text))
        elif kind == "url" and "private_masked" not in seen.flags and len(text) <= _LONGEST_LINK:
            self._put_voucher(Voucher(type="commitment", url=text))
        elif goods is not None:
            told = {"goods_code": goods.code, "goods_name": goods.name, "lot": goods.lot, "expiry": goods.expiry}
            self._form |= {name: value for name, value in told.items() if value is not None}
        else:
            self._not_understood = kind

    def command(self, command: Command) -> Outcome:
        """`set`, `voucher`, `import` fill in; `confirm` takes in; `review`, `entry`, `loss`, `stocktake` and others."""
        return carry_out(self._actions, command, self._books.catalogue)

    def _set(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Fields of the form; those of an earlier `set` stay."""
        self._form |= arguments.only(_FORM, "field")
        return ()

    def _add_voucher(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        if not self._put_voucher(_voucher(arguments)):
            raise NotDone("too-many-vouchers")
        return ()

    def _put_voucher(self, voucher: Voucher) -> bool:
        """Add a voucher once; False where there are too many."""
        if voucher not in self._vouchers:
            if len(self._vouchers) == _MOST_VOUCHERS:
                return False
            self._vouchers.append(voucher)
        return True

    def _set_import(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        self._import = Import(**arguments.only(_IMPORT, "import"))
        return ()

    def _start_again(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        self._forget()
        self._desk.clear_extras()
        return ()

    def _confirm(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Take in what lies on the scale, or `net_mg` or `qty` as typed. Further fields may come with it."""
        form = self._form | arguments.some(_FORM)
        vouchers = self._vouchers + [_voucher(each) for each in arguments.rows("vouchers")]
        if "goods_code" not in form:
            raise NotDone("no-goods")
        if not (form.get("party") or self._settings.party):
            raise NotDone("no-party")
        quantity = self._desk.quantity(arguments)
        # A number is drawn last: what is refused uses none up.
        form.setdefault("batch", form.get("upstream_trace"))
        fields = form | quantity.fields | {"vouchers": tuple(vouchers), "imported": self._import}
        if fields["batch"] is None:
            self._desk.draft(Intake, command.at, command, **(fields | {"batch": "-"}))
            fields["batch"] = self._desk.batch_number(command.at, form.get("party"))
        draft = self._desk.draft(Intake, command.at, command, **fields)
        self._forget()
        return self._desk.taken(quantity, draft)

    def _take_in(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """A whole intake in one, for a program: as `confirm`, and what is filled in at the door stays as it is."""
        door = (self._form, self._vouchers, self._import, self._not_understood)
        self._forget()
        try:
            return self._confirm(command, arguments)
        finally:
            self._form, self._vouchers, self._import, self._not_understood = door

    def _review(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """The market's decision on an intake: `intake` (its id), `batch`, `decision`, `reason`."""
        told = arguments.some(("intake", "batch", "decision", "reason"))
        if not told.get("intake") or not told.get("decision"):
            raise NotDone("no-intake" if not told.get("intake") else "no-decision")
        account = self._books.batches.find(told["batch"]) if isinstance(told.get("batch"), str) else None
        party = {"party": account.party} if account is not None else {}
        return (self._desk.draft(IntakeReview, command.at, command, captured_by="manual", **told, **party),)

    def _enter(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """A vehicle or porter passes the gate; with `weigh` the load on the platform scale is its mass."""
        told: dict[str, Any] = arguments.some(("plate_no", "gate"))
        told |= {"intakes": tuple(arguments.texts("intakes")), "batches": tuple(arguments.texts("batches"))}
        if not arguments.yes("weigh"):
            return (self._desk.draft(Entry, command.at, command, captured_by="manual", **told),)
        quantity = self._desk.weigh()
        return self._desk.taken(quantity, self._desk.draft(Entry, command.at, command, **told, **quantity.fields))


def _voucher(arguments: Arguments) -> Voucher:
    told = arguments.only(_VOUCHER, "voucher")
    if "type" not in told:
        raise NotDone("bad-voucher")
    return Voucher(**told)
