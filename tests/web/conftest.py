"""Real Chromium over a whole agent: one browser for all, one stall for each module."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from stall import Stall

from edge_agent.web.setup import lan_address

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    # The stall by a name on the LAN: what it is asked for comes from an address that is not the box's own.
    f"--host-resolver-rules=MAP stall.example {lan_address()}",
)

expect.set_options(timeout=20_000)

NewPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "chromium is missing: apt-get install chromium fonts-noto-cjk"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def stall(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Stall]:
    made = Stall(tmp_path_factory.mktemp("stall"), port)
    yield made
    made.close()


@pytest.fixture
def new_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[NewPage]:
    """Opens pages; what a page complains of in its console fails the test."""
    contexts = []
    errors: list[str] = []

    def make(
        url: str,
        *,
        locale: str = "zh-CN",
        size: tuple[int, int] = (1024, 600),
        phone: bool = False,
        expected: tuple[str, ...] = (),
    ) -> Page:
        context = browser.new_context(
            locale=locale,
            viewport=ViewportSize(width=size[0], height=size[1]),
            has_touch=phone,
            is_mobile=phone,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)

        def complain(text: str) -> None:
            if not any(each in text for each in expected):
                errors.append(text)

        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda said: complain(said.text) if said.type in ("error", "warning") else None)
        page.goto(url, wait_until="commit")
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


def typed_by_wedge(page: Page, text: str, gap_ms: float = 4.0) -> None:
    """Keys as a wedge scanner types them: the times are in the events, so a slow machine changes nothing."""
    line = page.context.new_cdp_session(page)
    at = page.evaluate("Date.now()") / 1000
    for number, sign in enumerate([*text, "\r"]):
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13} if sign == "\r" else {"key": sign}
        moment = at + number * gap_ms / 1000
        line.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": sign, "timestamp": moment, **key})
        line.send("Input.dispatchKeyEvent", {"type": "keyUp", "timestamp": moment, **key})
    line.detach()


@pytest.fixture
def wedge() -> Callable[..., None]:
    return typed_by_wedge
