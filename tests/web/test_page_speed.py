"""How soon the page shows what is true: a frame's weight, and the state after a phone has slept. Told, not judged.

`pytest tests/web/test_page_speed.py -s --soak` prints the line that docs/measurements.md quotes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from page_stand import LOST
from playwright.sync_api import Page, expect
from stall import Stall, frame

NewPage = Callable[..., Page]

FRAMES = 200
SLEEPS = 10

WATCH = """
window.seen = {};
new MutationObserver(() => {
  const text = document.querySelector(".value").textContent;
  if (!window.seen[text]) window.seen[text] = performance.timeOrigin + performance.now();
}).observe(document, { subtree: true, childList: true, characterData: true });
window.addEventListener("online", () => { window.awake = performance.timeOrigin + performance.now(); });
"""


def ms_of(values: list[float]) -> dict[str, int]:
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50": round(ordered[len(ordered) // 2]),
        "p95": round(ordered[int(len(ordered) * 0.95)]),
        "max": round(ordered[-1]),
    }


@pytest.mark.soak("how soon a weight is on the page, and the true state after a phone slept")
def test_how_soon_a_weight_is_shown(stall: Stall, new_page: NewPage, record_property: Any) -> None:
    page = new_page(stall.url, expected=LOST)
    expect(page.locator(".value")).to_have_text("0.000")
    page.evaluate(WATCH)
    stall.scale.silent(True)
    written: dict[str, float] = {}
    for number in range(FRAMES):
        text = f"{1 + number / 1000:.3f}"
        written[text] = time.time() * 1000
        stall.scale.write(frame(text))
        page.wait_for_timeout(120)
    expect(page.locator(".value")).to_have_text(text)
    seen = page.evaluate("window.seen")
    frames = [seen[each] - at for each, at in written.items() if each in seen]
    assert len(frames) > FRAMES * 0.9, "frames were not shown"

    stall.scale.silent(False)
    slept: list[float] = []
    for number in range(SLEEPS):
        page.context.set_offline(True)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator(".value")).to_have_text("– –")
        text = f"{4 + number / 10:.3f}"
        stall.put_on(text)
        stall.settle(text)
        page.context.set_offline(False)
        expect(page.locator(".value")).to_have_text(text)
        slept.append(page.evaluate("(text) => window.seen[text] - window.awake", text))
    found = {"frame_to_weight_ms": ms_of(frames), "awake_to_true_ms": ms_of(slept)}
    print(json.dumps(found))
    record_property("count", json.dumps(found))
