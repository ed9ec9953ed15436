"""What programs send to the local API: the bodies, checked, and described in the API's OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Code = Annotated[str, Field(min_length=1, max_length=128)]
_Station = Annotated[str, Field(min_length=1, max_length=64, description="id of the station")]
_Mass = Annotated[int, Field(ge=1, le=1_000_000_000_000, description="net mass; milligrams")]
_Fen = Annotated[int, Field(ge=0, le=10_000_000_000)]
_Pieces = Annotated[int, Field(ge=1, le=100_000)]
_Operator = Annotated[str, Field(min_length=1, max_length=64, description="who sells; absent: who is on duty there")]


class Request(BaseModel):
    """A body: unknown fields are errors, and a number in quotes is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SaleRequest(Request):
    """One line of a sale. Without `net_mg` and `qty` the stable load on the station's scale is sold."""

    station: _Station
    code: Annotated[_Code, Field(description="code, PLU or article number of the goods")]
    name: _Text | None = None
    price_fen: Annotated[_Fen | None, Field(le=100_000_000, description="absent: the catalogue's price")] = None
    price_per: Literal["kg", "500g", "each"] | None = None
    net_mg: _Mass | None = None
    qty: _Pieces | None = None
    amount_fen: Annotated[_Fen | None, Field(description="rounded off (抹零): never more than the amount")] = None
    batch: Annotated[_Code | None, Field(description="absent: the seller's oldest open batch of the goods")] = None
    operator: _Operator | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> SaleRequest:
        if self.net_mg is not None and self.qty is not None:
            raise ValueError("net_mg and qty exclude one another")
        if self.qty is not None and self.price_per not in (None, "each"):
            raise ValueError("goods with a qty are priced each")
        if self.net_mg is not None and self.price_per == "each":
            raise ValueError("goods with a net_mg are priced by kg or 500g")
        return self


class VoucherIn(Request):
    """A paper that came with the goods."""

    type: Literal["1", "2", "3", "4", "5", "6", "commitment", "import", "other"]
    no: _Code | None = None
    issuer: _Text | None = None
    origin: _Text | None = None
    issued: Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None
    url: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    attachment: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None


class IntakeRequest(Request):
    """Goods that come in. Without `net_mg` and `qty` the stable load on the station's scale comes in."""

    station: _Station
    goods_code: _Code
    goods_name: _Text | None = None
    batch: Annotated[_Code | None, Field(description="absent: a new number")] = None
    supplier: _Code | None = None
    supplier_name: _Text | None = None
    origin_code: _Code | None = None
    origin_name: _Text | None = None
    upstream_trace: _Code | None = None
    lot: _Code | None = None
    net_mg: _Mass | None = None
    qty: _Pieces | None = None
    vouchers: Annotated[tuple[VoucherIn, ...], Field(max_length=20, strict=False)] = ()
    operator: _Operator | None = None


class VoidRequest(Request):
    """A record was wrong as a whole."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    operator: _Operator | None = None


class PaymentRequest(Request):
    """Money came in. The reference is needed to tell a repeated call; only its keyed digest is kept."""

    amount_fen: Annotated[int, Field(ge=1, le=10_000_000_000)]
    method: Literal["card", "wechat", "alipay", "unionpay", "ecny", "other"]
    reference: Annotated[str, Field(min_length=4, max_length=200, description="the payment's own number")]
    station: Annotated[_Station | None, Field(description="absent: any counter of this box")] = None
    channel: _Code | None = None
    ticket: Annotated[_Code | None, Field(description="where the cashier's program knows it: no guessing then")] = None
