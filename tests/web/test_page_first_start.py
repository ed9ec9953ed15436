"""The page where nobody has a PIN: the first start shows how a phone is paired, and the box is whose who sits at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from stall import Stall

NewPage = Callable[..., Page]


@pytest.fixture
def open_stall(tmp_path: Path, free_port: Callable[[], int], request: pytest.FixtureRequest) -> Callable[..., Stall]:
    def make(**more: str) -> Stall:
        made = Stall(tmp_path, free_port(), **more)
        request.addfinalizer(made.close)
        return made

    return make


def test_the_first_start_shows_a_code_and_the_phone_that_brings_it_is_the_supervisors(
    open_stall: Callable[..., Stall], new_page: NewPage, tmp_path: Path
) -> None:
    stall = open_stall(host="0.0.0.0", web=f'pin_file = "{tmp_path}/pins.json"\nnames = ["stall.example"]')
    box = new_page(stall.url, expected=("401",))
    code = box.locator(".gate img.qr")
    expect(code).to_be_visible()
    assert code.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 20
    # The stall works before anybody has a PIN; the code is a tap away.
    box.get_by_role("button", name="先卖货，以后再配对").click()
    stall.take_in("01230101", "20261126-11", 40_000_000)
    stall.put_on("1.230")
    box.locator(".tile", has_text="番茄").click()
    box.get_by_role("button", name="确认销售").click()
    expect(box.locator(".records li").first).to_contain_text("1.230 kg")
    box.get_by_role("button", name="配对手机").click()
    link = box.locator(".gate .note").first.inner_text()
    assert link.endswith(f"#pair={box.locator('.gate .code').inner_text()}")

    phone = new_page(
        f"http://stall.example:{stall.port}/{link[link.index('#') :]}", size=(412, 839), phone=True, expected=("401",)
    )
    phone.locator("#person").fill("01")
    phone.locator("#name").fill("王芳")
    phone.locator("#pin").fill("270318")
    phone.get_by_role("button", name="配对本机").tap()
    expect(phone.locator(".who")).to_contain_text("王芳")
    expect(phone.get_by_role("button", name="排列商品")).to_be_visible()  # a supervisor
    # From now on the box itself asks who is there, without being touched.
    expect(box.locator(".gate .sign")).to_be_visible()
    expect(box.locator(".gate img.qr")).to_have_count(0)


def test_at_a_box_without_pins_its_user_arranges_goods_and_is_told_how_to_get_the_rest(
    open_stall: Callable[..., Stall], new_page: NewPage
) -> None:
    stall = open_stall()
    page = new_page(stall.url)
    expect(page.locator(".gate")).to_have_count(0)
    page.get_by_role("button", name="排列商品").click()
    page.locator(".tile", has_text="苹果").click()
    page.get_by_role("button", name="移到最前").click()
    expect(page.locator(".tile-name").first).to_have_text("苹果")
    page.get_by_role("button", name="完成").click()
    page.goto(f"{stall.url}/#maintain", wait_until="commit")
    expect(page.locator(".maintain .categories button")).to_have_text(["被退回", "设备"])
    expect(page.locator(".part")).to_contain_text("没有被退回的记录")
    expect(page.locator(".maintain")).to_contain_text("pin_file")
