"""A file of goods, parties or prices to rows in their normal form: all of it, or every fault in it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.catalogue import columns
from edge_agent.catalogue.columns import Column, Wrong
from edge_agent.catalogue.tables import Fault, Row, Unreadable, csv_rows, decode, is_json, json_rows
from edge_agent.catalogue.values import Catalogue, Kind, gtin_key, plu_key

MOST_BYTES: Final = 8 << 20
"""The longest file that is read."""

MOST_ROWS: Final = 20_000
MOST_FAULTS: Final = 1_000
"""Faults that are listed; a file with more of them is not the file that was meant."""

Initials = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a file holds: its kind and rows, or its faults. With faults nothing of it is to be used."""

    kind: Kind | None
    rows: tuple[dict[str, Any], ...] = ()
    faults: tuple[Fault, ...] = ()


def read_catalogue(
    data: bytes,
    *,
    kind: Kind | None = None,
    known: Catalogue | None = None,
    initials: Initials | None = None,
    beside: Callable[[Kind], Iterable[Mapping[str, Any]]] = lambda _kind: (),
) -> Imported:
    """Read a file. `kind` None: told by its columns. `known` is what dated prices must name goods of.

    `initials` makes what a person types to find goods from their name, where the file does not say it. `beside` gives
    the rows that the file's rows are added to: those it does not replace go before them in what is returned.
    """
    try:
        kind, header_line, rows = _rows(data, kind)
    except Unreadable as problem:
        return Imported(kind=kind, faults=(problem.fault,))
    return _Import(kind, known, initials, beside(kind)).read(rows, header_line)


def _rows(data: bytes, kind: Kind | None) -> tuple[Kind, int | None, list[Row]]:
    """Kind and rows of a file, and the line with the columns' names where it has one. Raises `Unreadable`."""
    if len(data) > MOST_BYTES:
        raise Unreadable(1, "-", f"the file has {len(data)} bytes", f"at most {MOST_BYTES}")
    text = decode(data)
    if not text.strip("\x00 \t\r\n"):
        raise Unreadable(1, "-", "the file is empty", "goods, parties or prices as CSV or JSON")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise Unreadable(line, "-", "is no text", "a CSV or JSON file; save a workbook (xlsx) as CSV UTF-8")
    if is_json(text):
        rows = _bounded(json_rows(text))
        names: Iterable[str] = dict.fromkeys(name for row in rows for name in row.values)
        header_line = None
    else:
        header_line, names, found = csv_rows(text)
        rows = _bounded(found)
    line = header_line or 1
    if kind is None:
        kind = columns.kind_of(names)
        if kind is None:
            raise Unreadable(line, "-", f"columns {', '.join(list(names)[:8])} do not tell what this is", "say --kind")
    if not rows:
        raise Unreadable(line, "-", "there are no rows", "one row for each of the goods, parties or prices")
    return kind, header_line, rows


def _bounded(rows: Iterable[Row]) -> list[Row]:
    taken: list[Row] = []
    for row in rows:
        if len(taken) == MOST_ROWS:
            raise Unreadable(row.line, "-", f"more than {MOST_ROWS} rows", f"at most {MOST_ROWS}")
        taken.append(row)
    return taken


