"""Every screen and state in both languages and three sizes: nothing is cut off, and axe finds nothing serious.

With PAGE_SHOTS=FOLDER a picture of each is left there, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from stall import PARTY, Stall

NewPage = Callable[..., Page]

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = os.environ.get("PAGE_SHOTS")
PIN = "270318"

SIZES = {"kiosk": ((1024, 600), False), "pixel": ((412, 839), True), "small": ((320, 568), True)}


@pytest.fixture(scope="module", autouse=True)
def morning(stall: Stall) -> None:
    """What a stall has behind it at ten o'clock."""
    for goods, batch, kilos in (
        ("01230101", "20261126-11", 40),
        ("01210101", "20261126-01", 80),
        ("01350101", "20261126-31", 60),
        ("01350101", "20261126-32", 60),
        ("01210102", "20261125-03", 12),
    ):
        stall.take_in(
            goods,
            batch,
            kilos * 1_000_000,
            origin_name="山东寿光",
            vouchers=[{"type": "commitment", "no": f"HG{batch}"}],
        )
    for weight, goods, name, price, per in (
        ("2.345", "01230101", "番茄", 798, "kg"),
        ("1.200", "01210101", "大白菜", 280, "500g"),
        ("0.850", "01230101", "番茄", 798, "kg"),
    ):
        stall.put_on(weight)
        stall.settle(weight)
        stall.do("A12", "goods", code=goods, name=name, price_fen=price, price_per=per)
        stall.do("A12", "confirm")
    stall.agent.correct("void", stall.kept("sale")[-1]["id"], reason="称错", operator="03", details={})
    stall.weigh("0.000")


@dataclass(frozen=True)
class Screen:
    """A state to look at: how the stall and the page come to it."""

    name: str
    station: str = "A12"
    hash: str = "work"
    stall: Callable[[Stall], Any] | None = None
    page: Callable[[Page], Any] | None = None
    shown: str = "main > *:not(.wait)"


def choose(name: str) -> Callable[[Page], Any]:
    def tap(page: Page) -> None:
        page.locator(".tile", has_text=name).click()
        expect(page.locator(".line:not(.idle) .name")).to_have_text(name)

    return tap


def on_scale(weight: str) -> Callable[[Stall], Any]:
    def put(stall: Stall) -> None:
        stall.put_on(weight)
        stall.settle(weight)

    return put


def click(*selectors: str) -> Callable[[Page], Any]:
    def go(page: Page) -> None:
        for selector in selectors:
            page.locator(selector).first.click()

    return go


def intake(stall: Stall) -> None:
    stall.do("B1", "set", goods_code="01230101", goods_name="番茄", supplier="3706025690123")
    stall.do("B1", "voucher", type="commitment", no="HG2026112600071")
    stall.put_on("40.00", stall.scale2)


def trace(page: Page) -> None:
    page.locator("#code").fill("20261126-11")
    page.locator(".find button").click()
    expect(page.locator(".node").first).to_be_visible()


SCREENS = (
    Screen("sell-idle"),
    Screen("sell-weight", stall=on_scale("2.345")),
    Screen("sell-ready", stall=on_scale("2.345"), page=choose("番茄"), shown=".confirm"),
    Screen("sell-batches", stall=on_scale("1.350"), page=choose("苹果"), shown=".of-batch"),
    Screen("sell-piece", page=choose("鸡蛋"), shown=".pieces"),
    Screen("sell-no-batch", stall=on_scale("3.005"), page=choose("土豆"), shown=".chip.warn"),
    Screen("sell-moving", stall=lambda stall: stall.moving("1.870"), page=choose("番茄"), shown="[data-state=moving]"),
    Screen("sell-overload", stall=lambda stall: stall.overload(), shown="[data-state=overload]"),
    Screen("sell-underload", stall=lambda stall: stall.weigh("-0.250"), shown="[data-state=underload]"),
    Screen("sell-letters", page=click(".letters"), shown=".letter-keys"),
    Screen("sell-tare", page=click(".scale-keys button"), shown=".pad"),
    Screen("sell-record", page=click(".records button"), shown=".sheet .facts"),
    Screen("sell-void", page=click(".last .row button:last-child"), shown=".sheet .reasons"),
    Screen("sell-settings", page=click("#settings"), shown=".sheet"),
    Screen("customer", hash="customer", stall=on_scale("2.345"), shown=".customer"),
    Screen("status", hash="status"),
    Screen("trace-empty", hash="trace"),
    Screen("trace", hash="trace", page=trace, shown=".node"),
    Screen("board", hash="board", shown=".board"),
    Screen("maintain", hash="maintain"),
    Screen("intake", station="B1", stall=intake, shown=".steps"),
    Screen(
        "inspection", station="C1", stall=lambda stall: stall.do("C1", "batch", batch="20261126-11"), shown=".steps"
    ),
    Screen(
        "transfer",
        station="D1",
        stall=lambda stall: stall.do("D1", "set", direction="out", to_party=PARTY),
        shown=".steps",
    ),
    Screen("filling", station="E1", stall=lambda stall: stall.do("E1", "cylinder", code="QP-0001"), shown=".steps"),
    Screen("transform", station="F1", shown=".steps"),
)


