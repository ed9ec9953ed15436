"""The counter in real Chromium: weighing, choosing, one confirmation, and what goes wrong at a stall."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from stall import GTIN, Stall

NewPage = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def batches(stall: Stall) -> None:
    stall.take_in("01230101", "20261126-11", 40_000_000)
    stall.take_in("01350101", "20261126-31", 60_000_000)
    stall.take_in("01350101", "20261126-32", 60_000_000)


@pytest.fixture
def page(new_page: NewPage, stall: Stall) -> Iterator[Page]:
    stall.do("A12", "clear")
    stall.weigh("0.000")
    yield (opened := new_page(stall.url))
    expect(opened.locator("main")).to_be_visible()


class Taps:
    """Counts what a finger does."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, what: Locator) -> None:
        what.click()
        self.count += 1


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.locator(".tile-name", has_text=name))


def word(page: Page) -> Locator:
    return page.locator(".state .word")


def sales(stall: Stall) -> int:
    return len(stall.kept("sale"))


def confirm(page: Page) -> Locator:
    return page.locator("button.confirm").first


def last(stall: Stall, **facts: object) -> None:
    data = stall.kept("sale")[-1]["data"]
    assert {name: data[name] for name in facts} == facts


def test_a_sale_is_two_taps_with_its_batch(page: Page, stall: Stall) -> None:
    before, taps = sales(stall), Taps()
    stall.put_on("2.345")
    expect(page.locator(".value")).to_have_text("2.345")
    expect(word(page)).to_have_text("稳定")
    expect(page.locator(".legal")).to_have_text("以秤面示值为准")
    expect(confirm(page)).to_have_count(0)  # a weight alone is no sale
    taps(tile(page, "番茄"))
    expect(page.locator(".amount b")).to_have_text("18.71")
    expect(page.locator(".chip.batch")).to_contain_text("20261126-11")
    expect(confirm(page)).to_have_text("确认销售")
    taps(confirm(page))
    expect(page.locator(".toast")).to_contain_text("已保存 番茄 2.345 kg")
    assert sales(stall) == before + 1  # the page says saved only after COMMIT
    last(stall, goods_code="01230101", batch="20261126-11", net_mg=2_345_000, amount_fen=1871, operator="03")
    expect(page.locator(".prompt")).to_be_visible()  # the goods are cleared for the next customer
    newest = page.locator(".records li").first
    expect(newest).to_contain_text("番茄 2.345 kg")
    expect(newest.locator(".mark")).to_have_text("✓")
    assert taps.count == 2


def test_a_choice_of_batches_is_part_of_the_second_tap(page: Page, stall: Stall) -> None:
    before, taps = sales(stall), Taps()
    stall.put_on("1.000")
    expect(word(page)).to_have_text("稳定")
    taps(tile(page, "苹果"))
    offered = page.locator(".of-batch")
    expect(offered).to_have_count(2)
    expect(offered.first).to_contain_text("20261126-31")  # the oldest first
    taps(offered.nth(1))
    expect(page.locator(".toast")).to_contain_text("已保存")
    assert sales(stall) == before + 1
    last(stall, batch="20261126-32")
    assert taps.count == 2
    stall.put_on("1.100")  # and it holds for the next customer
    tile(page, "苹果").click()
    expect(page.locator(".chip.batch")).to_contain_text("20261126-32")
    confirm(page).click()
    expect(page.locator(".records li").first).to_contain_text("1.100 kg")
    last(stall, batch="20261126-32")


@pytest.mark.parametrize("how", ["serial", "wedge", "wedge-into-a-field"])
def test_a_sale_is_one_tap_after_a_scan(page: Page, stall: Stall, wedge: Callable[..., None], how: str) -> None:
    before, taps = sales(stall), Taps()
    expect(page.locator(".tile")).to_have_count(7)
    stall.do("A12", "batch", batch="20261126-31", goods_code="01350101")
    stall.put_on("0.500")
    expect(word(page)).to_have_text("稳定")
    if how == "serial":
        stall.scan(GTIN)
    else:
        if how == "wedge-into-a-field":
            page.locator("#search").focus()
            page.keyboard.type("f", delay=200)
            page.wait_for_timeout(100)
        wedge(page, GTIN)
    expect(page.locator(".name")).to_have_text("苹果")
    if how == "wedge-into-a-field":
        expect(page.locator("#search")).to_have_value("f")  # what the scanner typed was taken out again
    taps(confirm(page))
    expect(page.locator(".toast")).to_contain_text("已保存 苹果")
    assert (sales(stall), taps.count) == (before + 1, 1)


