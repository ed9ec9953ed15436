"""Sales that trace scales, or their old front-end computer, leave in a folder as text files with tabs.

Source: published descriptions of the exchange between trace scales and front-end computers (前置机) of meat and
vegetable markets: which fields a sale has and in which units. The order is as they list it; makers differ, so `columns`
says it.

    scale ⇥ seller ⇥ date ⇥ time ⇥ upstream ⇥ number ⇥ grams ⇥ goods ⇥ plu ⇥ batch ⇥ amount_raw ⇥ amount ⇥ ok
          ⇥ buyer ⇥ buyer_name

    upstream    trace number under which the seller bought the goods
    number      of this sale: the retail voucher's, 20 digits as a rule; the same number is the same sale
    grams       whole grams; or pieces, where there is a column of that name
    amounts     fen, before and after rounding off (抹零), which only ever makes it less
    ok          1 or Y: the sale was completed; anything else is no sale
    others      price (fen for a kilogram), goods_name, trace_code (where it is not the number), - (to be ignored)

A first line without a sale is a heading. Dates are 2026-11-23, 2026/11/23 or 20261123. A line that does not hold is
refused, kept aside with file and line, and the rest of its file goes on. A file is put away when all its sales are
kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame, FrameBuffer, Lines
from edge_agent.driver import FILE_MARK, CodecOutput, DriverSpec, Option, Send
from edge_agent.model import PushedSale, Rejected, Status

_LIMIT: Final = 2048
COLUMNS: Final = "scale seller date time upstream number grams goods plu batch amount_raw amount ok buyer buyer_name"
_KNOWN: Final = frozenset([*COLUMNS.split(), "price", "pieces", "goods_name", "trace_code", "-"])
_NEEDED: Final = ("number",)
_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "seller": "seller",
        "buyer": "buyer",
        "goods": "goods_code",
        "goods_name": "goods_name",
        "batch": "batch",
        "upstream": "upstream",
        "trace_code": "trace_code",
    }
)
_NUMBER: Final = re.compile(r"[!-~]{1,64}")
_CODE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_DATES: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d")
_TIMES: Final = ("%H:%M:%S", "%H%M%S", "%H:%M")


class _Bad(Exception):
    """What is wrong with a line: a short word."""


class SaleFileCodec:
    """Lines of files to sales; see `edge_agent.driver.Codec` and `Settles`."""

    deadline = None

    def __init__(self, columns: tuple[str, ...], encoding: str) -> None:
        self._columns = columns
        self._encoding = encoding
        self._lines = FrameBuffer(Lines(end=b"\n", limit=_LIMIT))
        self._file: str | None = None
        self._line = 0
        self._ended = False
        self._open: set[str] = set()

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        return [output for piece in self._lines.feed(data) for output in self._piece(piece)]

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`: time means nothing here."""
        return []

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: a folder has none."""
        raise ValueError(f"no command {name!r}; a folder takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`: a last line may have no end."""
        return [output for piece in self._lines.finish() for output in self._piece(piece)]

    def settled(self, sale: PushedSale, now: float) -> list[CodecOutput]:
        """See `Settles.settled`."""
        self._open.discard(sale.where)
        return self._done()

    def _done(self) -> list[CodecOutput]:
        if self._file is None or not self._ended or self._open:
            return []
        name, self._file = self._file, None
        return [Send(data=b"DONE " + name.encode() + b"\n")]

    def _piece(self, piece: Frame | Rejected) -> list[CodecOutput]:
        if isinstance(piece, Frame) and piece.body.startswith(FILE_MARK):
            return self._mark(piece)
        self._line += piece.raw.count(b"\n") or 1
        place = f"{self._file}:{self._line}" if self._file is not None else f"line {self._line}"
        if isinstance(piece, Rejected):
            return self._refuse(piece.reason, piece.raw, place)
        text = self._text(piece.body)
        if not text.strip(" \r\x1a"):  # 1A: the end of a file, as old programs write it
            return [Status(status="other", detail="empty line", raw=piece.raw)]
        try:
            return self._told(text, piece.raw, place)
        except _Bad as problem:
            if self._line == 1 and not any(_NUMBER.fullmatch(word) and word.isdecimal() for word in text.split("\t")):
                return [Status(status="other", detail="heading", raw=piece.raw)]
            return self._refuse(str(problem), piece.raw, place)

    def _mark(self, piece: Frame) -> list[CodecOutput]:
        word, _, name = piece.body[1:].decode("utf-8", "replace").strip().partition(" ")
        event = Status(status="other", detail=f"file {name}".strip(), raw=piece.raw)
        if word == "BEGIN" and name:
            self._file, self._line, self._ended = name, 0, False
            self._open.clear()
        elif word == "END":
            self._ended = True
        return [event, *self._done()]

    def _refuse(self, reason: str, raw: bytes, place: str) -> list[CodecOutput]:
        refused: list[CodecOutput] = [Rejected(reason=reason, raw=raw)]
        if self._file is not None:
            line = raw.strip(b"\r\n").replace(b"\n", b" ").replace(b"\r", b" ")
            refused.append(Send(data=f"BAD {place} {reason}\t".encode() + line + b"\n"))
        return refused

    def _text(self, body: bytes) -> str:
        candidates = ("utf-8", "gb18030") if self._encoding == "auto" else (self._encoding,)
        for candidate in candidates:
            try:
                return body.decode(candidate).strip("\r\ufeff")
            except UnicodeDecodeError:
                continue
        return body.decode(candidates[0], errors="replace").strip("\r\ufeff")

    def _told(self, text: str, raw: bytes, place: str) -> list[CodecOutput]:
        words = [word.strip() for word in text.split("\t")]
        if len(words) < len(self._columns):
            raise _Bad("too-few-fields")
        if any(words[len(self._columns) :]):
            raise _Bad("too-many-fields")
        told = dict(zip(self._columns, words, strict=False))
        if "ok" in told and told["ok"].upper() not in ("1", "Y", "YES", "TRUE"):
            return [Status(status="other", detail="not completed", raw=raw)]
        sale = _sale(told, raw, place)
        self._open.add(place)
        return [sale]


