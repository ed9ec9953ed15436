"""Barcode scanners on a serial line or USB-CDC: text, a suffix, silence.

Source: programming manuals of Newland, Honeywell and Zebra serial scanners; AIM identifiers of ISO/IEC 15424.

    ]C1 0106901234567892 CR    … at least gap_ms of silence          STX before the data is no data
    AIM  data            suffix [check]

A scan ends when the suffix has come and then nothing for `gap_ms`. Terminators inside are data, as two-dimensional
codes hold CR and LF, unless every piece shows that it is a scan of its own: each begins with an AIM identifier, or is
an article number whose check digit holds. So come scans that were read at once, because this computer was held up.
Some scanners can add a byte behind the suffix, the XOR of all before it (MS912 manual, 4.3.2); it must hold. Where
silence falls before the suffix the message was cut, and what comes soon after it is
taken for its rest and refused too, because half a code is a different code. With suffix `none` silence alone
ends a scan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import xor
from drivers.framing import Frame, GapBuffer
from drivers.scanners._scanned_text import decode
from edge_agent.driver import CodecOutput, DriverSpec, Option
from edge_agent.model import DeviceEvent, Rejected, Scan

SUFFIXES: Final[Mapping[str, bytes]] = MappingProxyType(
    {"CR": b"\r", "LF": b"\n", "CRLF": b"\r\n", "TAB": b"\t", "ETX": b"\x03", "none": b""}
)
ENCODINGS: Final = ("auto", "utf-8", "gb18030", "latin-1")
_LIMIT: Final = 8192
_REST_GAPS: Final = 10
"""So many gaps after a cut message, bytes are taken for a new one again."""

_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_AIM_BYTES = re.compile(rb"\][A-Za-z][0-9A-Za-z].")
_ARTICLE: Final = re.compile(rb"\d{8}|\d{12,14}")
_CONTROLS: Final = bytes(range(0x20)) + b"\x7f"


class SerialScannerCodec:
    """Suffix and silence to scans; see `edge_agent.driver.Codec`. `gap` is in seconds."""

    def __init__(self, *, suffix: str, gap: float, encoding: str, aim: bool, check: str, lines: str) -> None:
        self._suffix = SUFFIXES[suffix]
        self._checked = check == "xor"
        self._lines = lines
        self._rest = gap * _REST_GAPS
        self._encoding = encoding
        self._aim = aim
        self._messages = GapBuffer(gap, _LIMIT)
        self._begun = 0.0
        self._last = 0.0
        self._cut_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence will have ended the message that is held."""
        return self._messages.deadline

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs = self.tick(now)
        if not data:
            return outputs
        if self._messages.deadline is None:
            self._begun = now
        outputs += self._told(self._messages.feed(data, now))
        self._last = now
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        return self._told(self._messages.tick(now))

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: a scanner has none."""
        raise ValueError(f"no command {name!r}; a serial scanner takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`: the end of the stream is a silence."""
        return self._told(self._messages.finish())

    def _told(self, pieces: Sequence[Frame | Rejected]) -> list[CodecOutput]:
        return [event for piece in pieces for event in self._read(piece)]

    def _read(self, piece: Frame | Rejected) -> list[DeviceEvent]:
        if isinstance(piece, Rejected):
            return [piece]
        raw = piece.raw
        if not raw.strip(_CONTROLS):
            return [Rejected(reason="empty", raw=raw)]
        if self._checked and xor(raw[:-1]) != raw[-1:]:
            self._cut_at = self._last
            return [Rejected(reason="checksum", raw=raw)]
        rest_of_a_cut = self._cut_at is not None and self._begun - self._cut_at < self._rest
        data = self._without_suffix(raw[:-1] if self._checked else raw)
        self._cut_at = self._last if data is None else None
        if data is None or rest_of_a_cut:
            return [Rejected(reason="truncated", raw=raw)]
        pieces = self._pieces(raw)
        if len(pieces) > 1:
            return [self._scan(self._without_suffix(one) or b"", one) for one in pieces]
        return [self._scan(data, raw)]

    def _pieces(self, raw: bytes) -> list[bytes]:
        """The scans of a message, each with its suffix."""
        if self._lines == "data" or self._checked or not self._suffix:
            return [raw]
        pieces = re.findall(_ENDED[self._suffix], raw, re.DOTALL)
        alone = [(self._without_suffix(piece) or b"").removeprefix(b"\x02") for piece in pieces]
        said = [data for data in alone if data.strip(_CONTROLS)]
        if self._lines == "scans" or all(map(_AIM_BYTES.match, said)) or all(map(_is_article, said)):
            return pieces
        return [raw]

    def _scan(self, data: bytes, raw: bytes) -> DeviceEvent:
        data = data.removeprefix(b"\x02")
        if not data.strip(_CONTROLS):
            return Rejected(reason="empty", raw=raw)
        text, lossy = decode(data, self._encoding)
        symbology = _AIM.match(text) if self._aim else None
        if symbology:
            text = text[symbology.end() :]
        if not text:
            return Rejected(reason="empty", raw=raw)
        return Scan(text=text, symbology=symbology[0] if symbology else None, lossy=lossy, raw=raw)

    def _without_suffix(self, raw: bytes) -> bytes | None:
        """The data before the suffix; None where the suffix has not come. CR and LF may each come as CR LF."""
        if self._suffix in (b"\r", b"\n") and raw.endswith(b"\r\n"):
            return raw[:-2]
        if not raw.endswith(self._suffix):
            return None
        return raw[: len(raw) - len(self._suffix)]


