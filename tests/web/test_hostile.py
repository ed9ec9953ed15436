"""Two hundred hostile texts as codes, goods, names, reasons: kept and shown as texts, and nothing else happens."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator

import pytest
from hostile import texts
from stall_web import Stream, WebStall, new_token, stall

from edge_agent.records.canonical import clean_text

HOSTILE = texts()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebStall]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with stall(tmp_path_factory.mktemp("hostile"), port) as made:
        yield made


def kept_as(text: str) -> str:
    return clean_text(text)[0].strip()


def test_there_are_two_hundred_and_none_twice() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) == 200


def test_as_goods_names_and_reasons(market: WebStall) -> None:
    """Each is sold under, made void for, complained of; what is kept is the text, on the stream it is one JSON line."""
    client = market.client()
    stream = Stream(client)
    market.until(lambda: stream.named("snapshot"))
    sold = 0
    for text in HOSTILE:
        status, answer = client.do("sell", code=text, name=text, price_per="each", price_fen=100)
        assert status in (200, 409), (text, answer)
        if status == 409:  # a code has bounds; a name may still be anything
            assert answer["refused"] == "bad-goods_code", (text, answer)
            status, answer = client.do("sell", code="goods", name=text, price_per="each", price_fen=100)
            assert status == 200, (text, answer)
        sale = answer["kept"][0]
        sold += 1
        _, whole = client.get(f"/api/records/{sale['id']}")
        shown = whole["event"]["data"]["goods_name"]
        assert shown == (kept_as(text) or None), text
        status, answer = client.post(f"/api/records/{sale['sequence']}/void", {"reason": text})
        assert status == 200 or answer["refused"] == "no-reason", (text, answer)
        status, answer = client.post("/api/complaints", {"about": "other", "content": text})
        assert status == 200 or answer["refused"] in ("no-content", "bad-request"), (text, answer)
    assert sold == 200
    market.until(lambda: len([r for r in stream.named("record") if r["type"] == "trace.sale.v1"]) == 200)
    names = [r["goods_name"] for r in stream.named("record") if r["type"] == "trace.sale.v1"]
    assert names == [kept_as(text) or None for text in HOSTILE]
    assert {name for name, _, _ in stream.events} <= {
        "snapshot",
        "session",
        "station",
        "record",
        "marks",
        "status",
        "figures",
        "stops",
        "ping",
        "payments",
        "catalogue",
    }, "a text became an event of its own"
    stream.close()


def test_as_what_a_scanner_reads(market: WebStall) -> None:
    client = market.client()
    before = market.agent.board.latest("counters/scanner-1").get("counters/scanner-1", {"scans": 0})["scans"]
    for text in HOSTILE:
        market.scan(text.replace("\r", " ").replace("\n", " "))
        time.sleep(0.05)  # the silence by which this scanner ends a scan

    def scanned() -> bool:
        market.scan("6901028225168")
        time.sleep(0.2)
        return bool(market.view().detail["goods_code"] == "6901028225168")

    market.until(scanned, "the scanner's station stands still")
    counters = market.until(
        lambda: market.agent.board.latest("counters/scanner-1")["counters/scanner-1"]["scans"] - before > 100
    )
    assert counters, "too few of them came through to have tried anything"
    assert client.get("/api/state")[0] == 200


@pytest.mark.parametrize("where", ["path", "query", "body", "header"])
def test_as_parts_of_a_request(market: WebStall, where: str) -> None:
    client = market.client()
    client.get("/api/session")
    token = new_token(market.folder, "read", "sell", name=f"t-{where}")
    for text in HOSTILE:
        quoted = urllib.parse.quote(text, safe="")
        match where:
            case "path":
                asked = [
                    client.get(f"/api/records/{quoted}"),
                    client.get(f"/static/{quoted}"),
                    client.post(f"/api/stations/{quoted}/confirm"),
                    client.post(f"/api/stations/A12/{quoted}"),
                ]
            case "query":
                asked = [
                    client.get(f"/api/trace?code={quoted}"),
                    client.get(f"/api/records?type={quoted}&station={quoted}&limit={quoted}"),
                    client.get(f"/api/events?last={quoted}") if text == "never" else client.get("/api/devices"),
                    client.get(f"/api/catalogue?station={quoted}"),
                ]
            case "body":
                asked = [
                    client.post("/api/sign-in", {"person": text, "pin": text}),
                    client.do("goods", code=text, name=text, price_per=text),
                    client.post(f"/api/stations/{'A12'}/sell", {"arguments": {text: text}, "key": text[:200]}),
                    client.ask(
                        "POST",
                        "/api/v1/sales",
                        {"station": text, "code": text, text: text},
                        {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"},
                    ),
                ]
            case _:
                plain = text.encode("ascii", "replace").decode()
                plain = "".join(c if 32 <= ord(c) < 127 else "_" for c in plain)
                asked = [
                    client.get("/api/state", Last_Event_ID=plain),
                    client.get("/api/state", Origin=plain),
                    client.get("/api/state", Host=plain),
                    client.ask("GET", "/api/v1/state", None, {"Authorization": plain}),
                ]
        for status, answer in asked:
            assert status < 500, (where, text, answer)
            if status >= 400 and status != 400 and isinstance(answer, dict):
                assert answer["error"], (where, text, answer)
    assert client.get("/api/state")[0] == 200
    assert "passwd" not in json.dumps(client.get("/api/state")[1]["status"])


def test_no_file_but_the_pages_is_served(market: WebStall) -> None:
    client = market.client()
    assert client.get("/static/page.css")[0] == 200
    tried = (
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "....//app.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "",
        "no.css",
    )
    for path in (*tried, "page.css%00.js", "index.html/../../app.py"):
        status, _ = client.get(f"/static/{path}")
        assert status in (400, 404), path
