"""The columns of the three kinds of files: their names in both languages, and how each cell is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from edge_agent.catalogue.tables import narrow
from edge_agent.catalogue.values import Kind, gtin_key
from edge_agent.codes.check_digits import is_digits, mod10, uscc_character

_LONGEST: Final = 200
_MOST_FEN: Final = 100_000_000
_GTIN_LENGTHS: Final = (8, 12, 13, 14)
_SCIENTIFIC: Final = re.compile(r"\d(\.\d+)?[Ee]\+?\d+")
_DAY: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?( 0?0:00(:00)?)?")
_EXCEL_DAY: Final = re.compile(r"[3-6]\d{4}")
_PER: Final[Mapping[str, str]] = {
    **dict.fromkeys(("kg", "公斤", "千克", "元/公斤", "元/千克", "元/kg"), "kg"),
    **dict.fromkeys(("500g", "500克", "斤", "市斤", "元/500克", "元/500g", "元/斤"), "500g"),
    **dict.fromkeys(("each", "件", "个", "只", "袋", "瓶", "盒", "包", "piece", "pcs", "元/件", "元/个"), "each"),
}
_MODES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("weight", "称重", "计重", "按重量", "0"), "weight"),
    **dict.fromkeys(("piece", "计件", "按件", "件", "1"), "piece"),
}
_YES: Final = frozenset({"1", "true", "yes", "y", "是", "√"})
_NO: Final = frozenset({"0", "false", "no", "n", "否", ""})


class Wrong(ValueError):
    """A cell that cannot be what its column says."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the other names it is known by, the field that it fills, and what would be right."""

    name: str
    others: tuple[str, ...]
    read: Callable[[Any], Any]
    hint: str
    needed: bool = False
    fills: str | None = None

    @property
    def field(self) -> str:
        """The field of the row."""
        return self.fills or self.name


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Wrong(f"{value!r} is not a text")
    text = str(value).strip()
    if len(text) > _LONGEST:
        raise Wrong(f"has {len(text)} characters")
    if any(ord(each) < 0x20 or 0xD800 <= ord(each) <= 0xDFFF or each == "\ufffd" for each in text):
        raise Wrong(f"{text[:20]!r} holds characters that cannot be read")
    return text


def _code(value: Any) -> str:
    text = narrow(_text(value))
    if _SCIENTIFIC.fullmatch(text):
        raise Wrong(f"{text} is a code that was turned into a number")
    if isinstance(value, Decimal):
        raise Wrong(f"{text} is a number with decimals")
    if re.search(r"\s", text):
        raise Wrong(f"{text!r} holds spaces")
    return text


def _digits(value: Any) -> str:
    text = _code(value)
    if text.endswith(".0"):
        text = text[:-2]
    if not is_digits(text) or len(text) > 6:
        raise Wrong(f"{text} is not a PLU")
    return text


