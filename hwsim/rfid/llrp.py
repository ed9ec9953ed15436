"""A network reader that speaks LLRP 1.0.1: greeting, set-up, reports, keepalives; it can fall silent or be taken.

Source: EPCglobal LLRP 1.0.1: messages in section 16 and 17, ConnectionAttemptEvent in 17.2.7.6.

Faults of the line hurt what it says, message by message; its plug is that of the network.

One client at a time. A second one is told that the reader is taken (2) and disconnected, and the first that another
came (4). What a client sends is read strictly: an ROSpec that is not built as the standard says is refused.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from hwsim.faults import Action, Line, Unplug, Write
from hwsim.rfid.field import Field, Heard
from hwsim.rfid.llrp_specs import (
    FIELD_ERROR,
    PARAMETER_ERROR,
    SUCCESS,
    UNSUPPORTED,
    AccessSpec,
    RoSpec,
    Wrong,
    access_spec,
    number_in,
    parameters,
    ro_spec,
)
from hwsim.rfid.memory import Refusal, TagMemory
from hwsim.sockets import ReservedPort, abort

CHUNK: Final = 4096
LONGEST: Final = 1 << 16
LOOK_UP: Final = 0.02
MOST_COMING: Final = 10_000
NO_CLIENT: Final = 5.0
TAKEN, ANOTHER = 2, 4


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    received: bytes = b""
    waiting: bytearray = field(default_factory=bytearray)
    keepalive: float | None = None
    next_keepalive: float = 0.0
    next_read: float = 0.0
    gathered: list[Heard] = field(default_factory=list)
    coming: deque[tuple[float, Action]] = field(default_factory=deque)
    """What the line does to what was said, each at its time."""


class LlrpReader:
    """The reader, on a thread of its own. `silence`, `speak`, `hold`, `drop`, `switch`: from any thread."""

    def __init__(self, tags: Field, host: str = "127.0.0.1", port: int = 0, line: Line | None = None) -> None:
        self._field = tags
        self.line = line or Line()
        self._plug_at = 0.0
        self._reserved = ReservedPort(host, port)
        self._listener: socket.socket | None = self._reserved.listener()
        self._client: _Client | None = None
        self._spec: RoSpec | None = None
        self._accesses: dict[int, AccessSpec] = {}
        self._memory = TagMemory(tags)
        self._number = 0
        self._stopping = threading.Event()
        self._silent = threading.Event()
        self._held = threading.Event()
        self._drop = threading.Event()
        self._off = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hwsim-llrp", daemon=True)
        self.connections = 0
        self.refused = 0
        self.messages: dict[int, int] = {}
        """Messages of clients, by type."""
        self.reports = 0
        self.accessed = 0
        """Accesses to the memory of tags."""
        self.keepalives = 0
        self.acknowledged = 0
        self.wrong: list[str] = []
        """What was wrong with a client's messages; at most a hundred."""

    @property
    def name(self) -> str:
        """How the agent's configuration names it."""
        return f"tcp:{self._reserved.host}:{self._reserved.port}"

    @property
    def report(self) -> dict[str, Any]:
        """What was played."""
        return {
            "connections": self.connections,
            "refused": self.refused,
            "reports": self.reports,
            "keepalives": self.keepalives,
            "acknowledged": self.acknowledged,
            "wrong": list(self.wrong),
            **self._field.counters,
            **self._memory.counters,
            "faults": dict(self.line.hits),
        }

    @property
    def access_specs(self) -> int:
        """AccessSpecs that stand in the reader, enabled or not."""
        return len(self._accesses)

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        client = self._client
        return 0 if client is None else len(client.waiting)

    def silence(self) -> None:
        """Say nothing more and read nothing; the connection stays open, as of a reader that hangs."""
        self._silent.set()

    def speak(self) -> None:
        """Go on."""
        self._silent.clear()

    def hold(self, held: bool = True) -> None:
        """Believe that an older client is still there: new ones are refused."""
        (self._held.set if held else self._held.clear)()

    def drop(self) -> None:
        """Reset the client's connection."""
        self._drop.set()

    def switch(self, on: bool) -> None:
        """Power. Off: its client is reset and new ones are refused. On again it knows nothing of before."""
        (self._off.clear if on else self._off.set)()

    def start(self) -> LlrpReader:
        """Power on."""
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Power off. Raises TimeoutError if the thread does not end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"the reader did not stop within {timeout} s")
        self._forget()
        if self._listener is not None:
            self._listener.close()
        self._reserved.close()

    def __enter__(self) -> LlrpReader:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopping.is_set():
            off = self._off.is_set() or time.monotonic() < self._plug_at
            if off and self._listener is not None:  # before its client is told: nobody may come in between
                self._listener.close()
                self._listener, self._spec, self._accesses = None, None, {}
            if self._drop.is_set() or off:
                self._drop.clear()
                if self._client is not None:
                    abort(self._client.connection)
                    self._client = None
            if off:
                self._stopping.wait(LOOK_UP)
                continue
            if self._listener is None:
                self._listener = self._reserved.listener()
            client = self._client
            listening = [self._listener, *([client.connection] if client and not self._silent.is_set() else [])]
            writing = [client.connection] if client and client.waiting else []
            ready, _, _ = select.select(listening, writing, [], LOOK_UP)
            if self._listener in ready:
                self._accept(self._listener)
            if client is not None and client.connection in ready:
                self._read(client)
            if self._client is not None and not self._silent.is_set():
                self._tick(self._client, time.monotonic())
                self._flush(self._client)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        self.connections += 1
        if self._client is not None or self._held.is_set():
            self.refused += 1
            connection.settimeout(1.0)
            with contextlib.suppress(OSError):
                connection.sendall(self._greeting(TAKEN))
            connection.close()
            if self._client is not None:
                self._send(self._client, self._greeting(ANOTHER))
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = _Client(connection)
        self._spec = None
        self._send(self._client, self._greeting(SUCCESS))

    def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.connection.close()

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget()
            return
        client.received += data
        while len(client.received) >= 10:
            length = int.from_bytes(client.received[2:6], "big")
            if client.received[0] >> 2 != 1 or not 10 <= length <= LONGEST:
                self._complain("no message of version 1")
                self._forget()
                return
            if len(client.received) < length:
                return
            message, client.received = client.received[:length], client.received[length:]
            self._obey(client, message)
            if self._client is None:
                return

    def _obey(self, client: _Client, message: bytes) -> None:
        kind, number, body = int.from_bytes(message[:2], "big") & 0x3FF, message[6:10], message[10:]
        self.messages[kind] = self.messages.get(kind, 0) + 1
        try:
            match kind:
                case 3:
                    self._configure(client, body)
                case 20:
                    self._spec = ro_spec(body)
                case 21:
                    self._delete(number_in(body))
                case 24:
                    self._enable(client, number_in(body))
                case 25:
                    if self._spec is not None:
                        self._spec.enabled = False
                case 40:
                    access = access_spec(body)
                    if access.number in self._accesses:
                        raise Wrong(FIELD_ERROR, "there is an AccessSpec of this number")
                    self._accesses[access.number] = access
                case 41:
                    self._forget_access(number_in(body))
                case 42:
                    if number_in(body) not in self._accesses:
                        raise Wrong(FIELD_ERROR, "no such AccessSpec")
                    self._accesses[number_in(body)].enabled = True
                case 14:
                    self._send(client, _message(4, number, _status(SUCCESS)))
                    self._flush(client)
                    self._forget()
                    return
                case 64:
                    return
                case 72:
                    self.acknowledged += 1
                    return
                case 1 | 2:
                    pass
                case _:
                    raise Wrong(UNSUPPORTED, f"message {kind} is not known here")
        except Wrong as wrong:
            self._complain(f"message {kind}: {wrong.words}")
            answer = 100 if wrong.code == UNSUPPORTED else kind + 10
            self._send(client, _message(answer, number, _status(wrong.code, wrong.words)))
            return
        self._send(client, _message(kind + 10, number, _status(SUCCESS)))

    def _configure(self, client: _Client, body: bytes) -> None:
        for kind, content in parameters(body[1:]):
            if kind == 220:
                if len(content) != 5:
                    raise Wrong(PARAMETER_ERROR, "a KeepaliveSpec has five bytes")
                period = int.from_bytes(content[1:], "big") / 1000
                client.keepalive = period if content[0] == 1 and period else None
                client.next_keepalive = time.monotonic() + period

    def _delete(self, number: int) -> None:
        if number and (self._spec is None or self._spec.number != number):
            raise Wrong(FIELD_ERROR, "no such ROSpec")
        self._spec = None

    def _forget_access(self, number: int) -> None:
        if number and number not in self._accesses:
            raise Wrong(FIELD_ERROR, "no such AccessSpec")
        self._accesses = {n: each for n, each in self._accesses.items() if number and n != number}

    def _enable(self, client: _Client, number: int) -> None:
        if self._spec is None or self._spec.number != number:
            raise Wrong(FIELD_ERROR, "no such ROSpec")
        self._spec.enabled = True
        client.next_read = time.monotonic()

    def _tick(self, client: _Client, now: float) -> None:
        if client.keepalive is not None and now >= client.next_keepalive:
            client.next_keepalive = now + client.keepalive
            self.keepalives += 1
            self._send(client, _message(62, self._next_number()))
        spec = self._spec
        if spec is None or not spec.enabled:
            return
        client.next_read = max(client.next_read, now - 1.0)
        while client.next_read <= now:
            client.next_read += 1 / self._field.rate
            heard = self._field.next(now)
            if heard is not None and (0 in spec.antennas or heard.antenna in spec.antennas):
                client.gathered.append(heard)
                self._access(client, spec, heard, now)
            if len(client.gathered) >= spec.at_once:
                self._tell(client, spec, now)

    def _tell(self, client: _Client, spec: RoSpec, now: float) -> None:
        self.reports += len(client.gathered)
        tags = b"".join(_tag(heard, spec, now) for heard in client.gathered)
        client.gathered.clear()
        self._send(client, _message(61, self._next_number(), tags))

    def _access(self, client: _Client, spec: RoSpec, heard: Heard, now: float) -> None:
        """Do what the first AccessSpec wants that means this tag, report it at once, and forget the spec."""
        for access in self._accesses.values():
            if access.enabled and access.antenna in (0, heard.antenna) and heard.number.startswith(access.mask):
                break
        else:
            return
        told: bytes | Refusal
        if access.operation == 341:
            told = self._memory.read(heard.number, access.bank, access.word, access.words, access.password)
            data = b"" if isinstance(told, Refusal) else told
            result = bytes([_READ_RESULTS[told] if isinstance(told, Refusal) else 0])
            result += access.operation_number.to_bytes(2, "big") + (len(data) // 2).to_bytes(2, "big") + data
        else:
            refusal = self._memory.write(heard.number, access.bank, access.word, access.data, access.password)
            result = bytes([_WRITE_RESULTS[refusal] if refusal else 0])
            result += access.operation_number.to_bytes(2, "big") + self._memory.written.to_bytes(2, "big")
        self.accessed += 1
        del self._accesses[access.number]
        told_of = _tag(heard, spec, now, _parameter(access.operation + 8, result))
        self._send(client, _message(61, self._next_number(), told_of))

    def _greeting(self, attempt: int) -> bytes:
        stamp = (128).to_bytes(2, "big") + b"\x00\x0c" + round(time.time() * 1e6).to_bytes(8, "big")
        event = (256).to_bytes(2, "big") + b"\x00\x06" + attempt.to_bytes(2, "big")
        return _message(63, self._next_number(), _parameter(246, stamp + event))

    def _next_number(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(4, "big")

    def _send(self, client: _Client, message: bytes) -> None:
        now = time.monotonic()
        for action in self.line.carry(message):
            after = max(client.coming[-1][0] if client.coming else now, now)
            if len(client.coming) < MOST_COMING:
                client.coming.append((after + (action.wait if isinstance(action, Write) else 0.0), action))
        self._arrive(client)

    def _arrive(self, client: _Client) -> None:
        """What the line has carried by now."""
        while client.coming and client.coming[0][0] <= time.monotonic():
            _, action = client.coming.popleft()
            if isinstance(action, Unplug):
                client.coming.clear()
                self._plug_at = time.monotonic() + action.seconds
            elif len(client.waiting) < 1 << 20:
                client.waiting += action.data

    def _flush(self, client: _Client) -> None:
        self._arrive(client)
        try:
            while client.waiting:
                del client.waiting[: client.connection.send(client.waiting[:CHUNK])]
        except BlockingIOError:
            return
        except OSError:
            self._forget()

    def _complain(self, words: str) -> None:
        if len(self.wrong) < 100:
            self.wrong.append(words)


def _message(kind: int, number: bytes, body: bytes = b"") -> bytes:
    return (1 << 10 | kind).to_bytes(2, "big") + (10 + len(body)).to_bytes(4, "big") + number + body


def _parameter(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + (4 + len(body)).to_bytes(2, "big") + body


def _status(code: int, words: str = "") -> bytes:
    text = words.encode()
    return _parameter(287, code.to_bytes(2, "big") + len(text).to_bytes(2, "big") + text)


_READ_RESULTS: Final = {
    Refusal.NO_PLACE: 1,  # 1.0.1 knows no other; 4 to 6 are of 1.1
    Refusal.LOCKED: 1,
    Refusal.POWER: 1,
    Refusal.PASSWORD: 1,
    Refusal.GONE: 2,
}
_WRITE_RESULTS: Final = {
    Refusal.NO_PLACE: 1,
    Refusal.LOCKED: 2,
    Refusal.POWER: 3,
    Refusal.PASSWORD: 4,
    Refusal.GONE: 5,
}


def _tag(heard: Heard, spec: RoSpec, now: float, result: bytes = b"") -> bytes:
    """A TagReportData with what the client selected, and the result of an access."""
    if len(heard.number) == 12:
        told = b"\x8d" + heard.number
    else:
        told = _parameter(241, (8 * len(heard.number)).to_bytes(2, "big") + heard.number)
    if spec.content & 0x8000:
        told += b"\x89" + spec.number.to_bytes(4, "big")
    if spec.content & 0x1000:
        told += b"\x81" + heard.antenna.to_bytes(2, "big")
    if spec.content & 0x0400:
        told += b"\x86" + bytes([heard.rssi_dbm & 0xFF])
    if spec.content & 0x0200:
        told += b"\x82" + round(time.time() * 1e6).to_bytes(8, "big")
    if spec.content & 0x0080:
        told += b"\x88\x00\x01"
    return _parameter(240, told + result)
