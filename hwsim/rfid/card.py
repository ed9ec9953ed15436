"""A contactless card in the virtual reader of vsmartcard (vpcd), under a real pcscd.

Source: vsmartcard's documentation, "Virtual Smart Card Reader": the card connects to the reader's TCP port. Each
message is two bytes of length, high byte first, and the data; one byte alone is a control: 0 off, 1 on, 2 reset, 4 asks
for the ATR. The card answers to pseudo-APDUs as a PC/SC reader does (PC/SC part 3): FF CA number and ATS, FF 82 load
key, FF 86 authenticate, FF B0 read a block, FF D6 write one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final

M1_1K: Final = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
"""ATR of a storage card, MIFARE Classic 1K."""
CPU: Final = bytes.fromhex("3b888001000000000000000009")
"""ATR that a reader makes for a CPU card."""
OK, DENIED, MISSING = b"\x90\x00", b"\x63\x00", b"\x6a\x81"


class VirtualCard:
    """One card; a context manager lays it on the reader and takes it away.

    `blocks` holds blocks of sixteen bytes by their number, `keys` the key of each sector (four blocks). `files` are
    answers to whole APDUs.
    """

    def __init__(
        self,
        number: bytes,
        *,
        ats: bytes = b"",
        atr: bytes = M1_1K,
        blocks: Mapping[int, bytes] | None = None,
        keys: Mapping[int, bytes] | None = None,
        files: Mapping[bytes, bytes] | None = None,
        host: str = "127.0.0.1",
        port: int = 35963,
    ) -> None:
        self.blocks = dict(blocks or {})
        self.commands: list[bytes] = []
        self._number = number
        self._ats = ats
        self._atr = atr
        self._keys = dict(keys or {})
        self._files = dict(files or {})
        self._address = (host, port)
        self._loaded = b""
        self._open: int | None = None
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def insert(self, timeout: float = 20.0) -> VirtualCard:
        """Lay it on the reader. Raises OSError when no reader takes it in time."""
        until = time.monotonic() + timeout
        while True:
            try:
                self._socket = socket.create_connection(self._address, timeout=1.0)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._run, args=(self._socket,), name="hwsim-card", daemon=True)
        self._thread.start()
        return self

    def remove(self) -> None:
        """Take it away; may be called twice."""
        card, self._socket = self._socket, None
        if card is not None:
            with contextlib.suppress(OSError):
                card.shutdown(socket.SHUT_RDWR)
            card.close()
        if self._thread is not None:
            self._thread.join(5)
        self._open = None

    def __enter__(self) -> VirtualCard:
        return self.insert()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _run(self, reader: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                message = self._receive(reader)
                if message is None:
                    return
                if len(message) == 1:
                    if message[0] in (0, 1, 2):
                        self._open = None
                    answer = self._atr if message[0] == 4 else None
                else:
                    answer = self.answer(message)
                if answer is not None:
                    reader.sendall(len(answer).to_bytes(2, "big") + answer)

    @staticmethod
    def _receive(reader: socket.socket) -> bytes | None:
        head = _exactly(reader, 2)
        return None if head is None else _exactly(reader, int.from_bytes(head, "big"))

    def answer(self, command: bytes) -> bytes:
        """What reader and card say to an APDU."""
        if len(self.commands) < 1000:
            self.commands.append(command)
        if command in self._files:
            return self._files[command]
        match command[:2]:
            case b"\xff\xca" if command[2:4] == b"\x00\x00":
                return self._number + OK
            case b"\xff\xca":
                return self._ats + OK if self._ats else MISSING
            case b"\xff\x82":
                self._loaded = command[5:11]
                return OK
            case b"\xff\x86":
                sector = command[7] // 4
                self._open = sector if self._keys.get(sector) == self._loaded else None
                return OK if self._open is not None else DENIED
            case b"\xff\xb0":
                block = self.blocks.get(command[3], bytes(16))
                return block + OK if self._open == command[3] // 4 else DENIED
            case b"\xff\xd6" if command[4] == 16 and len(command) == 21:
                if self._open != command[3] // 4:
                    return DENIED
                self.blocks[command[3]] = command[5:]
                return OK
        return b"\x6d\x00"


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return None
        data += more
    return data
