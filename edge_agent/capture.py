"""Field recordings: what a port sent, byte for byte and with its timing, as JSON lines.

The first line says where the bytes come from (`driver`, `port`, `source`); each further line is one piece:
`{"t": seconds since the start, "dir": "rx" | "tx", "hex": "…"}`.
"""

from __future__ import annotations

import platform
from pathlib import Path

import orjson


class CaptureFile:
    """A recording being written. `add` has the form of a session's tap."""

    def __init__(self, path: Path, *, port: str, driver: str | None) -> None:
        self._file = path.open("xb")
        self._start: float | None = None
        self.pieces = 0
        self.size = 0
        self._write({"driver": driver, "port": port, "source": f"captured on {platform.node()}"})

    def add(self, direction: str, data: bytes, at: float) -> None:
        """Add one piece; `at` is monotonic seconds."""
        if self._start is None:
            self._start = at
        self.pieces += 1
        self.size += len(data)
        self._write({"t": round(at - self._start, 6), "dir": direction, "hex": data.hex()})

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(orjson.dumps(line) + b"\n")

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
