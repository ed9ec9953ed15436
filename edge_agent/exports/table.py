"""Records as rows of a table that a spreadsheet opens.

UTF-8 with the mark by which Excel knows it, headings in the operator's language, masses in kilograms, money in yuan,
one row for each record as it stands today. An amended record shows its last amendment; a void one stays, with its
state, and counts for nothing. The `counts` columns can be added up: what of each sale still stands after voids,
amendments and returns.

A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection); so does a code
that it would rewrite as a number: one with a leading zero, with an E, or of more than fifteen digits.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from edge_agent.exports.standings import Corrections, Event
from edge_agent.records.bodies import BODIES
from edge_agent.records.corrections import Standing

Language = Literal["zh", "en"]
MARK: Final = "\ufeff".encode()

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_REWRITTEN: Final = re.compile(r"0[0-9]+|[0-9]{16,}|[0-9.]+[eE][+-]?[0-9]+")
_FLUSH_AT: Final = 64 * 1024


class Row(NamedTuple):
    """One record and what it means today."""

    event: Event
    standing: Standing

    @property
    def data(self) -> Mapping[str, Any]:
        """The body with its amendments."""
        return self.standing.data


class Column(NamedTuple):
    """One column: its key, its headings, and what stands in it."""

    key: str
    zh: str
    en: str
    cell: Callable[[Row, Language], Any]


_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "valid": ("有效", "valid"),
    "void": ("已作废", "void"),
    "amended": ("已更正", "amended"),
    "returned": ("有退货", "returned in part or whole"),
}


def _state(row: Row, language: Language) -> str:
    now = row.standing
    word = "void" if now.void_by else "returned" if now.returns else "amended" if now.amended_by else "valid"
    return _STATES[word][language == "en"]


def _type(row: Row, language: Language) -> str:
    name: str = row.event["type"]
    kind = BODIES.get(name)
    return kind.TITLE if kind is not None and language == "zh" else name.removeprefix("trace.").removesuffix(".v1")


def _field(name: str) -> Callable[[Row, Language], Any]:
    return lambda row, _: row.data.get(name)


def _kilograms(name: str) -> Callable[[Row, Language], Any]:
    return lambda row, _: kilograms(row.data.get(name))


def _yuan(name: str) -> Callable[[Row, Language], Any]:
    return lambda row, _: yuan(row.data.get(name))


def kilograms(milligrams: int | None) -> str | None:
    """A mass in kilograms, exact, with at least three decimals."""
    if milligrams is None:
        return None
    whole, part = divmod(abs(milligrams), 1_000_000)
    decimals = f"{part:06d}"
    return f"{'-' if milligrams < 0 else ''}{whole}.{decimals[:3]}{decimals[3:].rstrip('0')}"


def yuan(fen: int | None) -> str | None:
    """An amount in yuan, exact."""
    return None if fen is None else f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _counted(row: Row) -> tuple[int | None, int | None, int | None]:
    """Mass, pieces and money of a sale that still stand; nothing for other records."""
    if row.event["type"] != "trace.sale.v1":
        return None, None, None
    now, data = row.standing, row.data
    if now.void_by:
        return 0, 0, 0
    by_piece = data.get("mode") == "piece"
    net, qty, amount = data.get("net_mg"), data.get("qty"), data.get("amount_fen")
    return (
        None if by_piece or net is None else net - now.returned_mg,
        None if not by_piece or qty is None else qty - now.returned_qty,
        None if amount is None else amount - now.returned_fen,
    )


def _vouchers(row: Row, _: Language) -> str:
    return " ".join(
        f"{each['type']}:{each.get('no') or each.get('url') or ''}" for each in row.data.get("vouchers", ())
    )


COLUMNS: Final = (
    Column("sequence", "序号", "sequence", lambda row, _: int(row.event["sequence"])),
    Column("day", "日期", "day", lambda row, _: row.event["time"][:10]),
    Column("clock", "时间", "time", lambda row, _: row.event["time"][11:19]),
    Column("type", "类型", "type", _type),
    Column("state", "状态", "state", _state),
    Column("station", "工位", "station", lambda row, _: row.event["subject"]),
    Column("device", "设备", "device", _field("device")),
    Column("operator", "操作员", "operator", _field("operator")),
    Column("party", "经营主体", "party", _field("party")),
    Column("goods_code", "商品编码", "goods code", _field("goods_code")),
    Column("goods_name", "商品名称", "goods", _field("goods_name")),
    Column("batch", "批次", "batch", _field("batch")),
    Column("trace_code", "追溯码", "trace code", _field("trace_code")),
    Column("indication", "示值", "indication", _field("indication")),
    Column("unit", "示值单位", "unit of indication", _field("unit")),
    Column("gross", "毛重(千克)", "gross (kg)", _kilograms("gross_mg")),
    Column("tare", "皮重(千克)", "tare (kg)", _kilograms("tare_mg")),
    Column("net", "净重(千克)", "net (kg)", _kilograms("net_mg")),
    Column("deduction", "扣重(千克)", "deduction (kg)", _kilograms("deduction_mg")),
    Column("qty", "件数", "pieces", _field("qty")),
    Column("price", "单价(元)", "price (yuan)", _yuan("price_fen")),
    Column("price_per", "计价单位", "price for", _field("price_per")),
    Column("amount_raw", "抹零前金额(元)", "amount before rounding off (yuan)", _yuan("amount_raw_fen")),
    Column("amount", "金额(元)", "amount (yuan)", _yuan("amount_fen")),
    Column("counts_net", "计入重量(千克)", "counts: mass (kg)", lambda row, _: kilograms(_counted(row)[0])),
    Column("counts_qty", "计入件数", "counts: pieces", lambda row, _: _counted(row)[1]),
    Column("counts_amount", "计入金额(元)", "counts: amount (yuan)", lambda row, _: yuan(_counted(row)[2])),
    Column(
        "returned_net", "已退重量(千克)", "returned (kg)", lambda row, _: kilograms(row.standing.returned_mg or None)
    ),
    Column(
        "returned_amount", "已退金额(元)", "returned (yuan)", lambda row, _: yuan(row.standing.returned_fen or None)
    ),
    Column("total", "实收(元)", "paid (yuan)", _yuan("total_fen")),
    Column("seller", "卖方", "seller", _field("seller")),
    Column("buyer", "买方", "buyer", _field("buyer")),
    Column("supplier", "供货方", "supplier", _field("supplier")),
    Column("origin", "产地", "origin", _field("origin_name")),
    Column("vouchers", "凭证", "vouchers", _vouchers),
    Column("from_party", "移出方", "from", lambda row, _: row.data.get("from_party") or row.data.get("from_place")),
    Column("to_party", "移入方", "to", lambda row, _: row.data.get("to_party") or row.data.get("to_place")),
    Column("result", "结果", "result", _field("result")),
    Column("text", "扫描内容", "scanned text", _field("text")),
    Column("tag_id", "标签号", "tag", _field("tag_id")),
    Column("reason", "原因", "reason", _field("reason")),
    Column("flags", "标记", "flags", _field("flags")),
    Column("corrects", "所更正记录", "corrects", lambda row, _: row.event["data"].get("corrects")),
    Column("void_by", "作废记录", "void by", lambda row, _: row.standing.void_by),
    Column("amended_by", "更正记录", "amended by", lambda row, _: row.standing.amended_by),
    Column("id", "记录号", "id", lambda row, _: row.event["id"]),
    Column("time", "精确时间", "exact time", lambda row, _: row.event["time"]),
    Column("hash", "校验值", "hash", lambda row, _: row.event["hash"]),
)


def document(events: Iterable[Event], *, corrections: Corrections, language: Language) -> Iterator[bytes]:
    """The bytes of a table over records, in pieces."""
    yield MARK
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([column.zh if language == "zh" else column.en for column in COLUMNS])
    for event in events:
        row = Row(event, corrections.standing(event))
        writer.writerow([_cell(column.cell(row, language)) for column in COLUMNS])
        if text.tell() >= _FLUSH_AT:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if isinstance(value, int):
        return text
    risky = text.lstrip(" \u3000\ufeff").startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if risky or _REWRITTEN.fullmatch(text) else text
