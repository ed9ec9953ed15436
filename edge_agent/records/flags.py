"""The flags of a record: what is doubtful or remarkable about it. A closed vocabulary.

A flag never keeps a record back. It says to whoever reads the record what the box already knew when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Flag = Literal[
    "above_max",
    "added",
    "amount_mismatch",
    "basis_unknown",
    "below_min",
    "clock_unsynced",
    "code_invalid",
    "loaded_at_start",
    "manual",
    "no_upstream",
    "off_step",
    "over_balance",
    "price_suspect",
    "private_masked",
    "scale_unverified",
    "text_replaced",
    "uncommissioned",
    "unstable",
    "wedge_suspect",
]


class Meaning(NamedTuple):
    """What a flag says, in both languages."""

    zh: str
    en: str


FLAGS: Final[Mapping[Flag, Meaning]] = MappingProxyType(
    {
        "above_max": Meaning(
            "超过秤的最大秤量加 9e", "the load is above the scale's maximum capacity and nine intervals (Max + 9e)"
        ),
        "added": Meaning(
            "未回零加放：净重为新增部分，原有货物作皮重",
            "goods were added without return to zero: the net mass is what was added, what lay there is the tare",
        ),
        "amount_mismatch": Meaning(
            "秤上金额与重量×单价不符，以秤上金额为准",
            "the scale's own amount is not mass times price; the scale's amount is the one recorded",
        ),
        "basis_unknown": Meaning(
            "仪表未说明毛重或净重，净重栏为显示值",
            "the frame does not tell gross from net: the net mass is the indication, gross and tare are not known",
        ),
        "below_min": Meaning("低于秤的最小秤量", "the load is below the scale's minimum capacity (Min)"),
        "clock_unsynced": Meaning(
            "记录时系统时钟未同步，时间可能不准",
            "the box's clock was not synchronised when this was captured: the time may be wrong",
        ),
        "code_invalid": Meaning(
            "条码可识别但有误（校验位、日期等）",
            "a scanned code was recognised and is wrong (check digit, impossible date)",
        ),
        "loaded_at_start": Meaning(
            "开始监视时秤盘已有货物，由人工确认取数",
            "the platter was loaded when watching began; a person had the load recorded",
        ),
        "manual": Meaning("人工录入，非设备采集", "entered by a person, not captured from a device"),
        "no_upstream": Meaning(
            "没有对应的进货批次",
            "no batch of the seller stands behind this line: where the goods came from is not recorded",
        ),
        "off_step": Meaning(
            "示值不是分度值的整数倍，驱动或量程设置可能有误",
            "the indication is no multiple of the scale's interval d: driver, unit or range may be set wrong",
        ),
        "over_balance": Meaning(
            "该批次售出量超过进货量", "more of the batch went out than came in, beyond the tolerance of the goods"
        ),
        "price_suspect": Meaning(
            "单价约为目录价的十分之一或百分之一，疑似小数点错位",
            "the price is about a tenth or a hundredth of the catalogue's: a decimal point may have slipped",
        ),
        "private_masked": Meaning(
            "内容含支付码或个人号码，已遮盖且不保留原始数据",
            "a payment code or personal number was recognised and masked; neither text nor bytes of it are kept",
        ),
        "scale_unverified": Meaning(
            "秤的检定已过期、铅封损坏或未登记检定",
            "the scale's verification has run out, its seal is broken, or no verification of it is on file",
        ),
        "text_replaced": Meaning(
            "部分字符无法解码，已以替代符号表示",
            "parts of the text could not be decoded and stand as U+FFFD; the raw bytes are kept",
        ),
        "uncommissioned": Meaning(
            "秤尚未启用校核（未与秤面示值比对）", "nobody has compared the readings with the scale's own display yet"
        ),
        "unstable": Meaning("取数时示值未稳定", "the indication was not stable when it was recorded"),
        "wedge_suspect": Meaning(
            "键盘口扫码疑似丢失分隔符", "a group separator seems to have been lost between scanner and box"
        ),
    }
)
"""Every flag and its meaning, in alphabetical order."""
