"""What all stations with an operator share: weighing with crates and deductions, batches, and how commands end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from edge_agent.catalogue import Catalogue
from edge_agent.clock import rfc3339
from edge_agent.model import Command, Instant, Reading
from edge_agent.records.bodies import Body, Environment, Loss, RecallHit, Stocktake
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import MOST_MASS_MG, Arguments, NotDone
from edge_agent.station.base import Outcome, Platter, Platters, Refused, Settings, common, to_draft, weighed_fields
from edge_agent.station.batches import Account
from edge_agent.station.books import Books
from edge_agent.station.stops import Stop
from edge_agent.station.weigh_cycle import Load, Phase

Action = Callable[[Command, Arguments], Sequence[Draft]]
"""Carries out one command; raises `NotDone`."""

_PERMILLE: Final = 1000
_FIELD: Final = re.compile(r"\$\.(\w+)")


def carry_out(actions: Mapping[str, Action], command: Command, catalogue: Catalogue) -> Outcome:
    """Have a command carried out, or say why not.

    Goods that it names by their PLU or article number, it names by the catalogue's code from here on, and by its name.
    """
    action = actions.get(command.name)
    if action is None:
        return Outcome(refused=Refused(code="unknown-command"))
    try:
        return Outcome(drafts=tuple(action(command, Arguments(_by_code(command.arguments, catalogue)))))
    except NotDone as problem:
        return Outcome(drafts=problem.drafts, refused=Refused(code=problem.code))


def _by_code(arguments: Mapping[str, Any], catalogue: Catalogue) -> Mapping[str, Any]:
    named = arguments.get("goods_code")
    item = catalogue.find(named.strip()) if isinstance(named, str) else None
    return arguments if item is None else {"goods_name": item.name, **arguments, "goods_code": item.code}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How much of something: the fields of a weighed body. `take` says that they went into a record.

    `own_amount` says whether an amount that the scale shows is for just this mass; `label_amount` is the one that a
    label on the goods names, in yuan.
    """

    fields: dict[str, Any]
    platter: Platter | None = None
    load: Load | None = None
    own_amount: bool = False
    label_amount: str | None = None

    def take(self) -> None:
        """The load is captured: it is in a record now."""
        if self.platter is not None and self.load is not None:
            if self.load.after_start or self.load.unsteady:
                self.platter.cycle.take_by_hand(unsteady=self.load.unsteady)
            else:
                self.platter.cycle.take()

    @property
    def reading(self) -> Reading | None:
        """What the scale said of the load; None where it comes from no scale."""
        return None if self.platter is None or self.load is None else self.platter.shown(self.load)[1]

    @property
    def net_mg(self) -> int | None:
        """The net mass; None for pieces."""
        return self.fields.get("net_mg")

    @property
    def goods_mg(self) -> int:
        """The mass of the goods themselves, without what is deducted; 0 for pieces."""
        return (self.fields.get("net_mg") or 0) - (self.fields.get("deduction_mg") or 0)


