"""The routes of work: stations, corrections, instruments, stops, complaints."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.attachments import NotTaken
from edge_agent.facade import Facade
from edge_agent.tiles import BadTiles
from edge_agent.web.access import NARROWER
from edge_agent.web.answers import Refusal, command_reply, json_body, needed_text, reply, text_in
from edge_agent.web.door import Door, Who
from edge_agent.web.guard import LARGEST_CATALOGUE
from edge_agent.web.payments import Payments

_KINDS: Final = ("void", "amend", "return")


class Working:
    """What people at the stall do."""

    def __init__(self, agent: Facade, door: Door, payments: Payments) -> None:
        self._agent = agent
        self._door = door
        self._payments = payments

    async def command(self, request: Request, who: Who) -> Response:
        """Have a station do something."""
        station, name = request.path_params["station"], request.path_params["command"]
        body = await json_body(request)
        arguments = body.get("arguments", {})
        if not isinstance(arguments, dict):
            raise Refusal(400, "bad-request", "arguments is no object", where="body.arguments", right="{…}")
        key = text_in(body, "key", longest=200, needed=False)
        if station not in self._agent.settings()["stations"]:
            raise Refusal(404, "no-such-station", f"there is no station {station[:40]!r}", where="path")
        if name in NARROWER:
            self._door.require(who, NARROWER[name])
        result = await asyncio.to_thread(self._agent.command, station, name, arguments, who.operator, key=key)
        return command_reply(result)

    async def instrument(self, request: Request, who: Who) -> Response:
        """Zero or tare a scale: for whoever sees its display."""
        device = request.path_params["device"]
        stations = [s for s, facts in self._agent.settings()["stations"].items() if device in facts["devices"]]
        if not stations:
            raise Refusal(404, "not-found", f"there is no device {device[:40]!r}", where="path")
        if not any(self._door.sessions.at_scale(who.session, station) for station in stations):
            self._door.require_at_scale(who, stations[0])
        name = needed_text(await json_body(request), "name", longest=40)
        return command_reply(await asyncio.to_thread(self._agent.instrument, device, name, who.operator))

    def correct(self, kind: str) -> Any:
        """The handler of one kind of correction."""
        assert kind in _KINDS

        async def handler(request: Request, who: Who) -> Response:
            body = await json_body(request)
            details = body.get("details", {})
            if not isinstance(details, dict):
                raise Refusal(400, "bad-request", "details is no object", where="body.details", right="{…}")
            reason = text_in(body, "reason", longest=2_000, needed=False) or ""

            def do() -> Any:
                return self._agent.correct(
                    kind, request.path_params["record"], reason=reason, operator=who.operator, details=details
                )

            return command_reply(await asyncio.to_thread(do))

        return handler

    async def confirm_stop(self, request: Request, who: Who) -> Response:
        """Somebody has taken note of a stop of sale."""
        body = await json_body(request)
        station = text_in(body, "station", longest=64, needed=False)
        stop = request.path_params["stop"]
        return command_reply(await asyncio.to_thread(self._agent.confirm_stop, stop, station, who.operator))

    async def complain(self, request: Request, who: Who) -> Response:
        """Somebody complains."""
        body = await json_body(request)
        station = text_in(body, "station", longest=64, needed=False)
        fields = {name: value for name, value in body.items() if name != "station"}
        return command_reply(await asyncio.to_thread(self._agent.note_complaint, station, fields, who.operator))

    async def payments(self, _request: Request, _who: Who) -> Response:
        """Payments that wait for a person, and the newest."""
        return reply({"payments": self._payments.shown()})

    async def assign(self, request: Request, who: Who) -> Response:
        """Say what a payment was for."""
        body = await json_body(request)
        station = needed_text(body, "station", longest=64)
        lines = body.get("lines")
        if not isinstance(lines, list) or not 0 < len(lines) <= 200 or not all(isinstance(x, str) for x in lines):
            raise Refusal(
                400, "bad-request", "lines is no list of sales", where="body.lines", right="the ids of the sales"
            )
        return command_reply(await self._payments.assign(request.path_params["payment"], lines, station, who.operator))

    async def import_catalogue(self, request: Request, _who: Who) -> Response:
        """A new catalogue, all of it or nothing."""
        body = await json_body(request)
        data = needed_text(body, "data", longest=LARGEST_CATALOGUE)
        kind = text_in(body, "kind", longest=20, needed=False)
        add = body.get("add") is True

        def take() -> Any:
            return self._agent.import_catalogue(data.encode("utf-8", "replace"), kind=kind, source="page", add=add)

        try:
            result = await asyncio.to_thread(take)
        except ValueError as problem:
            raise Refusal(
                400, "bad-request", str(problem), where="body.kind", right="goods, parties or prices"
            ) from None
        return reply({"ok": result["version"] is not None, **result}, 200 if result["version"] is not None else 409)

    async def arrange(self, request: Request, _who: Who) -> Response:
        """Another order or other looks of a station's tiles."""
        body = await json_body(request)
        station = needed_text(body, "station", longest=64)
        if station not in self._agent.settings()["stations"]:
            raise Refusal(404, "no-such-station", f"there is no station {station[:40]!r}", where="body.station")

        def take() -> None:
            self._agent.arrange(station, order=body.get("order"), looks=body.get("looks"))

        try:
            await asyncio.to_thread(take)
        except BadTiles as problem:
            raise Refusal(
                400, "bad-request", str(problem), where=f"body.{problem.where}", right=problem.right
            ) from None
        return reply({"ok": True})

    async def attach(self, request: Request, _who: Who) -> Response:
        """A picture or a certificate: the body as it is."""
        try:
            return reply({"ok": True, **await asyncio.to_thread(self._agent.attach, await request.body())})
        except NotTaken as problem:
            status = {"unknown-type": 415, "too-large": 413}.get(problem.code, 503)
            raise Refusal(status, problem.code, str(problem), where="body", right="a JPEG, PNG, WebP or PDF") from None
