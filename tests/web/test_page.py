"""The local page in real Chromium, over a whole agent with a scale on a pty; and who may ask the server for what."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import tty
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge_agent.agent import Agent, prepare

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")

CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[device]]
id = "scanner-1"
driver = "serial-scanner"
port = "serial:{scanner}"
[[station]]
id = "A12"
mode = "sale"
devices = ["scale-1", "scanner-1"]
[web]
listen = "127.0.0.1:{port}"
"""


class Stall:
    """An agent in this process, with the other ends of its scale's and its scanner's lines."""

    def __init__(self, folder: Path, port: int) -> None:
        self._ends: list[int] = []
        self.scale, scale = self._line()
        self.scanner, scanner = self._line()
        self.url = f"http://127.0.0.1:{port}"
        file = folder / "agent.toml"
        file.write_text(CONFIG.format(folder=folder, scale=scale, scanner=scanner, port=port))
        self.agent = Agent(*prepare(file))
        self.agent.start()
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            assert time.monotonic() < deadline, "the page is not served"
            time.sleep(0.02)

    def _line(self) -> tuple[int, str]:
        near, far = os.openpty()
        tty.setraw(far)
        self._ends += [near, far]
        return near, os.ttyname(far)

    def weigh(self, *texts: str) -> None:
        for text in texts:
            os.write(self.scale, f"ST,GS,+{text:>7}kg\r\n".encode())

    def scan(self, text: str) -> None:
        os.write(self.scanner, text.encode() + b"\r")

    def close(self) -> None:
        self.agent.stop()
        for end in self._ends:
            os.close(end)


@pytest.fixture
def stall(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Stall]:
    made = Stall(tmp_path, free_port())
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "chromium is missing: apt-get install chromium fonts-noto-cjk"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(params=["zh-CN", "en-GB"])
def page(request: pytest.FixtureRequest, browser: Browser, stall: Stall) -> Iterator[Page]:
    context = browser.new_context(locale=request.param, viewport={"width": 1024, "height": 600})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(stall.url, wait_until="commit")
    yield opened
    context.close()
    assert errors == []


def test_a_sale_on_the_page(page: Page, stall: Stall) -> None:
    chinese = page.evaluate("navigator.language").startswith("zh")
    stall.weigh("0.000", "0.000")
    card = page.locator("[data-station=A12]")
    expect(card.locator(".word")).to_have_text("零位" if chinese else "zero")
    confirm = card.locator(".confirm")
    expect(confirm).to_be_disabled()
    stall.weigh("1.236", "1.236")
    expect(card.locator(".value")).to_have_text("1.236")
    expect(card.locator(".word")).to_have_text("稳定" if chinese else "stable")
    expect(confirm).to_be_disabled()  # a weight alone is no sale
    stall.scan("6901028225168")
    expect(card.locator(".goods")).to_contain_text("6901028225168")
    expect(confirm).to_be_enabled()
    confirm.click()
    expect(card.locator(".answer")).to_contain_text("已保存" if chinese else "saved")
    sale = page.locator("#records li").first
    expect(sale).to_contain_text("1.236 kg")
    expect(sale.locator(".mark")).to_have_text("✓")
    expect(confirm).to_be_disabled()  # the goods are cleared for the next customer
    expect(page.locator("#pending")).to_contain_text("2")


def test_a_hostile_code_is_shown_as_text(page: Page, stall: Stall) -> None:
    stall.scan("<img src=x onerror=alert(1)>")
    goods = page.locator("[data-station=A12] .goods")
    expect(goods).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0


def test_the_language_can_be_switched(page: Page) -> None:
    words = ["最近记录", "Recent records"]
    if not page.evaluate("navigator.language").startswith("zh"):
        words.reverse()
    heading = page.locator("#log h2")
    for word in (*words, words[0]):
        expect(heading).to_have_text(word)
        page.locator("#language").click()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


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
    assert ask(f"{stall.url}/api/stations/B1/confirm", {}, **mine)[0] == 404
    assert ask(f"{stall.url}/api/stations/A12/dance", {}, **mine)[1]["refused"] == "unknown-command"
    assert ask(f"{stall.url}/static/..%2f..%2fagent.py")[0] == 404
    status, state = ask(f"{stall.url}/api/state")
    assert status == 200
    assert state["status"]["kept"] == 1


def test_the_page_runs_nothing_that_is_not_its_own(stall: Stall) -> None:
    with urllib.request.urlopen(stall.url, timeout=20) as answer:
        policy = answer.headers["content-security-policy"]
        html = answer.read().decode()
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http://" not in html
    assert "https://" not in html
