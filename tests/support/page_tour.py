"""A tour of the page's screens, looked at as a person would: what is cut off, what sticks out, what axe finds.

With PAGE_SHOTS=FOLDER a picture of each is left there, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page_stand import LOST
from playwright.sync_api import Page, expect
from stall import Stall

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = os.environ.get("PAGE_SHOTS")
SIZES = {
    "kiosk": ((1024, 600), False),
    "pixel": ((412, 839), True),
    "small": ((320, 568), True),
    "wide": ((1920, 1080), False),
}
EVERY = [(locale, size) for size in SIZES for locale in ("zh-CN", "en-GB") if (locale, size) != ("zh-CN", "kiosk")]
"""Languages and sizes beside the one that each run of the tests looks at."""
REFUSALS = (*LOST, "409", "401", "403", "404")
"""What a browser notes in its console where the box answers that something cannot be done."""


@dataclass(frozen=True)
class Screen:
    """A state to look at: how the stall and the page come to it."""

    name: str
    station: str = "A12"
    hash: str = "work"
    stall: Callable[[Stall], Any] | None = None
    page: Callable[[Page], Any] | None = None
    shown: str = "main > *:not(.wait)"


def click(*selectors: str) -> Callable[[Page], Any]:
    def go(page: Page) -> None:
        for selector in selectors:
            page.locator(selector).first.click()

    return go


def visit(page: Page, stall: Stall, screen: Screen, name: str) -> list[str]:
    """Come to a screen, and look at it."""
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("(station) => localStorage.setItem('station', station)", screen.station)
    page.goto(f"{page.url.split('/?')[0].split('/#')[0].rstrip('/')}/?{screen.name}#{screen.hash}", wait_until="commit")
    page.locator("main").wait_for()
    if screen.stall is not None:
        screen.stall(stall)
    if screen.page is not None:
        screen.page(page)
    expect(page.locator(screen.shown).first).to_be_visible(timeout=60_000)
    return look(page, f"{screen.name}-{name}")


def look(page: Page, name: str) -> list[str]:
    """What is wrong to look at: it sticks out sideways, text is cut within a button, or axe finds something serious."""
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")  # it is drawn
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
    if not page.evaluate("() => Boolean(window.axe)"):
        text = AXE.read_text(encoding="utf-8")
        page.add_init_script(text)  # for what is opened from now on
        page.evaluate(text)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    for each in found:
        if each["impact"] in ("serious", "critical"):
            problems += [
                f"axe {each['id']}: {node['html'][:200]} {node['failureSummary'][:200]}" for node in each["nodes"][:3]
            ]
    return [f"{name}: {problem}" for problem in problems]
