"""Runs the page's server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import uvicorn

from edge_agent import clock
from edge_agent.facade import Facade
from edge_agent.web.app import WebSettings, make_web

_ROUND: Final = 5.0
_READY_WITHIN: Final = 20.0
_GRACE: Final = 0.2
"""Seconds that a page has to read the end of what it was sent; after that, one that does not read is cut off."""

GRACEFUL: Final = 1
"""Seconds that answers on their way have when the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen, and with which certificate; None for plain HTTP."""

    host: str
    port: int
    certificate: tuple[Path, Path] | None = None


class WebServer:
    """The page, served by one thread."""

    def __init__(self, listen: Listen, agent: Facade, settings: WebSettings, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._listen = listen
        self._agent = agent
        self._settings = settings
        self._stopping = threading.Event()
        self._web = make_web(agent, settings, self._stopping.is_set)
        certificate = listen.certificate
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._web.app,
                host=listen.host,
                port=listen.port,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=GRACEFUL,
                limit_concurrency=200,
                h11_max_incomplete_event_size=64 * 1024,
                ssl_certfile=None if certificate is None else str(certificate[0]),
                ssl_keyfile=None if certificate is None else str(certificate[1]),
                ssl_version=ssl.PROTOCOL_TLS_SERVER,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving; a port that is taken is logged, and the agent goes on without its page."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop serving."""
        self._stopping.set()
        self._server.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._let_go)
        self._thread.join(timeout)

    def _let_go(self) -> None:
        """End whatever goes on by itself: streams, and pages that wait for a card."""
        self._web.streams.end_all()
        if self._web.cards is not None:
            self._web.cards.end_all()
        asyncio.get_running_loop().call_later(_GRACE, self._cut_off)

    def _cut_off(self) -> None:
        """A phone that sleeps does not read what it was sent, and would hold the server up for as long as it may."""
        for connection in list(self._server.server_state.connections):
            transport = connection.transport
            if transport is not None and (transport.get_write_buffer_size() or transport.is_closing()):
                transport.abort()

    def _run(self) -> None:
        log = structlog.get_logger()
        try:
            asyncio.run(self._serve())
        except SystemExit:  # uvicorn's way of saying that it could not listen
            address = f"{self._listen.host}:{self._listen.port}"
            log.error("page.failed", address=address, reason="cannot listen there")
        except (OSError, ssl.SSLError) as problem:
            log.error("page.failed", reason=str(problem))
        finally:
            self._agent.on_card(None)

    async def _serve(self) -> None:
        web = self._web
        self._loop = asyncio.get_running_loop()
        log = structlog.get_logger()
        if web.cards is not None:
            web.cards.bind(asyncio.get_running_loop(), web.signing.hand_over)
            self._agent.on_card(web.cards.is_card)
        log.info("page.serving", url=self._settings.url)
        if self._settings.people is not None and self._listen.certificate is None and not self._settings.local:
            log.warning("page.pin_in_clear", reason="PINs cross the network unencrypted", right="[web] tls = true")
        web.signing.first_start()
        rounds = asyncio.create_task(self._rounds())
        showing = asyncio.create_task(web.live.run(self._stopping.is_set, self._beat))
        try:
            with contextlib.suppress(TimeoutError):  # a page without its state yet is better than none
                await asyncio.wait_for(web.live.ready.wait(), _READY_WITHIN)
            await self._server.serve()
        finally:
            web.streams.end_all()
            for task in (rounds, showing):
                task.cancel()

    async def _rounds(self) -> None:
        while not self._stopping.is_set():
            self._web.sessions.lock_idle(clock.monotonic())
            await asyncio.sleep(_ROUND)
