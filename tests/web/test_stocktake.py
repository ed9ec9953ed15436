"""Stocktaking on the page, batch after batch, with scale, scanner and by hand; on two screens of one stall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from stall import GTIN, Stall

NewPage = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def morning(stall: Stall) -> None:
    for goods, batch, kilos in (
        ("01230101", "20261126-11", 40),
        ("01210101", "20261126-01", 80),
        ("01350101", "20261126-31", 60),
    ):
        stall.take_in(goods, batch, kilos * 1_000_000)
    stall.take_in("31010001", "20261126-77", 0, qty=300)


def batch_row(page: Page, batch: str) -> Locator:
    return page.locator(".stocktake .lines li", has_text=batch)


def last(stall: Stall) -> dict[str, Any]:
    return dict(stall.kept("stocktake")[-1]["data"])


def test_what_is_there_beside_what_the_books_say(stall: Stall, new_page: NewPage) -> None:
    page = new_page(f"{stall.url}/#stocktake")
    other = new_page(f"{stall.url}/#stocktake", size=(412, 839), phone=True)
    expect(page.locator(".big")).to_have_text("0 / 4")

    # A scan of the batch number finds the batch; what lies on the scale is what there is.
    stall.put_on("38.500")
    page.locator("#search").fill("20261126-11")
    page.locator("#search").press("Enter")
    expect(page.locator(".step h2")).to_have_text("番茄 20261126-11")
    page.get_by_role("button", name="记录盘点 38.500 kg").click()
    expect(batch_row(page, "20261126-11")).to_contain_text("−1.500")
    assert (last(stall)["net_mg"], last(stall)["book_mg"], last(stall)["batch"]) == (
        38_500_000,
        40_000_000,
        "20261126-11",
    )
    expect(other.locator(".big")).to_have_text("1 / 4")  # the other screen has it, too

    # The next one that was not counted is up; more than in the books is told with its sign; typed instead of weighed.
    expect(page.locator(".step h2")).not_to_have_text("番茄 20261126-11")
    batch_row(page, "20261126-01").get_by_role("button").click()
    page.locator("#counted").fill("80.25")
    page.get_by_role("button", name="记录盘点 80.25 kg").click()
    expect(batch_row(page, "20261126-01")).to_contain_text("+0.250")

    # Pieces are typed: a weight is no number of eggs.
    batch_row(page, "20261126-77").get_by_role("button").click()
    expect(page.locator(".stocktake .confirm")).to_be_disabled()
    page.locator("#counted").fill("288")
    page.locator("#counted").press("Enter")
    expect(batch_row(page, "20261126-77")).to_contain_text("−12")
    assert (last(stall)["qty"], last(stall)["book_qty"]) == (288, 300)

    # Nothing left at all is 0, and the batch stays in the list.
    page.locator("#counted").fill("0")
    page.get_by_role("button", name="记录盘点 0 kg").click()
    expect(page.locator(".big")).to_have_text("4 / 4")
    expect(batch_row(page, "20261126-31")).to_contain_text("−60.000")
    expect(page.locator(".stocktake [role=status] .note")).to_have_text("全部盘完")

    # It is all still there after the page was opened anew.
    page.reload(wait_until="commit")
    expect(page.locator(".big")).to_have_text("4 / 4")
    expect(batch_row(page, "20261126-11")).to_contain_text("−1.500")


def test_a_scan_finds_the_batch_and_a_strange_one_says_so(
    stall: Stall, new_page: NewPage, wedge: Callable[..., None]
) -> None:
    stall.take_in("01350101", "20261126-32", 25_000_000)
    page = new_page(f"{stall.url}/#stocktake")
    expect(batch_row(page, "20261126-32")).to_be_visible()
    batch_row(page, "20261126-01").get_by_role("button").click()
    wedge(page, GTIN)  # the article number of 苹果
    expect(page.locator(".step h2")).to_have_text("苹果 20261126-32")
    wedge(page, "20261126-99")
    expect(page.locator(".paid.warn")).to_contain_text("没有这批货： 20261126-99")
    expect(page.locator(".stocktake .step")).to_have_count(0)
    assert stall.agent.views()["A12"].detail.get("goods_code") is None  # no sale was begun by counting


def test_what_another_station_counted_is_no_batch_of_this_stall(stall: Stall, new_page: NewPage) -> None:
    stall.do("B1", "stocktake", goods_code="01210102", batch="OF-ANOTHER-1", net_mg=4_000_000)
    stall.do("A12", "stocktake", goods_code="01210102", batch="OF-THIS-1", net_mg=0)
    page = new_page(f"{stall.url}/#stocktake")
    expect(batch_row(page, "OF-THIS-1")).to_be_visible()
    expect(batch_row(page, "OF-ANOTHER-1")).to_have_count(0)


def test_what_cannot_be_sold_any_more_is_a_loss_with_its_reason(stall: Stall, new_page: NewPage) -> None:
    stall.take_in("01220101", "20261126-41", 30_000_000)
    page = new_page(f"{stall.url}/#stocktake", locale="en-GB")
    batch_row(page, "20261126-41").get_by_role("button").click()
    page.locator("#counted").fill("2.5")
    page.get_by_label("reason").fill("发芽")
    page.get_by_role("button", name="Record loss").click()
    expect(batch_row(page, "20261126-41")).to_contain_text("27.500")
    loss = stall.kept("loss")[-1]["data"]
    assert (loss["net_mg"], loss["cause"], loss["reason"], loss["batch"]) == (
        2_500_000,
        "spoiled",
        "发芽",
        "20261126-41",
    )
