"""Receipt printers that speak ESC/POS: Epson TM, Xprinter, Gprinter, Sunmi and most 58 and 80 mm printers of China.

Source: Epson ESC/POS command reference (ESC @, ESC a, ESC E, GS !, FS &, FS !, GS ( k, GS v 0, GS V, DLE EOT);
programming manuals of Gprinter and Xprinter for GB18030.

    ESC @            initialise                        FS &              double-byte characters (GB18030)
    GS ! n           size of narrow characters         FS ! n            size of wide ones: 04 wide, 08 high
    GS ( k …         QR code drawn by the printer      GS v 0 …          QR code sent as a picture
    GS V 42 00       feed and cut                      DLE EOT n         how the printer stands, n = 1 to 4

The printer's answer to DLE EOT is one byte in which bits 1 and 4 are set and bits 0 and 7 are clear; anything else
is no status. n=1: bit 3 off-line. n=2: bit 2 cover open, bit 5 paper end, bit 6 error. n=3: bit 3 cutter, bit 5 not
recoverable. n=4: bits 5 and 6 paper end (bits 2 and 3 nearly). Answers come in the order of the questions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import NOISE_LIMIT, Cut, Frame, FrameBuffer
from drivers.paper import paired, wrapped
from drivers.printer_codec import STATUS, PrinterCodec
from edge_agent.driver import CodecOutput, Dialogue, DriverSpec, Option, Send
from edge_agent.model import DeviceEvent, Document, Pair, QrCode, Rejected, Rule, Status, Text

_MOST_QR: Final = 2_000
_TROUBLE: Final[Mapping[int, tuple[tuple[int, str], ...]]] = MappingProxyType(
    {
        1: ((0x08, "off-line"),),
        2: ((0x04, "cover open"), (0x20, "out of paper"), (0x40, "error")),
        3: ((0x08, "cutter"), (0x20, "needs service"), (0x40, "too hot, waits")),
        4: ((0x60, "out of paper"),),
    }
)


_QUESTIONS: Final = b"".join(b"\x10\x04%c" % kind for kind in _TROUBLE)


class _StatusBytes:
    """Answers of one byte each; what lies between them is noise."""

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        """See `Framing.scan`."""
        size = next((i for i, byte in enumerate(data[at : at + NOISE_LIMIT]) if byte & 0x93 == 0x12), NOISE_LIMIT)
        if size == 0:
            return Cut(size=1, body=data[at : at + 1])
        if len(data) - at < size and not final:
            return None
        return Cut(size=min(size, len(data) - at), reason="noise")


class EscPosPrinter(PrinterCodec):
    """Documents to ESC/POS, and its status bytes; see `edge_agent.driver.Printer`."""

    def __init__(self, *, width: int, qr: str, cut: bool, status: bool) -> None:
        super().__init__(_QUESTIONS, status=status)
        self._width = width
        self._qr = qr
        self._cut = cut
        self._bytes = FrameBuffer(_StatusBytes())
        self._asked: deque[int] = deque(maxlen=len(_TROUBLE))

    def render(self, document: Document, now: float) -> list[CodecOutput]:
        """See `Printer.render`."""
        parts = [b"\x1b@\x1c&"]
        for part in document.parts:
            match part:
                case Text():
                    parts.append(self._styled(part.size, part.bold, part.align == "center"))
                    parts += [_line(line) for line in wrapped(part.text, self._width // part.size)]
                case Pair():
                    parts.append(self._styled(part.size, part.bold, centre=False))
                    parts += [_line(line) for line in paired(part, self._width // part.size)]
                case Rule():
                    parts += [self._styled(1, bold=False, centre=False), _line("-" * self._width)]
                case QrCode():
                    parts += [self._styled(1, bold=False, centre=True), self._code(part)]
        parts.append(self._styled(1, bold=False, centre=False))
        parts.append(b"\x1dV\x42\x00" if self._cut else b"\n\n\n\n")
        return [Send(data=b"".join(parts))]

    def ask(self, now: float) -> list[CodecOutput]:
        """See `Printer.ask`: four questions, answered in order by a byte each."""
        outputs = super().ask(now)
        self._asked.extend(_TROUBLE if outputs else ())
        return outputs

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        return [self._told(piece) for piece in self._bytes.feed(data)]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: `drawer` opens the till (ESC p)."""
        if name != "drawer":
            raise ValueError(f"no command {name!r}; this printer's commands: drawer")
        return [Send(data=b"\x1bp\x00\x19\xfa")]

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        self._answered()
        return [self._told(piece) for piece in self._bytes.finish()]

    def _answered(self) -> None:
        super()._answered()
        self._asked.clear()

    def _told(self, piece: Frame | Rejected) -> DeviceEvent:
        if isinstance(piece, Rejected):
            return piece
        byte = piece.body[0]
        kinds = [self._asked.popleft()] if self._asked else [1]
        if not self._asked:
            self._answered()
        trouble = [words for kind in kinds for bits, words in _TROUBLE[kind] if byte & bits]
        return Status(status="error" if trouble else "ack", detail=", ".join(trouble), raw=piece.raw)

    def _styled(self, size: int, bold: bool, centre: bool) -> bytes:
        wide = size == 2
        return b"\x1ba%c\x1bE%c\x1d!%c\x1c!%c" % (centre, bold, 0x11 if wide else 0, 0x0C if wide else 0)

    def _code(self, code: QrCode) -> bytes:
        data = code.text.encode("utf-8")
        if len(data) > _MOST_QR:
            raise ValueError(f"a QR code of {len(data)} bytes is too large for paper; {_MOST_QR} at most")
        if self._qr == "picture":
            return _picture(code.rows)
        size = len(data) + 3
        return b"".join(
            (
                b"\x1d(k\x04\x001A2\x00",  # model 2
                b"\x1d(k\x03\x001C%c" % (5 if len(code.rows) < 50 else 3),  # dots of a module
                b"\x1d(k\x03\x001E1",  # error correction M
                b"\x1d(k%c%c1P0" % (size & 0xFF, size >> 8) + data,
                b"\x1d(k\x03\x001Q0\n",
            )
        )


