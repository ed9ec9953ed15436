"""Mode `sale`: goods chosen or scanned, one weigh cycle, one confirmation -> one sale.

A weigh cycle alone is not a sale. Goods and buyer are cleared after each sale, so that the next customer never pays
for the last one's. Auto-confirmation is a rule and off by default. A scan chooses goods or, where it names a
participant of the market, the buyer; a payment code is neither, and is forgotten.

A stall sells from a batch: the seller's only open one of the goods is taken silently, several want a choice, which
holds until that batch is sold out. Nothing about a batch holds up a sale unless a rule says so, but a stop of sale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from edge_agent.model import Command, Instant, Observation, PushedSale, Reading, Scan
from edge_agent.records.bodies import Sale
from edge_agent.records.bodies.base import CapturedBy
from edge_agent.records.envelope import Draft
from edge_agent.records.flags import Flag
from edge_agent.records.money import PricePer, Quote, fen, line_amount, price_suspect, round_off
from edge_agent.station.arguments import MOST_PIECES, Arguments, NotDone
from edge_agent.station.base import Outcome, Settings, View, weight_view
from edge_agent.station.batches import Account
from edge_agent.station.books import Books
from edge_agent.station.bounded import Bounded
from edge_agent.station.codes_seen import Label, Seen, goods_of, party_of, understand
from edge_agent.station.desk import Action, Desk, Quantity, carry_out
from edge_agent.station.pushed import record_sale
from edge_agent.station.stops import Stop
from edge_agent.station.till import MOST_AMOUNT, Till
from edge_agent.units import to_milligrams

_MOST_PRICE: Final = 100_000_000  # fen; a million yuan for a kilogram or a piece
_MOST_GOODS: Final = 500
_LABEL_FEN: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A net weight that a scale printed on these goods, its amount, and the scanner that read them."""

    label: Label
    weight_kg: str
    device: str
    driver: str
    raw: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """What is being sold, its price in fen as quoted, and what the code on this piece of it says."""

    code: str
    name: str | None = None
    price_fen: int | None = None
    price_per: PricePer = "kg"
    lot: str | None = None
    serial: str | None = None
    expiry: str | None = None
    labelled: Labelled | None = None
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where goods come from: the batch's number, what the books know of it, and the stop it is under."""

    batch: str | None = None
    account: Account | None = None
    stop: Stop | None = None


