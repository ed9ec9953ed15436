"""The last raw bytes of a port, in memory and bounded: what a device said before somebody thought of recording it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, NamedTuple

RING_BYTES: Final = 64 * 1024
RING_PIECES: Final = 4_096


class Piece(NamedTuple):
    """Bytes that went one way (`rx` from the device, `tx` to it) at a monotonic time in seconds."""

    direction: str
    data: bytes
    at: float


class Ring:
    """Keeps the newest pieces. `add` has the form of a session's tap. Thread-safe."""

    def __init__(self, size: int = RING_BYTES) -> None:
        self._most = size
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque(maxlen=RING_PIECES)
        self._size = 0

    def add(self, direction: str, data: bytes, at: float) -> None:
        """Take one piece; the oldest go where there is no room."""
        with self._lock:
            if len(self._pieces) == RING_PIECES:
                self._size -= len(self._pieces[0].data)
            self._pieces.append(Piece(direction, data, at))
            self._size += len(data)
            while self._size > self._most and len(self._pieces) > 1:
                self._size -= len(self._pieces.popleft().data)

    def pieces(self) -> list[Piece]:
        """What is kept, oldest first."""
        with self._lock:
            return list(self._pieces)
