"""Barcode scanners on a serial line or USB-CDC: text, a suffix, silence.

Source: programming manuals of Newland, Honeywell and Zebra serial scanners; AIM identifiers of ISO/IEC 15424.

    ]C1 0106901234567892 CR    … at least gap_ms of silence
    AIM  data            suffix

A scan ends when the suffix has come and then nothing for `gap_ms`. Terminators inside are data: two-dimensional
codes hold CR and LF. Where silence falls before the suffix the message was cut, and what comes soon after it is
taken for its rest and refused too, because half a code is a different code. With suffix `none` silence alone
ends a scan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.framing import Frame, GapBuffer
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


class SerialScannerCodec:
    """Suffix and silence to scans; see `edge_agent.driver.Codec`. `gap` is in seconds."""

    def __init__(self, *, suffix: str, gap: float, encoding: str, aim: bool) -> None:
        self._suffix = SUFFIXES[suffix]
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
        outputs += map(self._read, self._messages.feed(data, now))
        self._last = now
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        return [self._read(piece) for piece in self._messages.tick(now)]

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: a scanner has none."""
        raise ValueError(f"no command {name!r}; a serial scanner takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`: the end of the stream is a silence."""
        return [self._read(piece) for piece in self._messages.finish()]

    def _read(self, piece: Frame | Rejected) -> DeviceEvent:
        if isinstance(piece, Rejected):
            return piece
        if not piece.raw.strip(b"\r\n\t\x03"):
            return Rejected(reason="empty", raw=piece.raw)
        rest_of_a_cut = self._cut_at is not None and self._begun - self._cut_at < self._rest
        data = self._without_suffix(piece.raw)
        self._cut_at = self._last if data is None else None
        if data is None or rest_of_a_cut:
            return Rejected(reason="truncated", raw=piece.raw)
        text, lossy = _decode(data, self._encoding)
        symbology = _AIM.match(text) if self._aim else None
        if symbology:
            text = text[symbology.end() :]
        if not text:
            return Rejected(reason="empty", raw=piece.raw)
        return Scan(text=text, symbology=symbology[0] if symbology else None, lossy=lossy, raw=piece.raw)

    def _without_suffix(self, raw: bytes) -> bytes | None:
        """The data before the suffix; None where the suffix has not come. CR and LF may each come as CR LF."""
        if self._suffix in (b"\r", b"\n") and raw.endswith(b"\r\n"):
            return raw[:-2]
        if not raw.endswith(self._suffix):
            return None
        data = raw[: len(raw) - len(self._suffix)]
        return data.removeprefix(b"\x02") if self._suffix == b"\x03" else data


def _decode(data: bytes, encoding: str) -> tuple[str, bool]:
    """The text, and whether bytes had to be replaced. `auto`: UTF-8, then GB18030."""
    candidates = ("utf-8", "gb18030") if encoding == "auto" else (encoding,)
    for candidate in candidates:
        try:
            return data.decode(candidate), False
        except UnicodeDecodeError:
            continue
    return data.decode(candidates[0], errors="replace"), True


def _make(options: Mapping[str, Any]) -> SerialScannerCodec:
    return SerialScannerCodec(
        suffix=options.get("suffix", "CR"),
        gap=options.get("gap_ms", 30) / 1000,
        encoding=options.get("encoding", "auto"),
        aim=options.get("aim", True),
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
    ),
    tells=("symbology",),
)
