"""200 hostile texts as codes, goods, batches and reasons: no script runs, nothing leaves the screen's width."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from playwright.sync_api import Page, expect
from stall import Stall

NewPage = Callable[..., Page]

_RUN = "window.hit=1"
_SEEDS = (
    f"<script>{_RUN}</script>",
    f"<img src=x onerror={_RUN}>",
    f'"><svg onload={_RUN}>',
    f"' onmouseover='{_RUN}' x='",
    f"javascript:{_RUN}",
    "</title><h1>no</h1>",
    "{{constructor.constructor('window.hit=1')()}}",
    "${window.hit=1}",
    "<style>*{display:none}</style>",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "<base href='//evil.example/'>",
    "&lt;b&gt;&#x3C;script&#x3E;",
    "\u202egnp.exe\u202c",
    "a\u0000b\u001dc\u0007",
    "\ufeff\u200b\u2066x\u2069",
    "Z\u0361\u0489\u035c" * 30,
    "W" * 300,
    "批" * 200,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20,
    "'; DROP TABLE records; --",
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "%00%0d%0aSet-Cookie: x=1",
    "\u0627\u0644\u0633\u0644\u0627\u0645",
)
_FRAMES = ("{}", "x{}", "{} 番茄", "({})", "{0}{0}", "1 {}", "é{}", "{}\n{}")
HOSTILE = [frame.format(seed, seed)[:400] for seed, frame in itertools.product(_SEEDS, _FRAMES)]


def fine(page: Page, at: str) -> None:
    assert page.evaluate("window.hit") is None, at
    assert page.locator("img, iframe, base, style, object, embed").count() == 0, at
    assert page.locator("script").count() == 1, at  # the page's own
    wider = "document.documentElement.scrollWidth - window.innerWidth"
    assert page.evaluate(wider) <= 0, at


def test_hostile_texts_stay_texts(stall: Stall, new_page: NewPage) -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) == 200
    page = new_page(stall.url)
    phone = new_page(stall.url, size=(320, 568), phone=True, locale="en-GB")
    expect(page.locator(".tile")).to_have_count(7)
    stall.put_on("1.000")
    stall.settle("1.000")
    for number, text in enumerate(HOSTILE):
        # As goods by name and code; as a scanned code; as what a reason or a batch says in the list of records.
        name = "".join(c if c >= " " else "?" for c in text)
        stall.do("A12", "goods", code=f"G{number}", name=name[:100], price_fen=100 + number)
        if number % 4 == 0:
            for each in (page, phone):  # it is drawn
                expect(each.locator(".line .price")).to_contain_text(f"{1 + number / 100:.2f}")
            fine(page, f"goods {text!r}")
            fine(phone, f"goods on a phone {text!r}")
        stall.agent.command("A12", "scan", {"text": text})
        if number % 4 == 1:
            fine(page, f"scan {text!r}")
    for number, text in enumerate(HOSTILE[::10]):
        name = "".join(c if c >= " " else "?" for c in text)[:60]
        stall.do("A12", "goods", code=f"H{number}", name=name, price_fen=100, price_per="each")
        kept = stall.do("A12", "confirm", qty=1, batch=name[:30].strip() or "b").kept
        stall.agent.correct("void", kept[0]["id"], reason=text, operator="<b>03</b>", details={})
    for each in (page, phone):
        expect(each.locator(".records li")).to_have_count(20)  # the newest
    fine(page, "records")
    fine(phone, "records on a phone")
    for each in range(10):
        page.locator(".records button").nth(each).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        fine(page, f"record {each}")
        page.keyboard.press("Escape")
    page.goto(f"{stall.url}/#trace", wait_until="commit")
    for text in HOSTILE[::25]:
        page.locator("#code").fill(text.replace("\n", " "))
        with page.expect_response(lambda answer: "/api/trace" in answer.url):
            page.locator(".find button").click()
        page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        fine(page, f"trace {text!r}")