def test_digits_that_a_person_types_are_no_scan(page: Page, stall: Stall) -> None:
    page.locator("#search").focus()
    page.keyboard.type("01230101", delay=60)
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator("#search")).to_have_value("01230101")


def test_everything_of_a_sale_by_keyboard(page: Page, stall: Stall) -> None:
    before = sales(stall)
    expect(page.locator(".tile")).to_have_count(7)
    stall.put_on("1.500")
    expect(word(page)).to_have_text("稳定")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("fq", delay=60)
    expect(page.locator(".tile")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".name")).to_have_text("番茄")
    page.wait_for_timeout(60)
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("已保存 番茄")
    assert sales(stall) == before + 1
    page.keyboard.press("Escape")  # the last one again
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("作废：番茄 1.500 kg")
    expect(dialog).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("作废 番茄")
    assert stall.kept("void")[-1]["data"]["corrects"] == stall.kept("sale")[-1]["id"]
    expect(page.locator(".records li[data-void]").first).to_contain_text("1.500 kg")
    page.keyboard.press("F2")
    expect(page.locator(".categories [aria-pressed=true]")).to_have_text("叶菜")
    page.keyboard.press("Alt+2")
    expect(page.locator("main[data-screen=status]")).to_be_visible()
    page.keyboard.press("Alt+1")


def test_equal_weights_are_two_sales_and_weighing_again_is_none(page: Page, stall: Stall) -> None:
    before = sales(stall)
    for _ in range(2):
        stall.put_on("0.765")
        tile(page, "番茄").click()
        expect(confirm(page)).to_be_enabled()
        confirm(page).click()
        expect(page.locator(".prompt")).to_be_visible()
    assert sales(stall) == before + 2
    # it was not taken off
    tile(page, "番茄").click()
    expect(word(page)).to_have_text("已记录，请取下")
    expect(confirm(page)).to_be_disabled()
    expect(confirm(page)).to_have_text("已记录，请清空秤盘")
    stall.put_on("0.800")  # weighed, and the customer goes away
    expect(confirm(page)).to_be_enabled()
    stall.weigh("0.000")
    expect(confirm(page)).to_have_text("秤上无货")
    assert sales(stall) == before + 2


def test_what_a_scale_can_say_is_said_in_words(page: Page, stall: Stall) -> None:
    tile(page, "番茄").click()
    expect(page.locator(".name")).to_have_text("番茄")
    scale = page.locator("section.scale")
    stall.moving("1.111")
    expect(word(page)).to_have_text("不稳定")
    expect(confirm(page)).to_have_text("重量未稳定")
    expect(scale).to_have_attribute("data-tone", "move")
    stall.overload()
    expect(word(page)).to_have_text("超载")
    expect(page.locator(".value")).to_have_text("– –")  # no weight is shown that is none
    expect(confirm(page)).to_be_disabled()
    expect(scale).to_have_attribute("data-tone", "bad")
    stall.weigh("-0.050")
    expect(word(page)).to_have_text("低于零位")
    stall.put_on("1.000")
    expect(confirm(page)).to_be_enabled()
    stall.scale.silent(True)
    expect(word(page)).to_have_text("秤无数据")  # silent: nothing old is shown as if it were now
    expect(page.locator(".value")).to_have_text("– –")
    expect(confirm(page)).to_have_text("秤无数据")
    stall.scale.silent(False)


def test_goods_by_the_piece(page: Page, stall: Stall) -> None:
    taps = Taps()
    taps(tile(page, "鸡蛋"))
    expect(page.locator(".count")).to_contain_text("1 件")
    page.get_by_label("+1").click()
    page.get_by_label("+1").click()
    expect(page.locator(".amount b")).to_have_text("3.60")
    taps(confirm(page))
    expect(page.locator(".toast")).to_contain_text("已保存 鸡蛋 3 件")
    last(stall, qty=3, amount_fen=360, mode="piece")


def test_rounding_off_is_downward_and_seen(page: Page, stall: Stall) -> None:
    stall.put_on("2.345")
    tile(page, "番茄").click()
    amount = page.locator("button.amount")
    expect(amount.locator("b")).to_have_text("18.71")
    amount.click()
    expect(amount.locator("b")).to_have_text("18.70")
    expect(amount.locator("s")).to_have_text("18.71")
    amount.click()
    expect(amount.locator("b")).to_have_text("18.00")
    confirm(page).click()
    expect(page.locator(".toast")).to_contain_text("18.00")
    last(stall, amount_raw_fen=1871, amount_fen=1800)


