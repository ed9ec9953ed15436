"""Simulated printers: they take what a host prints, show it as text, and tell how they stand. Written from the manuals.

ESC/POS: Epson command reference. TSPL: TSC programming manual. ZPL: Zebra programming guide. What comes out is a slip:
the lines of text as a person would read them, and the contents of the QR codes. A slip ends with its cut (ESC/POS),
`PRINT` (TSPL) or `^XZ` (ZPL).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

LANGUAGES: Final[Mapping[str, str]] = {
    "escpos": "receipt printer, ESC/POS with GB18030",
    "tspl": "label printer, TSPL",
    "zpl": "label printer, ZPL II",
}
TROUBLES: Final = ("paper", "cover", "pause")
MAX_HELD: Final = 256 * 1024  # a printer's own buffer; what does not fit is lost, as on paper
MAX_SLIPS: Final = 1000


@dataclass(frozen=True)
class Slip:
    """One printed receipt or label."""

    lines: tuple[str, ...]
    codes: tuple[str, ...] = ()
    pictures: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Printer:
    """An instrument (see `hwsim.instruments.Instrument`) that prints. `trouble` holds any of `TROUBLES`."""

    language: str = "escpos"
    on_slip: Callable[[Slip], None] = lambda slip: None
    trouble: set[str] = field(default_factory=set)
    silent: bool = False

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"language {self.language!r} is not one of {', '.join(LANGUAGES)}")
        self.slips: list[Slip] = []
        self.questions = 0
        self.unknown = 0
        self._held = bytearray()
        self._begin()

    def _begin(self) -> None:
        self._lines: list[str] = []
        self._codes: list[str] = []
        self._pictures = 0
        self._code = b""

    @property
    def due(self) -> float | None:
        return None

    def power_on(self, now: float) -> Sequence[bytes]:
        self._held.clear()
        self._begin()
        return ()

    def tick(self, now: float) -> Sequence[bytes]:
        return ()

    @property
    def counters(self) -> dict[str, int]:
        return {"slips": len(self.slips), "questions": self.questions, "unknown": self.unknown}

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        self._held += data
        del self._held[: max(0, len(self._held) - MAX_HELD)]
        read = {"escpos": self._escpos, "tspl": self._tspl, "zpl": self._zpl}[self.language]
        answers: list[bytes] = []
        while self._held and (answer := read()) is not None:
            if answer and not self.silent:
                answers.append(answer)
        return answers

    def _end(self) -> None:
        slip = Slip(tuple(self._lines), tuple(self._codes), self._pictures)
        self._begin()
        if len(self.slips) < MAX_SLIPS:
            self.slips.append(slip)
        self.on_slip(slip)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    # --- ESC/POS: each returns an answer, b"" for none, None while more bytes are needed

    def _escpos(self) -> bytes | None:
        held = self._held
        lengths = {
            b"\x1b@": 2,
            b"\x1c&": 2,
            b"\x1c.": 2,
            b"\x1ba": 3,
            b"\x1bE": 3,
            b"\x1d!": 3,
            b"\x1c!": 3,
            b"\x1bp": 5,
            b"\x1dV": 4,
            b"\x10\x04": 3,
        }
        begin = bytes(held[:2])
        if begin in lengths:
            if len(held) < lengths[begin]:
                return None
            command = self._take(lengths[begin])
            if begin == b"\x1dV":
                self._end()
            return self._stand(command[2]) if begin == b"\x10\x04" else b""
        if begin == b"\x1d(":
            return self._function()
        if begin == b"\x1dv":
            return self._raster()
        if held[0] in b"\x1b\x1c\x1d\x10":
            if len(held) < 2:
                return None
            self.unknown += 1
            self._take(2)
            return b""
        end = next((at for at, byte in enumerate(held) if byte in b"\n\x1b\x1c\x1d\x10"), None)
        if end is None:
            return None
        text = self._take(end).decode("gb18030", errors="replace")
        if self._held[0] == 0x0A:
            self._take(1)
            self._lines.append(text.strip())
        elif text:
            self.unknown += 1
        return b""

    def _stand(self, kind: int) -> bytes:
        self.questions += 1
        bits = 0x12
        if kind == 1 and self.trouble:
            bits |= 0x08
        if kind == 2:
            bits |= (0x20 if "paper" in self.trouble else 0) | (0x04 if "cover" in self.trouble else 0)
        if kind == 4 and "paper" in self.trouble:
            bits |= 0x60
        return bytes((bits,))

    def _function(self) -> bytes | None:
        if len(self._held) < 5:
            return None
        size = 5 + self._held[3] + 256 * self._held[4]
        if len(self._held) < size:
            return None
        command = self._take(size)
        if command[2:3] == b"k" and command[6] == 80:  # store the data of a symbol
            self._code = command[8:]
        elif command[2:3] == b"k" and command[6] == 81:  # print it
            self._codes.append(self._code.decode("utf-8", errors="replace"))
        return b""

    def _raster(self) -> bytes | None:
        if len(self._held) < 8:
            return None
        size = 8 + (self._held[4] + 256 * self._held[5]) * (self._held[6] + 256 * self._held[7])
        if len(self._held) < size:
            return None
        self._take(size)
        self._pictures += 1
        return b""

    # --- TSPL

    def _tspl(self) -> bytes | None:
        if self._held.startswith(b"\x1b!?"):
            self._take(3)
            self.questions += 1
            bits = {"paper": 0x04, "cover": 0x01, "pause": 0x10}
            return bytes((sum(bits[each] for each in self.trouble),))
        end = self._held.find(b"\r\n")
        if end < 0:
            return None
        line = self._take(end + 2)[:-2].decode("gb18030", errors="replace")
        quoted = re.findall(r'"((?:[^"\\]|\\\["\]|\\)*)"', line)
        if line.startswith("TEXT ") and len(quoted) == 2:
            self._lines.append(quoted[1].replace('\\["]', '"').strip())
        elif line.startswith("QRCODE ") and quoted:
            self._codes.append(quoted[0].replace('\\["]', '"'))
        elif line.startswith("PRINT "):
            self._end()
        elif not line.startswith(("SIZE ", "GAP ", "DIRECTION ", "CLS", "BAR ")):
            self.unknown += 1
        return b""

    # --- ZPL

    def _zpl(self) -> bytes | None:
        if self._held.startswith(b"~HS"):
            self._take(3)
            self.questions += 1
            paper, pause, head = ("1" if each in self.trouble else "0" for each in ("paper", "pause", "cover"))
            lines = (
                f"030,{paper},{pause},1245,000,0,0,0,000,0,0,0",
                f"000,0,{head},0,0,2,4,0,00000000,1,000",
                "1234,0",
            )
            return b"".join(b"\x02%b\x03\r\n" % line.encode() for line in lines)
        if self._held[0] in b"\r\n":
            self._take(1)
            return b""
        start = self._held.find(b"^XA")
        end = self._held.find(b"^XZ")
        if start != 0:
            if start < 0 and b"~HS" not in self._held:
                return None
            skip = min(at for at in (start, self._held.find(b"~HS")) if at > 0)
            self._take(skip)
            self.unknown += 1
            return b""
        if end < 0:
            return None
        page = self._take(end + 3).decode("utf-8", errors="replace")
        for field_ in re.findall(r"\^FO[^^]*(.*?)\^FS", page):
            content = re.search(r"\^FD(.*)", field_)
            if content is None:
                continue
            text = re.sub(r"_([0-9A-F]{2})", lambda hexed: chr(int(hexed[1], 16)), content[1])
            if "^BQ" in field_:
                self._codes.append(text.partition(",")[2])
            else:
                self._lines.append(text.strip())
        self._end()
        return b""
