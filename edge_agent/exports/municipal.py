"""Where each field of a real municipal interface, and each element of GB/T 38156, is in our records, or why it is not.

The municipal interface is one that a wholesale market group uses towards its city (JSON over HTTPS, seen 2021). The
elements of GB/T 38156 are those of its groups 5.1 to 5.3 as far as they are known: the text of the standard was not at
hand, so the list is a working list and no claim of conformity. The page docs/reference/municipal.md is made from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Here:
    """Where something is: `type.field`, `type.list.field`, or `*.field` for the envelope and what all records hold."""

    places: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """Why something is not in our records."""

    reason: str


Answer = Here | Absent


def _at(*places: str, note: str = "") -> Here:
    return Here(places, note)


_SITE: Final = _at("*.source", note="the site in it; `[gateway] market_code` is the city's code for it")

MUNICIPAL_FIELDS: Final[dict[str, dict[str, Answer]]] = {
    "intake pre-registration (enterBase)": {
        "thirdEnterId": _at("intake.id"),
        "thirdAccId": _at("intake.party"),
        "marketId": _SITE,
        "enterTime": _at("intake.time"),
        "thirdGoodsId": _at("intake.goods_code"),
        "thirdGoodsName": _at("intake.goods_name"),
        "enterNum": _at("intake.net_mg", "intake.qty", note="milligrams, or pieces"),
        "unitName": _at("intake.unit", note="masses are exact in every unit: 斤 and 公斤 are the adapter's"),
        "productionStr": _at("intake.origin_name", "intake.origin_code"),
        "brand": _at("intake.brand"),
        "specification": _at("intake.specification"),
        "transporterId": _at("intake.plate_no", "entry.plate_no"),
        "thirdUpId": _at("intake.supplier"),
        "approvalStatus": _at("intake_review.decision", "intake_review.intake", note="0 to 3 by city profile"),
        "certificatePictures": _at("intake.pictures", "intake.vouchers.attachment", note="SHA-256; files go apart"),
        "delete": _at("void.corrects"),
    },
    "entry gate (inDoor)": {
        "inTime": _at("entry.time"),
        "marketId": _SITE,
        "thirdAccId": _at("entry.party"),
        "thirdEnterIds": _at("entry.intakes"),
    },
    "inspection (detection)": {
        "checkNo": _at("inspection.check_no"),
        "checkOrgCode": _at("inspection.organisation_code"),
        "checkOrgName": _at("inspection.organisation_name"),
        "checkTime": _at("inspection.tested", "inspection.time"),
        "checkType": _at("inspection.kind"),
        "checker": _at("inspection.inspector"),
        "checkResult": _at("inspection.result"),
        "goodsCode": _at("inspection.goods_code"),
        "goodsName": _at("inspection.goods_name"),
        "accountName": _at("inspection.party_name"),
        "idCard": Absent("numbers of persons are never kept: the owner is named by the code of the participant"),
        "boothNo": _at("inspection.position"),
        "marketId": _SITE,
        "items.project": _at("inspection.items.project"),
        "items.value": _at("inspection.items.value"),
        "items.normalValue": _at("inspection.items.limit"),
        "items.result": _at("inspection.items.result"),
        "pictures": _at("inspection.pictures"),
    },
    "disposal of what failed (check fail)": {
        "checkNo": _at("disposal.check_no"),
        "disposalDate": _at("disposal.day", "disposal.time"),
        "disposalType": _at("disposal.kind"),
        "quantity": _at("disposal.net_mg", "disposal.qty"),
        "result": _at("disposal.result"),
        "person": _at("disposal.person"),
        "pictures": _at("disposal.pictures"),
    },
    "sale by scan, delivery (order/sc, order/delivery)": {
        "thirdOrderId": _at("sale.ticket", "settlement.order_no"),
        "orderTime": _at("sale.time"),
        "thirdSellId": _at("sale.seller"),
        "thirdBuyId": _at("sale.buyer"),
        "thirdQrCode": _at("sale.trace_code"),
        "flag": _at("sale.destination"),
        "lines.detailId": _at("sale.line", "sale.id"),
        "lines.orderNum": _at("sale.net_mg", "sale.qty"),
        "lines.price": _at("sale.price_fen"),
        "lines.unitName": _at("sale.price_per"),
        "lines.thirdEnterId": _at("sale.batch", note="the batch names the intake"),
        "lines.thirdOrderParentId": _at("sale.upstream_ticket"),
        "lines.thirdOrderDetailParentId": _at("sale.upstream_line"),
        "delete": _at("void.corrects", "return.corrects"),
    },
    "participants (account, upstream, downstream)": {
        "account save": _at("party.code", "party.name", "party.licence_no", "party.region"),
        "account delete": _at("party.state"),
        "upstream and downstream save": _at("party.roles", "intake.supplier", "sale.buyer"),
        "code/updateAccount: QR": _at("party.code", note="the platform makes its code from it"),
        "code/updateAccount: colour": Absent("the platform's judgement of a trader; it comes down as a directive"),
    },
    "daily counters": {
        "registered kg": _at("intake.net_mg", note="sum over the day"),
        "registered batches": _at("intake.batch", note="count over the day"),
        "tested batches": _at("inspection.batch", note="count over the day"),
        "traded batches": _at("sale.batch", note="count over the day"),
        "traded kg": _at("sale.net_mg", note="sum over the day, less voids and returns"),
        "unqualified batches": _at("inspection.result", "inspection.batch", note="those that failed"),
        "unqualified kinds": _at("inspection.goods_code", note="of those that failed"),
        "unqualified list": _at("inspection.check_no", note="of those that failed"),
        "updateTime": _at("kpi.period_to"),
    },
    "the exchange itself": {
        "token, appId, appSecret": Absent("access to an HTTPS interface belongs to the adapter, not to the records"),
        "push every five minutes, 64 at a time": Absent("the uplink sends at once, and a backlog in batches"),
        "log of requests and answers": Absent("the outbox holds the verdict on every record, the quarantine reasons"),
    },
}
"""By message; their names, ours behind them."""

GBT_38156_ELEMENTS: Final[dict[str, dict[str, Answer]]] = {
    "5.1 parties (交易主体信息)": {
        "name": _at("party.name"),
        "unified social credit code": _at("party.uscc"),
        "subject trace code": _at("party.code", "sale.seller", "sale.buyer"),
        "type and role": _at("party.kind", "party.roles"),
        "address": _at("party.address"),
        "administrative code": _at("party.region"),
        "contact": Absent("names and telephone numbers of persons are never kept on the box"),
        "licence number": _at("party.licence_no"),
    },
    "5.2 product (交易产品信息)": {
        "name": _at("intake.goods_name", "sale.goods_name"),
        "category code": _at("intake.goods_code", "sale.goods_code"),
        "product code (GTIN)": _at("intake.goods_code", note="a GTIN is one kind of goods code"),
        "trace code": _at("sale.trace_code"),
        "batch number": _at("intake.batch", "sale.batch"),
        "specification": _at("intake.specification"),
        "unit": _at("sale.unit", "sale.price_per"),
        "quantity": _at("intake.net_mg", "intake.qty", "sale.net_mg", "sale.qty"),
        "day of production": _at("intake.produced"),
        "shelf life or expiry": _at("intake.expiry", "sale.expiry"),
        "origin": _at("intake.origin_code", "intake.origin_name"),
        "producer": _at("intake.producer"),
        "brand": _at("intake.brand"),
        "certificates": _at("intake.vouchers.type", "intake.vouchers.no", "intake.vouchers.attachment"),
    },
    "5.3 the act (交易行为信息)": {
        "voucher number": _at("intake.vouchers.no", "sale.ticket", "transfer.document_no"),
        "time": _at("*.time"),
        "place": _at("*.source", "sale.position"),
        "kind of act": _at("*.type", "transfer.direction"),
        "quantity": _at("sale.net_mg", "sale.qty", "transfer.net_mg", "return.net_mg", "confirmation.remaining_qty"),
        "unit price": _at("sale.price_fen", "sale.price_per", "intake.price_fen"),
        "amount": _at("sale.amount_raw_fen", "sale.amount_fen", "return.amount_fen"),
        "way of payment": _at("settlement.pay_method"),
        "transport": _at("transfer.plate_no", "transfer.carrier", "transfer.seal_no", "entry.plate_no"),
    },
    "6 to 10, about the record (数据描述、采集、存储、安全)": {
        "record id": _at("*.id"),
        "created": _at("*.time", "*.clock"),
        "creating system": _at("*.source"),
        "how it was captured": _at("*.captured_by", "*.device"),
        "state of update": _at("*.corrects", "void.corrects", "amend.corrects"),
        "checksum": _at("*.hash", "*.prevhash"),
    },
}
"""By group; the elements of the working list, ours behind them."""