def test_a_price_can_be_changed_for_one_sale(page: Page, stall: Stall) -> None:
    stall.put_on("1.000")
    tile(page, "番茄").click()
    expect(page.locator(".amount b")).to_have_text("7.98")
    page.locator("button.price").click()
    pad = page.locator(".pad")
    for name in ("9", ".", "5"):
        pad.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="确定").click()
    expect(page.locator(".amount b")).to_have_text("9.50")
    confirm(page).click()
    expect(page.locator(".toast")).to_contain_text("9.50")
    last(stall, price_fen=950, amount_fen=950)


def test_goods_come_back_with_a_reason(page: Page, stall: Stall) -> None:
    stall.put_on("1.200")
    tile(page, "番茄").click()
    confirm(page).click()
    page.locator(".records li", has_text="1.200 kg").first.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="退货", exact=True).click()
    dialog.get_by_label("kg").fill("0.4")
    dialog.get_by_role("button", name="销毁").click()
    dialog.get_by_role("button", name="质量问题").click()
    expect(page.locator(".toast")).to_contain_text("退货 番茄")
    data = stall.kept("return")[-1]["data"]
    assert (data["net_mg"], data["goods_go"], data["reason"]) == (400_000, "disposal", "质量问题")
    assert data["corrects"] == stall.kept("sale")[-1]["id"]


def test_a_wrong_entry_is_amended_not_overwritten(page: Page, stall: Stall) -> None:
    stall.put_on("1.300")
    tile(page, "番茄").click()
    confirm(page).click()
    page.locator(".records li", has_text="1.300 kg").first.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="更正", exact=True).click()
    dialog.get_by_label("商品").select_option(label="土豆")
    dialog.get_by_role("button", name="输错商品").click()
    expect(page.locator(".toast")).to_contain_text("更正 番茄")
    assert stall.kept("amend")[-1]["data"]["corrects"] == stall.kept("sale")[-1]["id"]
    last(stall, goods_code="01230101")  # the record itself stays


def test_a_wrong_price_is_amended_and_the_amount_follows(stall: Stall, new_page: NewPage) -> None:
    page = new_page(stall.url, expected=("409",))
    stall.put_on("1.310")
    tile(page, "番茄").click()
    confirm(page).click()
    page.locator(".records li", has_text="1.310 kg").first.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="更正", exact=True).click()
    dialog.get_by_role("button", name="单价错误").click()
    expect(page.locator(".toast")).to_contain_text("没有改动")  # in words, not as a code
    dialog.get_by_label("单价 元/kg").fill("6.5")
    dialog.get_by_role("button", name="单价错误").click()
    expect(page.locator(".toast")).to_contain_text("更正 番茄")
    content = stall.kept("amend")[-1]["data"]["content"]
    assert (content["price_fen"], content["amount_fen"]) == (650, 852)


def test_a_scale_that_tells_nothing_holds_up_no_sale(page: Page, stall: Stall) -> None:
    assert stall.agent.command("A12", "goods", {"code": "01350101"}).refused is None
    stall.put_on("1.400")
    stall.settle("1.400")
    assert stall.agent.command("A12", "confirm", {"net_mg": 1_000_000}).refused == "scale-works"
    expect(page.get_by_role("button", name="手工重量")).to_have_count(0)
    stall.scale.silent(True)
    try:
        expect(word(page)).to_have_text("秤无数据")
        expect(confirm(page)).to_be_disabled()
        page.get_by_role("button", name="手工重量").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="20261126-32").click()
        for sign in "1.25":
            dialog.locator(".pad").get_by_role("button", name=sign, exact=True).click()
        dialog.get_by_role("button", name="确认销售").click()
        expect(page.locator(".records li").first).to_contain_text("1.250 kg")
        last(stall, net_mg=1_250_000, batch="20261126-32", captured_by="manual", amount_fen=1238)
        page.locator(".records li").first.get_by_role("button").click()
        expect(dialog).to_contain_text("人工录入")
    finally:
        stall.scale.silent(False)


def test_several_lines_on_a_ticket_and_their_payment(page: Page, stall: Stall) -> None:
    page.get_by_role("button", name="多件合单").click()
    for weight, name in (("1.000", "番茄"), ("2.000", "土豆")):
        stall.put_on(weight)
        tile(page, name).click()
        confirm(page).click()
        expect(page.locator(".ticket li", has_text=name)).to_be_visible()
    expect(page.locator(".sum b")).to_have_text("15.18")
    page.get_by_role("button", name="结账").click()
    page.get_by_role("dialog").get_by_role("button", name="微信").click()
    expect(page.locator(".toast")).to_contain_text("已收款 15.18 微信")
    data = stall.kept("settlement")[-1]["data"]
    assert (data["total_fen"], data["pay_method"], len(data["lines"])) == (1518, "wechat", 2)
    expect(page.locator(".ticket")).to_have_count(0)


