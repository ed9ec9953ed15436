"""The terms that fields of several types share: kinds of values with their bounds, and fields with their meaning.

Where a field comes from the systems of markets or cities, its source says so. None of them is a claim of
conformity: the texts of SB/T 10680 and GB/T 38154 were not at hand, and their codes differ from city to city.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from edge_agent.records.money import PricePer
from edge_agent.records.shape import Form, Named, Range, Says, Unit

MARKETS: Final = "practice of market node systems (specification of 2010 for meat and vegetables)"
MUNICIPAL: Final = "municipal interface (docs/reference/municipal.md)"
GBT_38156: Final = "GB/T 38156, groups of clause 5"
OIML: Final = "OIML R 76"

# --- kinds of values ---------------------------------------------------------------------------------------------

Milligrams = Annotated[int, Range(), Unit("mg")]
Fen = Annotated[int, Range(minimum=0), Unit("fen")]
MilliCelsius = Annotated[int, Range(-273_150, 1_000_000), Unit("m°C")]
Milliseconds = Annotated[int, Range(), Unit("ms")]
Count = Annotated[int, Range(minimum=0)]
Sequence = Annotated[int, Range(minimum=1)]
Code = Annotated[str, Form(min_length=1)]
Words = Annotated[str, Form(min_length=1)]
Hex = Annotated[str, Form(pattern=r"^([0-9a-f]{2})*$")]
Digest = Annotated[str, Form(pattern=r"^[0-9a-f]{64}$")]
RecordId = Annotated[
    str, Form(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", format="uuid")
]
Moment = Annotated[
    str,
    Form(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}"
        r"[+-]([01][0-9]|2[0-3]):[0-5][0-9]$"
    ),
]
"""RFC 3339 with offset and milliseconds, never `Z`."""

Day = Annotated[str, Form(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", format="date")]
Decimal = Annotated[str, Form(pattern=r"^-?[0-9]+(:[0-9]+)?(\.[0-9]+)?$")]
"""A decimal text as displayed; pounds and ounces with a colon."""

# --- fields that several types have ------------------------------------------------------------------------------

GoodsCode = Annotated[
    Code,
    Says("code of the goods: the city's goods code, a GTIN without leading zeros, or the shop's own", MARKETS),
]
GoodsName = Annotated[Words, Says("name of the goods", MARKETS)]
Relief = Annotated[
    bool, Says("whether the catalogue marks them as goods of a place that is helped by their sale (帮扶产品)")
]
Batch = Annotated[Code, Says("number of the batch, as the intake gave it", MARKETS)]
TraceCode = Annotated[Code, Says("trace code of the line (追溯码): in meat and vegetable cities 20 digits", MARKETS)]
PartyCode = Annotated[Code, Says("code of a market participant: in meat and vegetable cities 13 digits", MARKETS)]
Position = Annotated[Code, Says("stall or place within the market", MARKETS)]
Reason = Annotated[Words, Says("the reason in the words of who acted")]
DocumentNo = Annotated[Code, Says("number of the accompanying document", MARKETS)]
PlateNo = Annotated[Code, Says("number plate of the vehicle", MUNICIPAL)]
Quantity = Annotated[Count, Says("pieces", GBT_38156)]
Temperature = Annotated[MilliCelsius, Says("temperature of the goods")]
Pictures = Annotated[
    tuple[Digest, ...], Says("SHA-256 of each picture or document; the files go by themselves", MUNICIPAL)
]
PriceFen = Annotated[Fen, Says("price as quoted, for what `price_per` says", GBT_38156)]
Per = Annotated[PricePer, Says("what the price is for")]
OriginCode = Annotated[Code, Says("where the goods come from: county code of GB/T 2260", MARKETS)]
OriginName = Annotated[Words, Says("where the goods come from, in words", MUNICIPAL)]
Producer = Annotated[Words, Says("who made or grew the goods", GBT_38156)]
Brand = Annotated[Words, Says("brand", MUNICIPAL)]
Specification = Annotated[Words, Says("specification: size, grade, pack", MUNICIPAL)]
Expiry = Annotated[Day, Says("use by", GBT_38156)]
CardDigest = Annotated[
    Digest, Says("keyed digest of a service card's number; the number itself is never kept", MARKETS)
]
TicketNo = Annotated[Code, Says("number that the lines of one customer share", MUNICIPAL)]
Channel = Annotated[Code, Says("where it was ordered: counter, shop, platform")]
OrderNo = Annotated[Code, Says("order number of a shop or platform", MUNICIPAL)]

CodeClassField = Annotated[Code | None, Named("class"), Says("what the code is, see docs/reference/codes.md")]
PayMethod = Literal["cash", "card", "wechat", "alipay", "unionpay", "ecny", "account", "other"]
