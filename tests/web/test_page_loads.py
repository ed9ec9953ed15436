"""What a browser loads of the page: how much, when, what a second visit costs, and what happens when a part cannot be
had or the agent was upgraded meanwhile. Sizes are those of the answers that Chromium got."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from page_stand import LOST
from playwright.sync_api import Page, expect
from stall import Stall
from stall_web import PINS, with_people

import edge_agent.web
import edge_agent.web.app
from edge_agent.agent import Agent
from edge_agent.preparing import prepare
from edge_agent.web.page_files import PageFiles

NewPage = Callable[..., Page]

STATIC = Path(edge_agent.web.__file__).parent / "static"
AWAY = (*LOST, "404 (Not Found)")


@pytest.fixture(scope="module", autouse=True)
def one_sale(stall: Stall) -> None:
    stall.do("A12", "sell", code="31010001", qty=2)


class Loads:
    """The page's own files that a browser gets: by name the bytes of the text and the bytes on the wire."""

    def __init__(self, page: Page) -> None:
        self.plain: dict[str, int] = {}
        self.wire: dict[str, int] = {}
        self.cached: set[str] = set()
        self._names: dict[str, str] = {}
        line = page.context.new_cdp_session(page)
        line.on("Network.responseReceived", self._answered)
        line.on("Network.dataReceived", self._data)
        line.on("Network.loadingFinished", self._finished)
        line.on("Network.requestServedFromCache", lambda event: self.cached.add(event["requestId"]))
        line.send("Network.enable")
        self._line = line

    def _answered(self, event: dict[str, Any]) -> None:
        path = event["response"]["url"].partition("://")[2].partition("/")[2].partition("?")[0]
        if path == "" or path.startswith("static/"):
            self._names[event["requestId"]] = path.rpartition("/")[2] or "index.html"
            if event["response"].get("fromDiskCache"):
                self.cached.add(event["requestId"])

    def _data(self, event: dict[str, Any]) -> None:
        name = self._names.get(event["requestId"])
        if name is not None and event["requestId"] not in self.cached:
            self.plain[name] = self.plain.get(name, 0) + event["dataLength"]

    def _finished(self, event: dict[str, Any]) -> None:
        name = self._names.get(event["requestId"])
        if name is not None and event["requestId"] not in self.cached:
            self.wire[name] = int(event["encodedDataLength"])


def opened(new_page: NewPage, url: str, **more: Any) -> tuple[Page, Loads]:
    page = new_page("about:blank", **more)
    loads = Loads(page)
    page.goto(url, wait_until="commit")
    expect(page.locator(".tile")).to_have_count(7)
    return page, loads


@pytest.mark.parametrize(("locale", "mine", "other"), [("zh-CN", "zh", "en"), ("en-GB", "en", "zh")])
def test_to_sell_in_one_language_a_phone_loads_less_than_100_kb_unpacked(
    stall: Stall, new_page: NewPage, locale: str, mine: str, other: str, record_property: Any
) -> None:
    page, loads = opened(new_page, stall.url, locale=locale, size=(412, 839), phone=True)
    stall.put_on("1.000")
    page.locator(".tile").first.tap()
    page.locator("button.confirm").first.tap()
    expect(page.locator(".records li").first).to_be_visible()
    assert {"index.html", "app.js", "sell.js", "page.css", f"{mine}.js"} <= set(loads.plain)
    for name in loads.plain:
        if name != "index.html":  # which is served with the version of the files in it
            assert loads.plain[name] == (STATIC / name).stat().st_size, name
    # Neither the other language, nor screens that nobody opened.
    seldom = {"more.css", "work.js", "counter.js", "arrange.js", "person.js", "status.js", "trace.js", "board.js"}
    seldom |= {"maintain.js", "record.js", "customer.js"}
    assert not set(loads.plain) & (seldom | {f"{other}.js", f"{mine}-more.js"})
    total = sum(loads.plain.values())
    print({"locale": locale, "files": len(loads.plain), "plain": total, "wire": sum(loads.wire.values())})
    record_property("count", total)
    assert total < 98_000


def test_all_screens_in_both_languages_are_less_than_100_kb_on_the_wire(
    stall: Stall, new_page: NewPage, record_property: Any
) -> None:
    page, loads = opened(new_page, f"{stall.url}/", size=(1024, 600))
    for screen in ("status", "trace", "board", "maintain", "customer", "stocktake"):
        page.goto(f"{stall.url}/#{screen}", wait_until="commit")
        inside = {"status": ".cards", "board": ".board", "customer": ".customer"}.get(screen, f".{screen}")
        expect(page.locator(inside)).to_be_visible()
    page.goto(f"{stall.url}/#work", wait_until="commit")
    page.locator("select.stall").select_option("B1")
    expect(page.locator(".steps")).to_be_visible()
    page.locator("select.stall").select_option("A12")
    page.locator("#language").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator(".record").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Void")
    page.keyboard.press("Escape")
    page.locator("#settings").click()
    expect(page.get_by_role("dialog")).to_contain_text("Text size")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="preset tare").click()
    expect(page.get_by_role("dialog").locator(".pad")).to_be_visible()
    page.evaluate(
        "(name) => import(name)", page.evaluate("document.querySelector('script').src").replace("app.", "arrange.")
    )
    every = {file.name for file in STATIC.iterdir()}
    assert set(loads.wire) == every, every ^ set(loads.wire)
    total = sum(loads.wire.values())
    print({"files": len(loads.wire), "wire": total, "disk": sum(f.stat().st_size for f in STATIC.iterdir())})
    record_property("count", total)
    assert total < 100_000


