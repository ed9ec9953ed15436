"""The routes of receipts: shown, as a QR code, and printed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from edge_agent.facade import SLIPS, Facade, NotPrinted
from edge_agent.web.answers import Refusal, json_body, reply, text_in
from edge_agent.web.door import Who

_T = TypeVar("_T")


class SlipRoutes:
    """What a buyer takes along."""

    def __init__(self, agent: Facade) -> None:
        self._agent = agent

    async def show(self, request: Request, _who: Who) -> Response:
        """The receipt as lines, with what its QR code holds."""
        record = request.path_params["record"]
        return reply(await _found(lambda: self._agent.slips.show(record)))

    async def picture(self, request: Request, _who: Who) -> Response:
        """The QR code of a receipt."""
        record = request.path_params["record"]
        return Response(await _found(lambda: self._agent.slips.picture(record)), media_type="image/svg+xml")

    async def print(self, request: Request, _who: Who) -> Response:
        """Have a receipt, a label or a certificate printed."""
        record = request.path_params["record"]
        body = await json_body(request)
        wanted = text_in(body, "what", longest=40, needed=False) or "receipt"
        station = text_in(body, "station", longest=64, needed=False)
        what = next((slip for slip in SLIPS if slip == wanted), None)
        if what is None:
            right = f"one of {', '.join(SLIPS)}"
            raise Refusal(400, "bad-request", f"{wanted!r} cannot be printed", where="body.what", right=right)
        job = await _found(lambda: self._agent.slips.print(record, what, station))
        return reply({"ok": True, **job})


async def _found(make: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(make)
    except NotPrinted as problem:
        status = 404 if problem.code == "unknown" else 409
        raise Refusal(status, problem.code, str(problem), where="path") from problem