class Desk:
    """The scales of a station, what is put between them and the goods, and the books of the box."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self.settings = settings
        self.books = books
        self.platters = Platters(settings)
        self._preset_mg = 0
        self._deduct_mg = 0
        self._deduct_permille = 0

    @property
    def view(self) -> dict[str, Any]:
        """What the page shows of crates and deductions."""
        return {
            "preset_tare_mg": self._preset_mg,
            "deduct_mg": self._deduct_mg,
            "deduct_permille": self._deduct_permille,
            "crates": dict(self.settings.crates),
        }

    # --- records

    def draft(self, kind: type[Body], at: Instant, command: Command | None, /, **fields: Any) -> Draft:
        """The draft of a body captured here. Raises `NotDone` with `bad-FIELD` where a field is not what it may be."""
        operator = command.operator if command is not None else None
        try:
            body = kind(**(common(self.settings, at, operator=operator) | fields))
        except ValueError as problem:  # rounded upward
            raise NotDone("rounded-up") from problem
        data = body.to_data()
        if wrong := body_problems(kind, data):
            place = _FIELD.match(wrong[0])
            raise NotDone(f"bad-{place[1] if place else 'request'}")
        return to_draft(self.settings, at, body, data)

    def today(self, at: Instant) -> str:
        """The day at the station, as records write it."""
        return datetime.fromtimestamp(at.wall_ms / 1000, self.settings.zone).date().isoformat()

    def number(self, at: Instant, party: str | None = None) -> str | None:
        """A new trace code of a party; None where none can be issued now."""
        settings = self.settings
        return self.books.numbers.take(
            party or settings.party, settings.id, at, share=settings.share, begin=settings.first_number
        )

    def batch_number(self, at: Instant, party: str | None = None) -> str:
        """A number for a new batch: from the party's running numbers, else made of station and time."""
        return self.number(at, party) or self.paper_number(at)

    def paper_number(self, at: Instant) -> str:
        """A number made of station and time, for papers that bring none."""
        moment = rfc3339(at.wall_ms, self.settings.zone)[:23]
        return f"{self.settings.id}-{''.join(c for c in moment if c.isdigit())}"

    # --- how much

    def weigh(self, *, by_hand: bool = False, unsteady: bool = False) -> Quantity:
        """The load that could be taken now, less crates and deductions. Raises `NotDone` with the reason."""
        platter = self.platters.in_use
        load = platter.cycle.could_take_by_hand(unsteady=unsteady) if by_hand else platter.cycle.load
        if load is None:
            raise NotDone(why_not(platter))
        fields = weighed_fields(self.settings, platter, load)
        own_amount = not (load.base_mg or self._preset_mg or self._deduct_mg or self._deduct_permille)
        if self._preset_mg:
            if fields["net_mg"] <= self._preset_mg:
                raise NotDone("tare-too-big")
            if "basis_unknown" in fields["flags"]:
                fields["gross_mg"] = fields["net_mg"]
            fields["tare_mg"] = (fields["tare_mg"] or 0) + self._preset_mg
            fields["net_mg"] -= self._preset_mg
            fields["tare_kind"] = "preset"
        deduction = self._deduct_mg + fields["net_mg"] * self._deduct_permille // _PERMILLE
        if deduction:
            if deduction >= fields["net_mg"]:
                raise NotDone("deduction-too-big")
            fields["deduction_mg"] = deduction
        return Quantity(fields=fields, platter=platter, load=load, own_amount=own_amount)

    def quantity(self, arguments: Arguments) -> Quantity:
        """How much: the mass or pieces that were typed, else the load on the scale. Raises `NotDone`."""
        mass, pieces = arguments.mass("net_mg"), arguments.pieces()
        if mass is None and pieces is None:
            return self.weigh()
        return Quantity(fields={"net_mg": mass, "captured_by": "manual"} | ({"qty": pieces} if pieces else {}))

    def clear_extras(self) -> None:
        """Forget crates and deductions: they were for one weighing."""
        self._preset_mg = self._deduct_mg = self._deduct_permille = 0

    def set_tare(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Command `tare`: what is subtracted from the next weighing, as `mass_mg`, or `crate` and `count`."""
        crate = arguments.text("crate")
        if crate is None:
            self._preset_mg = arguments.mass("mass_mg") or 0
            return ()
        if crate not in self.settings.crates:
            raise NotDone("unknown-crate")
        self._preset_mg = self.settings.crates[crate] * (arguments.whole("count", 1, 1000) or 1)
        return ()

    def set_deduction(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Command `deduct` (扣杂、扣水): what of the next weighing is not paid for, as `mass_mg` or `permille`."""
        self._deduct_mg = arguments.whole("mass_mg", 0, MOST_MASS_MG) or 0
        self._deduct_permille = arguments.whole("permille", 0, _PERMILLE - 1) or 0
        return ()

    # --- batches

    def stop(self, at: Instant, *, batch: str | None, goods: str | None, lot: str | None = None) -> Stop | None:
        """The stop of sale that these goods are under."""
        return self.books.stops.met(batch=batch, goods=goods, lot=lot, now_ms=at.wall_ms)

    def hit(
        self,
        stop: Stop,
        at: Instant,
        command: Command | None,
        *,
        batch: str | None,
        goods: str | None,
        sold: str | None,
    ) -> Draft:
        """The record that goods under a stop turned up; `sold` is the record that they went into in spite of it."""
        account = None if batch is None else self.books.batches.find(batch, party=self.settings.party, goods=goods)
        return self.draft(
            RecallHit,
            at,
            command,
            stop_sale=stop.id,
            matched=stop.matched,
            record=sold,
            action="block" if sold is None else "warn",
            batch=batch,
            goods_code=goods,
            remaining_mg=account.left_mg if account is not None and account.in_mg else None,
        )

    def recent_batches(self, goods: str, at: Instant) -> list[Account]:
        """The seller's batches of these goods that the market took in and that are not too old, stopped ones too."""
        days = self.settings.batches.days
        return self.books.recent_batches(self.settings.party, goods, now_ms=at.wall_ms, days=days)

    def open_batches(self, goods: str, at: Instant) -> list[Account]:
        """The batches that these goods can be taken from, oldest first; see `Books.open_batches`."""
        days = self.settings.batches.days
        return self.books.open_batches(self.settings.party, goods, now_ms=at.wall_ms, days=days)

    def account(self, arguments: Arguments, at: Instant) -> Account | None:
        """The batch that a command is about: the named one, else the only open one of the goods.

        None where it is not known here. Raises `NotDone`: nothing named, or several to choose from.
        """
        batch, goods = arguments.text("batch"), arguments.text("goods_code")
        if batch is not None:
            return self.books.batches.find(batch, party=self.settings.party, goods=goods) or self.books.batches.find(
                batch, goods=goods
            )
        if goods is None:
            raise NotDone("no-goods")
        candidates = self.open_batches(goods, at)
        if len(candidates) > 1:
            raise NotDone("choose-batch")
        return candidates[0] if candidates else None

    def of_batch(self, arguments: Arguments, at: Instant) -> tuple[dict[str, Any], Account | None]:
        """The fields that say which goods of which batch, and what the books know of it."""
        account = self.account(arguments, at)
        return {
            "batch": arguments.text("batch") or (account.batch if account else None),
            "goods_code": arguments.text("goods_code") or (account.goods or None if account else None),
            "goods_name": arguments.text("goods_name") or (account.goods_name if account else None),
        }, account

    # --- commands that several stations have

    def lose(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Command `loss`: goods that can no longer be sold; `cause`, and how much as typed or weighed."""
        about, account = self.of_batch(arguments, command.at)
        quantity = self.quantity(arguments)
        more = {"cause": "other"} | arguments.some(("cause", "reason"))
        owner = {"party": account.party} if account else {}
        return self.taken(quantity, self.draft(Loss, command.at, command, **about, **more, **owner, **quantity.fields))

    def count(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Command `stocktake`: what is really there of a batch, as typed or weighed, beside what the books say."""
        about, account = self.of_batch(arguments, command.at)
        quantity = self.quantity(arguments)
        books: dict[str, Any] = {}
        if account is not None:
            books = {"party": account.party}
            if quantity.net_mg is not None and account.in_mg:
                books["book_mg"] = account.left_mg
            if "qty" in quantity.fields and account.in_qty:
                books["book_qty"] = account.left_qty
        more = arguments.some(("reason", "position"))
        draft = self.draft(Stocktake, command.at, command, **about, **books, **more, **quantity.fields)
        return self.taken(quantity, draft)

    def sense(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Command `environment`: temperature, humidity and door, as a sensor or a person tells them."""
        names = ("sensor", "temperature_milli_c", "humidity_permille", "door", "position", "batch", "transfer")
        told = arguments.some(names)
        if not set(told) & {"temperature_milli_c", "humidity_permille", "door"}:
            raise NotDone("nothing-measured")
        told.setdefault("sensor", self.settings.id)
        return (self.draft(Environment, command.at, command, captured_by="manual", **told),)

    def taken(self, quantity: Quantity, *drafts: Draft) -> Sequence[Draft]:
        """The drafts, after their load was captured; crates and deductions are used up."""
        quantity.take()
        if quantity.platter is not None:
            self.clear_extras()
        return drafts


def why_not(platter: Platter) -> str:
    """Why there is nothing to take from a platter: a code for the page."""
    state = platter.state
    if state in ("overload", "underload", "disconnected", "stale", "bad-data", "waiting", "loaded-at-start"):
        return state
    match platter.cycle.phase:
        case Phase.CAPTURED | Phase.UNLOADING:
            return "already-sold"
        case Phase.LOADING:
            return "not-stable"
        case _:
            return "no-load"