def test_a_second_visit_asks_for_nothing_but_the_page_itself(stall: Stall, new_page: NewPage) -> None:
    page, first = opened(new_page, stall.url)
    assert len(first.wire) > 15
    again = page.context.new_page()
    second = Loads(again)
    again.goto(stall.url, wait_until="commit")
    expect(again.locator(".tile")).to_have_count(7)
    assert set(second.wire) == {"index.html"}, second.wire
    assert second.wire["index.html"] < 1_500
    names = again.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    assert set(re.findall(r"/static/([^/]+)/", "\n".join(names))) == {PageFiles().version}


def test_a_screen_that_cannot_be_had_says_so_and_can_be_asked_for_again(stall: Stall, new_page: NewPage) -> None:
    page, _ = opened(new_page, stall.url, expected=AWAY)
    page.route(re.compile(r"/static/\w+/trace\.js"), lambda route: route.abort())
    page.locator(".tabs a", has_text="追溯").click()
    note = page.get_by_role("alert").filter(has_text="没有载入")
    expect(note).to_be_visible()
    expect(page.locator(".tabs a").first).to_be_visible()  # the rest of the page goes on
    with page.expect_event("requestfailed"):
        note.get_by_role("button", name="重试").click()
    expect(note).to_be_visible()
    page.unroute_all()
    note.get_by_role("button", name="重试").click()
    expect(page.locator("#code")).to_be_visible()
    # The same for what lies over a screen.
    page.route(re.compile(r"/static/\w+/record\.js"), lambda route: route.abort())
    page.locator(".tabs a").first.click()
    page.locator(".record").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("没有载入")
    page.unroute_all()
    dialog.get_by_role("button", name="重试").click()
    expect(dialog).to_contain_text("作废")


def test_a_screen_opened_without_a_gateway_comes_by_itself_once_it_is_back(stall: Stall, new_page: NewPage) -> None:
    page, _ = opened(new_page, stall.url, expected=AWAY)
    page.context.set_offline(True)
    page.locator(".tabs a", has_text="公示").click()
    expect(page.get_by_role("alert").filter(has_text="没有载入")).to_be_visible()
    page.locator("#language").click()  # the other language cannot be had either
    expect(page.locator(".toast")).to_contain_text("没有载入")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.context.set_offline(False)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".board")).to_be_visible()


def test_after_an_upgrade_no_module_of_one_edition_meets_one_of_another(
    tmp_path: Path, new_page: NewPage, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent is stopped, its files are replaced, and another begins on the same port, while pages are open."""
    newer = tmp_path / "static"
    shutil.copytree(STATIC, newer)
    words = newer / "zh-more.js"
    words.write_text(
        words.read_text(encoding="utf-8").replace("扫描或输入编码", "新版：扫描或输入编码"), encoding="utf-8"
    )
    (tmp_path / "stall").mkdir()
    stall = Stall(tmp_path / "stall", free_port())
    try:
        before, _ = opened(new_page, stall.url, expected=AWAY)
        typing, _ = opened(new_page, stall.url, expected=AWAY)
        typing.get_by_role("button", name="预置皮重").click()
        old = PageFiles().version
        stall.agent.stop()
        monkeypatch.setattr(edge_agent.web.app, "PageFiles", partial(PageFiles, newer))
        stall.agent = Agent(*prepare(stall.file))
        stall.agent.start()
        new = PageFiles(newer).version
        assert new != old
        # The open page begins anew by itself, as a whole.
        expect(before).to_have_url(f"{stall.url}/?{new}")
        before.locator(".tabs a", has_text="追溯").click()
        expect(before.locator(".trace")).to_contain_text("新版：")
        names = before.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
        assert {each.split("/")[4] for each in names if "/static/" in each} == {new}
        # Where somebody is in the middle of something, it waits until that is done.
        expect(typing.locator(".alarm")).to_be_hidden()
        expect(typing.get_by_role("dialog")).to_be_visible()
        assert typing.url == f"{stall.url}/"
        # Meanwhile nothing of the new edition is mixed in: the old one's modules are no longer served.
        assert typing.evaluate(f"fetch('/static/{old}/trace.js').then((answer) => answer.status)") == 404
        typing.get_by_role("dialog").get_by_role("button", name="关闭").click()
        expect(typing).to_have_url(f"{stall.url}/?{new}")
    finally:
        stall.close()


def test_a_page_that_nobody_touches_asks_for_a_pin_again_after_an_upgrade(
    tmp_path: Path, new_page: NewPage, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent that begins anew knows no session any more: the page finds out by itself, and is the new edition."""
    newer = tmp_path / "static"
    shutil.copytree(STATIC, newer)
    (newer / "app.js").write_bytes((newer / "app.js").read_bytes() + b"\n")
    (tmp_path / "stall").mkdir()
    stall = Stall(tmp_path / "stall", free_port(), web=with_people(tmp_path))
    try:
        page = new_page(stall.url, expected=(*AWAY, "401"))
        page.locator(".sign .reasons button").first.click()
        page.locator("#pin").fill(PINS["operator"])
        page.locator(".sign .confirm").click()
        expect(page.locator(".tile")).to_have_count(7)
        stall.agent.stop()
        monkeypatch.setattr(edge_agent.web.app, "PageFiles", partial(PageFiles, newer))
        stall.agent = Agent(*prepare(stall.file))
        stall.agent.start()
        expect(page.locator("main.gate #pin")).to_be_visible()
        expect(page).to_have_url(f"{stall.url}/?{PageFiles(newer).version}")
    finally:
        stall.close()


def test_the_version_is_of_what_the_files_hold(tmp_path: Path) -> None:
    copy = tmp_path / "static"
    shutil.copytree(STATIC, copy)
    assert PageFiles(copy).version == PageFiles().version
    (copy / "app.js").write_bytes((copy / "app.js").read_bytes() + b"\n")
    assert PageFiles(copy).version != PageFiles().version
