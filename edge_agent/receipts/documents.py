"""Receipts, labels and certificates as documents: which facts stand where. In Chinese, for whoever buys.

What a receipt has to say follows the trace scales of the national meat-and-vegetable scheme: seller, stall, goods,
origin, net mass, unit price, amount, time, batch, trace code, complaint number. An amount before rounding off (抹零)
is shown where it differs. A time that the box could not vouch for is followed by 时间待校准; a second print says 补打.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from edge_agent.model import Document, Pair, Part, QrCode, Rule, Text
from edge_agent.receipts import qr

Event = Mapping[str, Any]

_PER: Final = MappingProxyType({"kg": "元/公斤", "500g": "元/500克", "each": "元/件"})
_CLOCK: Final = "时间待校准"
_VOUCHERS: Final = MappingProxyType(
    {
        "1": "交易凭证",
        "2": "动物产品检疫合格证",
        "3": "肉品品质检验合格证",
        "4": "产地证明",
        "5": "检测合格证",
        "6": "进货批次",
        "commitment": "承诺达标合格证",
        "import": "进口单证",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who stands on receipts: the market's name, the stalls' by station, the sellers' by code, and where to complain.

    `query_url` is the address of the city's page for buyers, with `{code}` where the trace code belongs.
    """

    market: str | None = None
    complaint: str | None = None
    query_url: str | None = None
    footer: str | None = None
    stalls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    sellers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def link(self, trace_code: str, proof: str | None) -> str:
        """What the QR code holds: the address and the proof, or one of them, else the trace code alone."""
        if self.query_url:
            return self.query_url.replace("{code}", trace_code) + (f"#{proof}" if proof else "")
        return proof or trace_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Printout:
    """What is to be printed: kept sales of one ticket, or one. `origins` are the intakes of their batches by number,
    `proofs` the signed facts by record id, `again` says that it was printed before.
    """

    sales: Sequence[Event]
    origins: Mapping[str, Event] = field(default_factory=lambda: MappingProxyType({}))
    proofs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    again: bool = False


def receipt(printout: Printout, issuer: Issuer) -> Document:
    """The receipt of a sale, or of all lines of a ticket. Raises ValueError where there is none to print."""
    if not printout.sales:
        raise ValueError("a receipt needs at least one sale")
    first = printout.sales[0]
    data = first["data"]
    parts: list[Part] = []
    if issuer.market:
        parts.append(Text(text=issuer.market, bold=True, align="center"))
    if printout.again:
        parts.append(Text(text="【补打】", bold=True, align="center"))
    seller = data.get("seller") or data.get("party")
    if seller:
        parts.append(Pair(left="商户", right=issuer.sellers.get(seller, seller)))
    parts.append(Pair(left="摊位", right=_stall(first, issuer)))
    parts.append(Pair(left="时间", right=_time(first)))
    for event in printout.sales:
        parts.append(Rule())
        parts += _line(event, printout, issuer)
    parts.append(Rule())
    amounts = [event["data"].get("amount_fen") for event in printout.sales]
    if all(amount is not None for amount in amounts):
        raw = sum(event["data"].get("amount_raw_fen") or 0 for event in printout.sales)
        if raw > sum(amounts):
            parts.append(Pair(left="原价", right=f"{_yuan(raw)} 元"))
            parts.append(Pair(left="抹零", right=f"-{_yuan(raw - sum(amounts))} 元"))
        parts.append(Pair(left="合计", right=f"{_yuan(sum(amounts))} 元", size=2, bold=True))
    if issuer.complaint:
        parts.append(Pair(left="投诉电话", right=issuer.complaint))
    parts.append(Text(text="以秤面示值为准", align="center"))
    if issuer.footer:
        parts.append(Text(text=issuer.footer, align="center"))
    return Document(id=first["id"], kind="receipt", parts=tuple(parts))


def label(printout: Printout, issuer: Issuer) -> Document:
    """The label for one weighed piece of goods: what it is, what it costs, where it came from."""
    if len(printout.sales) != 1:
        raise ValueError("a label is for one sale")
    event = printout.sales[0]
    data = event["data"]
    parts: list[Part] = [Text(text=_name(data), size=2, bold=True)]
    parts += _amount_lines(data)
    parts += _origin_lines(data, printout)
    parts.append(Text(text=_time(event)))
    seller = data.get("seller") or data.get("party")
    if seller:
        parts.append(Text(text=issuer.sellers.get(seller, seller)))
    if printout.again:
        parts.append(Text(text="补打"))
    if data.get("trace_code"):
        parts.append(Text(text=data["trace_code"]))
        # On a label the code alone: a proof would make its modules too small for a phone's eye.
        parts += [made] if (made := qr.code(issuer.link(data["trace_code"], None))) else []
    return Document(id=event["id"], kind="label", parts=tuple(parts))


