"""The page's server: one thread with Starlette and uvicorn, bound to this box.

The page holds one stream of server-sent events; commands are POSTs. Requests must come from the page itself:
Host is checked against the listening address (so that a foreign name cannot be rebound to it), Origin against
Host, and a POST has to be JSON, which no foreign form can send.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_agent.facade import Facade, RecentRecord

_STATIC: Final = Path(__file__).parent / "static"
_FILES: Final = {"page.css": "text/css", "page.js": "text/javascript", "words.js": "text/javascript"}
_WEIGHT_EVERY: Final = 0.1
_RECORDS_EVERY: Final = 0.5
_STREAMS: Final = 16
_LARGEST_BODY: Final = 64 * 1024

_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class _Guard:
    """Refuses requests that did not come from the page, and adds the protective headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rpartition(":")[0] or host
        origin = headers.get(b"origin", b"").decode("latin-1")
        refused = name not in ("127.0.0.1", "localhost", "[::1]") or origin not in ("", f"http://{host}")
        if scope["method"] == "POST":
            refused = refused or not headers.get(b"content-type", b"").startswith(b"application/json")
            refused = refused or int(headers.get(b"content-length", b"0") or b"0") > _LARGEST_BODY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        if refused:
            await _json({"ok": False, "refused": "forbidden"}, 403)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def make_app(agent: Facade, stopping: threading.Event) -> Starlette:
    """The page's application."""
    streams = asyncio.Semaphore(_STREAMS)

    async def page(_request: Request) -> Response:
        return FileResponse(_STATIC / "index.html", media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return _json({"ok": False, "refused": "not-found"}, 404)
        return FileResponse(_STATIC / name, media_type=_FILES[name])

    async def no_icon(_request: Request) -> Response:
        return Response(status_code=204)

    async def state(_request: Request) -> Response:
        return _json(await asyncio.to_thread(_snapshot, agent))

    async def events(_request: Request) -> Response:
        if streams.locked():
            return _json({"ok": False, "refused": "too-many-pages"}, 503)
        return StreamingResponse(_stream(agent, streams, stopping), media_type="text/event-stream")

    async def command(request: Request) -> Response:
        try:
            body = orjson.loads(await request.body() or b"{}")
        except orjson.JSONDecodeError:
            return _json({"ok": False, "refused": "bad-request"}, 400)
        arguments = body.get("arguments", {}) if isinstance(body, dict) else None
        if not isinstance(arguments, dict):
            return _json({"ok": False, "refused": "bad-request"}, 400)
        station, name = request.path_params["station"], request.path_params["name"]
        if station not in agent.views():
            return _json({"ok": False, "refused": "no-such-station"}, 404)
        try:
            result = await asyncio.to_thread(agent.command, station, name, arguments)
        except TimeoutError:
            return _json({"ok": False, "refused": "not-saved-in-time"}, 503)
        answer = {"ok": result.refused is None, "refused": result.refused, "kept": result.kept}
        return _json(answer, 200 if result.refused is None else 409)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{name}", static),
            Route("/favicon.ico", no_icon),
            Route("/api/state", state),
            Route("/api/events", events),
            Route("/api/stations/{station}/{name}", command, methods=["POST"]),
        ],
        middleware=[Middleware(_Guard)],
    )


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")


async def _stream(agent: Facade, streams: asyncio.Semaphore, stopping: threading.Event) -> AsyncIterator[bytes]:
    """Weights at most ten times a second, records and state at most twice, and only what has changed."""
    async with streams:
        sent: dict[str, bytes] = {}
        due, beat = 0.0, 0.0
        while not stopping.is_set():
            now = asyncio.get_running_loop().time()
            parts = {"stations": _stations(agent)}
            if now >= due:
                due = now + _RECORDS_EVERY
                parts |= await asyncio.to_thread(_slow_parts, agent)
            fresh = [(name, data) for name, data in parts.items() if sent.get(name) != data]
            for name, data in fresh:
                sent[name] = data
                yield b"event: %b\ndata: %b\n\n" % (name.encode(), data)
            if fresh:
                beat = now
            elif now - beat > 5.0:
                beat = now
                yield b": still here\n\n"
            await asyncio.sleep(_WEIGHT_EVERY)


def _stations(agent: Facade) -> bytes:
    return orjson.dumps(agent.views())


def _slow_parts(agent: Facade) -> dict[str, bytes]:
    status = agent.status()
    for restless in ("uptime_s", "counters", "held_up"):
        status.pop(restless, None)
    return {
        "status": orjson.dumps(status, default=str),
        "records": orjson.dumps([_record(record) for record in agent.recent()], default=str),
    }


def _snapshot(agent: Facade) -> dict[str, Any]:
    return {
        "stations": agent.views(),
        "status": agent.status(),
        "records": [_record(record) for record in agent.recent()],
    }


def _record(record: RecentRecord) -> dict[str, Any]:
    event = orjson.loads(record.body)
    data = event["data"]
    shown = ("indication", "unit", "text", "goods_code", "goods_name", "amount_fen", "qty", "mode", "flags", "tag_id")
    return {
        "id": event["id"],
        "sequence": int(event["sequence"]),
        "type": event["type"],
        "time": event["time"],
        "station": event["subject"],
        "mark": record.mark.state,
        "reason": record.mark.reason,
        **{name: data[name] for name in shown if name in data},
    }


class WebServer:
    """Runs the page in a thread of its own."""

    def __init__(self, address: tuple[str, int], agent: Facade, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopping = threading.Event()
        host, port = address
        self._server = uvicorn.Server(
            uvicorn.Config(
                make_app(agent, self._stopping),
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
                callback_notify=self._pulse,
                timeout_notify=5,
            )
        )
        self._address = address
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving; a port that is taken is logged, and the agent goes on without its page."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop serving."""
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(timeout)

    async def _pulse(self) -> None:
        self._beat()

    def _run(self) -> None:
        log = structlog.get_logger()
        try:
            log.info("page.serving", url=f"http://{self._address[0]}:{self._address[1]}/")
            self._server.run()
        except SystemExit:  # uvicorn's way of saying that it could not listen
            log.error("page.failed", address=f"{self._address[0]}:{self._address[1]}", reason="cannot listen there")
