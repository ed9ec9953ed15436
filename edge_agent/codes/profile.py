"""What differs from city to city and shop to shop, as frozen values. The configuration loads them.

The defaults say where they come from; none of them is a claim of conformity to a standard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from edge_agent.codes.check_digits import is_digits

Role = Literal["goods", "party"]
"""What a scanner is used for: reading goods, or reading who someone is."""

LABEL_LENGTHS: Final[frozenset[int]] = frozenset({13, 18})

_LAYOUT_LETTERS: Final = frozenset("PIMWVKC")
_VALUE_LETTER: Final = {"amount": "M", "weight": "W"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTemplate:
    """How a scale prints its labels: 13 or 18 digits, prefix and meaning set in the scale.

    `layout` has one letter for each digit: P prefix, I item (PLU), M amount, W weight, K price/weight verifier,
    C check digit. Amounts are in yuan with `amount_decimals`, weights in kg with `weight_decimals`. A scale that
    overflows (over 99.999 kg, over 999.99 yuan) may change its decimals: such goods want a template of their own.
    """

    prefix: str
    layout: str
    amount_decimals: int = 2
    weight_decimals: int = 3

    def __post_init__(self) -> None:
        if len(self.layout) not in LABEL_LENGTHS:
            raise ValueError(f"layout {self.layout!r} must have 13 or 18 letters, has {len(self.layout)}")
        if not set(self.layout) <= _LAYOUT_LETTERS - {"V"}:
            raise ValueError(f"layout {self.layout!r} may hold the letters P, I, M, W, K and C only")
        if not is_digits(self.prefix) or not self.layout.startswith("P" * len(self.prefix)):
            raise ValueError(f"prefix {self.prefix!r} must be the digits that the P's of the layout stand for")
        if self.layout.count("P") != len(self.prefix) or self.layout[-1] != "C" or self.layout.count("C") != 1:
            raise ValueError(f"layout {self.layout!r} must end in the only C and have a P for each prefix digit")
        if "I" not in self.layout or not {"M", "W"} & set(self.layout):
            raise ValueError(f"layout {self.layout!r} must have an item and an amount or a weight")
        for letter in "IMWK":
            if letter in self.layout and letter * self.layout.count(letter) not in self.layout:
                raise ValueError(f"the {letter}'s of layout {self.layout!r} must stand together")
        if self.layout.count("K") > 1 or ("K" in self.layout and self._verified() not in {4, 5}):
            raise ValueError(f"layout {self.layout!r}: one K stands before 4 or 5 digits of amount or weight")
        if not (0 <= self.amount_decimals <= 5 and 0 <= self.weight_decimals <= 5):
            raise ValueError("decimals must be 0 to 5")

    def _verified(self) -> int:
        start = self.layout.index("K") + 1
        letter = self.layout[start]
        return self.layout.count(letter) if letter in "MW" else 0

    def field(self, label: str, letter: str) -> str:
        """The digits of a label under one letter; empty if the layout lacks it."""
        start = self.layout.find(letter)
        return label[start : start + self.layout.count(letter)] if start >= 0 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRule:
    """Digits that a payer shows to be charged: prefixes and lengths, with the source of the rule."""

    kind: str
    prefixes: tuple[str, ...]
    lengths: range
    source: str


# From practice, as the wallets' guides for charging by payer code are widely quoted; not from a standard.
DEFAULT_PAYMENT_RULES: Final[tuple[PaymentRule, ...]] = (
    PaymentRule(
        kind="wechat-payer",
        prefixes=("10", "11", "12", "13", "14", "15"),
        lengths=range(18, 19),
        source="WeChat Pay code payment guide: 18 digits, prefix 10 to 15 (from memory)",
    ),
    PaymentRule(
        kind="alipay-payer",
        prefixes=("25", "26", "27", "28", "29", "30"),
        lengths=range(16, 25),
        source="Alipay alipay.trade.pay guide: 16 to 24 digits, prefix 25 to 30 (from memory)",
    ),
    PaymentRule(
        kind="unionpay-payer",
        prefixes=("62",),
        lengths=range(19, 20),
        source="UnionPay payer code: 19 digits, prefix 62 (from memory)",
    ),
    PaymentRule(
        kind="ecny-payer",
        prefixes=("01",),
        lengths=range(19, 20),
        source="digital yuan payer code: 19 digits, prefix 01 (from memory)",
    ),
)

# Text that begins like this is a collection or payment code whatever follows; lower case.
DEFAULT_PAYMENT_STARTS: Final[tuple[str, ...]] = (
    "wxp://",
    "weixin://wxpay",
    "alipays://",
    "alipayqr://",
    "upwallet://",
    "https://qr.alipay.com/",
    "http://qr.alipay.com/",
    "https://mobilecodec.alipay.com/",
    "https://ds.alipay.com/",
    "https://payapp.weixin.qq.com/",
    "https://wx.tenpay.com/",
    "https://pay.weixin.qq.com/",
    "https://qr.95516.com/",
    "http://qr.95516.com/",
    "https://payment.chinaums.com/",
    "https://qr.chinaums.com/",
    "dcep://",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeProfile:
    """The settings of one city, market or scanner that decide what a code is.

    `separators`: what a keyboard wedge types instead of a group separator, such as `|`, `{GS}`; only those listed
    are taken for one. `labels`: in-store labels; without a template a 2… code is a GTIN for use inside a company.
    `zero_suppressed_gtin`: accept shorter GTINs in Digital Links. `this_year` places two-digit years; being off by
    a few years only moves dates fifty years away. `digest_key`: secret of the box; with it a payment code or
    personal number leaves an HMAC by which two scans of the same can be told, without it nothing.
    """

    name: str = "default"
    labels: tuple[LabelTemplate, ...] = ()
    separators: tuple[str, ...] = ()
    zero_suppressed_gtin: bool = False
    payment_rules: tuple[PaymentRule, ...] = DEFAULT_PAYMENT_RULES
    payment_starts: tuple[str, ...] = DEFAULT_PAYMENT_STARTS
    this_year: int = 2026
    digest_key: bytes = field(default=b"", repr=False)


DEFAULT_PROFILE: Final = CodeProfile()


def profile_from_mapping(settings: Mapping[str, Any]) -> CodeProfile:
    """The profile of plain settings, as a configuration file or a batch line holds them.

    Known keys: `name`, `labels` (a list of `{prefix, layout, value, amount_decimals, weight_decimals}`),
    `separators`, `zero_suppressed_gtin`, `this_year`; the keys of one label may also stand at the top. A layout may
    hold spaces and digits of the prefix, and V for the field that `value` (amount or weight) names. Raises
    ValueError with the key and what is wrong.
    """
    known = {"name", "labels", "separators", "zero_suppressed_gtin", "this_year"}
    label_keys = {"prefix", "layout", "value", "amount_decimals", "weight_decimals"}
    unknown = set(settings) - known - label_keys
    if unknown:
        raise ValueError(f"unknown key {sorted(map(str, unknown))[0]!r}")
    labels = settings.get("labels", [])
    if not isinstance(labels, list | tuple) or not all(isinstance(label, Mapping) for label in labels):
        raise ValueError("labels must be a list of tables")
    labels = [*labels, *([{key: settings[key] for key in label_keys & set(settings)}] if "layout" in settings else [])]
    separators = settings.get("separators", [])
    if not isinstance(separators, list | tuple) or not all(isinstance(one, str) and one for one in separators):
        raise ValueError("separators must be a list of texts")
    this_year = settings.get("this_year", DEFAULT_PROFILE.this_year)
    if not isinstance(this_year, int) or not 1970 <= this_year <= 9900:
        raise ValueError("this_year must be a year")
    zero_suppressed = settings.get("zero_suppressed_gtin", False)
    if not isinstance(zero_suppressed, bool):
        raise ValueError("zero_suppressed_gtin must be true or false")
    return CodeProfile(
        name=str(settings.get("name", "custom")),
        labels=tuple(_label(label) for label in labels),
        separators=tuple(separators),
        zero_suppressed_gtin=zero_suppressed,
        this_year=this_year,
    )


def _label(settings: Mapping[str, Any]) -> LabelTemplate:
    prefix, layout = settings.get("prefix"), settings.get("layout")
    if not isinstance(layout, str):
        raise ValueError("layout of a label must be text")
    compact = layout.replace(" ", "")
    digits = "".join(letter for letter in compact if is_digits(letter))
    prefix = digits if prefix is None else str(prefix)
    if digits:
        compact = "P" * len(digits) + compact[len(digits) :]
    if "V" in compact:
        value = settings.get("value")
        if value not in _VALUE_LETTER:
            raise ValueError("value of a label must be amount or weight where the layout has V")
        compact = compact.replace("V", _VALUE_LETTER[value])
    decimals = {key: settings[key] for key in ("amount_decimals", "weight_decimals") if key in settings}
    if not all(isinstance(number, int) for number in decimals.values()):
        raise ValueError("decimals of a label must be whole numbers")
    return LabelTemplate(prefix=prefix, layout=compact, **decimals)
