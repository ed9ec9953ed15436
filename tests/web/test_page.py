"""What the page's files may be, who may ask the server for what, and that a scan by way of the page is a scan."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from stall import GTIN, Stall

import edge_agent.web

STATIC = Path(edge_agent.web.__file__).parent / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        text = refusal.read()
        return refusal.code, json.loads(text) if text.startswith(b"{") else None


def test_only_the_page_itself_may_ask(stall: Stall) -> None:
    confirm = f"{stall.url}/api/stations/A12/confirm"
    with urllib.request.urlopen(f"{stall.url}/api/session", timeout=20) as answer:
        cookie, session = answer.headers["set-cookie"].partition(";")[0], json.loads(answer.read())
    mine = {"Cookie": cookie, "X_CSRF_Token": session["csrf"], "Content_Type": "application/json"}
    status, refusal = ask(confirm, {}, **mine)
    assert (status, refusal["refused"], refusal["kept"]) == (409, "no-goods", [])
    assert ask(confirm, {}, **{**mine, "X_CSRF_Token": "x"})[1]["error"] == "csrf"
    assert ask(confirm, {}, **{**mine, "Cookie": ""})[1]["error"] == "csrf"
    assert ask(confirm, {}, **{**mine, "Content_Type": "text/plain"})[0] == 415
    assert ask(confirm, {}, **mine, Origin="http://evil.example")[0] == 403
    assert ask(f"{stall.url}/api/state", Host="evil.example")[0] == 403
    assert ask(confirm, {"arguments": 3}, **mine)[0] == 400
    assert ask(f"{stall.url}/api/stations/Z9/confirm", {}, **mine)[0] == 404
    assert ask(f"{stall.url}/api/stations/A12/dance", {}, **mine)[1]["refused"] == "unknown-command"
    assert ask(f"{stall.url}/static/..%2f..%2fagent.py")[0] == 404
    status, state = ask(f"{stall.url}/api/state")
    assert status == 200
    assert state["status"]["kept"] == len(stall.kept("chain"))


def test_the_page_runs_nothing_that_is_not_its_own(stall: Stall) -> None:
    with urllib.request.urlopen(stall.url, timeout=20) as answer:
        policy = answer.headers["content-security-policy"]
        html = answer.read().decode()
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http://" not in html
    assert "https://" not in html


def test_the_files_ask_nobody_else_and_hold_no_markup_from_outside() -> None:
    assert {"app.js", "sell.js", "words.js"} <= {file.name for file in SCRIPTS}
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"']*", text)
        assert [each for each in addresses if not each.startswith("http://www.w3.org/")] == [], file.name
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "<style",
            "style=",
        ):
            assert word not in text, (file.name, word)


def test_the_pages_own_policy_allows_no_inline_script(stall: Stall) -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert " on" not in html.replace(" only", "")


def _ask_as_page(stall: Stall) -> dict[str, str]:
    with urllib.request.urlopen(f"{stall.url}/api/session", timeout=20) as answer:
        cookie, session = answer.headers["set-cookie"].partition(";")[0], json.loads(answer.read())
    return {"Cookie": cookie, "X_CSRF_Token": session["csrf"], "Content_Type": "application/json"}


def test_a_code_that_reaches_a_page_is_a_scan(stall: Stall) -> None:
    mine = _ask_as_page(stall)
    scan = f"{stall.url}/api/stations/A12/scan"
    assert ask(scan, {"arguments": {"text": GTIN}}, **mine)[0] == 200
    assert stall.agent.views()["A12"].detail["goods_name"] == "苹果"
    assert ask(scan, {"arguments": {"text": "134567890123456789"}}, **mine)[1]["refused"] == "not-goods"
    for wrong in ("", 3, None, "x" * 5000):
        assert ask(scan, {"arguments": {"text": wrong}}, **mine)[1]["refused"] == "bad-scan"
    assert ask(scan, {"arguments": {"text": "a", "symbology": 1}}, **mine)[1]["refused"] == "bad-scan"


def test_goods_come_with_the_open_batches_of_a_station(stall: Stall) -> None:
    stall.take_in("01220101", "20261126-05", 7_000_000)
    goods = {each["code"]: each for each in ask(f"{stall.url}/api/catalogue?station=A12")[1]["goods"]}
    assert goods["01220101"]["batches"][0]["batch"] == "20261126-05"
    assert goods["01220101"]["initials"] == "td"
    assert ask(f"{stall.url}/api/catalogue?station=Z9")[0] == 404
