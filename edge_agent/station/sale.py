"""Mode `sale`: goods chosen or scanned, one weigh cycle, one confirmation -> one sale.

A weigh cycle alone is not a sale. Goods and buyer are cleared after each sale, so that the next customer never pays
for the last one's. Auto-confirmation is a rule and off by default. A scan chooses goods or, where it names a
participant of the market, the buyer; a payment code is neither, and is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.model import Command, Instant, Observation, Reading, Scan
from edge_agent.records.bodies import Sale
from edge_agent.records.canonical import clean_text
from edge_agent.records.envelope import Draft
from edge_agent.records.flags import Flag
from edge_agent.records.money import PricePer, Quote, fen, line_amount, price_suspect, round_off
from edge_agent.station.base import (
    Outcome,
    Platter,
    Platters,
    Refused,
    Settings,
    View,
    common,
    to_draft,
    weighed_fields,
    weight_view,
)
from edge_agent.station.codes_seen import goods_of, party_of, understand
from edge_agent.station.weigh_cycle import Load, Phase

_MOST_PRICE: Final = 100_000_000  # fen; a million yuan for a kilogram or a piece
_MOST_AMOUNT: Final = 10_000_000_000


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
    flags: tuple[Flag, ...] = ()


class SaleStation:
    """A counter: goods, weight and the operator's word become one sale."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._platters = Platters(settings)
        self._goods: Goods | None = None
        self._buyer: str | None = None
        self._not_goods: str | None = None

    @property
    def view(self) -> View:
        """How the station stands; `not_goods` is the class of a scan that named none."""
        goods, platter = self._goods, self._platters.in_use
        return weight_view(
            self._settings,
            platter,
            goods_code=goods.code if goods else None,
            goods_name=goods.name if goods else None,
            buyer=self._buyer,
            not_goods=self._not_goods,
            can_confirm=goods is not None and platter.cycle.load is not None,
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said. A scan chooses goods; with `auto_confirm` a stable load of goods is a sale."""
        if isinstance(observation.event, Scan):
            self._scan(observation.event)
        else:
            self._platters.observe(observation)
        if self._settings.auto_confirm and isinstance(observation.event, Scan | Reading):
            return self._sell(observation.at, operator=None).drafts
        return ()

    def _scan(self, scan: Scan) -> None:
        seen = understand(scan, self._settings.role or "goods", self._settings.codes)
        goods, party = goods_of(seen), party_of(seen)
        self._not_goods = None
        if party is not None:
            self._buyer = party
        elif goods is not None:
            self._goods = Goods(
                code=goods.code, lot=goods.lot, serial=goods.serial, expiry=goods.expiry, flags=goods.flags
            )
        else:
            self._not_goods = seen.classified.code_class

    def command(self, command: Command) -> Outcome:
        """`goods` chooses, `clear` forgets, `confirm` sells; `capture` sells a load that was there at the start."""
        match command.name:
            case "goods":
                return self._choose(command.arguments)
            case "clear":
                self._clear()
                return Outcome()
            case "confirm":
                return self._sell(
                    command.at,
                    operator=command.operator,
                    qty=command.arguments.get("qty"),
                    paid=command.arguments.get("amount_fen"),
                )
            case "capture":
                return self._sell(command.at, operator=command.operator, by_hand=True)
            case _:
                return Outcome(refused=Refused(code="unknown-command"))

    def _clear(self) -> None:
        self._goods = self._buyer = self._not_goods = None

    def _choose(self, arguments: Any) -> Outcome:
        code, price, per = arguments.get("code"), arguments.get("price_fen"), arguments.get("price_per", "kg")
        if not isinstance(code, str) or not code.strip() or per not in ("kg", "500g", "each"):
            return Outcome(refused=Refused(code="bad-goods"))
        if price is not None and (type(price) is not int or not 0 <= price <= _MOST_PRICE):
            return Outcome(refused=Refused(code="bad-price"))
        name = arguments.get("name")
        name = (clean_text(name)[0] or None) if isinstance(name, str) else None
        self._goods = Goods(code=clean_text(code)[0], name=name, price_fen=price, price_per=per)
        return Outcome()

    def _sell(
        self, at: Instant, *, operator: str | None, qty: object = None, paid: object = None, by_hand: bool = False
    ) -> Outcome:
        """One sale. `paid` is what the operator rounds the amount off to: never more than the amount."""
        goods = self._goods
        if goods is None:
            return Outcome(refused=Refused(code="no-goods"))
        by_piece = goods.price_per == "each"
        platter = self._platters.in_use
        pieces = 1 if qty is None or not by_piece else qty
        if type(pieces) is not int or not 1 <= pieces <= 100_000:
            return Outcome(refused=Refused(code="bad-quantity"))
        if by_piece:
            fields: dict[str, Any] = {"captured_by": "manual", "mode": "piece", "qty": pieces}
            amounts = self._amounts(goods, None, None, None, pieces)
        else:
            cycle = platter.cycle
            load = cycle.could_take_by_hand() if by_hand else cycle.load
            if load is None:
                return Outcome(refused=Refused(code=_why_not(platter)))
            fields = weighed_fields(self._settings, platter, load)
            amounts = self._amounts(goods, fields["net_mg"], platter.reading, load, pieces)
        raw = amounts["amount_raw_fen"]
        if paid is not None and (type(paid) is not int or raw is None or not 0 <= paid <= raw):
            return Outcome(refused=Refused(code="rounded-up" if type(paid) is int else "bad-amount"))
        if not by_piece:
            _ = cycle.take_by_hand() if by_hand else cycle.take()
        amounts["amount_fen"] = paid if paid is not None else amounts["amount_fen"]
        # A seller's open batches are not known here: every line is one whose origin is not recorded.
        flags = (*fields.pop("flags", ()), *goods.flags, *amounts.pop("flags"), "no_upstream")
        body = Sale(
            **common(self._settings, at, operator=operator),
            **fields,
            **amounts,
            flags=tuple(dict.fromkeys(flags)),
            goods_code=goods.code,
            goods_name=goods.name,
            lot=goods.lot,
            serial=goods.serial,
            expiry=goods.expiry,
            seller=self._settings.party,
            buyer=self._buyer,
        )
        self._clear()
        return Outcome(drafts=(to_draft(self._settings, at, body),))

    def _amounts(
        self, goods: Goods, net_mg: int | None, reading: Reading | None, load: Load | None, qty: int
    ) -> dict[str, Any]:
        """Price and amount of a line. The scale's own amount is the amount; ours is the check, or its stand-in.

        The scale's amount is for all that lies on it, so for goods added to others it says nothing.
        """
        price = goods.price_fen
        if price is None and reading is not None:
            price = _fen(reading.unit_price, _MOST_PRICE)
        quote = None if price is None else Quote(price, goods.price_per)
        ours = None if quote is None else line_amount(quote, paid_mg=net_mg, qty=qty)
        theirs = None
        if reading is not None and load is not None and not load.base_mg:
            theirs = _fen(reading.amount, _MOST_AMOUNT)
        flags: list[Flag] = []
        if theirs is not None and ours is not None and theirs != ours:
            flags.append("amount_mismatch")
        usual = self._settings.catalogue.get(goods.code)
        if quote is not None and usual is not None and price_suspect(quote, usual):
            flags.append("price_suspect")
        amount = theirs if theirs is not None else ours
        source = None if amount is None else ("agent" if theirs is None else "device")
        return {
            "price_fen": price,
            "price_per": None if price is None else goods.price_per,
            "amount_raw_fen": amount,
            "amount_fen": None if amount is None else round_off(amount, self._settings.round_off),
            "amount_source": source,
            "flags": flags,
        }


def _why_not(platter: Platter) -> str:
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


def _fen(text: str | None, most: int) -> int | None:
    """What a scale says in yuan, in fen; None where it says nothing that a price or an amount can be."""
    value = None if text is None else fen(text)
    return value if value is not None and 0 <= value <= most else None