def _sale(told: Mapping[str, str], raw: bytes, place: str) -> PushedSale:
    number = told["number"]
    if not _NUMBER.fullmatch(number):
        raise _Bad("bad-number")
    fields: dict[str, Any] = {}
    for column, name in _CODES.items():
        word = told.get(column, "")
        if word and not _CODE.fullmatch(word):
            raise _Bad(f"bad-{column}")
        fields[name] = word or None
    if fields["trace_code"] is None and re.fullmatch(r"[0-9]{20}", number):
        fields["trace_code"] = number
    grams, pieces = _whole(told, "grams"), _whole(told, "pieces")
    raw_amount, amount = _whole(told, "amount_raw"), _whole(told, "amount")
    price = _whole(told, "price")
    if not grams and not pieces:
        raise _Bad("no-quantity")
    if raw_amount is not None and amount is not None and amount > raw_amount:
        raise _Bad("rounded-up")
    return PushedSale(
        number=number,
        raw=raw,
        sold_at=_moment(told.get("date", ""), told.get("time", "")),
        weight=str(grams) if grams else None,
        unit="g" if grams else None,
        pieces=pieces or None,
        price_fen=price,
        price_per=None if price is None else "kg" if grams else "each",
        amount_raw_fen=raw_amount if raw_amount is not None else amount,
        amount_fen=amount if amount is not None else raw_amount,
        where=place,
        **fields,
    )


def _whole(told: Mapping[str, str], column: str) -> int | None:
    word = told.get(column, "")
    if not word:
        return None
    if not _WHOLE.fullmatch(word):
        raise _Bad(f"bad-{column}")
    return int(word)


def _moment(date: str, time: str) -> str | None:
    if not date and not time:
        return None
    for day in _DATES:
        for hour in _TIMES:
            try:
                return datetime.strptime(f"{date} {time}", f"{day} {hour}").isoformat()
            except ValueError:
                continue
    raise _Bad("bad-time")


def columns_of(text: str) -> tuple[str, ...]:
    """The columns of a setting. Raises ValueError with what would be right."""
    columns = tuple(text.replace(",", " ").split())
    unknown = [column for column in columns if column not in _KNOWN]
    doubled = [column for column in columns if column != "-" and columns.count(column) > 1]
    if unknown or doubled or not set(_NEEDED) <= set(columns) or not {"grams", "pieces"} & set(columns):
        possible = f"each once of {', '.join(sorted(_KNOWN))}, with number and grams or pieces"
        raise ValueError(f"columns {text!r} are not possible; {possible}")
    return columns


def _make(options: Mapping[str, Any]) -> SaleFileCodec:
    return SaleFileCodec(columns_of(options.get("columns", COLUMNS)), options.get("encoding", "auto"))


SPEC = DriverSpec(
    id="sale-files",
    kind="push",
    title="Sales of trace scales as files with tabs",
    make=_make,
    models=("trace scales and front-end computers that leave text files in a folder",),
    source="published field lists of the exchange between trace scales and front-end computers",
    maturity="manual",
    interfaces=("folder", "memory"),
    options=(
        Option(name="columns", type="text", default=COLUMNS, help="the columns in their order, with blanks between"),
        Option(
            name="encoding",
            type="text",
            default="auto",
            choices=("auto", "utf-8", "gb18030"),
            help="of the texts; auto: UTF-8, else GB18030",
        ),
    ),
    tells=("unit", "price", "amounts", "device time"),
)