_ENDED: Final[Mapping[bytes, bytes]] = MappingProxyType(
    {
        end: b".*?" + (b"(?:\r\n?)" if end == b"\r" else b"(?:\r?\n)" if end == b"\n" else end)
        for end in SUFFIXES.values()
    }
)
"""A scan with its suffix."""


def _is_article(data: bytes) -> bool:
    """Whether these are the digits of an article number (GTIN) whose check digit holds."""
    weighted = sum((3 if place % 2 else 1) * (digit - 0x30) for place, digit in enumerate(reversed(data)))
    return _ARTICLE.fullmatch(data) is not None and weighted % 10 == 0


def _make(options: Mapping[str, Any]) -> SerialScannerCodec:
    return SerialScannerCodec(
        suffix=options.get("suffix", "CR"),
        gap=options.get("gap_ms", 30) / 1000,
        encoding=options.get("encoding", "auto"),
        aim=options.get("aim", True),
        check=options.get("check", "none"),
        lines=options.get("lines", "auto"),
    )


SPEC = DriverSpec(
    id="serial-scanner",
    kind="scanner",
    title="Barcode scanner on a serial line or USB-CDC",
    make=_make,
    models=("Newland HR and FM series", "Honeywell, Zebra, Datalogic in serial mode", "OEM engines on USB-CDC"),
    source="programming manuals of serial scanners; ISO/IEC 15424 for the AIM identifiers",
    maturity="manual",
    line=MappingProxyType({"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}),
    options=(
        Option(
            name="suffix",
            type="text",
            default="CR",
            choices=tuple(SUFFIXES),
            help="what the scanner sends behind the data",
        ),
        Option(
            name="gap_ms",
            type="integer",
            default=30,
            minimum=5,
            maximum=2000,
            help="milliseconds of silence that end a scan",
        ),
        Option(
            name="encoding",
            type="text",
            default="auto",
            choices=ENCODINGS,
            help="of texts that are not ASCII; auto: UTF-8, else GB18030",
        ),
        Option(name="aim", type="boolean", default=True, help="take an AIM identifier such as ]C1 off the front"),
        Option(
            name="check",
            type="text",
            default="none",
            choices=("none", "xor"),
            help="a byte that the scanner adds behind the suffix; xor: of data and suffix",
        ),
        Option(
            name="lines",
            type="text",
            default="auto",
            choices=("auto", "data", "scans"),
            help="the suffix inside of what comes at once: data of one scan, or the ends of several; auto: several "
            "where each begins with an AIM identifier or is an article number with a right check digit",
        ),
    ),
    tells=("symbology",),
)
