"""A market day on the page, by a name on the LAN and with PINs: a real broker, the city, a network that goes.

One story, told in order: each part begins where the one before it left the stall.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from page_stand import LOST, Stand, enter_pin, sign_in, stand
from playwright.sync_api import Page, expect

from edge_agent.web.setup import lan_address

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("market")
    web = 'names = ["stall.example"]'
    with stand(folder, port, reject=["type=trace.return.v1:once"], web=web, host="0.0.0.0") as made:
        made.stall.take_in("01230101", "20261126-11", 40_000_000)
        made.stall.take_in("01210102", "20261125-03", 12_000_000)
        yield made


def sell(page: Page, market: Stand, weight: str, name: str = "番茄") -> None:
    market.stall.put_on(weight)
    page.locator(".tile", has=page.locator(".tile-name", has_text=name)).click()
    page.get_by_role("button", name="确认销售").click()
    expect(page.locator(".records li").first).to_contain_text(f"{weight} kg")


def mark(page: Page, weight: str) -> object:
    return page.locator(".records li", has_text=f"{weight} kg").first.locator(".mark")


def test_a_day(market: Stand, new_page: NewPage) -> None:
    stall = market.stall
    refused = ("401", "429", "409", "403", *LOST)
    url = f"http://stall.example:{stall.port}"
    page = new_page(url, size=(412, 839), phone=True, expected=refused)

    # Nobody works without a PIN; it travels in clear here, and the page says so.
    expect(page.locator(".gate")).to_be_visible()
    if lan_address() != "127.0.0.1":
        expect(page.locator(".gate")).to_contain_text("PIN 会以明文传送")
    enter_pin(page, "03", "999999")
    expect(page.locator(".toast")).to_contain_text("PIN 不对")
    sign_in(page, "03")

    # Sold, sent, and delivered only when the platform has said so.
    sell(page, market, "2.345")
    expect(mark(page, "2.345")).to_have_text("✓✓")
    assert stall.kept("sale")[-1]["data"]["operator"] == "03"
    expect(page.locator(".link")).to_contain_text("在线")

    # The network goes: selling goes on, what is saved is saved, and nothing is called delivered.
    market.network.block()
    expect(page.locator(".link")).not_to_contain_text("在线")
    sell(page, market, "1.110")
    sell(page, market, "1.120")
    expect(mark(page, "1.120")).to_have_text(re.compile("^[✓↑]$"))
    expect(page.locator(".link b")).to_have_text(re.compile("待确认 [2-9]"))
    market.network.unblock()
    expect(mark(page, "1.110")).to_have_text("✓✓")
    expect(mark(page, "1.120")).to_have_text("✓✓")
    assert market.network.counters["block"] >= 1

    # What the platform refuses is seen, with its reason, and a supervisor can send it again.
    page.locator(".records li", has_text="1.120 kg").first.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="退货", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="顾客退货").click()
    back = page.locator(".records li", has_text="退货").first
    expect(back.locator(".mark")).to_have_text("!")
    back.get_by_role("button").click()
    expect(page.get_by_role("dialog").locator("[data-mark=refused]")).to_contain_text("平台退回")
    page.keyboard.press("Escape")
    expect(page.locator(".chip.refused")).to_contain_text("被退回 1")

    # A failed inspection, on a supervisor's screen, stops the sale on every screen of the stall.
    office = new_page(url, expected=refused)
    sign_in(office, "05")
    office.locator("select.stall").select_option("C1")
    office.locator("#f-batch").fill("20261125-03")
    office.locator("#f-batch").blur()
    office.get_by_role("button", name="农药残留").click()
    office.get_by_role("button", name="✕ 不合格").click()
    expect(office.locator(".paid.warn")).to_contain_text("立即停售")
    office.get_by_role("button", name="确认检测结果").click()
    stop = page.locator(".blocked")
    expect(stop).to_contain_text("20261125-03")
    expect(stop).to_contain_text("检测不合格：农药残留")
    expect(stop).to_contain_text("12.0 kg")  # 账面
    stop.get_by_role("button", name="已下架，确认").click()
    expect(stop).to_have_count(0)
    assert stall.kept("confirmation")
    stall.put_on("0.640")
    page.locator(".tile", has=page.locator(".tile-name", has_text="菠菜")).click()
    before = len(stall.kept("sale"))
    page.locator("button.confirm").click()
    expect(stop).to_contain_text("菠菜")
    stop.get_by_role("button", name="返回").click()
    assert len(stall.kept("sale")) == before
    assert stall.kept("recall_hit")
    page.get_by_role("button", name="清空").click()

    # The supervisor sends the refused one again; this time the platform takes it.
    expect(office.locator(".blocked")).to_have_count(0)  # one confirmation is enough for all screens
    office.goto(f"{url}/#maintain", wait_until="commit")
    office.locator(".tall li", has_text="退货").get_by_role("button", name="重发").click()
    expect(back.locator(".mark")).to_have_text("✓✓")
    expect(page.locator(".chip.refused")).to_have_count(0)

    # A void, with its reason.
    page.locator(".records li", has_text="1.110 kg").first.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="作废", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="称错").click()
    expect(page.locator(".records li[data-void]", has_text="1.110 kg")).to_be_visible()

    # Where it came from and where it went, offline: the chain is drawn from this box alone.
    page.goto(f"{url}/#trace", wait_until="commit")
    page.locator("#code").fill(stall.kept("sale")[0]["id"])
    page.locator(".find button").tap()
    expect(page.locator(".node", has_text="20261126-11").first).to_be_visible()
    page.get_by_role("button", name="记录投诉").tap()
    page.get_by_role("dialog").locator("textarea").fill("不新鲜")
    page.get_by_role("dialog").get_by_role("button", name="确定").tap()
    expect(page.locator(".node[data-kind=complaint]")).to_be_visible()
    page.locator(".tabs a").first.tap()

    # Hand-over: from now on the sales are the other one's.
    page.locator(".who").click()
    sign_in(page, "05")
    sell(page, market, "0.980")
    assert stall.kept("sale")[-1]["data"]["operator"] == "05"

    # A phone that lost the box shows nothing old as true, and is true again by itself.
    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # it slept, and wakes without a network
    expect(page.locator(".alarm")).to_contain_text("与网关失去连接")
    expect(page.locator(".value")).to_have_text("– –")
    expect(page.locator("button.confirm")).to_have_count(0)
    stall.put_on("4.440")
    page.context.set_offline(False)
    expect(page.locator(".value")).to_have_text("4.440")
    expect(page.locator(".alarm")).to_be_hidden()

    # And the cable is pulled.
    stall.scale.unplug()
    expect(page.locator(".state .word")).to_have_text("秤未连接")
    expect(page.locator(".value")).to_have_text("– –")
    page.goto(f"{url}/#status", wait_until="commit")
    expect(page.locator(".devices li", has_text="scale-1")).to_contain_text("已断开")
    assert market.city.stats.chain_ok
