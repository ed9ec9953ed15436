"""The values of a city profile, and how they are read from the table `[city]` of its file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, get_args

from edge_agent.codes import DEFAULT_PROFILE, CodeProfile, profile_from_mapping
from edge_agent.records.bodies.intake import VoucherType
from edge_agent.records.money import PricePer

DEFAULT_CITY: Final = "meat-vegetables"
"""The profile of a box whose configuration names none."""

_VOUCHERS: Final = get_args(VoucherType)
_UNITS: Final = ("kg", "500g")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherKind:
    """A kind of paper: the record's `type`, its names, and what the city calls it."""

    type: str
    name: str
    name_en: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorKind:
    """A kind of market participant in the city's list."""

    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LawRule:
    """A date or a bound of law or policy: what it says, from when on, and where that is written.

    `value` is a number of `unit`, where the rule has one. `sure` is false where the source was quoted from memory.
    """

    id: str
    says: str
    source: str
    since: str | None = None
    value: int | None = None
    unit: str | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CityProfile:
    """What the agent takes from a city profile. `codes` decides what a scanned text is, unless a station says more.

    `price_per` is what a price is for where nobody says; `tolerance_permille` how much more of a batch than came in
    may go out unflagged, and `tolerances` the same by goods code.
    """

    name: str
    title: str = ""
    source: str = ""
    vouchers: tuple[VoucherKind, ...] = ()
    operators: tuple[OperatorKind, ...] = ()
    codes: CodeProfile = DEFAULT_PROFILE
    code_settings: Mapping[str, Any] = field(default_factory=dict)
    price_per: PricePer = "kg"
    tolerance_permille: int = 20
    tolerances: Mapping[str, int] = field(default_factory=dict)
    law: tuple[LawRule, ...] = ()

    def rule(self, rule_id: str) -> LawRule | None:
        """A rule of law by its id."""
        return next((rule for rule in self.law if rule.id == rule_id), None)

    def plain(self) -> dict[str, Any]:
        """What a page shows of it."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "price_per": self.price_per,
            "vouchers": [{"type": v.type, "name": v.name, "name_en": v.name_en, "code": v.code} for v in self.vouchers],
            "operators": [{"code": o.code, "name": o.name, "name_en": o.name_en} for o in self.operators],
            "law": [
                {"id": r.id, "says": r.says, "source": r.source, "since": r.since, "value": r.value, "unit": r.unit}
                for r in self.law
            ],
        }


Wrong = Callable[[str, str, str], None]
"""Told what is wrong: key, what, and what would be right."""


def city_of(settings: Mapping[str, Any], name: str, wrong: Wrong) -> CityProfile:
    """The profile of a parsed file. Everything that is wrong is told; then the value is not to be used."""
    table = settings.get("city", {})
    if not isinstance(table, Mapping):
        wrong("city", "is not a table", "[city] and its keys")
        table = {}
    reader = _Reader(table, wrong)
    codes = {key: table[key] for key in ("labels", "separators", "zero_suppressed_gtin") if key in table}
    profile = DEFAULT_PROFILE
    try:
        profile = profile_from_mapping(codes)
    except ValueError as problem:
        wrong("city.labels", str(problem), "see docs/reference/codes.md, Profile")
    known = {*codes, "vouchers", "operators", "price_per", "balance_tolerance", "balance_tolerances", "law"}
    for key in sorted(set(table) - known):
        wrong(f"city.{key}", "is not known", f"one of {', '.join(sorted(known | {'labels', 'separators'}))}")
    return CityProfile(
        name=name,
        title=reader.text(settings, "title", "") if "title" in settings else name,
        source=reader.text(settings, "source", "") if "source" in settings else "",
        vouchers=tuple(reader.vouchers()),
        operators=tuple(reader.operators()),
        codes=profile,
        code_settings=codes,
        price_per=reader.unit(),
        tolerance_permille=reader.permille(table.get("balance_tolerance", 20), "city.balance_tolerance"),
        tolerances=reader.tolerances(),
        law=tuple(reader.law()),
    )


class _Reader:
    """Reads the parts of `[city]`, and tells what is wrong with each."""

    def __init__(self, table: Mapping[str, Any], wrong: Wrong) -> None:
        self._table = table
        self._wrong = wrong

    def text(self, table: Mapping[str, Any], key: str, place: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            self._wrong(f"{place}{key}", "is missing or not a text", "a text in quotes")
            return ""
        return value

    def unit(self) -> PricePer:
        value = self._table.get("price_per", "kg")
        if value not in _UNITS:
            # 斤 is no statutory unit and must not price goods; 500 g is what it means.
            self._wrong("city.price_per", f"{value!r} is no unit of prices", 'one of "kg", "500g"')
        return "500g" if value == "500g" else "kg"

    def permille(self, value: Any, place: str) -> int:
        if type(value) is not int or not 0 <= value <= 1000:
            self._wrong(place, f"{value!r} is no share in thousandths", "a whole number from 0 to 1000")
            return 0
        return value

    def tolerances(self) -> dict[str, int]:
        found = self._tables("balance_tolerances")
        return {code: self.permille(value, f"city.balance_tolerances.{code}") for code, value in found.items()}

    def _tables(self, key: str) -> Mapping[str, Any]:
        value = self._table.get(key, {})
        if isinstance(value, Mapping):
            return value
        self._wrong(f"city.{key}", "is not a table", f"[city.{key}] and its keys")
        return {}

    def _named(self, key: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The tables of a section, by their names."""
        found = []
        for name, value in self._tables(key).items():
            if isinstance(value, Mapping):
                found.append((name, value))
            else:
                self._wrong(f"city.{key}.{name}", "is not a table", '{ name = "…", name_en = "…" }')
        return found

    def _only(self, table: Mapping[str, Any], known: frozenset[str], place: str) -> None:
        for key in sorted(set(table) - known):
            self._wrong(f"{place}.{key}", "is not known", f"one of {', '.join(sorted(known))}")

    def vouchers(self) -> list[VoucherKind]:
        kinds = []
        for name, table in self._named("vouchers"):
            place = f"city.vouchers.{name}"
            if name not in _VOUCHERS:
                self._wrong(place, "is no type of voucher", f"one of {', '.join(_VOUCHERS)}")
            self._only(table, frozenset({"name", "name_en", "code"}), place)
            texts = {key: self.text(table, key, f"{place}.") for key in ("name", "name_en")}
            code = table.get("code", name)
            if not isinstance(code, str):
                self._wrong(f"{place}.code", f"{code!r} is not a text", "the city's code in quotes")
            kinds.append(VoucherKind(type=name, code=str(code), **texts))
        return kinds

    def operators(self) -> list[OperatorKind]:
        kinds = []
        for code, table in self._named("operators"):
            place = f"city.operators.{code}"
            self._only(table, frozenset({"name", "name_en"}), place)
            texts = {key: self.text(table, key, f"{place}.") for key in ("name", "name_en")}
            kinds.append(OperatorKind(code=code, **texts))
        return kinds

    def law(self) -> list[LawRule]:
        rules = []
        for rule_id, table in self._named("law"):
            place = f"city.law.{rule_id}"
            self._only(table, frozenset({"says", "source", "since", "value", "unit", "sure"}), place)
            since, value, unit = table.get("since"), table.get("value"), table.get("unit")
            if since is not None and not _is_day(since):
                self._wrong(f"{place}.since", f"{since!r} is no day", "a day in quotes, such as 2018-08-27")
            if value is not None and type(value) is not int:
                self._wrong(f"{place}.value", f"{value!r} is no whole number", "a whole number, and its unit")
            if (value is None) != (unit is None) or not isinstance(unit, str | None):
                self._wrong(f"{place}.unit", "goes with value", 'both or neither, such as value = 24, unit = "hours"')
            sure = table.get("sure", True)
            if not isinstance(sure, bool):
                self._wrong(f"{place}.sure", f"{sure!r} is neither true nor false", "true or false")
            rules.append(
                LawRule(
                    id=rule_id,
                    says=self.text(table, "says", f"{place}."),
                    source=self.text(table, "source", f"{place}."),
                    since=since if isinstance(since, str) else None,
                    value=value if type(value) is int else None,
                    unit=unit if isinstance(unit, str) else None,
                    sure=sure is True,
                )
            )
        return rules


def _is_day(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
