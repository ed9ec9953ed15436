"""The server stops at once, whoever has a page open: streams that go on, a phone that does not read, a page that waits
for a card. What holds it up would hold it up for as long as answers have, which is set very long here."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stall_web import PATIENCE, Stream, WebStall, with_people

import edge_agent.web.server

LONG = 600


@pytest.fixture
def market(tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[WebStall]:
    monkeypatch.setattr(edge_agent.web.server, "GRACEFUL", LONG)
    made = WebStall(tmp_path, free_port(), web=with_people(tmp_path))
    yield made
    made.close()


def web_of(market: WebStall) -> Any:
    return next(stop.__self__ for name, _, stop in market.agent._stops if name == "web")


def stop(market: WebStall) -> None:
    server = web_of(market)
    server.stop(PATIENCE)
    assert not server._thread.is_alive(), "an open page held the server up"


def test_open_streams_end_with_the_server(market: WebStall) -> None:
    client = market.client()
    assert client.sign_in("operator")[0] == 200
    streams = [Stream(client), Stream(client)]
    market.until(lambda: all(stream.named("snapshot") for stream in streams))
    stop(market)
    assert all(stream.ended.wait(PATIENCE) for stream in streams)


def test_a_phone_that_sleeps_and_reads_nothing_does_not_hold_the_server_up(market: WebStall) -> None:
    client = market.client()
    assert client.sign_in("operator")[0] == 200
    with socket.socket() as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        asleep.connect(("127.0.0.1", market.port))
        request = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{market.port}\r\nCookie: {client.cookie}\r\n\r\n"
        asleep.sendall(request.encode())
        state = web_of(market)._server.server_state

        def stuck() -> bool:
            market.weigh("1.000", "2.000", "0.000")
            return any(each.flow is not None and each.flow.write_paused for each in list(state.connections))

        live = web_of(market)._web.live
        loop = web_of(market)._loop

        def flood() -> bool:
            loop.call_soon_threadsafe(live.publish, "figures", {"much": "x" * 200_000})
            time.sleep(0.02)
            return stuck()

        market.until(flood, "the connection never filled up")
        stop(market)


def test_a_page_that_waits_for_a_card_does_not_hold_the_server_up(market: WebStall) -> None:
    client = market.client()
    client.get("/api/session")
    answers: list[Any] = []

    def ask() -> None:
        with contextlib.suppress(OSError):
            answers.append(client.post("/api/sign-in/card", {"station": "A12"}))

    asking = threading.Thread(target=ask)
    asking.start()
    cards = web_of(market)._web.cards
    market.until(lambda: any(cards._waiting.values()), "nobody waits for a card")
    stop(market)
    asking.join(PATIENCE)
    assert answers == [] or answers[0][1]["error"] == "no-card"