def _gtins(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else re.split(r"[;；|、\s]+", _text(value))
    found = [_gtin(_code(each)) for each in texts if each != ""]
    if len(set(map(gtin_key, found))) < len(found):
        raise Wrong("names an article number twice")
    return tuple(found)


def _gtin(text: str) -> str:
    if not is_digits(text) or len(text) not in _GTIN_LENGTHS:
        raise Wrong(f"{text} is not an article number: {len(text)} characters")
    right = mod10(text[:-1])
    if int(text[-1]) != right:
        raise Wrong(f"{text} has the check digit {text[-1]}, {right} would be right")
    return text


def _yuan(value: Any) -> int:
    text = narrow(_text(value)).replace("¥", "").replace("元", "").replace(",", "").strip()
    try:
        fen = Decimal(text) * 100
    except InvalidOperation:
        raise Wrong(f"{text} is not an amount in yuan") from None
    if not fen.is_finite() or fen != int(fen):
        raise Wrong(f"{text} yuan is not a whole number of fen")
    return _amount(int(fen))


def _fen(value: Any) -> int:
    return _amount(_whole(value))


def _amount(fen: int) -> int:
    if not 0 <= fen <= _MOST_FEN:
        raise Wrong(f"{fen} fen is not a price")
    return fen


def _whole(value: Any) -> int:
    text = narrow(_text(value)).removesuffix(".0")
    if not re.fullmatch(r"-?\d{1,12}", text):
        raise Wrong(f"{text} is not a whole number")
    return int(text)


def _tolerance(value: Any) -> int:
    number = _whole(value)
    if not 0 <= number <= 1000:
        raise Wrong(f"{number} is not within 0 to 1000")
    return number


def _word(words: Mapping[str, str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = narrow(_text(value)).lower().replace(" ", "")
        if text not in words:
            raise Wrong(f"{text} is not known")
        return words[text]

    return read


def _yes(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = narrow(_text(value)).lower()
    if text not in _YES | _NO:
        raise Wrong(f"{text} is neither yes nor no")
    return text in _YES


def _colour(value: Any) -> str:
    text = narrow(_text(value)).lower()
    if not re.fullmatch(r"#[0-9a-f]{6}", text):
        raise Wrong(f"{text} is not a colour")
    return text


def _digest(value: Any) -> str:
    text = _code(value).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise Wrong(f"{text[:20]} is not a SHA-256")
    return text


def _initials(value: Any) -> str:
    text = _code(value).lower()
    if not re.fullmatch(r"[a-z0-9]{1,40}", text):
        raise Wrong(f"{text} is not made of letters and digits")
    return text


def _uscc(value: Any) -> str:
    text = _code(value).upper()
    right = uscc_character(text[:17]) if len(text) == 18 else None
    if right is None:
        raise Wrong(f"{text} is not a unified social credit code")
    if text[17] != right:
        raise Wrong(f"{text} ends in {text[17]}, {right} would be right")
    return text


def _licences(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        pairs = [(_text(kind), _code(number)) for kind, number in value.items()]
    else:
        parts = [part for part in re.split(r"[;；]", _text(value)) if part.strip()]
        pairs = []
        for part in parts:
            kind, colon, number = narrow(part).partition(":")
            if not colon or not kind.strip() or not number.strip():
                raise Wrong(f"{part.strip()} is not kind:number")
            pairs.append((kind.strip(), _code(number.strip())))
    if len(dict(pairs)) < len(pairs):
        raise Wrong("names a licence twice")
    return dict(pairs)


def _day(value: Any) -> str:
    text = narrow(_text(value))
    match = _DAY.fullmatch(text)
    if match is None:
        if _EXCEL_DAY.fullmatch(text):
            raise Wrong(f"{text} is a day as Excel counts it")
        raise Wrong(f"{text} is not a day")
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        raise Wrong(f"{text} is no day of the calendar") from None


_CODE_HINT: Final = "a code without spaces; in Excel format the column as text, so that zeros and digits stay"
_PRICE: Final = (
    Column("price_fen", ("单价分",), _fen, "a price in fen, such as 560"),
    Column("price", ("单价", "价格", "售价", "单价(元)", "price_yuan"), _yuan, "yuan, such as 5.60", fills="price_fen"),
    Column("price_per", ("计价单位", "单位", "per", "unit"), _word(_PER), "kg, 500g or each (公斤, 500克, 件)"),
)

_GOODS: Final = (
    Column("code", ("商品编码", "编码", "货号", "goods_code"), _code, _CODE_HINT, needed=True),
    Column("name", ("商品名称", "名称", "品名", "goods_name"), _text, "a name of at most 200 characters", needed=True),
    Column("plu", ("plu号", "秤码"), _digits, "1 to 6 digits"),
    Column("gtins", ("gtin", "条码", "商品条码", "barcode"), _gtins, "8, 12, 13 or 14 digits; several with ; between"),
    Column("initials", ("拼音", "拼音首字母", "助记码", "pinyin"), _initials, "letters such as dbc for 大白菜"),
    Column("category", ("分类", "类别"), _text, "a word, such as 叶菜"),
    Column("mode", ("计量方式", "销售方式"), _word(_MODES), "weight or piece (称重, 计件)"),
    *_PRICE,
    Column("tolerance_permille", ("容差", "容差千分", "tolerance"), _tolerance, "thousandths from 0 to 1000"),
    Column("order", ("排序", "顺序"), _whole, "a whole number; the smallest comes first"),
    Column("colour", ("颜色", "color"), _colour, "#rrggbb, such as #3c8d40"),
    Column("picture", ("图片", "photo"), _digest, "the SHA-256 of an attachment, 64 hexadecimal digits"),
    Column("crate", ("周转筐", "筐"), _text, "the name of a crate in the configuration"),
    Column("relief", ("帮扶", "扶贫"), _yes, "1 or 0 (是, 否)"),
)
_PARTIES: Final = (
    Column("code", ("主体编码", "商户编码", "编码", "party_code"), _code, _CODE_HINT, needed=True),
    Column("name", ("名称", "商户名称", "主体名称"), _text, "a name of at most 200 characters", needed=True),
    Column("kind", ("类型", "主体类型"), _text, "a kind of the city's list"),
    Column("position", ("摊位", "摊位号", "stall"), _text, "the stall or place"),
    Column(
        "uscc",
        ("统一社会信用代码", "信用代码"),
        _uscc,
        "18 digits and capital letters without I, O, S, V, Z, with the check character of GB 32100-2015",
    ),
    Column("licences", ("许可证", "证照"), _licences, "kind:number, several with ; between"),
    Column("contact", ("联系方式", "电话", "联系人", "phone"), _text, "at most 200 characters; it stays on this box"),
)
_PRICES: Final = (
    Column("goods", ("商品编码", "编码", "code", "goods_code"), _code, _CODE_HINT, needed=True),
    Column("since", ("日期", "生效日期", "起始日期", "date", "from"), _day, "a day, such as 2026-11-26", needed=True),
    *_PRICE,
    Column("party", ("主体编码", "商户编码", "seller"), _code, _CODE_HINT),
)

COLUMNS: Final[Mapping[Kind, Mapping[str, Column]]] = MappingProxyType(
    {
        "goods": {column.name: column for column in _GOODS},
        "parties": {column.name: column for column in _PARTIES},
        "prices": {column.name: column for column in _PRICES},
    }
)
_NAMES: Final[Mapping[Kind, Mapping[str, Column]]] = {
    kind: {name: column for column in found.values() for name in (column.name, *column.others)}
    for kind, found in COLUMNS.items()
}
_TELLING: Final[Mapping[Kind, frozenset[str]]] = {
    "prices": frozenset({"since"}),
    "parties": frozenset({"uscc", "licences", "contact", "position"}),
    "goods": frozenset({"plu", "gtins", "initials", "category", "mode", "price", "price_fen", "price_per", "order"}),
}
"""Columns that only one kind has, by which it is told."""


def find(kind: Kind, name: str) -> Column | None:
    """The column that a file calls by this name."""
    return _NAMES[kind].get(narrow(name).strip().lower())


def kind_of(names: Iterable[str]) -> Kind | None:
    """The kind of file that columns of these names make; None where they do not tell."""
    names = list(names)
    for kind, telling in _TELLING.items():
        if any((column := find(kind, str(name))) is not None and column.name in telling for name in names):
            return kind
    return None
