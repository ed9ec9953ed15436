"""The catalogue as frozen values: what stations and the page look goods, parties and prices up in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from edge_agent.codes.check_digits import is_digits
from edge_agent.records.money import PricePer, Quote

Kind = Literal["goods", "parties", "prices"]
KINDS: Final[tuple[Kind, ...]] = ("goods", "parties", "prices")

_GTIN_LENGTH: Final = 14


def kind_of_text(text: str | None) -> Kind | None:
    """A kind as somebody wrote it; None stays None. Raises ValueError for what is none."""
    for kind in KINDS:
        if text == kind:
            return kind
    if text is None:
        return None
    raise ValueError(f"{text!r} is no kind of catalogue; one of {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsItem:
    """Goods as they are sold here.

    `plu` is the number in scales and on in-store labels, `gtins` the article numbers on packs, `initials` what a
    person types to find them ("dbc" for 大白菜). `price_fen` is the usual price where no dated one applies.
    `tolerance_permille` is how much more than came in may go out unflagged. `order` is the place on the page,
    `colour` (#rrggbb) or `picture` (SHA-256 of an attachment) what their tile shows, `crate` the name of the crate
    they usually lie in. `relief` marks goods of places that are helped by their sale (帮扶产品).
    """

    code: str
    name: str
    plu: str | None = None
    gtins: tuple[str, ...] = ()
    initials: str | None = None
    category: str | None = None
    mode: Literal["weight", "piece"] = "weight"
    price_fen: int | None = None
    price_per: PricePer = "kg"
    tolerance_permille: int | None = None
    order: int | None = None
    colour: str | None = None
    picture: str | None = None
    crate: str | None = None
    relief: bool = False

    @property
    def quote(self) -> Quote | None:
        """Its usual price; None where it has none."""
        return None if self.price_fen is None else Quote(self.price_fen, self.price_per)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyItem:
    """A market participant. `licences` are numbers by kind of licence.

    `contact` is for the people of this place: it never goes into a record, a log or a message.
    """

    code: str
    name: str
    kind: str | None = None
    position: str | None = None
    uscc: str | None = None
    licences: Mapping[str, str] = field(default_factory=dict)
    contact: str | None = field(default=None, repr=False)

    def public(self) -> dict[str, Any]:
        """Everything but the contact."""
        facts = asdict(self)
        del facts["contact"]
        return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What goods cost from a day on (ISO date), at everybody's or at one party's stall."""

    goods: str
    since: str
    price_fen: int
    price_per: PricePer = "kg"
    party: str | None = None

    @property
    def quote(self) -> Quote:
        """As a price is quoted."""
        return Quote(self.price_fen, self.price_per)


@dataclass(frozen=True, slots=True)
class _Indexes:
    """Goods by the numbers that name them, and prices by goods, newest first."""

    plu: Mapping[str, GoodsItem]
    gtin: Mapping[str, GoodsItem]
    prices: Mapping[str, tuple[Price, ...]]


class Catalogue:
    """Goods, parties and prices of one moment. Never changed: an import makes a new one.

    `versions` are the version numbers of what it was made from, 0 for what was never imported.
    """

    __slots__ = ("_indexes", "goods", "parties", "versions")

    def __init__(
        self,
        *,
        goods: Iterable[GoodsItem] = (),
        parties: Iterable[PartyItem] = (),
        prices: Iterable[Price] = (),
        versions: Mapping[Kind, int] = MappingProxyType({}),
    ) -> None:
        self.goods: Final[Mapping[str, GoodsItem]] = MappingProxyType({each.code: each for each in goods})
        self.parties: Final[Mapping[str, PartyItem]] = MappingProxyType({each.code: each for each in parties})
        self.versions: Final[Mapping[Kind, int]] = MappingProxyType({kind: versions.get(kind, 0) for kind in KINDS})
        by_goods: dict[str, list[Price]] = {}
        for price in prices:
            by_goods.setdefault(price.goods, []).append(price)
        self._indexes = _Indexes(
            plu={plu_key(each.plu): each for each in self.goods.values() if each.plu is not None},
            gtin={gtin_key(gtin): each for each in self.goods.values() for gtin in each.gtins},
            prices={
                code: tuple(sorted(some, key=lambda price: price.since, reverse=True))
                for code, some in by_goods.items()
            },
        )

    @classmethod
    def of_rows(
        cls, rows: Mapping[Kind, Iterable[Mapping[str, Any]]], versions: Mapping[Kind, int] = MappingProxyType({})
    ) -> Catalogue:
        """The catalogue of rows in their normal form, as an import made and the store kept them."""
        return cls(
            goods=(from_row(GoodsItem, row) for row in rows.get("goods", ())),
            parties=(from_row(PartyItem, row) for row in rows.get("parties", ())),
            prices=(from_row(Price, row) for row in rows.get("prices", ())),
            versions=versions,
        )

    def by_plu(self, plu: str) -> GoodsItem | None:
        """The goods with this number; leading zeros, as labels have them, do not matter."""
        return self._indexes.plu.get(plu_key(plu))

    def by_gtin(self, gtin: str) -> GoodsItem | None:
        """The goods with this article number, in any of its lengths."""
        return self._indexes.gtin.get(gtin_key(gtin))

    def find(self, text: str) -> GoodsItem | None:
        """The goods that a code, an article number or a PLU names, tried in this order."""
        return self.goods.get(text) or self.by_gtin(text) or self.by_plu(text)

    def price(self, goods: str, day: str, party: str | None = None) -> Quote | None:
        """What goods cost on a day: the newest price of the party's own, else of everybody's, else the usual one."""
        ruling = [price for price in self._indexes.prices.get(goods, ()) if price.since <= day]
        for owner in (party, None):
            for price in ruling:
                if price.party == owner:
                    return price.quote
        item = self.goods.get(goods)
        return None if item is None else item.quote

    def prices(self) -> Iterable[Price]:
        """All dated prices, by goods, newest first."""
        return (price for some in self._indexes.prices.values() for price in some)

    def in_order(self) -> list[GoodsItem]:
        """Goods as the page shows them: by their `order`, those without one after that, as they stand in the file."""
        return sorted(self.goods.values(), key=lambda item: (item.order is None, item.order or 0))


def plu_key(plu: str) -> str:
    """A PLU without the leading zeros that labels fill it with."""
    return plu.lstrip("0") or "0"


def gtin_key(gtin: str) -> str:
    """An article number of any length, as 14 digits; other texts as they are."""
    return gtin.zfill(_GTIN_LENGTH) if is_digits(gtin) else gtin


_Item = TypeVar("_Item", GoodsItem, PartyItem, Price)


def from_row(kind: type[_Item], row: Mapping[str, Any]) -> _Item:
    """An item of its normal form. Raises TypeError for what is none."""
    values = dict(row)
    if "gtins" in values:
        values["gtins"] = tuple(values["gtins"])
    return kind(**values)


EMPTY: Final = Catalogue()
