"""The bytes of a file as rows of named texts, each with the line it stands on. Forgives what Excel does to files.

Excel's habits: a byte-order mark or none, GBK on Chinese systems, UTF-16 with tabs ("Unicode text"), semicolons where
the comma is the decimal point, a first line `sep=;`, empty lines and columns at the end, `="00123"` to keep zeros,
an apostrophe before numbers that are text, full-width digits.
"""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SEPARATORS: Final = ",;\t，"
_LONGEST_CELL: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong in a file, and what would be right. `line` counts from 1; `column` is the column's name."""

    line: int
    column: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line, and its values by column. A JSON file brings other values than text."""

    line: int
    values: Mapping[str, Any]


class Unreadable(Exception):
    """The file as a whole cannot be read."""

    def __init__(self, line: int, column: str, what: str, hint: str) -> None:
        self.fault = Fault(line=line, column=column, what=what, hint=hint)
        super().__init__(what)


def decode(data: bytes) -> str:
    """The text of a file: by its byte-order mark, else UTF-8, else GB 18030 (of which GBK is a part)."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], encoding)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _decode(data, "gb18030")


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        what = f"byte {problem.start} is not {encoding.upper()}"
        raise Unreadable(line, "-", what, "save the file as CSV UTF-8 or as CSV in GBK") from None


def is_json(text: str) -> bool:
    """Whether a text is JSON rather than CSV."""
    return text.lstrip()[:1] in ("[", "{")


def json_rows(text: str) -> Iterator[Row]:
    """The objects of a JSON array, of JSON lines, or under `rows` of one object. Raises `Unreadable`."""
    decoder = json.JSONDecoder(parse_float=Decimal)
    at = _skip(text, 0)
    inside = text[at] == "["
    at += inside
    while (at := _skip(text, at)) < len(text):
        if inside and text[at] == "]":
            if rest := text[at + 1 :].strip():
                raise Unreadable(_line(text, at), "-", f"{rest[:20]!r} stands after the end", "one array of objects")
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as problem:
            place = problem.pos if isinstance(problem, json.JSONDecodeError) else at
            raise Unreadable(_line(text, place), "-", "is not JSON", "an array of objects, or one a line") from None
        line = _line(text, at)
        if not isinstance(value, dict):
            raise Unreadable(line, "-", "is not an object", 'objects such as {"code":"01210101","name":"大白菜"}')
        if not inside and isinstance(value.get("rows"), list):
            yield from _rows_of(value["rows"], line)
        else:
            yield Row(line, value)
        at = _skip(text, end)
        if inside and at < len(text) and text[at] == ",":
            at += 1
        elif inside and (at >= len(text) or text[at] != "]"):
            raise Unreadable(_line(text, min(at, len(text) - 1)), "-", "the array does not end", "a ] at its end")
    if inside:
        raise Unreadable(_line(text, len(text) - 1), "-", "the array does not end", "a ] at its end")


def _rows_of(values: list[Any], line: int) -> Iterator[Row]:
    for value in values:
        if not isinstance(value, dict):
            raise Unreadable(line, "rows", "holds something that is no object", "objects only")
        yield Row(line, value)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def csv_rows(text: str) -> tuple[int, list[str], Iterator[Row]]:
    """The line with the columns' names, these names, and the rows. Raises `Unreadable`, also from the iterator."""
    first, _, rest = text.partition("\n")
    skipped = 0
    separator = None
    if first.strip().strip('"').lower().startswith("sep="):
        separator = first.strip().strip('"')[4:5] or None
        text, skipped = rest, 1
    separator = separator or _separator(text)
    reader = _Reader(text, separator, skipped)
    for line, cells in reader:
        if any(cells):
            return line, cells, _csv_rows(reader, cells, line)
    raise Unreadable(1, "-", "the file is empty", "a first line with the names of the columns")


class _Reader:
    """Lines of cells, each with the number of the line that it begins on."""

    def __init__(self, text: str, separator: str, skipped: int) -> None:
        self._skipped = skipped
        # `splitlines` would also break at characters that stand inside names, such as U+2028.
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._csv = csv.reader((f"{line}\n" for line in lines), delimiter=separator, strict=True)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            line = self._csv.line_num + 1 + self._skipped
            try:
                cells = next(self._csv)
            except StopIteration:
                return
            except csv.Error as problem:
                what = f"is not CSV: {problem}"
                raise Unreadable(line, "-", what, 'quote cells with " on both sides, and " within them twice') from None
            yield line, [_cell(cell) for cell in cells]


def _csv_rows(reader: _Reader, header: list[str], header_line: int) -> Iterator[Row]:
    names = [cell.strip() for cell in header]
    while names and not names[-1]:
        names.pop()
    for number, name in enumerate(names, 1):
        if not name:
            raise Unreadable(header_line, f"column {number}", "has no name", "a name in the first line, or no column")
    for line, cells in reader:
        if not any(cells):
            continue
        if any(cells[len(names) :]):
            what = f"{len(cells)} cells, but {len(names)} columns"
            raise Unreadable(line, "-", what, 'quote texts that hold the separator: "a, b"')
        yield Row(line, dict(zip(names, cells, strict=False)))


def _separator(text: str) -> str:
    """The separator that the first line with something on it has most of; a comma where it has none."""
    line = next((line for line in text.split("\n") if line.strip()), "")
    return max(_SEPARATORS, key=line.count) if any(each in line for each in _SEPARATORS) else ","


def _cell(text: str) -> str:
    """A cell as it was meant."""
    text = text[:_LONGEST_CELL].strip(" \t\r\n\u00a0\u3000\ufeff")
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    if text.startswith("'") and (text[1:2].isdigit() or text[1:2] in ("=", "+", "-", "@")):
        text = text[1:]
    return text


def narrow(text: str) -> str:
    """A text of codes and numbers with full-width characters made narrow."""
    return unicodedata.normalize("NFKC", text)