def test_a_ticket_on_hold_waits_for_its_customer(page: Page, stall: Stall) -> None:
    page.get_by_role("button", name="多件合单").click()
    stall.put_on("1.010")
    tile(page, "番茄").click()
    confirm(page).click()
    expect(page.locator(".sum b")).to_have_text("8.06")
    page.get_by_role("button", name="挂单", exact=True).click()
    expect(page.locator(".ticket")).to_have_count(0)
    stall.put_on("0.610")  # somebody else in between, not on the ticket
    tile(page, "番茄").click()
    confirm(page).click()
    expect(page.locator(".records li").first).to_contain_text("0.610 kg")
    last(stall, ticket=None)
    page.get_by_role("button", name="挂单 1").click()
    page.get_by_role("dialog").locator(".reasons button").click()
    stall.put_on("2.010")
    tile(page, "土豆").click()
    confirm(page).click()
    expect(page.locator(".ticket li")).to_have_count(2)
    expect(page.locator(".records li").first).to_contain_text("2.010 kg")
    last(stall, line=2)
    page.get_by_role("button", name="结账").click()
    page.get_by_role("dialog").get_by_role("button", name="现金").click()
    expect(page.locator(".toast")).to_contain_text("已收款")
    assert len(stall.kept("settlement")[-1]["data"]["lines"]) == 2
    expect(page.get_by_role("button", name="挂单 1")).to_have_count(0)


def test_tare_of_crates_and_by_number(page: Page, stall: Stall) -> None:
    page.get_by_role("button", name="预置皮重").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="× 2", exact=True).click()
    dialog.get_by_role("button", name="blue").click()
    expect(page.locator(".tared")).to_contain_text("3.000 kg")
    stall.put_on("8.000")
    tile(page, "番茄").click()
    confirm(page).click()
    expect(page.locator(".toast")).to_contain_text("已保存")
    last(stall, net_mg=5_000_000, tare_mg=3_000_000, tare_kind="preset")
    expect(page.locator(".tared")).to_have_count(0)  # crates were for one weighing


def test_letters_to_tap_lead_to_goods(page: Page) -> None:
    page.get_by_role("button", name="A–Z").click()
    letters = page.locator(".letter-keys")
    expect(letters.get_by_role("button", name="X")).to_have_count(0)  # only letters that lead on
    letters.get_by_role("button", name="Z").click()
    expect(page.locator(".tile")).to_have_count(1)
    tile(page, "猪前腿肉").click()
    expect(page.locator(".name")).to_have_text("猪前腿肉")


def test_several_screens_stay_in_step(page: Page, stall: Stall, new_page: NewPage) -> None:
    phone = new_page(stall.url, locale="en-GB", size=(412, 839), phone=True)
    customer = new_page(f"{stall.url}/#customer")
    stall.put_on("0.990")
    tile(page, "番茄").click()
    for other in (phone, customer):
        expect(other.locator(".value")).to_have_text("0.990")
    expect(phone.locator(".name")).to_have_text("番茄")
    expect(customer.locator("h2")).to_have_text("番茄")
    expect(customer.locator(".big dd")).to_contain_text("7.90")
    phone.locator("button.confirm").tap()
    expect(page.locator(".records li").first).to_contain_text("0.990 kg")
    expect(page.locator(".prompt")).to_be_visible()


def test_a_button_hit_twice_is_one_sale(page: Page, stall: Stall) -> None:
    before = sales(stall)
    stall.put_on("3.210")
    tile(page, "番茄").click()
    expect(confirm(page)).to_be_enabled()
    confirm(page).dblclick()
    expect(page.locator(".records li").first).to_contain_text("3.210 kg")
    page.wait_for_timeout(300)
    assert sales(stall) == before + 1


def test_settings_are_kept_on_the_device(page: Page) -> None:
    page.get_by_role("button", name="显示与声音").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="特大").click()
    dialog.get_by_role("button", name="左手").click()
    dialog.get_by_role("button", name="English").click()
    page.reload(wait_until="commit")
    expect(page.locator("html")).to_have_attribute("data-size", "xl")
    expect(page.locator("html")).to_have_attribute("data-hand", "left")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator(".tabs a[aria-current]")).to_have_text("Sell")
    page.locator("#language").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