def look(page: Page, name: str) -> list[str]:
    """What is wrong to look at: it sticks out sideways, text is cut within a button, or axe finds something serious."""
    page.wait_for_timeout(120)
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")
    problems = []
    if page.evaluate("document.documentElement.scrollWidth - window.innerWidth") > 0:
        problems.append("the page is wider than the screen")
    wide = page.evaluate(
        """() => [].filter.call(document.querySelectorAll("button, .button, h1, h2, .chip, .word"), (node) => {
             const box = node.getBoundingClientRect();
             return box.width && (box.right > innerWidth + 1 || box.left < -1
                 || node.scrollWidth > node.clientWidth + 2)
               && !node.closest(".chain, .categories") && getComputedStyle(node).textOverflow !== "ellipsis"
               && getComputedStyle(node).display !== "inline";
           }).map((node) => `${node.tagName}.${node.className}: ${node.textContent}`)"""
    )
    problems += [f"cut off: {each}" for each in wide]
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    for each in found:
        if each["impact"] in ("serious", "critical"):
            problems += [
                f"axe {each['id']}: {node['html'][:200]} {node['failureSummary'][:200]}" for node in each["nodes"][:3]
            ]
    return [f"{name}: {problem}" for problem in problems]


@pytest.mark.parametrize(("locale", "size"), [("zh-CN", "kiosk")])
def test_every_screen(stall: Stall, new_page: NewPage, locale: str, size: str) -> None:
    tour(stall, new_page, locale, size)


@pytest.mark.soak("every screen of the page in each language and size")
@pytest.mark.parametrize(
    ("locale", "size"),
    [("en-GB", "small"), ("en-GB", "kiosk"), ("zh-CN", "small"), ("zh-CN", "pixel"), ("en-GB", "pixel")],
)
def test_every_screen_in_each_size(stall: Stall, new_page: NewPage, locale: str, size: str) -> None:
    tour(stall, new_page, locale, size)


def tour(stall: Stall, new_page: NewPage, locale: str, size: str) -> None:
    viewport, phone = SIZES[size]
    page = new_page(stall.url, locale=locale, size=viewport, phone=phone)
    page.set_default_timeout(20_000)
    stall.do("C1", "batch", batch="20261125-03")
    stall.do("C1", "item", project="农药残留", value="1.2", result="fail")
    stall.do("C1", "confirm")
    expect(page.locator(".blocked")).to_be_visible()
    problems = look(page, f"blocked-{size}-{locale}")
    page.locator(".blocked .confirm").click()
    expect(page.locator(".blocked")).to_have_count(0)
    for screen in SCREENS:
        stall.do("A12", "clear")
        stall.weigh("0.000")
        stall.settle("0.000")
        page.evaluate("(station) => localStorage.setItem('station', station)", screen.station)
        page.goto(f"{stall.url}/?{screen.name}#{screen.hash}", wait_until="commit")
        page.locator("main").wait_for()
        if screen.stall is not None:
            screen.stall(stall)
        if screen.page is not None:
            screen.page(page)
        expect(page.locator(screen.shown).first).to_be_visible()
        problems += look(page, f"{screen.name}-{size}-{locale}")
    assert not problems, "\n".join(problems)
