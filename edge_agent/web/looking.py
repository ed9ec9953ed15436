"""The routes that look: the stream, the state, records, traces, figures, the notice board."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from edge_agent.facade import Facade
from edge_agent.web.answers import Refusal, number_in, reply
from edge_agent.web.door import Door, Who
from edge_agent.web.live import Live
from edge_agent.web.page_files import PageFiles
from edge_agent.web.shown import record_facts
from edge_agent.web.stream import EventStream, Streams, page_events


class Looking:
    """What can be seen."""

    def __init__(
        self,
        agent: Facade,
        door: Door,
        live: Live,
        streams: Streams,
        files: PageFiles,
        facts: Callable[[Any], Mapping[str, Any]],
        stopping: Callable[[], bool],
    ) -> None:
        self._agent = agent
        self._door = door
        self._live = live
        self._streams = streams
        self._files = files
        self._facts = facts
        self._stopping = stopping

    # --- files

    async def page(self, request: Request, _who: Who) -> Response:
        """The page itself."""
        return self._files.index(request)

    async def static(self, request: Request, _who: Who) -> Response:
        """A file of the page."""
        found = self._files.file(request, request.path_params["name"])
        if found is None:
            raise Refusal(404, "not-found", "there is no such file, or none of that version", where="path", right="/")
        return found

    async def no_icon(self, _request: Request, _who: Who) -> Response:
        """Nothing, for browsers that ask for an icon by themselves."""
        return Response(status_code=204)

    # --- state

    async def events(self, request: Request, who: Who) -> Response:
        """The stream of what changes."""
        if self._streams.full():
            raise Refusal(503, "too-many-pages", "too many pages are open", right="close some")
        last = request.headers.get("last-event-id") or request.query_params.get("last")
        session = who.session
        owner = session.token if session.person is not None else who.address
        number, ended = self._streams.enter(owner)

        def facts() -> tuple[int, Mapping[str, Any] | None]:
            over = session.ended or self._door.sessions.role(session) is None
            return session.version, None if over else self._facts(session)

        chunks = page_events(self._live, last, facts, ended, self._stopping)
        return EventStream(chunks, lambda: self._streams.leave(number))

    async def state(self, _request: Request, who: Who) -> Response:
        """The whole state, once."""
        return reply({**self._live.snapshot(), "session": self._facts(who.session)})

    async def weights(self, request: Request, _who: Who) -> Response:
        """The weights of the last minute."""
        return reply({"points": self._live.weights(request.path_params["station"])})

    async def devices(self, _request: Request, _who: Who) -> Response:
        """The devices with what they have said."""
        status = await asyncio.to_thread(self._agent.status)
        counters = status["counters"]
        return reply({name: {**facts, "counters": counters.get(name)} for name, facts in status["devices"].items()})

    # --- records

    async def records(self, request: Request, _who: Who) -> Response:
        """Records, newest first."""
        limit = number_in(request, "limit", 50, 1, 200) or 50
        before = number_in(request, "before", None, 1, 2**53)
        types = [t for t in request.query_params.get("type", "").split(",") if t][:20]
        station = request.query_params.get("station")

        def read() -> Any:
            return self._agent.lookups.before(before, limit, types=types, station=station)

        records, following = await asyncio.to_thread(read)
        return reply({"records": [record_facts(record) for record in records], "next": following})

    async def record(self, request: Request, _who: Who) -> Response:
        """One record, whole."""
        name = request.path_params["record"]
        detail = await asyncio.to_thread(self._agent.lookups.record, name)
        if detail is None:
            raise Refusal(404, "not-found", "there is no such record", where="path", right="its id or sequence")
        standing = {"void_by": detail.void_by, "amended_by": detail.amended_by, "returns": detail.returns}
        return reply(
            {
                "record": record_facts(detail.record, detail.void_by),
                "event": orjson.loads(detail.record.body),
                "standing": standing,
            }
        )

    async def trace(self, request: Request, _who: Who) -> Response:
        """Where something came from and where it went."""
        code = request.query_params.get("code", "").strip()
        if not 0 < len(code) <= 200:
            raise Refusal(
                400,
                "bad-request",
                "code is missing or too long",
                where="query.code",
                right="a trace code, batch number, receipt number or record id",
            )
        return reply(await asyncio.to_thread(self._agent.lookups.trace, code))

    async def catalogue(self, request: Request, _who: Who) -> Response:
        """Goods with today's prices and, for a `station`, its open batches; and the parties."""
        station = request.query_params.get("station") or None
        if station is not None and station not in self._agent.settings()["stations"]:
            raise Refusal(404, "no-such-station", f"there is no station {station[:40]!r}", where="query.station")
        return reply(await asyncio.to_thread(self._agent.catalogue, station))

    async def board(self, _request: Request, _who: Who) -> Response:
        """The notice board for customers."""
        settings = self._agent.settings()
        shown = await asyncio.to_thread(self._agent.lookups.notice_board)
        stops = await asyncio.to_thread(self._agent.stops)
        return reply(
            {"site": settings["site"], "complaint_number": settings["complaint_number"], **shown, "stops": list(stops)}
        )

    async def attachment(self, request: Request, _who: Who) -> Response:
        """A picture or certificate; what it is was told when it was taken, and browsers must not guess."""
        found = await asyncio.to_thread(self._agent.attachment, request.path_params["sha256"])
        if found is None:
            raise Refusal(404, "not-found", "there is no such attachment here", where="path", right="its SHA-256")
        data, kind = found
        headers = {"cache-control": "private, max-age=86400", "content-security-policy": "sandbox"}
        return Response(data, media_type=kind, headers=headers)

    async def figures(self, request: Request, _who: Who) -> Response:
        """The figures of the days, and of this month."""
        days = number_in(request, "days", 31, 1, 62) or 31
        found = await asyncio.to_thread(self._agent.lookups.figures, max(days, 31))
        month = found[-1]["day"][:7]
        sums: dict[str, Any] = {"month": month}
        for each in found:
            if each["day"].startswith(month):
                for name, value in each.items():
                    if name != "day":
                        sums[name] = sums.get(name, 0) + value
        return reply({"days": list(found)[-days:], "month": sums})
