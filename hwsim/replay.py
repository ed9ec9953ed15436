r"""Captured bytes played again with their timing.

A capture is a file of JSON lines. The first line is the header:

    {"driver":"xk3190-continuous","port":"serial:/dev/serial/by-id/…","source":"stall 12, 2026-11-23"}

and each line after it one chunk: `t` in seconds since the capture began, `dir` `rx` (from the device) or `tx`
(to the device), and the bytes:

    {"t":0.104,"dir":"rx","hex":"022b30303135363030313903"}

A vector file is accepted too, each vector being one chunk: JSON lines with `hex` and no `t`, from which those of one
`driver` can be chosen, or TOML with a `driver` and `[[vectors]]` that have `hex`.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

VECTOR_SPACING: Final = 0.1  # seconds between chunks that carry no time
MAX_LINE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes from the device, `at` seconds after the beginning."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What a file holds: its header and the chunks that the device sent, in order."""

    driver: str | None
    source: str | None
    chunks: tuple[Chunk, ...]


def read_capture(
    path: Path, *, driver: str | None = None, spacing: float = VECTOR_SPACING, good_only: bool = False
) -> Capture:
    """Read a capture or a vector file; of a vector file only the lines of `driver`, when that is given.

    With `good_only` a vector file's broken frames, and those that need a setting of their own, are left out: what is
    left is what an instrument with its usual settings sends.

    Raises ValueError naming the line that is wrong, or when nothing is left to play; OSError.
    """
    if path.suffix == ".toml" and not _is_lines(path):
        return _read_vectors(path, driver, spacing, good_only)
    header: dict[str, Any] = {}
    chunks: list[Chunk] = []
    at = 0.0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            entry = _entry(path, number, line)
            if "hex" not in entry:
                header = header or entry
                continue
            if entry.get("dir", "rx") != "rx" or (driver and entry.get("driver", driver) != driver):
                continue
            data = _bytes(path, number, entry["hex"])
            at = _time(path, number, entry["t"], at) if "t" in entry else at + (spacing if chunks else 0.0)
            chunks.append(Chunk(at=at, data=data))
    if not chunks:
        raise ValueError(f"{path}: holds nothing to play" + (f" for {driver}" if driver else ""))
    return Capture(driver=header.get("driver", driver), source=header.get("source"), chunks=tuple(chunks))


def _is_lines(path: Path) -> bool:
    """Whether a file holds JSON lines, whatever its name: a capture goes where a person says."""
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1] == b"{"


def _read_vectors(path: Path, driver: str | None, spacing: float, good_only: bool) -> Capture:
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path}: {problem}") from problem
    named = content.get("driver", content.get("id"))
    vectors = content.get("vectors", []) if driver in (None, named) else []
    if good_only:
        vectors = _as_sent([v for v in vectors if not v.get("options") and not _broken(v)])
    chunks = tuple(
        Chunk(at=number * spacing, data=_bytes(path, number + 1, vector.get("hex")))
        for number, vector in enumerate(vectors)
    )
    if not chunks:
        raise ValueError(f"{path}: holds nothing to play" + (f" for {driver}" if driver else ""))
    return Capture(driver=named, source=None, chunks=chunks)


def _as_sent(vectors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that end like most: where that is a control character, a frame without it is the end of a stream."""
    ends = Counter(str(vector.get("hex", ""))[-2:].lower() for vector in vectors)
    usual = ends.most_common(1)[0][0] if ends else ""
    if usual not in ("0a", "0d", "03", "04"):
        return vectors
    return [vector for vector in vectors if str(vector.get("hex", "")).lower().endswith(usual)]


def _broken(vector: dict[str, Any]) -> bool:
    """Whether a vector is of bytes that no instrument sends: cut, glued, damaged."""
    return any(str(event).startswith("rejected") for event in vector.get("events", []))


def _entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = orjson.loads(line) if len(line) <= MAX_LINE else None
    except orjson.JSONDecodeError as problem:
        raise ValueError(f"{path}, line {number}: {problem}") from problem
    if not isinstance(entry, dict):
        raise ValueError(f"{path}, line {number}: is not a JSON object of at most {MAX_LINE} bytes")
    return entry


def _bytes(path: Path, number: int, text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{path}, line {number}: hex is not hexadecimal") from problem


def _time(path: Path, number: int, value: Any, after: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < after:
        raise ValueError(f"{path}, line {number}: t must be a number of seconds and not run back")
    return float(value)


class Player:
    """An instrument that plays a capture; `speed` 2 is twice as fast, `repeat` starts again at the end."""

    def __init__(self, chunks: Sequence[Chunk], *, speed: float = 1.0, repeat: bool = False) -> None:
        if speed <= 0:
            raise ValueError("speed must be above 0")
        self._chunks = tuple(chunks)
        self._speed = speed
        self._repeat = repeat
        self._position = 0
        self._base: float | None = None
        self._played = 0

    @property
    def due(self) -> float | None:
        if self._base is None or self._position == len(self._chunks):
            return None
        return self._base + self._chunks[self._position].at / self._speed

    @property
    def finished(self) -> bool:
        """Whether everything was played."""
        return self._position == len(self._chunks)

    @property
    def counters(self) -> dict[str, int]:
        """How many chunks were played."""
        return {"chunks": self._played}

    def power_on(self, now: float) -> Sequence[bytes]:
        if self._base is None:
            self._base = now
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        return ()

    def tick(self, now: float) -> Sequence[bytes]:
        sent: list[bytes] = []
        due = self.due
        while due is not None and due <= now:
            sent.append(self._chunks[self._position].data)
            self._position += 1
            self._played += 1
            if self.finished and self._repeat:
                self._position, self._base = 0, now + VECTOR_SPACING
                break
            due = self.due
        return sent
