"""Every screen and state in both languages and three sizes: nothing is cut off, and axe finds nothing serious.

With PAGE_SHOTS=FOLDER a picture of each is left there, to be looked at (tests/support/page_look.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from page_tour import EVERY, REFUSALS, SIZES, Screen, click, look, visit
from playwright.sync_api import Page, expect
from stall import PARTY, Stall

NewPage = Callable[..., Page]


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


def choose(name: str, then: str = "") -> Callable[[Page], Any]:
    def tap(page: Page) -> None:
        page.locator(".tile", has_text=name).click()
        expect(page.locator(".line:not(.idle) .name")).to_have_text(name)
        if then:
            expect(page.locator(".amount b")).to_have_text("18.71")
            page.locator(then).click()

    return tap


def on_scale(weight: str) -> Callable[[Stall], Any]:
    def put(stall: Stall) -> None:
        stall.put_on(weight)
        stall.settle(weight)

    return put


RECORD = ".records li:not([data-void]):has(.much-money:not(:empty)) button"


def sold(stall: Stall) -> None:
    on_scale("0.730")(stall)
    stall.do("A12", "goods", code="01230101", name="番茄", price_fen=798, price_per="kg")
    stall.do("A12", "confirm")


def for_a_customer(stall: Stall) -> None:
    on_scale("2.345")(stall)
    stall.do("A12", "goods", code="01230101", name="番茄", price_fen=798, price_per="kg")


def ticket(stall: Stall) -> None:
    stall.do("A12", "ticket")
    sold(stall)
    stall.weigh("0.000")
    stall.settle("0.000")


def held(stall: Stall) -> None:
    ticket(stall)
    stall.do("A12", "ticket", hold=True)


def counted(stall: Stall) -> None:
    stall.do("A12", "stocktake", goods_code="01350101", batch="20261126-31", net_mg=58_200_000)
    on_scale("11.470")(stall)


def lose(page: Page) -> None:
    expect(page.locator(".tile").first).to_be_visible()
    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def complain(page: Page) -> None:
    trace(page)
    page.locator("main .row button").last.click()


def intake(stall: Stall) -> None:
    stall.do("B1", "set", goods_code="01230101", goods_name="番茄", supplier="3706025690123")
    stall.do("B1", "voucher", type="commitment", no="HG2026112600071")
    stall.put_on("40.00", stall.scale2)


def by_hand(page: Page) -> None:
    choose("番茄")(page)
    expect(page.locator("[data-state=stale]")).to_be_visible()
    page.locator(".confirms button:not(.confirm)").click()


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
    Screen("sell-silent", stall=lambda stall: stall.scale.silent(True), shown="[data-state=stale]"),
    Screen("sell-captured", stall=sold, shown="[data-state=captured]"),
    Screen("sell-crates", stall=lambda stall: stall.do("A12", "tare", crate="blue", count=2), shown=".tared"),
    Screen("sell-round-off", stall=on_scale("2.345"), page=choose("番茄", ".amount"), shown=".amount s"),
    Screen("sell-ticket", stall=ticket, shown=".ticket .sum"),
    Screen("sell-held", stall=held, page=click(".line .row button:nth-child(2)"), shown=".sheet .reasons"),
    Screen("sell-pay", stall=ticket, page=click(".ticket .strong"), shown=".sheet .typed"),
    Screen("sell-search", page=lambda page: page.locator("#search").fill("b"), shown=".tile"),
    Screen("sell-nothing-found", page=lambda page: page.locator("#search").fill("xyz"), shown=".goods .note"),
    Screen("sell-stopped", stall=on_scale("2.345"), page=click(".tile[data-stopped]", ".confirm"), shown=".blocked"),
    Screen("sell-not-goods", stall=lambda stall: stall.scan("http://example.com/"), shown=".idle .paid.warn"),
    Screen("sell-letters", page=click(".letters"), shown=".letter-keys"),
    Screen("sell-tare", page=click(".scale-keys button:nth-of-type(3)"), shown=".pad"),
    Screen("sell-by-hand", stall=lambda stall: stall.scale.silent(True), page=by_hand, shown=".sheet .pad"),
    Screen("sell-record", page=click(".records button"), shown=".sheet .facts"),
    Screen("sell-void", page=click(".last .row button:last-child"), shown=".sheet .reasons"),
    Screen("sell-amend", page=click(RECORD, ".sheet .row button:nth-child(2)"), shown=".sheet .reasons"),
    Screen("sell-return", page=click(RECORD, ".sheet .row button:nth-child(3)"), shown=".sheet .reasons"),
    Screen("sell-price", stall=on_scale("2.345"), page=choose("番茄", ".price"), shown=".sheet .typed"),
    Screen("sell-slip", page=click(RECORD, ".slips button:nth-child(2)"), shown=".sheet .slip"),
    Screen("sell-refused", page=click(RECORD, ".slips button:nth-child(1)"), shown=".toast"),
    Screen("sell-lost", page=lose, shown=".alarm:not([hidden])"),
    Screen("sell-settings", page=click("#settings"), shown=".sheet"),
    Screen("customer", hash="customer", stall=for_a_customer, shown=".customer .big"),
    Screen("customer-idle", hash="customer", shown=".customer"),
    Screen("status", hash="status"),
    Screen("trace-empty", hash="trace"),
    Screen("trace", hash="trace", page=trace, shown=".node"),
    Screen("trace-complaint", hash="trace", page=complain, shown=".sheet textarea"),
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
    Screen("stocktake", hash="stocktake", stall=counted, shown=".stocktake .confirm"),
    Screen("log", station="G1", shown=".steps"),
)


@pytest.mark.parametrize(("locale", "size"), [("zh-CN", "kiosk")])
def test_every_screen(stall: Stall, new_page: NewPage, locale: str, size: str) -> None:
    tour(stall, new_page, locale, size)


@pytest.mark.soak("every screen of the page in each language and size")
@pytest.mark.parametrize(("locale", "size"), EVERY)
def test_every_screen_in_each_size(stall: Stall, new_page: NewPage, locale: str, size: str) -> None:
    tour(stall, new_page, locale, size)


def tour(stall: Stall, new_page: NewPage, locale: str, size: str) -> None:
    page = new_page(stall.url, locale=locale, size=SIZES[size][0], phone=SIZES[size][1], expected=REFUSALS)
    stall.do("C1", "batch", batch="20261125-03")
    stall.do("C1", "item", project="农药残留", value="1.2", result="fail")
    stall.do("C1", "confirm")
    expect(page.locator(".blocked")).to_be_visible()
    problems = look(page, f"blocked-{size}-{locale}")
    page.locator(".blocked .confirm").click()
    expect(page.locator(".blocked")).to_have_count(0)
    for screen in SCREENS:
        page.context.set_offline(False)
        stall.scale.silent(False)
        stall.do("A12", "clear")
        if stall.agent.views()["A12"].detail.get("ticket"):
            stall.do("A12", "ticket", hold=True)
        stall.weigh("0.000")
        stall.settle("0.000")
        problems += visit(page, stall, screen, f"{size}-{locale}")
    assert not problems, "\n".join(problems)