class _Import:
    """One file on its way in."""

    def __init__(
        self,
        kind: Kind,
        known: Catalogue | None,
        initials: Initials | None,
        beside: Iterable[Mapping[str, Any]],
    ) -> None:
        self._kind = kind
        self._known = known
        self._initials = initials
        self._columns = columns.COLUMNS[kind]
        self._faults: list[Fault] = []
        self._taken: dict[tuple[str, str], int] = {}  # what must be there once, and the line that has it
        self._beside = tuple(beside)

    def read(self, rows: Sequence[Row], header_line: int | None) -> Imported:
        """All rows in their normal form, or all faults."""
        self._unknown_columns(rows, header_line)
        made = [self._row(row) for row in rows]
        if not self._faults:
            made = self._added(made)
        if self._faults:
            shown = sorted(self._faults, key=lambda fault: fault.line)
            return Imported(kind=self._kind, faults=tuple(shown[:MOST_FAULTS]))
        return Imported(kind=self._kind, rows=tuple(made))

    def _fault(self, line: int, column: str, what: str, hint: str) -> None:
        self._faults.append(Fault(line=line, column=column, what=what, hint=hint))

    def _unknown_columns(self, rows: Sequence[Row], header_line: int | None) -> None:
        """A column that nobody knows is a fault once, where it is first met: its content would be lost unseen."""
        met: dict[str, int] = {}
        for row in rows:
            for name in row.values:
                met.setdefault(str(name), header_line or row.line)
        for name, line in met.items():
            if columns.find(self._kind, name) is None:
                names = ", ".join(self._columns)
                self._fault(line, name, "is no column of " + self._kind, f"one of {names}")

    def _row(self, row: Row) -> dict[str, Any]:
        values: dict[str, Any] = {}
        names: dict[str, str] = {}  # the columns as the file calls them, for faults
        faults = len(self._faults)
        for name, given in row.values.items():
            column = columns.find(self._kind, str(name))
            if column is None or given is None or given == "":
                continue
            if column.name in names:
                self._fault(row.line, str(name), f"says the same as {names[column.name]}", "one of the two columns")
            names[column.name] = str(name)
            self._value(row.line, str(name), column, given, values)
        for column in self._columns.values():
            if column.needed and column.name not in names:
                self._fault(row.line, column.name, "is missing", column.hint)
        readable = len(self._faults) == faults
        self._numbers(row.line, values, names)
        if readable:
            self._together(row.line, values, names)
        return values

    def _value(self, line: int, name: str, column: Column, given: Any, values: dict[str, Any]) -> None:
        try:
            value = column.read(given)
        except Wrong as problem:
            self._fault(line, name, str(problem), column.hint)
        else:
            if not (value is False or value == () or value == {}):
                values[column.field] = value

    def _together(self, line: int, values: dict[str, Any], names: Mapping[str, str]) -> None:
        """What the values of a row say together, and beside the other rows."""
        match self._kind:
            case "goods":
                self._goods(line, values, names)
            case "prices":
                self._price(line, values, names)

    def _numbers(self, line: int, values: dict[str, Any], names: Mapping[str, str]) -> None:
        """What must stand in one row only; also of a row that has other faults, so that all are told at once."""
        if self._kind == "prices":
            if "goods" in values and "since" in values:
                key = " ".join((values["goods"], values["since"], values.get("party", "")))
                self._once(line, "goods", key, names)
            return
        if "code" in values:
            self._once(line, "code", values["code"], names)
        if "plu" in values:
            self._once(line, "plu", plu_key(values["plu"]), names)
        for gtin in values.get("gtins", ()):
            self._once(line, "gtins", gtin_key(gtin), names)

    def _goods(self, line: int, values: dict[str, Any], names: Mapping[str, str]) -> None:
        self._by_piece(line, values, names)
        if "price_fen" not in values:
            values.pop("price_per", None)
        if "initials" not in values and self._initials is not None:
            made = self._initials(values["name"])
            if made:
                values["initials"] = made

    def _by_piece(self, line: int, values: dict[str, Any], names: Mapping[str, str]) -> None:
        """Goods by the piece have a price for each, goods by weight a price by mass; either tells the other."""
        mode, per = values.get("mode"), values.get("price_per")
        if mode is None and per is not None:
            mode = "piece" if per == "each" else "weight"
        elif per is None and mode is not None:
            per = "each" if mode == "piece" else "kg"
        if (mode == "piece") != (per == "each"):
            self._fault(
                line,
                names.get("price_per", "price_per"),
                f"a price per {per} does not go with goods sold by {mode}",
                "each for piece; kg or 500g for weight",
            )
        values.update({"mode": mode or "weight", "price_per": per or "kg"})
        if values["mode"] == "weight":
            del values["mode"]
        if values["price_per"] == "kg":
            del values["price_per"]

    def _price(self, line: int, values: dict[str, Any], names: Mapping[str, str]) -> None:
        item = None if self._known is None else self._known.goods.get(values["goods"])
        if self._known is not None and item is None:
            what = f"{values['goods']} is not among the goods"
            self._fault(line, names["goods"], what, "the code of goods; import goods first")
        elif item is not None:
            values.setdefault("price_per", item.price_per)
            if (item.mode == "piece") != (values["price_per"] == "each"):
                self._fault(
                    line,
                    names.get("price_per", "price_per"),
                    f"a price per {values['price_per']} does not go with goods sold by {item.mode}",
                    "each for piece; kg or 500g for weight",
                )

    def _once(self, line: int, column: str, key: str, names: Mapping[str, str]) -> None:
        before = self._taken.get((column, key))
        if before is not None:
            self._fault(line, names.get(column, column), f"{key} is on line {before} too", "each only once")
        else:
            self._taken[column, key] = line

    def _added(self, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What was there and is not replaced, and after it what is new."""
        new = {_key(self._kind, row) for row in made}
        stays = [dict(row) for row in self._beside if _key(self._kind, row) not in new]
        for row in stays if self._kind == "goods" else ():
            numbers = [("gtins", gtin_key(gtin)) for gtin in row.get("gtins", ())]
            if "plu" in row:
                numbers.append(("plu", plu_key(row["plu"])))
            for column, number in numbers:
                if (line := self._taken.get((column, number))) is not None:
                    self._fault(line, column, f"{number} is the number of {row['code']}", "a number of its own")
        return stays + made


def _key(kind: Kind, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["goods"], row["since"], row.get("party")) if kind == "prices" else (row["code"],)
