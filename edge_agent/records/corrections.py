"""Corrections: void, amendment and return are new records that name the old one. Nothing is ever overwritten.

Pure: the caller brings the record that is meant and the later records that name it, and gets a draft, or `Refused`
with the reason. `standing` says what a record means today, for balances and exports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, Literal

from edge_agent.model import Instant
from edge_agent.records.bodies import BODIES, Amend, Body, Return, Sale, Void, clock_facts
from edge_agent.records.canonical import NotCanonical, clean_text
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import Draft, draft
from edge_agent.records.money import Quote, amount_of_mass, line_amount
from edge_agent.records.shape import json_hints

RefusalCode = Literal[
    "unknown",
    "already-void",
    "not-correctable",
    "has-returns",
    "no-reason",
    "bad-change",
    "no-change",
    "rounded-up",
    "not-a-sale",
    "too-much",
]

Event = Mapping[str, Any]

_PRICING: Final = frozenset({"price_fen", "price_per", "qty", "deduction_mg"})
_ABOUT_THE_PRICE: Final = frozenset({"amount_mismatch", "price_suspect"})


class Refused(ValueError):
    """A correction that cannot be made: a stable code for programs, words for people."""

    def __init__(self, code: RefusalCode, words: str) -> None:
        self.code = code
        super().__init__(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a record means today: its body with the amendments, whether it is void, and what of it came back."""

    data: Mapping[str, Any]
    void_by: str | None = None
    amended_by: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    returned_mg: int = 0
    returned_qty: int = 0
    returned_fen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """When, where and by whom a correction is made, and why. `subject` of the new record is that of the old one."""

    at: Instant
    zone: tzinfo
    reason: str
    operator: str | None = None


def standing(event: Event, later: Iterable[Event]) -> Standing:
    """What a record means today.

    `later` holds the records that correct it, and those that correct its returns, in the order of the chain; others
    do not matter.
    """
    later = list(later)
    data: Mapping[str, Any] = event["data"]
    void_by: str | None = None
    amended: list[str] = []
    returns: list[str] = []
    mass = pieces = money = 0
    for each in (e for e in later if e["data"].get("corrects") == event["id"]):
        match each["type"]:
            case Void.TYPE:
                void_by = void_by or each["id"]
            case Amend.TYPE:
                data = each["data"]["content"]
                amended.append(each["id"])
            case Return.TYPE:
                back = standing(each, later)
                if back.void_by is None:
                    returns.append(each["id"])
                    mass += back.data["net_mg"] or 0
                    pieces += back.data["qty"] if back.data["mode"] == "piece" else 0
                    money += back.data["amount_fen"] or 0
    return Standing(
        data=data,
        void_by=void_by,
        amended_by=tuple(amended),
        returns=tuple(returns),
        returned_mg=mass,
        returned_qty=pieces,
        returned_fen=money,
    )


def void(event: Event, later: Sequence[Event], occasion: Occasion) -> Draft:
    """The draft that makes a record void. Raises `Refused`: already void, not correctable, returns, no reason."""
    now, _ = _correctable(event, later)
    if now.returns:
        raise Refused("has-returns", f"goods of {event['id']} came back: make the returns void first")
    return _drafted(event, occasion, Void(**_about(event), **_common(event, occasion)))


def amend(event: Event, later: Sequence[Event], changes: Mapping[str, Any], occasion: Occasion) -> Draft:
    """The draft that says what a record should have been.

    `changes` holds new values by the names of the fields in JSON. What was measured is fixed. The amount of a sale
    follows its price, pieces and deduction unless it is changed too; it may then only be rounded off. Raises
    `Refused`: already void, not correctable, no such field or value, rounded up, nothing changes, no reason.
    """
    now, kind = _correctable(event, later)
    allowed = set(json_hints(kind)) - kind.FIXED
    for name in changes:
        if name not in allowed:
            known = name in json_hints(kind)
            words = "was measured or follows from other fields" if known else f"is no field of {kind.TYPE}"
            raise Refused("bad-change", f"{name} {words}; to be changed: {', '.join(sorted(allowed))}")
    content = {**now.data, **{name: _cleaned(value) for name, value in changes.items()}}
    if kind is Sale:
        if now.returns and (_PRICING | {"amount_fen"}) & set(changes):
            raise Refused("has-returns", f"goods of {event['id']} came back at the old price: void the returns first")
        content |= _priced(content, changes)
    was = {name: now.data.get(name) for name, value in content.items() if now.data.get(name) != value}
    if not was:
        raise Refused("no-change", f"{event['id']} says that already")
    problems = body_problems(kind, content)
    if problems:
        raise Refused("bad-change", "; ".join(problems))
    return _drafted(event, occasion, Amend(**_about(event), was=was, content=content, **_common(event, occasion)))