def _line(text: str) -> bytes:
    return text.encode("gb18030", errors="replace") + b"\n"


def _picture(rows: tuple[str, ...]) -> bytes:
    """The modules as a raster picture, four dots each, with the quiet zone of four modules."""
    scale, quiet = (4, 4) if len(rows) < 70 else (3, 4)
    side = (len(rows) + 2 * quiet) * scale
    bytes_across = (side + 7) // 8
    blank = "0" * (len(rows) + 2 * quiet)
    lines = []
    for row in [blank] * quiet + ["0" * quiet + row + "0" * quiet for row in rows] + [blank] * quiet:
        dots = "".join(module * scale for module in row).ljust(bytes_across * 8, "0")
        lines += [int(dots, 2).to_bytes(bytes_across, "big")] * scale
    return b"\x1dv0\x00%c%c%c%c" % (bytes_across & 0xFF, bytes_across >> 8, side & 0xFF, side >> 8) + b"".join(lines)


def _make(options: Mapping[str, Any]) -> EscPosPrinter:
    return EscPosPrinter(
        width=options.get("width", 32),
        qr=options.get("qr", "native"),
        cut=options.get("cut", True),
        status=options.get("status", True),
    )


SPEC = DriverSpec(
    id="escpos",
    kind="printer",
    title="Receipt printer, ESC/POS with GB18030",
    make=_make,
    models=("Epson TM-T82, TM-T88", "Xprinter XP-58, XP-80", "Gprinter GP-58, GP-80", "Sunmi and most 58/80 mm makes"),
    source="Epson ESC/POS command reference; Gprinter and Xprinter programming manuals",
    maturity="manual",
    interfaces=("serial", "rfc2217", "tcp", "lp", "memory"),
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        Option(
            name="width",
            type="integer",
            default=32,
            minimum=16,
            maximum=64,
            help="narrow characters in a line: 32 on 58 mm paper, 48 on 80 mm",
        ),
        Option(
            name="qr",
            type="text",
            default="native",
            choices=("native", "picture"),
            help="QR codes drawn by the printer, or sent as a picture to printers that draw none",
        ),
        Option(name="cut", type="boolean", default=True, help="cut the paper; without a cutter four lines are fed"),
        STATUS,
    ),
    dialogue=Dialogue(polls=False, commands=("drawer",)),
    tells=("state", "receipt"),
)