def certificate(intake: Event, issuer: Issuer, *, again: bool = True) -> Document:
    """The commitment certificate (承诺达标合格证) of a batch, or its other vouchers, printed again for a buyer.

    Raises ValueError for an intake without vouchers.
    """
    data = intake["data"]
    vouchers = data.get("vouchers") or ()
    if not vouchers:
        raise ValueError(f"batch {data.get('batch')} came in without a voucher; there is nothing to print")
    chosen = [each for each in vouchers if each.get("type") == "commitment"] or list(vouchers)
    parts: list[Part] = [
        Text(text=_VOUCHERS.get(str(chosen[0].get("type")), "凭证"), size=2, bold=True, align="center")
    ]
    if again:
        parts.append(Text(text="【复印件，原件信息见追溯平台】", align="center"))
    parts.append(Pair(left="产品", right=_name(data)))
    if data.get("net_mg"):
        parts.append(Pair(left="数量", right=f"{_kilograms(data['net_mg'])} 公斤"))
    elif data.get("qty"):
        parts.append(Pair(left="数量", right=f"{data['qty']} 件"))
    for name, key in (("产地", "origin_name"), ("生产者", "producer"), ("供货者", "supplier")):
        if data.get(key):
            parts.append(Pair(left=name, right=str(data[key])))
    parts.append(Pair(left="批次", right=str(data.get("batch"))))
    for voucher in chosen:
        parts.append(Rule())
        for name, key in (("编号", "no"), ("开具者", "issuer"), ("开具日期", "issued"), ("产地", "origin")):
            if voucher.get(key):
                parts.append(Pair(left=name, right=str(voucher[key])))
        if voucher.get("url") and (made := qr.code(str(voucher["url"]))):
            parts.append(made)
    if issuer.complaint:
        parts += [Rule(), Pair(left="投诉电话", right=issuer.complaint)]
    return Document(id=intake["id"], kind="receipt", parts=tuple(parts))


def as_lines(document: Document) -> list[dict[str, Any]]:
    """A document as plain values, for a page that shows it."""
    lines: list[dict[str, Any]] = []
    for part in document.parts:
        match part:
            case Text():
                lines.append({"text": part.text, "size": part.size, "bold": part.bold, "align": part.align})
            case Pair():
                lines.append({"left": part.left, "right": part.right, "size": part.size, "bold": part.bold})
            case Rule():
                lines.append({"rule": True})
            case QrCode():
                lines.append({"code": part.text})
    return lines


def _line(event: Event, printout: Printout, issuer: Issuer) -> list[Part]:
    data = event["data"]
    parts: list[Part] = [Text(text=_name(data), bold=True), *_amount_lines(data), *_origin_lines(data, printout)]
    if data.get("trace_code"):
        parts.append(Pair(left="追溯码", right=data["trace_code"]))
        made = qr.code(issuer.link(data["trace_code"], printout.proofs.get(event["id"])))
        parts += [made] if made else []
    return parts


def _amount_lines(data: Event) -> list[Part]:
    parts: list[Part] = []
    if data.get("mode") == "piece":
        parts.append(Pair(left="数量", right=f"{data.get('qty', 1)} 件"))
    elif data.get("net_mg") is not None:
        if data.get("tare_mg"):
            parts.append(Pair(left="皮重", right=f"{_kilograms(data['tare_mg'])} 公斤"))
        parts.append(Pair(left="净重", right=f"{_kilograms(data['net_mg'])} 公斤", bold=True))
        if data.get("deduction_mg"):
            parts.append(Pair(left="扣除", right=f"{_kilograms(data['deduction_mg'])} 公斤"))
    if data.get("price_fen") is not None:
        parts.append(Pair(left="单价", right=f"{_yuan(data['price_fen'])} {_PER[data['price_per']]}"))
    if data.get("amount_fen") is not None:
        parts.append(Pair(left="金额", right=f"{_yuan(data['amount_fen'])} 元", bold=True))
    return parts


def _origin_lines(data: Event, printout: Printout) -> list[Part]:
    parts: list[Part] = []
    batch = data.get("batch")
    if batch:
        parts.append(Pair(left="批次", right=batch))
    origin = printout.origins.get(batch or "", {}).get("data", {})
    place = origin.get("origin_name") or origin.get("origin_code")
    if place:
        parts.append(Pair(left="产地", right=place))
    return parts


def _name(data: Event) -> str:
    return str(data.get("goods_name") or data.get("goods_code") or "商品")


def _stall(event: Event, issuer: Issuer) -> str:
    position = event["data"].get("position")
    return issuer.stalls.get(event["subject"], position or event["subject"])


def _time(event: Event) -> str:
    told = datetime.fromisoformat(event["time"]).strftime("%Y-%m-%d %H:%M:%S")
    return f"{told} {_CLOCK}" if "clock_unsynced" in event["data"].get("flags", ()) else told


def _yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _kilograms(mass_mg: int) -> str:
    """Kilograms with three decimals, or as many as the mass needs."""
    exact = Decimal(mass_mg) / 1_000_000
    return f"{exact:.3f}" if exact == round(exact, 3) else f"{exact.normalize():f}"
