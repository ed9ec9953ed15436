"""The routes of setting a device up: what speaks on a port, and whether a scale is read right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.facade import Facade, NotProved
from edge_agent.web.answers import Refusal, json_body, needed_text, reply, text_in
from edge_agent.web.door import Who

_SECONDS: Final = (0.2, 10.0)
_STATUS: Final[Mapping[str, int]] = {
    "bad-port": 400,
    "bad-step": 400,
    "bad-shown": 400,
    "bad-mass": 400,
    "not-found": 404,
}
_RIGHT: Final[Mapping[str, tuple[str, str]]] = {
    "bad-port": ("body.port", "such as serial:/dev/ttyUSB0 or tcp:192.168.1.50:4001"),
    "port-in-use": ("body.port", "another port, or pause = true to let the device go for the time"),
    "bad-step": ("body.step", "the step that `next` names; tare and overload may be skipped"),
    "bad-shown": ("body.shown", "what the display shows, such as 1.236 kg or OL"),
    "bad-mass": ("body.mass", "such as 1 kg"),
    "out-of-order": ("body.step", "the step that `next` names, or empty to begin anew"),
    "busy": ("", "wait for its end, or stop it"),
    "not-connected": ("path", "a scale that is connected"),
    "not-a-scale": ("path", "a scale"),
    "not-found": ("path", "a device of the configuration"),
}


class Proving:
    """What a maintainer does before a device is relied on."""

    def __init__(self, agent: Facade) -> None:
        self._agent = agent

    async def probe(self, request: Request, _who: Who) -> Response:
        """Begin to find out what speaks on a port."""
        body = await json_body(request)
        port = needed_text(body, "port", longest=300)
        seconds = body.get("seconds", 3.0)
        if type(seconds) not in (int, float) or not _SECONDS[0] <= seconds <= _SECONDS[1]:
            right = f"a number from {_SECONDS[0]:g} to {_SECONDS[1]:g}: how long to listen with each setting"
            raise Refusal(400, "bad-request", "seconds is out of bounds", where="body.seconds", right=right)
        active, pause = _yes_or_no(body, "active"), _yes_or_no(body, "pause")
        job = await _proved(
            lambda: self._agent.workshop.probe(port, seconds=float(seconds), active=active, pause=pause)
        )
        return reply({"ok": True, **job})

    async def probing(self, request: Request, _who: Who) -> Response:
        """How a probe stands."""
        return _of_job(await asyncio.to_thread(self._agent.workshop.probing, request.path_params["job"]))

    async def stop_probing(self, request: Request, _who: Who) -> Response:
        """Have a probe end."""
        return _of_job(await asyncio.to_thread(self._agent.workshop.stop_probing, request.path_params["job"]))

    async def commission(self, request: Request, who: Who) -> Response:
        """Take one step of a commissioning."""
        body = await json_body(request)
        step = needed_text(body, "step", longest=20)
        shown = text_in(body, "shown", longest=60, needed=False)
        mass = text_in(body, "mass", longest=40, needed=False)
        skip = _yes_or_no(body, "skip")
        facts = await _proved(
            lambda: self._agent.workshop.commission(
                request.path_params["device"], step, shown=shown, mass=mass, skip=skip, operator=who.operator
            )
        )
        return reply({"ok": True, **facts})


async def _proved(do: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    try:
        return await asyncio.to_thread(do)
    except NotProved as problem:
        where, right = _RIGHT.get(problem.code, ("", ""))
        status = _STATUS.get(problem.code, 409)
        raise Refusal(status, problem.code, str(problem), where=where, right=right, more=problem.facts) from None


def _of_job(job: Mapping[str, Any] | None) -> Response:
    if job is None:
        raise Refusal(404, "not-found", "there is no such probe, or another took its place", where="path")
    return reply({"ok": True, **job})


def _yes_or_no(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise Refusal(400, "bad-request", f"{name} is neither true nor false", where=f"body.{name}", right="true|false")
    return value
