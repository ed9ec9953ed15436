"""Server-sent events: one stream, from where its page left off, written no faster than the page reads."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from edge_agent.web.live import Live

STREAMS: Final = 24
_PER_OWNER: Final = 6
_SLOW: Final = 20.0
"""Seconds that a page may take to read what it was sent; a phone that sleeps longer comes back by itself."""
_BEAT: Final = 5.0
_HEAD: Final = b"retry: 500\n\n"


class Streams:
    """The open streams. A browser that opens too many loses its oldest; where all are taken, it is told."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, tuple[str, asyncio.Event]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return len(self._open)

    def full(self) -> bool:
        """Whether no more streams can be opened."""
        return len(self._open) >= STREAMS

    def enter(self, owner: str) -> tuple[int, asyncio.Event]:
        """A place for a stream, and what tells it to end."""
        mine = [number for number, (who, _) in self._open.items() if who == owner]
        if len(mine) >= _PER_OWNER:
            self._open.pop(mine[0])[1].set()
        self._count += 1
        end = asyncio.Event()
        self._open[self._count] = (owner, end)
        return self._count, end

    def leave(self, number: int) -> None:
        """The stream is over."""
        self._open.pop(number, None)

    def end_all(self) -> None:
        """The server stops."""
        for _, end in self._open.values():
            end.set()


class EventStream(Response):
    """A response that goes on. `chunks` yields bytes until it is over; a page that does not read is dropped."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncIterator[bytes], left: Callable[[], None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the page goes, reads too slowly, or there is no more."""
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._chunks:
                if gone.done():
                    return
                async with asyncio.timeout(_SLOW):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # uvicorn closes the connection of a response that is not complete
        finally:
            gone.cancel()
            self._left()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def page_events(
    live: Live,
    last: str | None,
    session: Callable[[], tuple[int, Mapping[str, Any] | None]],
    ended: asyncio.Event,
    stopping: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """The page's events. `session` gives the session's version and facts; without facts the stream is over."""
    version, facts = session()
    if facts is None:
        return
    place = live.place(last)
    yield _HEAD
    if place is None:
        yield live.snapshot_event(facts)
        place = int(live.newest.partition("-")[2])
    else:
        yield _plain("session", facts)
    epoch = live.epoch_of()
    while not stopping() and not ended.is_set():
        await _either(live.changed(place, _BEAT), ended)
        seen, facts = session()
        if facts is None:
            return
        if seen != version:
            version = seen
            yield _plain("session", facts)
        if live.epoch_of() != epoch or not live.can_go_on(place):
            epoch = live.epoch_of()
            yield live.snapshot_event(facts)
            place = int(live.newest.partition("-")[2])
            continue
        place, chunks = live.after(place)
        yield b"".join(chunks) or _plain("ping", {})


async def _either(waiting: Awaitable[None], ended: asyncio.Event) -> None:
    """Wait for something to come, or for the end."""
    tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(ended.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _plain(name: str, data: Any) -> bytes:
    """An event of this stream alone: it has no id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data, default=str))
