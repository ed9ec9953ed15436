"""What is known of batches: what came in, what went out, what is left; from records alone.

A seller's goods lie in batches: each intake, each transfer in and each output of a transformation opens one or adds
to it; sales, losses and what else leaves take from it. A record's effect follows from its body only, so that a void
takes back exactly what its record did and an amendment puts the new effect in place of the old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

MAX_BATCHES: Final = 5_000
"""Batches remembered; beyond that the oldest are forgotten."""

_GONE: Final = frozenset({"destroyed", "harmless-treatment", "returned", "other"})
_DAY_MS: Final = 86_400_000


class Key(NamedTuple):
    """Whose batch of what. `goods` is empty where a record does not name the goods."""

    party: str
    goods: str
    batch: str


class Effect(NamedTuple):
    """What a record does to one batch, in milligrams and pieces. Taking back is the same with the signs turned."""

    key: Key
    in_mg: int = 0
    in_qty: int = 0
    out_mg: int = 0
    out_qty: int = 0
    opens: bool = False

    def back(self) -> Effect:
        """The effect that undoes this one."""
        return self._replace(in_mg=-self.in_mg, in_qty=-self.in_qty, out_mg=-self.out_mg, out_qty=-self.out_qty)


@dataclass(slots=True, kw_only=True)
class Account:
    """One batch in the books. `opened_ms` is None where the clock was not right: such a batch does not age.

    `upstream` is the ticket or trace code by which the owner bought it, `review` what the market decided on it,
    `opened_by` the id of the record that opened it: where its origin and its vouchers stand.
    """

    party: str
    goods: str
    batch: str
    goods_name: str | None = None
    opened_ms: int | None = None
    opened_by: str | None = None
    upstream: str | None = None
    review: str | None = None
    in_mg: int = 0
    in_qty: int = 0
    out_mg: int = 0
    out_qty: int = 0

    @property
    def left_mg(self) -> int:
        """Mass left by the books; below zero where more went out than came in."""
        return self.in_mg - self.out_mg

    @property
    def left_qty(self) -> int:
        """Pieces left by the books."""
        return self.in_qty - self.out_qty

    @property
    def has_left(self) -> bool:
        """Whether something is left, by mass or by pieces, whichever came in."""
        return (self.in_mg > 0 and self.left_mg > 0) or (self.in_qty > 0 and self.left_qty > 0)

    def would_be_over(self, mg: int, qty: int, tolerance_permille: int) -> bool:
        """Whether taking this much more goes beyond what came in and its tolerance.

        Goods that came in by mass only cannot be held against pieces, nor the other way round.
        """
        return any(
            taken and came > 0 and (out + taken) * 1000 > came * (1000 + tolerance_permille)
            for taken, came, out in ((mg, self.in_mg, self.out_mg), (qty, self.in_qty, self.out_qty))
        )


class Batches:
    """All batches of all sellers of this box, oldest first. Not thread-safe: whoever shares it takes turns."""

    def __init__(self) -> None:
        self._accounts: dict[Key, Account] = {}
        self._by_goods: dict[tuple[str, str], list[Account]] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def find(self, batch: str, *, party: str | None = None, goods: str | None = None) -> Account | None:
        """The batch with this number; the newest where several are meant. What is not given, does not matter."""
        if party and goods and (exact := self._accounts.get(Key(party, goods, batch))) is not None:
            return exact
        for account in reversed(self._accounts.values()):
            if account.batch == batch and party in (None, account.party) and goods in (None, account.goods):
                return account
        return None

    def of(self, party: str, goods: str, *, now_ms: int, days: int) -> list[Account]:
        """The seller's batches of these goods that are not older than `days`, oldest first."""
        oldest = now_ms - days * _DAY_MS
        return [
            account
            for account in self._by_goods.get((party, goods), ())
            if account.opened_ms is None or account.opened_ms >= oldest
        ]

    def of_party(self, party: str, *, now_ms: int, days: int) -> list[Account]:
        """All of a seller's batches that are not older than `days`, in the order in which they were opened."""
        oldest = now_ms - days * _DAY_MS
        own = (account for (owner, _), accounts in self._by_goods.items() if owner == party for account in accounts)
        recent = [account for account in own if account.opened_ms is None or account.opened_ms >= oldest]
        return sorted(recent, key=lambda account: (account.opened_ms or 0, account.batch))

    def apply(
        self,
        effect: Effect,
        *,
        record: str | None = None,
        opened_ms: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Book an effect. What takes from a batch that is not known here has no account to be booked to."""
        account = self._accounts.get(effect.key) or self.find(
            effect.key.batch, party=effect.key.party or None, goods=effect.key.goods or None
        )
        if account is None:
            if not effect.opens:
                return
            party, goods, batch = effect.key
            account = Account(party=party, goods=goods, batch=batch, opened_ms=opened_ms, opened_by=record)
            self._add(account)
        account.in_mg += effect.in_mg
        account.in_qty += effect.in_qty
        account.out_mg += effect.out_mg
        account.out_qty += effect.out_qty
        for name, value in (facts or {}).items():
            if value is not None:
                setattr(account, name, value)

    def _add(self, account: Account) -> None:
        self._accounts[Key(account.party, account.goods, account.batch)] = account
        self._by_goods.setdefault((account.party, account.goods), []).append(account)
        if len(self._accounts) > MAX_BATCHES:
            oldest = self._accounts.pop(next(iter(self._accounts)))
            siblings = self._by_goods[oldest.party, oldest.goods]
            siblings.remove(oldest)
            if not siblings:
                del self._by_goods[oldest.party, oldest.goods]

    def to_plain(self) -> list[dict[str, Any]]:
        """All accounts as plain values."""
        return [asdict(account) for account in self._accounts.values()]

    def load(self, plain: Iterable[Mapping[str, Any]]) -> None:
        """Take the accounts of `to_plain` in place of those that are here."""
        accounts = [Account(**each) for each in plain]
        self._accounts, self._by_goods = {}, {}
        for account in accounts:
            self._add(account)


def effects(type_name: str, data: Mapping[str, Any]) -> tuple[Effect, ...]:
    """What a record does to batches, by its type and body."""
    match type_name:
        case "trace.intake.v1":
            return (Effect(_key(data), in_mg=_mass(data), in_qty=data["qty"] or 0, opens=True),)
        case "trace.sale.v1" if data["batch"]:
            mg, qty = _sold(data)
            return (Effect(_key(data, data["seller"]), out_mg=mg, out_qty=qty),)
        case "trace.return.v1" if data["batch"] and data["goods_go"] in (None, "stock"):
            mg, qty = _sold(data)
            return (Effect(_key(data, data["seller"]), out_mg=-mg, out_qty=-qty),)
        case "trace.transfer.v1" if data["batch"]:
            mg, qty = _mass(data), data["qty"] or 0
            if data["direction"] == "in":
                return (Effect(_key(data, data["to_party"]), in_mg=mg, in_qty=qty, opens=True),)
            return (Effect(_key(data, data["from_party"]), out_mg=mg, out_qty=qty),)
        case "trace.loss.v1" if data["batch"]:
            return (Effect(_key(data), out_mg=_mass(data), out_qty=data["qty"] or 0),)
        case "trace.disposal.v1" if data["batch"] and data["kind"] in _GONE:
            return (Effect(_key(data), out_mg=_mass(data), out_qty=data["qty"] or 0),)
        case "trace.stocktake.v1" if data["batch"]:
            return (_counted(data),)
        case "trace.transform.v1":
            party = data["party"]
            return tuple(
                Effect(_key(part, party), out_mg=part["net_mg"] or 0, out_qty=part["qty"] or 0)
                for part in data["inputs"]
            ) + tuple(
                Effect(_key(part, party), in_mg=part["net_mg"] or 0, in_qty=part["qty"] or 0, opens=True)
                for part in data["outputs"]
            )
    return ()


def facts(type_name: str, data: Mapping[str, Any], effect: Effect) -> dict[str, Any]:
    """What a record that opens a batch says of it besides the amounts."""
    if not effect.opens:
        return {}
    if type_name == "trace.transform.v1":
        return next(({"goods_name": p["goods_name"]} for p in data["outputs"] if p["batch"] == effect.key.batch), {})
    vouchers = data.get("vouchers", ())
    bought_by = next((v["no"] for v in vouchers if v["type"] == "1" and v["no"]), None)
    return {"goods_name": data["goods_name"], "upstream": data.get("upstream_trace") or bought_by}


def _key(data: Mapping[str, Any], party: str | None = None) -> Key:
    return Key(party or data.get("party") or "", data["goods_code"] or "", data["batch"])


def _mass(data: Mapping[str, Any]) -> int:
    """The mass of the goods themselves: impurities and water that are not paid for are none."""
    return (data["net_mg"] or 0) - (data["deduction_mg"] or 0)


def _sold(data: Mapping[str, Any]) -> tuple[int, int]:
    return (0, data["qty"]) if data["mode"] == "piece" else (_mass(data), 0)


def _counted(data: Mapping[str, Any]) -> Effect:
    """A count puts the books right: what the books had too much went out unseen."""
    mg = 0 if data["book_mg"] is None or data["net_mg"] is None else data["book_mg"] - data["net_mg"]
    qty = 0 if data["book_qty"] is None or data["qty"] is None else data["book_qty"] - data["qty"]
    return Effect(_key(data), out_mg=mg, out_qty=qty)
