"""The routes of maintenance: quarantine, log, configuration, devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from edge_agent.event_json import event_json
from edge_agent.facade import Facade
from edge_agent.model import Observation, StateChange
from edge_agent.web.answers import Refusal, json_body, number_in, reply
from edge_agent.web.door import Who
from edge_agent.web.shown import record_facts
from edge_agent.web.stream import EventStream, Streams

_LEVELS: Final = ("debug", "info", "warning", "error")
_WATCHED_EVERY: Final = 0.2
_WATCHED_AT_ONCE: Final = 50
_MOST_REQUEUED: Final = 10_000


class Maintaining:
    """What a maintainer does."""

    def __init__(self, agent: Facade, streams: Streams, stopping: Callable[[], bool]) -> None:
        self._agent = agent
        self._streams = streams
        self._stopping = stopping

    async def quarantine(self, request: Request, _who: Who) -> Response:
        """What the platform refused."""
        offset = number_in(request, "offset", 0, 0, 2**53) or 0
        limit = number_in(request, "limit", 50, 1, 200) or 50
        total, rows = await asyncio.to_thread(self._agent.lookups.quarantine, offset, limit)
        shown = [{**facts, "record": None if record is None else record_facts(record)} for facts, record in rows]
        return reply({"total": total, "rows": shown})

    async def requeue(self, request: Request, _who: Who) -> Response:
        """Send refused records again as they are."""
        body = await json_body(request)
        sequences = body.get("sequences")
        fits = sequences is None or (
            isinstance(sequences, list)
            and len(sequences) <= _MOST_REQUEUED
            and all(type(each) is int and 0 < each < 2**53 for each in sequences)
        )
        if not fits:
            raise Refusal(
                400,
                "bad-request",
                "sequences is no list of sequences",
                where="body.sequences",
                right=f"null for all, or at most {_MOST_REQUEUED} whole numbers",
            )
        return reply({"ok": True, "requeued": await asyncio.to_thread(self._agent.requeue, sequences)})

    async def log(self, request: Request, _who: Who) -> Response:
        """The newest lines of the log."""
        after = number_in(request, "after", 0, 0, 2**53) or 0
        level = request.query_params.get("level", "debug")
        if level not in _LEVELS:
            raise Refusal(400, "bad-request", f"{level[:40]!r}", where="query.level", right=", ".join(_LEVELS))
        lines = self._agent.log_tail(after, 500)
        wanted = _LEVELS[_LEVELS.index(level) :]
        following = lines[-1]["n"] if lines else after
        return reply({"lines": [line for line in lines if line.get("level") in wanted], "next": following})

    async def configuration(self, _request: Request, _who: Who) -> Response:
        """The configuration as it is used."""
        return reply({"config": self._agent.configuration()})

    async def restart(self, request: Request, _who: Who) -> Response:
        """Close a device's port and open it anew."""
        try:
            self._agent.restart(request.path_params["device"])
        except KeyError:
            raise Refusal(404, "not-found", "there is no such device", where="path") from None
        return reply({"ok": True})

    async def watch(self, request: Request, who: Who) -> Response:
        """What a device says, as it comes."""
        device = request.path_params["device"]
        if device not in self._agent.status()["devices"]:
            raise Refusal(404, "not-found", "there is no such device", where="path")
        if self._streams.full():
            raise Refusal(503, "too-many-pages", "too many pages are open", right="close some")
        number, ended = self._streams.enter(who.session.token)
        return EventStream(self._observations(device, who, ended), lambda: self._streams.leave(number))

    async def _observations(self, device: str, who: Who, ended: asyncio.Event) -> AsyncIterator[bytes]:
        with self._agent.watch((f"observation/{device}",)) as watcher:
            yield b"retry: 2000\n\n"
            while not self._stopping() and not ended.is_set() and not who.session.ended:
                await asyncio.sleep(_WATCHED_EVERY)
                events = [e.value for e in watcher.take(0) if isinstance(e.value, Observation)]
                lines = [_observed(each) for each in events[-_WATCHED_AT_ONCE:] if each.device == device]
                yield b"".join(b"event: observation\ndata: %b\n\n" % line for line in lines) or b": nothing\n\n"


def _observed(observation: Observation) -> bytes:
    event = observation.event
    facts: dict[str, Any] = (
        {"event": "state", "state": event.state.value, "reason": event.reason}
        if isinstance(event, StateChange)
        else dict(event_json(event))
    )
    return orjson.dumps({"device": observation.device, "time_ms": observation.at.wall_ms, **facts}, default=str)
