"""Field recordings: what a port sent, byte for byte and with its timing, as JSON lines.

The first line says where the bytes come from (`driver`, `port`, `source`); each further line is one piece:
`{"t": seconds since the start, "dir": "rx" | "tx", "hex": "…"}`. Where the driver is known, the last line holds the
events that it reads from the whole, as `edge-agent decode` prints them: with them the file is a test vector.

What a scanner or a card reader sends may be a payment code or a person's number. Without being told otherwise, a
recording of a scanner keeps the shape of its bytes and not their content, and one of a card reader is not made.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

_SHAPE: Final = bytes(
    0x39 if chr(b).isdigit() and b < 0x80 else 0x41 if b > 0x7F or chr(b).isalpha() else b for b in range(256)
)


def masked(data: bytes) -> bytes:
    """The shape of a text: every digit a 9, every letter and every byte beyond ASCII an A, everything else as it is."""
    return data.translate(_SHAPE)


class CaptureFile:
    """A recording being written. `add` has the form of a session's tap."""

    def __init__(self, path: Path, *, port: str, driver: str | None, masked: bool = False) -> None:
        self._file = path.open("xb")
        self._start: float | None = None
        self.pieces = 0
        self.size = 0
        self._received = bytearray()
        header: dict[str, object] = {"driver": driver, "port": port, "source": f"captured on {platform.node()}"}
        self._write(header | ({"masked": True} if masked else {}))

    def add(self, direction: str, data: bytes, at: float) -> None:
        """Add one piece; `at` is monotonic seconds."""
        if self._start is None:
            self._start = at
        self.pieces += 1
        self.size += len(data)
        if direction == "rx":
            self._received += data
        self._write({"t": round(at - self._start, 6), "dir": direction, "hex": data.hex()})

    @property
    def received(self) -> bytes:
        """Everything that came from the device."""
        return bytes(self._received)

    def expect(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Write down what the driver reads from it."""
        self._write({"events": list(events)})

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(orjson.dumps(line) + b"\n")

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
