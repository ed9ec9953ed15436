"""Wiegand 26 behind a converter: the 26 bits, right-aligned in four bytes.

Source: the 26-bit format H10301 as published by HID Global.

    bit    25      24 … 17     16 … 1     0
           parity  facility    card       parity
           even over itself and the 12 bits behind it; odd over the last 13 bits

A card is one message; silence ends it. Two parity bits are all that guards it, so a message that is not of four
bytes, or of several times four that are each right, is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drivers.framing import Frame, GapBuffer
from edge_agent.driver import CodecOutput, DriverSpec, Option
from edge_agent.model import DeviceEvent, Rejected, TagRead

_WORD: Final = 4
_LIMIT: Final = 64


class WiegandCodec:
    """Messages between silences to cards; see `edge_agent.driver.Codec`. `gap` is in seconds."""

    def __init__(self, gap: float) -> None:
        self._messages = GapBuffer(gap, _LIMIT)

    @property
    def deadline(self) -> float | None:
        """When silence will have ended the message that is held."""
        return self._messages.deadline

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        return [event for piece in self._messages.feed(data, now) for event in _read(piece)]

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        return [event for piece in self._messages.tick(now) for event in _read(piece)]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: there is none."""
        raise ValueError(f"no command {name!r}; a Wiegand reader takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`: the end of the stream is a silence."""
        return [event for piece in self._messages.finish() for event in _read(piece)]


def _read(piece: Frame | Rejected) -> list[DeviceEvent]:
    if isinstance(piece, Rejected):
        return [piece]
    words = [piece.raw[at : at + _WORD] for at in range(0, len(piece.raw), _WORD)]
    if len(words[-1]) != _WORD or any(int.from_bytes(word, "big") >> 26 for word in words):
        return [Rejected(reason="malformed", raw=piece.raw)]
    if not all(_parity_holds(int.from_bytes(word, "big")) for word in words):
        return [Rejected(reason="parity", raw=piece.raw)]
    return [TagRead(tag_id=f"{int.from_bytes(w, 'big') >> 1 & 0xFFFFFF:06X}", kind="wiegand", raw=w) for w in words]


def _parity_holds(bits: int) -> bool:
    return (bits >> 13).bit_count() % 2 == 0 and (bits & 0x1FFF).bit_count() % 2 == 1


def _make(options: Mapping[str, Any]) -> WiegandCodec:
    return WiegandCodec(options.get("gap_ms", 50) / 1000)


SPEC = DriverSpec(
    id="wiegand",
    kind="rfid",
    title="Wiegand 26 behind a converter",
    make=_make,
    models=("Wiegand-to-serial converters that send the bits as bytes",),
    source="26-bit format H10301; layout not checked on a converter",
    maturity="manual",
    line={"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"},
    options=(
        Option(
            name="gap_ms", type="integer", default=50, minimum=5, maximum=2000, help="silence that ends a card's bits"
        ),
    ),
    tells=("parity",),
    bits=26,
)