def give_back(
    event: Event,
    later: Sequence[Event],
    occasion: Occasion,
    *,
    net_mg: int | None = None,
    qty: int | None = None,
    amount_fen: int | None = None,
) -> Draft:
    """The draft of a return of goods that were sold: all that has not come back, or this much of it.

    What is paid back is the price of what came back, and never more than what was paid and is not paid back yet.
    Raises `Refused`: already void, no sale, more than was sold, no reason.
    """
    if event["type"] != Sale.TYPE:
        raise Refused("not-a-sale", f"{event['id']} is a {event['type']}: only a sale can be returned")
    now, _ = _correctable(event, later)
    sold = now.data
    by_piece = sold["mode"] == "piece"
    left = sold["qty"] - now.returned_qty if by_piece else (sold["net_mg"] or 0) - now.returned_mg
    wanted = qty if by_piece else net_mg
    if (net_mg if by_piece else qty) is not None:
        raise Refused("bad-change", f"sold by {sold['mode']}: name the {'pieces' if by_piece else 'mass'} only")
    back = left if wanted is None else wanted
    if not 0 < back <= left:
        raise Refused("too-much", f"{left} {'pieces' if by_piece else 'mg'} of {event['id']} can come back")
    body = Return(
        **{name: sold[name] for name in _OF_THE_SALE},
        net_mg=None if by_piece else back,
        qty=back if by_piece else 1,
        amount_fen=_refund(now, back, left, amount_fen),
        corrects=event["id"],
        **_common(event, occasion),
    )
    return _drafted(event, occasion, body)


_OF_THE_SALE: Final = (
    *("goods_code", "goods_name", "batch", "trace_code"),
    *("mode", "price_fen", "price_per", "seller", "buyer"),
)
"""What a return has in common with its sale."""


def _refund(now: Standing, back: int, left: int, wanted: int | None) -> int | None:
    sold = now.data
    if sold["amount_fen"] is None:
        if wanted is not None:
            raise Refused("too-much", "what was paid is not recorded, so nothing can be paid back for it")
        return None
    most = sold["amount_fen"] - now.returned_fen
    if wanted is not None:
        if not 0 <= wanted <= most:
            raise Refused("too-much", f"{most} fen can be paid back")
        return wanted
    if back == left:
        return int(most)
    price, per = sold["price_fen"], sold["price_per"]
    if price is None:
        whole = sold["qty"] if sold["mode"] == "piece" else sold["net_mg"]
        return int(min(most, sold["amount_fen"] * back // whole))
    return int(min(most, back * price if per == "each" else amount_of_mass(back, price, per)))


def _correctable(event: Event, later: Sequence[Event]) -> tuple[Standing, type[Body]]:
    kind = BODIES.get(event["type"])
    if kind is None or not kind.CORRECTABLE:
        raise Refused("not-correctable", f"a {event['type']} is not corrected; it stays as it is")
    now = standing(event, later)
    if now.void_by is not None:
        raise Refused("already-void", f"{event['id']} is void already, by {now.void_by}")
    return now, kind


def _priced(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The amounts of an amended sale."""
    amounts: dict[str, Any] = {}
    raw = content["amount_raw_fen"]
    if _PRICING & set(changes):
        price, per = content["price_fen"], content["price_per"]
        raw = None
        if type(price) is int and price >= 0 and per in ("kg", "500g", "each") and type(content["qty"]) is int:
            net, deduction = content["net_mg"], content["deduction_mg"] or 0
            paid = net - deduction if type(net) is int and type(deduction) is int else None
            raw = line_amount(Quote(price, per), paid_mg=paid, qty=content["qty"])
        amounts = {
            "amount_raw_fen": raw,
            "amount_fen": raw,
            "amount_source": None if raw is None else "agent",
            "flags": [flag for flag in content["flags"] if flag not in _ABOUT_THE_PRICE],
        }
    if "amount_fen" in changes:
        amount = changes["amount_fen"]
        if type(amount) is int and (raw is None or amount > raw):
            raise Refused("rounded-up", f"{amount} fen is more than {raw} fen: rounding off is only downward")
        amounts["amount_fen"] = amount
    return amounts


def _about(event: Event) -> dict[str, Any]:
    return {
        "corrects": event["id"],
        "corrected_type": event["type"],
        "corrected_chain": event["chain"],
        "corrected_sequence": int(event["sequence"]),
    }


def _common(event: Event, occasion: Occasion) -> dict[str, Any]:
    reason = clean_text(occasion.reason)[0].strip()
    if not reason:
        raise Refused("no-reason", "a correction needs a reason in words")
    return {
        "captured_by": "manual",
        "clock": clock_facts(occasion.at),
        "operator": None if not occasion.operator else clean_text(occasion.operator)[0],
        "party": event["data"].get("party"),
        "reason": reason,
    }


def _cleaned(value: Any) -> Any:
    return clean_text(value)[0] if isinstance(value, str) else value


def _drafted(event: Event, occasion: Occasion, body: Body) -> Draft:
    try:
        return draft(type=body.TYPE, subject=event["subject"], at=occasion.at, zone=occasion.zone, data=body.to_data())
    except NotCanonical as problem:
        raise Refused("bad-change", str(problem)) from problem
