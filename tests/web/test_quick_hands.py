"""An operator who is quicker than the network: what was tapped last is what counts, and nothing is refused for haste.

The page's requests and what it is told are held up on purpose, the first ones longest, so that each overtakes the one
before it wherever nothing keeps them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from stall import Stall

NewPage = Callable[..., Page]

# The first order of a kind arrives 600 ms late; what the gateway tells, 300 ms late. `held` counts the orders held up.
SLOW = """
window.held = 0;
const real = window.fetch;
window.fetch = (path, request) => {
  const wait = /stations\\/A12\\/goods/.test(path) && !window.held ? 600 : 0;
  if (wait) window.held += 1;
  return new Promise((go) => setTimeout(go, wait)).then(() => real(path, request));
};
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, take) {
  listen.call(this, name, (event) => (name === "station" ? setTimeout(take, 300, event) : take(event)));
};
"""


@pytest.fixture(scope="module", autouse=True)
def batches(stall: Stall) -> None:
    stall.take_in("01230101", "20261126-11", 40_000_000)
    stall.take_in("01220101", "20261126-21", 40_000_000)


@pytest.fixture
def page(new_page: NewPage, stall: Stall) -> Iterator[Page]:
    stall.do("A12", "clear")
    stall.weigh("0.000")
    opened = new_page("about:blank")
    opened.add_init_script(SLOW)
    opened.goto(stall.url, wait_until="commit")
    expect(opened.locator(".tile")).to_have_count(7)
    yield opened
    assert opened.evaluate("window.held") > 0, "nothing was held up: the race was not provoked"


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.locator(".tile-name", has_text=name))


def put_on(page: Page, stall: Stall, text: str) -> None:
    stall.put_on(text)
    expect(page.locator(".value")).to_have_text(text)
    expect(page.locator(".state .word")).to_have_text("稳定")


def last(stall: Stall, before: int, **facts: object) -> None:
    sales = stall.kept("sale")
    assert len(sales) == before + 1
    assert {name: sales[-1]["data"][name] for name in facts} == facts


def test_a_price_set_right_after_the_tap_is_the_price_of_those_goods(page: Page, stall: Stall) -> None:
    before = len(stall.kept("sale"))
    put_on(page, stall, "1.000")
    tile(page, "番茄").click()
    page.locator("button.price").click()  # before the station has heard of the goods
    pad = page.locator(".pad")
    for name in ("9", ".", "5"):
        pad.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="确定").click()
    expect(page.locator(".amount b")).to_have_text("9.50")
    page.locator("button.confirm").first.click()
    expect(page.locator(".toast")).to_contain_text("9.50")
    last(stall, before, goods_code="01230101", price_fen=950, amount_fen=950)


def test_a_confirmation_right_after_the_tap_sells_what_was_tapped(page: Page, stall: Stall) -> None:
    before = len(stall.kept("sale"))
    put_on(page, stall, "2.000")
    tile(page, "番茄").click()
    page.locator("button.confirm").first.click()
    expect(page.locator(".toast")).to_contain_text("已保存 番茄 2.000 kg")
    last(stall, before, goods_code="01230101", batch="20261126-11", amount_fen=1596)


def test_who_corrects_the_goods_and_confirms_at_once_sells_the_second(page: Page, stall: Stall) -> None:
    before = len(stall.kept("sale"))
    put_on(page, stall, "0.500")
    tile(page, "番茄").click()
    tile(page, "土豆").click()
    page.locator("button.confirm").first.click()
    expect(page.locator(".toast")).to_contain_text("已保存 土豆 0.500 kg")
    last(stall, before, goods_code="01220101", batch="20261126-21", price_fen=360)


def test_goods_by_the_piece_confirmed_at_once(page: Page, stall: Stall) -> None:
    before = len(stall.kept("sale"))
    tile(page, "番茄").click()
    tile(page, "鸡蛋").click()
    page.get_by_label("+1").click()
    page.locator("button.confirm").first.click()
    expect(page.locator(".toast")).to_contain_text("已保存 鸡蛋 2 件")
    last(stall, before, goods_code="31010001", qty=2, amount_fen=240)


def test_rounding_off_is_for_the_amount_that_was_seen(page: Page, stall: Stall) -> None:
    """Rounded off for one customer's tomatoes; then other goods are scanned: their amount is not that one."""
    before = len(stall.kept("sale"))
    put_on(page, stall, "2.345")
    tile(page, "番茄").click()
    amount = page.locator("button.amount")
    expect(amount.locator("b")).to_have_text("18.71")
    amount.click()
    expect(amount.locator("b")).to_have_text("18.70")
    stall.do("A12", "goods", code="21113001", name="猪前腿肉", price_fen=2600, price_per="kg")  # by another page
    expect(amount.locator("b")).to_have_text("60.97")
    page.locator("button.confirm").first.click()
    expect(page.locator(".toast")).to_contain_text("60.97")
    last(stall, before, goods_code="21113001", amount_fen=6097)
