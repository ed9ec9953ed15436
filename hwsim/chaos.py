"""A TCP proxy that plays a bad network between the agent and its broker, and counts what it did.

It runs in a thread of its own; every method may be called from any thread and returns when it has taken effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

from hwsim.mqtt_stream import PubackFilter
from hwsim.sockets import ReservedPort

CHUNK: Final = 64 * 1024
QUEUE: Final = 64  # chunks held in one direction; beyond that the sender is held back
ORDER_TIMEOUT: Final = 5.0
CONNECT_TIMEOUT: Final = 10.0

T = TypeVar("T")
Mode = Literal["normal", "stall", "half-open", "block"]
_COUNTERS: Final = (
    "accepted",
    "upstream_refused",
    "bytes_up",
    "bytes_down",
    "cut",
    "cut_after",
    "block",
    "stall",
    "half_open",
    "half_open_bytes",
    "latency",
    "pubacks_seen",
    "eat_pubacks",
)


@dataclass(eq=False, slots=True)
class _Connection:
    """One client and, unless it came in half-open, its way to the broker."""

    client: asyncio.StreamWriter
    upstream: asyncio.StreamWriter | None = None
    forwarded: int = 0
    dead: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def abort(self) -> None:
        """Reset both ends."""
        self.over.set()
        for writer in (self.client, self.upstream):
            if writer is not None:
                _reset(writer)


class ChaosProxy:
    """Forwards `listen` to `to`, and does harm on demand.

    `listen` is a port on loopback, 0 for a free one (`port` tells which). `latency_ms` delays each direction,
    `cut_after` resets each connection after so many bytes in both directions together, `eat_pubacks` is the
    share of the broker's PUBACKs that vanish. `start` and `stop`, or a context manager. `start` raises OSError when
    the port is taken.
    """

    def __init__(
        self,
        to: tuple[str, int],
        *,
        listen: int = 0,
        host: str = "127.0.0.1",
        latency_ms: float = 0.0,
        cut_after: int | None = None,
        eat_pubacks: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._to = to
        self._listen = host, listen
        self._latency = latency_ms / 1000
        self._cut_after = cut_after
        self._share = _share(eat_pubacks)
        self._random = random.Random(seed)
        self._counters = dict.fromkeys(_COUNTERS, 0)
        self._asked = {
            name
            for name, wanted in (
                ("latency", latency_ms),
                ("cut_after", cut_after is not None),
                ("eat_pubacks", eat_pubacks),
            )
            if wanted
        }
        self._mode: Mode = "normal"
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._reserved: ReservedPort | None = None
        self._thread = threading.Thread(target=self._run, name="hwsim-chaos", daemon=True)

    def start(self) -> ChaosProxy:
        """Take the port and forward."""
        self._reserved = ReservedPort(*self._listen)
        self._thread.start()
        self._order(self._open())
        return self

    def stop(self) -> None:
        """Reset all connections and give the port up; may be called twice."""
        if self._thread.is_alive():
            self._order(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(ORDER_TIMEOUT)
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def __enter__(self) -> ChaosProxy:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on. Raises RuntimeError before `start`."""
        if self._reserved is None:
            raise RuntimeError("the proxy is not started")
        return self._reserved.port

    @property
    def mode(self) -> Mode:
        """What it does now."""
        return self._mode

    @property
    def counters(self) -> dict[str, int]:
        """How often each thing happened; every fault is there from the beginning, with 0."""
        return dict(self._counters)

    @property
    def unhit(self) -> list[str]:
        """Faults that were asked for and hit nothing; a run with one proved nothing about it."""
        return sorted(name for name in self._asked if not self._counters[name])

    def cut(self) -> int:
        """Reset the connections there are, and return how many that were; new ones are welcome."""
        return self._ask("cut", lambda: self._abort_all("cut"))

    def block(self) -> int:
        """The network goes away: existing connections are reset and new ones refused. Returns how many were reset."""

        def go() -> int:
            self._enter("block")
            self._shut()
            return self._abort_all("block")

        return self._ask("block", go)

    def unblock(self) -> None:
        """The network is back."""
        self.normal()

    def half_open(self) -> int:
        """Connections stay open and nothing passes any more, as behind a router that lost its state.

        New ones are accepted and held likewise. Nobody gets a FIN. Returns how many connections there were.
        """

        def go() -> int:
            self._enter("half-open")
            for connection in self._connections:
                connection.dead = True
            self._counters["half_open"] += len(self._connections)
            return len(self._connections)

        return self._ask("half_open", go)

    def stall(self) -> int:
        """Bytes stop moving in both directions and go on where they stopped at `normal`."""

        def go() -> int:
            self._enter("stall")
            self._flowing.clear()
            return len(self._connections)

        return self._ask("stall", go)

    def normal(self) -> None:
        """Forward again. Connections that were half-open have lost bytes and are reset."""

        async def go() -> None:
            self._enter("normal")
            for connection in list(self._connections):
                if connection.dead:
                    connection.abort()
            if self._server is None:
                await self._open()

        self._order(go())

    def eat_pubacks(self, share: float) -> None:
        """From now on so many of the broker's PUBACKs vanish (0 to 1). Raises ValueError outside."""
        self._share = _share(share)
        if share:
            self._asked.add("eat_pubacks")

    # -- in the proxy's own thread --

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _order(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ORDER_TIMEOUT)

    def _ask(self, fault: str, go: Callable[[], int]) -> int:
        async def run() -> int:
            return go()

        self._asked.add(fault)
        return self._order(run())

    def _enter(self, mode: Mode) -> None:
        self._mode = mode
        self._flowing.set()

    async def _open(self) -> None:
        if self._reserved is not None:
            self._server = await asyncio.start_server(self._serve, sock=self._reserved.listener())

    def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _close(self) -> None:
        self._shut()
        self._abort_all("cut")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _abort_all(self, counter: str) -> int:
        count = len(self._connections)
        for connection in list(self._connections):
            connection.abort()
        self._connections.clear()
        self._counters[counter] += count
        return count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = _Connection(writer)
        self._connections.add(connection)
        self._counters["accepted"] += 1
        try:
            await self._carry(connection, reader)
        except (OSError, TimeoutError):
            pass  # one end is gone; the other is reset below
        finally:
            connection.abort()
            self._connections.discard(connection)
            self._tasks.discard(task)

    async def _carry(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        if self._mode == "half-open":
            connection.dead = True
            self._counters["half_open"] += 1
            await self._swallow(reader)
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                upstream_reader, connection.upstream = await asyncio.open_connection(*self._to)
        except (OSError, TimeoutError):
            self._counters["upstream_refused"] += 1
            return
        if connection.over.is_set():
            return
        puback_filter = PubackFilter(self._eats)
        pumps = [
            asyncio.create_task(self._pump(connection, reader, connection.upstream, "bytes_up", None)),
            asyncio.create_task(
                self._pump(connection, upstream_reader, connection.client, "bytes_down", puback_filter)
            ),
            asyncio.create_task(_until(connection.over)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        counter: str,
        puback_filter: PubackFilter | None,
    ) -> None:
        """Carry one direction; ends when its source or its target has ended."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE)
        drain = asyncio.create_task(self._deliver(connection, queue, writer, counter))
        try:
            while True:
                data = await reader.read(CHUNK)
                if connection.dead:
                    await self._dead_end(connection, reader, data, counter)
                if not data or drain.done():
                    break
                if puback_filter is not None:
                    seen = puback_filter.seen
                    data = puback_filter.feed(data)
                    self._counters["pubacks_seen"] += puback_filter.seen - seen
                if data:
                    await queue.put((self._loop.time() + self._latency, data))
            await queue.put((0.0, b""))
            await drain
        finally:
            drain.cancel()

    async def _deliver(
        self,
        connection: _Connection,
        queue: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        counter: str,
    ) -> None:
        while True:
            due, data = await queue.get()
            if not data:
                return
            if due > self._loop.time():
                self._counters["latency"] += 1
                await asyncio.sleep(due - self._loop.time())
            if not self._flowing.is_set():
                self._counters["stall"] += 1
                await self._flowing.wait()
            if connection.dead:
                self._counters["half_open_bytes"] += len(data)
                continue
            if self._cut_after is not None:
                data = data[: self._cut_after - connection.forwarded]
            writer.write(data)
            connection.forwarded += len(data)
            self._counters[counter] += len(data)
            await writer.drain()
            if self._cut_after is not None and connection.forwarded >= self._cut_after:
                self._counters["cut_after"] += 1
                connection.over.set()
                return

    async def _dead_end(self, connection: _Connection, reader: asyncio.StreamReader, data: bytes, counter: str) -> None:
        """Swallow what still comes; the broker's end may close, the client is not told."""
        self._counters["half_open_bytes"] += len(data)
        await self._swallow(reader)
        if counter == "bytes_down":
            await connection.over.wait()

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            self._counters["half_open_bytes"] += len(data)

    def _eats(self) -> bool:
        eaten = self._random.random() < self._share
        if eaten:
            self._counters["eat_pubacks"] += 1
        return eaten


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"a share is 0 to 1, not {value}")
    return value


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that nobody takes the loss of the network for an orderly end."""
    raw = writer.get_extra_info("socket")
    if raw is not None and not writer.transport.is_closing():
        with contextlib.suppress(OSError):  # already gone
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