class SaleStation:
    """A counter: goods, weight and the operator's word become one sale."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._books = books
        self._desk = Desk(settings, books)
        self._till = Till(self._desk)
        self._actions: dict[str, Action] = {
            "goods": self._choose,
            "batch": self._choose_batch,
            "clear": self._start_again,
            "confirm": self._confirm,
            "capture": self._capture,
            "sell": self._sell_these,
            "ticket": self._till.begin_ticket,
            "settle": self._till.settle,
            "return": self._till.take_back,
            "tare": self._desk.set_tare,
            "deduct": self._desk.set_deduction,
            "loss": self._desk.lose,
            "stocktake": self._desk.count,
        }
        self._chosen: Bounded[str] = Bounded(_MOST_GOODS)
        self._at: Instant | None = None
        self._clear()

    def _clear(self) -> None:
        self._goods: Goods | None = None
        self._buyer: str | None = None
        self._not_goods: str | None = None
        self._reported: str | None = None

    @property
    def view(self) -> View:
        """How the station stands; `batches` are those to choose from, oldest first.

        `not_goods` is the class of a scan that named no goods.
        """
        goods, platter = self._goods, self._desk.platters.in_use
        open_batches = self._desk.open_batches(goods.code, self._at) if goods and self._at else []
        return weight_view(
            self._settings,
            platter,
            goods_code=goods.code if goods else None,
            goods_name=goods.name if goods else None,
            buyer=self._buyer,
            not_goods=self._not_goods,
            **self._offer(goods),
            batches=[
                {"batch": each.batch, "left_mg": each.left_mg, "left_qty": each.left_qty} for each in open_batches
            ],
            batch=self._chosen.get(goods.code) if goods else None,
            ticket=self._till.ticket,
            **self._till.view,
            **self._desk.view,
        )

    def _offer(self, goods: Goods | None) -> dict[str, Any]:
        """What the goods would cost now, before and after rounding off, and why they cannot be sold now."""
        offer: dict[str, Any] = {"price_fen": None, "price_per": None, "amount_raw_fen": None, "amount_fen": None}
        if goods is None or self._at is None:
            return offer | {"why_not": "no-goods", "can_confirm": False}
        # A price is to be seen as soon as the goods are known, not when the weight is at rest.
        day = self._desk.today(self._at)
        quote = self._quote(goods, self._books.catalogue.price(goods.code, day, self._settings.party), None)
        per = goods.price_per if quote is None else quote.price_per
        offer |= {"price_fen": None if quote is None else quote.price_fen, "price_per": per}
        try:
            quantity, pieces = self._how_much(goods, Arguments({}), by_hand=False)
        except NotDone as problem:
            return offer | {"why_not": problem.code, "can_confirm": False}
        amounts = self._amounts(goods, quantity, pieces, day)
        return offer | {name: amounts[name] for name in offer} | {"why_not": None, "can_confirm": True}

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said. A scan chooses goods; with `auto_confirm` a stable load of goods is a sale."""
        self._at = observation.at
        if isinstance(observation.event, PushedSale):
            return record_sale(self._settings, self._books, observation, observation.event)
        if isinstance(observation.event, Scan):
            self._scan(observation.event, observation)
        else:
            self._desk.platters.observe(observation)
        if self._settings.auto_confirm and isinstance(observation.event, Scan | Reading):
            try:
                return self._sell(observation.at, None, Arguments({}), ask=False)
            except NotDone as problem:
                return problem.drafts
        return ()

    def _scan(self, scan: Scan, observation: Observation) -> None:
        seen = understand(scan, self._settings.role or "goods", self._settings.codes)
        goods, party = goods_of(seen, self._books.catalogue), party_of(seen)
        self._not_goods = None
        if party is not None:
            self._buyer = party
        elif goods is not None:
            self._reported = None
            item = self._books.catalogue.goods.get(goods.code)
            self._goods = Goods(
                code=goods.code,
                name=goods.name,
                price_per=item.price_per if item else self._settings.price_per,
                lot=goods.lot,
                serial=goods.serial,
                expiry=goods.expiry,
                labelled=_labelled(goods.label, seen, observation),
                flags=goods.flags,
            )
        else:
            self._not_goods = seen.classified.code_class

    def command(self, command: Command) -> Outcome:
        """`goods` and `batch` choose, `clear` forgets, `confirm` sells; `capture` sells a load that was there at the
        start; `ticket` and `settle` put lines together; `return`, `loss`, `stocktake`."""
        self._at = command.at
        return carry_out(self._actions, command, self._books.catalogue)

    # --- choosing

    def _start_again(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        self._clear()
        self._desk.clear_extras()
        return ()

    def _choose(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        self._goods = self._named(arguments)
        self._reported = None
        return ()

    def _named(self, arguments: Arguments) -> Goods:
        """Goods by their code, PLU or article number. `name`, `price_fen` and `price_per` are as the catalogue has
        them where they are not given."""
        told = arguments.some(("code", "price_per"))
        code = told.get("code")
        item = self._books.catalogue.find(code) if isinstance(code, str) else None
        per = told.get("price_per", item.price_per if item else self._settings.price_per)
        if not isinstance(code, str) or per not in ("kg", "500g", "each"):
            raise NotDone("bad-goods")
        try:
            price = arguments.whole("price_fen", 0, _MOST_PRICE)
        except NotDone:
            raise NotDone("bad-price") from None
        name = arguments.text("name") or (item.name if item else None)
        return Goods(code=item.code if item else code, name=name, price_fen=price, price_per=per)

    def _choose_batch(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        """The batch that goods are sold from until it is sold out: `batch`, and `goods_code` or the chosen goods."""
        goods = arguments.text("goods_code") or (self._goods.code if self._goods else None)
        if goods is None:
            raise NotDone("no-goods")
        self._chosen.put(goods, arguments.needed("batch"))
        return ()

    def _source(self, goods: Goods, at: Instant, named: str | None, *, ask: bool) -> _Source:
        """Where goods come from. Raises `NotDone` where the operator has to choose."""
        party = self._settings.party
        if named is not None:
            account = self._books.batches.find(named, party=party, goods=goods.code)
            return _Source(
                batch=named, account=account, stop=self._desk.stop(at, batch=named, goods=goods.code, lot=goods.lot)
            )
        recent = self._desk.recent_batches(goods.code, at)
        candidates = self._desk.open_batches(goods.code, at)
        if not candidates:
            last = recent[-1] if recent else None  # all of them are under a stop
            number = last.batch if last else None
            return _Source(
                batch=number, account=last, stop=self._desk.stop(at, batch=number, goods=goods.code, lot=goods.lot)
            )
        chosen = next((each for each in candidates if each.batch == self._chosen.get(goods.code)), None)
        if chosen is None:
            if len(candidates) > 1 and ask and self._settings.batches.choice == "ask":
                raise NotDone("choose-batch")
            chosen = candidates[0]
        stop = self._desk.stop(at, batch=chosen.batch, goods=goods.code, lot=goods.lot)
        return _Source(batch=chosen.batch, account=chosen, stop=stop)

    # --- selling

    def _confirm(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        return self._sell(command.at, command, arguments)

    def _capture(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        return self._sell(command.at, command, arguments, by_hand=True)

    def _sell_these(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Goods and confirmation in one, for a program: what is chosen at the counter stays as it is.

        The goods as for `goods`; how much is `net_mg` or `qty` as told, else the stable load on the scale.
        """
        goods = self._named(arguments)
        counter = (self._goods, self._buyer, self._not_goods, self._reported)
        self._buyer = self._not_goods = self._reported = None
        try:
            return self._sell(command.at, command, arguments, these=goods, ask=False)
        finally:
            self._goods, self._buyer, self._not_goods, self._reported = counter

    def _sell(
        self,
        at: Instant,
        command: Command | None,
        arguments: Arguments,
        *,
        these: Goods | None = None,
        by_hand: bool = False,
        ask: bool = True,
    ) -> Sequence[Draft]:
        """One sale. `amount_fen` is what the operator rounds the amount off to: never more than the amount. `net_mg` is
        what a program weighed, or what the operator read off a scale that tells nothing.
        """
        goods = these or self._goods
        if goods is None:
            raise NotDone("no-goods")
        told = arguments.mass("net_mg")
        if told is not None and goods.price_per != "each":
            if these is None and self._desk.platters.in_use.reading is not None:
                raise NotDone("scale-works")
            quantity, pieces = self._told(told, "manual" if these is None else "import"), 1
        else:
            quantity, pieces = self._how_much(goods, arguments, by_hand=by_hand)
        amounts = self._amounts(goods, quantity, pieces, self._desk.today(at))
        _round_down(amounts, arguments)
        source = self._source(goods, at, arguments.text("batch"), ask=ask)
        if source.stop is not None and self._settings.batches.stopped == "refuse":
            raise NotDone("stopped", *self._report(source, goods, at, command))
        flags = [*quantity.fields.pop("flags", ()), *goods.flags, *amounts.pop("flags")]
        flags += self._doubts(source, goods, quantity, pieces)
        fields = {
            **quantity.fields,
            **amounts,
            "flags": tuple(dict.fromkeys(flags)),
            "goods_code": goods.code,
            "goods_name": goods.name or (source.account.goods_name if source.account else None),
            "relief": self._relief(goods.code),
            "batch": source.batch,
            "upstream_ticket": source.account.upstream if source.account else None,
            "lot": goods.lot,
            "serial": goods.serial,
            "expiry": goods.expiry,
            "seller": self._settings.party,
            "buyer": self._buyer,
        }
        self._desk.draft(Sale, at, command, **fields)  # what is wrong with it, before a number is drawn for it
        sale = self._desk.draft(Sale, at, command, **fields, trace_code=self._desk.number(at), **self._till.next_line())
        drafts = [sale]
        if source.stop is not None:
            drafts.append(self._desk.hit(source.stop, at, command, batch=source.batch, goods=goods.code, sold=sale.id))
        self._clear()
        return self._desk.taken(quantity, *drafts)

    def _told(self, mass_mg: int, by: CapturedBy) -> Quantity:
        """A mass that a person or another program brings: the record says so, and shows it in kilograms."""
        if mass_mg == 0:
            raise NotDone("bad-net_mg")
        kilograms = f"{Decimal(mass_mg) / 1_000_000:f}"
        fields = {"captured_by": by, "net_mg": mass_mg, "indication": kilograms, "unit": "kg"}
        return Quantity(fields=fields | {"flags": ("basis_unknown",)})

    def _how_much(self, goods: Goods, arguments: Arguments, *, by_hand: bool) -> tuple[Quantity, int]:
        on_scale = self._desk.platters.in_use.cycle.load
        if goods.price_per != "each" and goods.labelled is not None and on_scale is None:
            return _from_label(goods.labelled), 1
        if goods.price_per != "each":
            return self._desk.weigh(by_hand=by_hand, unsteady=by_hand and arguments.yes("unstable")), 1
        try:
            pieces = arguments.whole("qty", 1, MOST_PIECES) or 1
        except NotDone:
            raise NotDone("bad-quantity") from None
        return Quantity(fields={"captured_by": "manual", "mode": "piece", "qty": pieces}), pieces

    def _doubts(self, source: _Source, goods: Goods, quantity: Quantity, pieces: int) -> list[Flag]:
        """What is doubtful about the batch. Raises `NotDone` where a rule refuses it."""
        rules = self._settings.batches
        if source.account is None:
            if rules.no_upstream == "refuse":
                raise NotDone("no-batch")
            return ["no_upstream"]
        by_piece = goods.price_per == "each"
        if not source.account.would_be_over(
            quantity.goods_mg, pieces if by_piece else 0, rules.tolerance(source.account.goods, self._books.catalogue)
        ):
            return []
        if rules.over_balance == "refuse":
            raise NotDone("over-balance")
        return ["over_balance"]

    def _relief(self, code: str) -> bool | None:
        """Whether the catalogue marks these goods; None where it does not have them."""
        item = self._books.catalogue.goods.get(code)
        return None if item is None else item.relief

    def _report(self, source: _Source, goods: Goods, at: Instant, command: Command | None) -> Sequence[Draft]:
        """The record that stopped goods turned up: once for the goods on the counter, however often it is tried."""
        stop = source.stop
        if stop is None or self._reported == stop.id:
            return ()
        self._reported = stop.id
        return (self._desk.hit(stop, at, command, batch=source.batch, goods=goods.code, sold=None),)

    def _quote(self, goods: Goods, usual: Quote | None, on_scale: str | None) -> Quote | None:
        """The price: what the operator said, else the scale's own, else the catalogue's.

        A scale that shows a price of zero was given none.
        """
        if goods.price_fen is not None:
            return Quote(goods.price_fen, goods.price_per)
        shown = _fen(on_scale, _MOST_PRICE)
        if shown is not None and (shown or usual is None):
            return Quote(shown, goods.price_per)
        alike = usual is not None and (usual.price_per == "each") == (goods.price_per == "each")
        return usual if alike else None

    def _amounts(self, goods: Goods, quantity: Quantity, qty: int, day: str) -> dict[str, Any]:
        """Price and amount of a line. The scale's own amount is the amount; ours is the check, or its stand-in.

        The scale's amount is for all that lies on it, so where goods were added to others, or crates or deductions
        subtracted, it says nothing.
        """
        reading = quantity.reading
        usual = self._books.catalogue.price(goods.code, day, self._settings.party)
        quote = self._quote(goods, usual, None if reading is None else reading.unit_price)
        mass = None if quantity.net_mg is None else quantity.goods_mg
        ours = None if quote is None else line_amount(quote, paid_mg=mass, qty=qty)
        theirs = _fen(reading.amount, MOST_AMOUNT) if reading is not None and quantity.own_amount else None
        labelled = _fen(quantity.label_amount, MOST_AMOUNT)
        theirs = labelled if theirs is None else theirs
        # A label's scale may have rounded otherwise than half up: a fen is none of our business.
        within = 0 if labelled is None else _LABEL_FEN
        flags: list[Flag] = []
        if theirs is not None and ours is not None and abs(theirs - ours) > within:
            flags.append("amount_mismatch")
        if quote is not None and usual is not None and price_suspect(quote, usual):
            flags.append("price_suspect")
        amount = theirs if theirs is not None else ours
        source = None if amount is None else ("agent" if theirs is None else "device")
        return {
            "price_fen": None if quote is None else quote.price_fen,
            "price_per": None if quote is None else quote.price_per,
            "amount_raw_fen": amount,
            "amount_fen": None if amount is None else round_off(amount, self._settings.round_off),
            "amount_source": source,
            "flags": flags,
        }


def _labelled(label: Label | None, seen: Seen, observation: Observation) -> Labelled | None:
    """The weight of a scanned label; None where it has none, or says zero."""
    if label is None or label.weight_kg is None or not to_milligrams(label.weight_kg, "kg"):
        return None
    return Labelled(
        label=label,
        weight_kg=label.weight_kg,
        device=observation.device,
        driver=observation.driver,
        raw=seen.raw,
    )


def _from_label(labelled: Labelled) -> Quantity:
    """What a label says is sold: the scale that printed it weighed it, net."""
    fields = {
        "device": labelled.device,
        "driver": labelled.driver,
        "net_mg": to_milligrams(labelled.weight_kg, "kg"),
        "indication": labelled.weight_kg,
        "unit": "kg",
        "stability": "unknown",
        "raw": labelled.raw,
    }
    return Quantity(fields=fields, label_amount=labelled.label.amount)


def _round_down(amounts: dict[str, Any], arguments: Arguments) -> None:
    """What the operator takes instead of the amount: never more."""
    try:
        paid = arguments.whole("amount_fen", -MOST_AMOUNT, MOST_AMOUNT)
    except NotDone:
        raise NotDone("bad-amount") from None
    if paid is None:
        return
    raw = amounts["amount_raw_fen"]
    if raw is None or not 0 <= paid <= raw:
        raise NotDone("rounded-up")
    amounts["amount_fen"] = paid


def _fen(text: str | None, most: int) -> int | None:
    """What a scale says in yuan, in fen; None where it says nothing that a price or an amount can be."""
    value = None if text is None else fen(text)
    return value if value is not None and 0 <= value <= most else None
