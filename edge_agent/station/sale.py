"""Mode `sale`: goods chosen or scanned, one weigh cycle, one confirmation -> one sale.

A weigh cycle alone is not a sale. Goods are cleared after each sale, so that the next customer never pays for
the last one's. Auto-confirmation is a rule and off by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.model import Command, Instant, Observation, Reading, Scan
from edge_agent.records.bodies import Sale
from edge_agent.records.canonical import clean_text
from edge_agent.records.envelope import Draft
from edge_agent.records.money import PricePer, amount_of_mass, fen
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
from edge_agent.station.weigh_cycle import Load, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """What is being sold, and its price in fen as quoted."""

    code: str
    name: str | None = None
    price_fen: int | None = None
    price_per: PricePer = "kg"


class SaleStation:
    """A counter: goods, weight and the operator's word become one sale."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._platters = Platters(settings)
        self._goods: Goods | None = None

    @property
    def view(self) -> View:
        """How the station stands, with the chosen goods."""
        goods, platter = self._goods, self._platters.in_use
        return weight_view(
            self._settings,
            platter,
            goods_code=goods.code if goods else None,
            goods_name=goods.name if goods else None,
            can_confirm=goods is not None and platter.cycle.load is not None,
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said. A scan chooses goods; with `auto_confirm` a stable load of goods is a sale."""
        if isinstance(observation.event, Scan):
            self._goods = Goods(code=clean_text(observation.event.text)[0])
        else:
            self._platters.observe(observation)
        if self._settings.auto_confirm and isinstance(observation.event, Scan | Reading):
            return self._sell(observation.at, operator=None).drafts
        return ()

    def command(self, command: Command) -> Outcome:
        """`goods` chooses, `clear` forgets, `confirm` sells; `capture` sells a load that was there at the start."""
        match command.name:
            case "goods":
                return self._choose(command.arguments)
            case "clear":
                self._goods = None
                return Outcome()
            case "confirm":
                return self._sell(command.at, operator=command.operator, qty=command.arguments.get("qty"))
            case "capture":
                return self._sell(command.at, operator=command.operator, by_hand=True)
            case _:
                return Outcome(refused=Refused(code="unknown-command"))

    def _choose(self, arguments: Any) -> Outcome:
        code, price, per = arguments.get("code"), arguments.get("price_fen"), arguments.get("price_per", "kg")
        if not isinstance(code, str) or not code.strip() or per not in ("kg", "500g", "each"):
            return Outcome(refused=Refused(code="bad-goods"))
        if price is not None and (type(price) is not int or price < 0):
            return Outcome(refused=Refused(code="bad-price"))
        name = arguments.get("name")
        name = clean_text(name)[0] if isinstance(name, str) else None
        self._goods = Goods(code=clean_text(code)[0], name=name, price_fen=price, price_per=per)
        return Outcome()

    def _sell(self, at: Instant, *, operator: str | None, qty: object = None, by_hand: bool = False) -> Outcome:
        goods = self._goods
        if goods is None:
            return Outcome(refused=Refused(code="no-goods"))
        if goods.price_per == "each":
            return self._sell_pieces(at, goods, operator, 1 if qty is None else qty)
        platter = self._platters.in_use
        load = platter.cycle.take_by_hand() if by_hand else platter.cycle.take()
        if load is None:
            return Outcome(refused=Refused(code=_why_not(platter)))
        self._goods = None
        fields = weighed_fields(platter, load)
        amounts = _amounts(goods, fields["net_mg"], load, platter.reading)
        body = Sale(
            **common(self._settings, at, operator=operator),
            **fields,
            goods_code=goods.code,
            goods_name=goods.name,
            seller=self._settings.party,
            **amounts,
        )
        return Outcome(drafts=(to_draft(self._settings, at, body),))

    def _sell_pieces(self, at: Instant, goods: Goods, operator: str | None, qty: object) -> Outcome:
        if type(qty) is not int or not 1 <= qty <= 100_000:
            return Outcome(refused=Refused(code="bad-quantity"))
        self._goods = None
        amount = None if goods.price_fen is None else goods.price_fen * qty
        body = Sale(
            **common(self._settings, at, operator=operator),
            captured_by="manual",
            goods_code=goods.code,
            goods_name=goods.name,
            seller=self._settings.party,
            mode="piece",
            qty=qty,
            price_fen=goods.price_fen,
            price_per=None if goods.price_fen is None else "each",
            amount_raw_fen=amount,
            amount_fen=amount,
            amount_source=None if amount is None else "agent",
        )
        return Outcome(drafts=(to_draft(self._settings, at, body),))


def _amounts(goods: Goods, net_mg: int, load: Load, reading: Reading | None) -> dict[str, Any]:
    """Price and amount of a line. The scale's own amount is the amount; ours is only its stand-in.

    The scale's amount is for all that lies on it, so for goods added to others it says nothing.
    """
    price, per = goods.price_fen, goods.price_per
    if price is None and reading is not None and reading.unit_price is not None:
        price = fen(reading.unit_price)
    amount, source = None, None
    if reading is not None and reading.amount is not None and not load.base_mg:
        amount, source = fen(reading.amount), "device"
    elif price is not None and per != "each":
        amount, source = amount_of_mass(net_mg, price, per), "agent"
    return {
        "price_fen": price,
        "price_per": None if price is None else per,
        "amount_raw_fen": amount,
        "amount_fen": amount,
        "amount_source": source,
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
