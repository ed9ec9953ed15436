"""Vectors in words: bytes played through a codec, and events as short texts to compare with."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.driver import Codec, CodecOutput
from edge_agent.model import DeviceEvent, PushedSale, Reading, Rejected, Scan, Status, TagRead


def play(codec: Codec, pieces: Iterable[bytes]) -> list[DeviceEvent]:
    """The events of a stream that arrives in these pieces at one moment and then ends."""
    outputs: list[CodecOutput] = []
    for piece in pieces:
        outputs += codec.feed(piece, 0.0)
    outputs += codec.close(0.0)
    return [output for output in outputs if isinstance(output, DeviceEvent)]


def describe(event: DeviceEvent) -> str:
    """An event as a vector writes it.

    `1.236 kg stable gross` (weight, unit or `-`, stability, basis or `-`, then `tare=`, `price=`, `amount=`
    where told), `overload`, `underload`, `sale NUMBER 500 g CODE 1234/1200`,
    `scan ]C1 TEXT` (`-` without an identifier), `tag epc ID`, `status ack`,
    `rejected checksum`.
    """
    match event:
        case Reading(weight=None):
            return event.condition
        case Reading():
            words = [event.weight or "", event.unit or "-", event.stability, event.basis or "-"]
            told = {"tare": event.tare, "price": event.unit_price, "amount": event.amount}
            return " ".join(words + [f"{name}={text}" for name, text in told.items() if text is not None])
        case Scan():
            return f"scan {event.symbology or '-'} {event.text}"
        case TagRead():
            return f"tag {event.kind} {event.tag_id}"
        case PushedSale():
            amounts = f"{event.amount_raw_fen}/{event.amount_fen}"
            much = f"{event.weight or event.pieces} {event.unit or 'pcs'}"
            return f"sale {event.number} {much} {event.goods_code or '-'} {amounts}"
        case Status():
            return f"status {event.status}"
        case Rejected():
            return f"rejected {event.reason}"
