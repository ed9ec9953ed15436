"""What a maintainer and a supervisor do on the page: refused records, devices, ports, commissioning, slips, people.

One stall with PINs, a printer on a real TCP port, a real broker and a city that refuses once.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from page_stand import CARD, PEOPLE, enter_pin, sign_in, stand
from playwright.sync_api import APIResponse, FilePayload, Page, Route, expect
from stall import Scale, Stall, frame
from stall_web import new_token

from edge_agent import logs
from hwsim.device import Device
from hwsim.ports import open_port
from hwsim.printer import Printer

NewPage = Callable[..., Page]

REFUSED = ("401", "408", "409", "400", "415", "429")
"""Answers of the server that this story asks for; the browser notes each in its console."""
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass
class Shop:
    """The stall and its printer."""

    stall: Stall
    printer: Device

    @property
    def paper(self) -> Printer:
        assert isinstance(self.printer.instrument, Printer)
        return self.printer.instrument


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    logs.configure()
    web = f'token_file = "{folder}/tokens.json"'
    reject = ["type=trace.sale.v1:once"]
    with (
        Device(Printer(), open_port("tcp:0"), name="printer") as printer,
        stand(folder, port, reject=reject, web=web, printer=printer.port.name) as made,
    ):
        stall = made.stall
        stall.take_in(
            "01230101",
            "20261126-11",
            40_000_000,
            origin_name="山东寿光",
            vouchers=[{"type": "commitment", "no": "HG2026112600071"}],
        )
        yield Shop(stall, printer)


def hold_first_answer(page: Page, **headers: str) -> list[tuple[Route, APIResponse]]:
    """Hold back the answer to the first question who is signed in, asked with these headers changed:
    it comes into the list that is given here."""
    late: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if late:
            route.continue_()
        else:
            changed = {**route.request.headers, **headers} if headers else None
            late.append((route, route.fetch(headers=changed)))

    page.route("**/api/session", hold)
    return late


def wait_until_asked(page: Page, late: list[tuple[Route, APIResponse]]) -> None:
    deadline = time.monotonic() + 20
    while not late:
        assert time.monotonic() < deadline, "it never asked"
        page.wait_for_timeout(50)


def test_an_answer_from_before_signing_in_sends_nobody_back(shop: Shop, new_page: NewPage) -> None:
    """What the page had asked when nobody was signed in is answered only after somebody is."""
    page = new_page(shop.stall.url, expected=REFUSED)
    expect(page.locator(".sign")).to_be_visible()
    late = hold_first_answer(page)
    wait_until_asked(page, late)
    sign_in(page, "09")
    ((route, response),) = late
    assert response.json()["signed_in"] is False
    assert "set-cookie" not in response.headers, "it would put its cookie over that of whoever signed in"
    with page.expect_response("**/api/session"):
        route.fulfill(response=response)
    page.wait_for_timeout(300)
    expect(page.locator(".who")).to_contain_text(PEOPLE["09"].name)
    expect(page.locator(".gate")).to_have_count(0)


def test_what_another_tab_is_told_late_signs_nobody_out(shop: Shop, new_page: NewPage) -> None:
    """A second tab asks who is there while the first signs in; its answer, and the cookie in it, comes afterwards."""
    page = new_page(shop.stall.url, expected=REFUSED)
    expect(page.locator(".sign")).to_be_visible()
    other = page.context.new_page()
    late = hold_first_answer(other, cookie="")  # before this browser had one
    other.goto(shop.stall.url, wait_until="commit")
    wait_until_asked(other, late)
    enter_pin(page, "09")
    expect(page.locator(".who")).to_contain_text(PEOPLE["09"].name)
    ((route, response),) = late
    assert "set-cookie" in response.headers
    with other.expect_response("**/api/session"):
        route.fulfill(response=response)
    page.reload(wait_until="commit")
    expect(page.locator(".who")).to_contain_text(PEOPLE["09"].name)
    other.reload(wait_until="commit")
    expect(other.locator(".who")).to_contain_text(PEOPLE["09"].name)


def sell(page: Page, shop: Shop, weight: str) -> None:
    shop.stall.put_on(weight)
    page.locator(".tile", has=page.locator(".tile-name", has_text="番茄")).click()
    page.get_by_role("button", name="确认销售").click()
    expect(page.locator(".records li").first).to_contain_text(f"{weight} kg")


def part(page: Page, name: str) -> None:
    page.locator(".maintain .categories").get_by_role("button", name=name).click()


def test_a_refused_record_is_seen_corrected_and_sent_again(shop: Shop, new_page: NewPage) -> None:
    page = new_page(shop.stall.url, expected=REFUSED)
    sign_in(page, "05")
    sell(page, shop, "1.110")
    expect(page.locator(".chip.refused")).to_contain_text("被退回 1")
    page.locator(".chip.refused").click()
    row = page.locator(".tall li", has_text="番茄 1.110 kg")
    expect(row.locator(".why")).not_to_be_empty()
    row.get_by_role("button", name="更正").click()
    mend = page.get_by_role("dialog")
    mend.get_by_label("批次号").fill("20261126-12")
    mend.get_by_label("原因").fill("批次选错")
    mend.get_by_role("button", name="确定").click()
    expect(mend).to_have_count(0)
    (amended,) = shop.stall.kept("amend")
    assert amended["data"]["reason"] == "批次选错"
    assert amended["data"]["corrects"] == shop.stall.kept("sale")[0]["id"]
    assert amended["data"]["content"]["batch"] == "20261126-12"
    row.get_by_role("button", name="重发").click()
    expect(page.locator(".part")).to_contain_text("没有被退回的记录")
    expect(page.locator(".chip.refused")).to_have_count(0)


def test_a_maintainer_watches_restarts_and_reads_log_and_configuration(shop: Shop, new_page: NewPage) -> None:
    page = new_page(f"{shop.stall.url}/#maintain", expected=REFUSED)
    sign_in(page, "09")
    part(page, "设备")
    scale = page.locator(".tall li", has_text="scale-1")
    expect(scale).to_contain_text("读数")  # how much it has said
    shop.stall.weigh("1.234")
    scale.get_by_role("button", name="监视").click()
    expect(page.locator("pre.out")).to_contain_text("1.234 kg")
    scale.get_by_role("button", name="停止监视").click()
    expect(page.locator("pre.out")).to_have_count(0)
    scale.get_by_role("button", name="重启").click()
    part(page, "日志")
    page.get_by_role("button", name="刷新").click()
    expect(page.locator("pre.out")).to_contain_text("device.restart")
    part(page, "配置")
    expect(page.locator("pre.out")).to_contain_text('"driver": "st-gs"')
    expect(page.locator("pre.out")).not_to_contain_text(PEOPLE["09"].pin)


def test_probing_says_what_speaks_and_gives_a_block_to_copy(shop: Shop, new_page: NewPage) -> None:
    page = new_page(f"{shop.stall.url}/#maintain", expected=REFUSED)
    sign_in(page, "09")
    part(page, "设备")
    other = Scale()
    try:
        other.show(frame("2.350"))
        port = page.get_by_label("端口")
        port.fill(f"serial:{shop.stall.scale.port}")
        page.get_by_role("button", name="探测", exact=True).click()
        expect(page.locator(".toast")).to_contain_text("端口正被使用")
        page.get_by_role("button", name="暂停设备并探测").click()  # the scale lends its port, and has it back
        expect(page.locator(".probed tbody tr").first).to_contain_text("st-gs")
        shop.stall.put_on("1.505")
        shop.stall.settle("1.505")
        port.fill(f"serial:{other.port}")
        page.get_by_role("button", name="探测", exact=True).click()
        best = page.locator(".probed tbody tr").first
        expect(best).to_contain_text("2.350")
        expect(best).to_contain_text("st-gs")
        block = page.locator("pre.block").inner_text()
        assert block.startswith("[[device]]")
        assert f'port = "serial:{other.port}"' in block
        port.fill("serial:/dev/no-such-port")
        page.get_by_role("button", name="探测", exact=True).click()
        expect(page.locator(".toast")).to_contain_text("端口打不开")
    finally:
        other.unplug()


def commission(page: Page, shop: Shop, *, mass_shown: str) -> None:
    page.locator(".tall li", has_text="scale-1").get_by_role("button", name="投用检查").click()
    sheet = page.get_by_role("dialog")
    shop.stall.weigh("0.000")
    for heading, on_scale, shown in (
        ("清空秤盘", "0.000", "0.000"),
        ("放上砝码", "2.000", mass_shown),
        ("放上容器并去皮", None, None),
        ("压到超载", "overload", "OL"),
        ("再次清空", "0.000", "0.000 kg"),
    ):
        expect(sheet.locator("h3")).to_contain_text(heading)
        if on_scale == "overload":
            shop.stall.overload()
        elif on_scale is not None:
            shop.stall.weigh(on_scale)
            shop.stall.settle(on_scale)
        if heading == "放上砝码":
            sheet.get_by_label("所用砝码").fill("2 kg")
        if shown is None:
            sheet.get_by_role("button", name="跳过").click()
        else:
            sheet.get_by_label("秤面显示什么").fill(shown)
            sheet.get_by_role("button", name="确定").click()
    expect(sheet.locator(".steps-done li")).to_have_count(5)


def test_a_scale_is_commissioned_step_by_step(shop: Shop, new_page: NewPage) -> None:
    page = new_page(f"{shop.stall.url}/#maintain", expected=REFUSED)
    sign_in(page, "09")
    part(page, "设备")

    def flags() -> list[str]:
        return next(each["flags"] for each in shop.stall.agent.ledger() if each["device"] == "scale-1")

    assert "uncommissioned" in flags()
    commission(page, shop, mass_shown="20.00 kg")
    sheet = page.get_by_role("dialog")
    expect(sheet.locator("[data-result=bad]")).to_contain_text("小数点位置不对")
    expect(sheet.locator(".paid.warn")).to_contain_text("未通过")
    assert "uncommissioned" in flags()
    page.keyboard.press("Escape")
    commission(page, shop, mass_shown="2.000 kg")
    expect(sheet.locator("[data-result=bad]")).to_have_count(0)
    expect(sheet.locator(".paid")).to_contain_text("通过，已记入台账")
    assert "uncommissioned" not in flags()
    last = shop.stall.kept("device_state")[-1]["data"]
    assert (last["commissioning"], last["operator"], len(last["steps"])) == ("passed", "09", 5)
    page.keyboard.press("Escape")
    shop.stall.weigh("0.000")


def test_slips_are_printed_from_the_page_and_a_printer_in_trouble_is_seen(shop: Shop, new_page: NewPage) -> None:
    page = new_page(shop.stall.url, expected=REFUSED)
    sign_in(page, "03")
    sell(page, shop, "0.640")

    def slip(name: str) -> str:
        before = len(shop.paper.slips)
        page.locator(".records li", has_text="0.640 kg").first.get_by_role("button").click()
        page.get_by_role("dialog").get_by_role("button", name=name).click()
        expect(page.locator(".toast")).to_contain_text("printer-1")
        page.keyboard.press("Escape")
        for _ in range(400):
            if len(shop.paper.slips) > before:
                return shop.paper.slips[-1].text
            page.wait_for_timeout(50)
        raise AssertionError(f"{name} was not printed")

    first = slip("打小票")
    assert "番茄" in first
    assert "补打" not in first
    assert "补打" in slip("打小票")
    assert "番茄" in slip("打标签")
    assert "HG2026112600071" in slip("打合格证")
    page.locator(".records li", has_text="0.640 kg").first.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="电子小票").click()
    expect(page.locator(".slip")).to_contain_text("补打")
    code = page.locator(".sheet img.qr")
    expect(code).to_be_visible()
    assert code.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 20
    page.keyboard.press("Escape")

    shop.paper.trouble.add("paper")
    page.locator(".records li", has_text="0.640 kg").first.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="打小票").click()
    page.keyboard.press("Escape")
    sell(page, shop, "0.655")  # nothing waits for it
    page.goto(f"{shop.stall.url}/#status", wait_until="commit")
    printer = page.locator(".devices li", has_text="printer-1")
    expect(printer).to_contain_text("打印机故障")
    expect(printer).to_contain_text("缺纸")
    before = len(shop.paper.slips)
    shop.paper.trouble.clear()
    expect(printer).to_contain_text("已连接")
    assert len(shop.paper.slips) > before


def test_a_certificate_is_photographed_at_intake(shop: Shop, new_page: NewPage) -> None:
    page = new_page(shop.stall.url, size=(412, 839), phone=True, expected=REFUSED)
    sign_in(page, "03")
    page.locator("select.stall").select_option("B1")
    photo = page.locator("input[type=file]")
    photo.set_input_files(FilePayload(name="x.png", mimeType="image/png", buffer=b"no picture"))
    expect(page.locator(".toast")).to_contain_text("文件类型")
    photo.set_input_files(FilePayload(name="hg.png", mimeType="image/png", buffer=PNG))
    expect(page.locator("label.camera")).to_contain_text("✓")
    page.get_by_role("button", name="添加 承诺达标合格证").click()
    expect(page.locator(".lines li", has_text="承诺达标合格证")).to_be_visible()
    shop.stall.do(
        "B1", "confirm", goods_code="01210101", batch="20261126-44", net_mg=5_000_000, supplier="3706025690123"
    )
    (voucher,) = shop.stall.kept("intake")[-1]["data"]["vouchers"]
    assert shop.stall.agent.attachment(voucher["attachment"]) == (PNG, "image/png")


def test_a_payment_is_matched_on_the_page_or_asks_for_which_sale(shop: Shop, new_page: NewPage) -> None:
    page = new_page(shop.stall.url, expected=REFUSED)
    sign_in(page, "03")
    token = new_token(shop.stall.folder, "pay", name="provider")

    def pay(fen: int, reference: str) -> None:
        to = ["--to", shop.stall.url, "--token", token, "--amount-fen", str(fen), "--reference", reference]
        done = subprocess.run([str(Path(sys.executable).parent / "hwsim"), "pay", *to], timeout=60, check=False)
        assert done.returncode == 0

    sell(page, shop, "1.730")
    pay(shop.stall.kept("sale")[-1]["data"]["amount_fen"], "wx-1")
    expect(page.locator(".paid", has_text="✓ 已到账")).to_be_visible()
    assert shop.stall.kept("settlement")[-1]["data"]["lines"] == [shop.stall.kept("sale")[-1]["id"]]
    for weight in ("0.910", "0.910"):
        sell(page, shop, weight)
    pay(shop.stall.kept("sale")[-1]["data"]["amount_fen"], "wx-2")
    question = page.locator(".paid.warn", has_text="属于哪一笔")
    expect(question.get_by_role("button")).to_have_count(2)
    question.get_by_role("button").first.click()
    expect(page.locator(".paid", has_text="✓ 已到账")).to_have_count(2)
    expect(question).to_have_count(0)


def test_a_phone_is_paired_by_a_code_and_a_card_signs_in(shop: Shop, new_page: NewPage) -> None:
    page = new_page(f"{shop.stall.url}/#maintain", expected=REFUSED)
    sign_in(page, "05")
    part(page, "人员")
    page.get_by_label("工号").fill("11")
    page.get_by_label("姓名").fill("孙新")
    page.get_by_role("button", name="邀请人员").click()
    expect(page.locator(".part img.qr")).to_be_visible()
    code = page.locator(".part p.code").inner_text()

    phone = new_page(f"{shop.stall.url}/#pair={code}", size=(412, 839), phone=True, expected=REFUSED)
    phone.locator("#person").fill("11")
    phone.locator("#pin").fill("577215")
    phone.locator(".sign button[type=submit]").tap()
    expect(phone.locator(".who")).to_contain_text("孙新")
    late = new_page(f"{shop.stall.url}/#pair={code}", size=(412, 839), phone=True, expected=REFUSED)
    late.locator("#person").fill("12")
    late.locator("#pin").fill("577215")
    late.locator(".sign button[type=submit]").tap()
    expect(late.locator(".toast")).to_contain_text("配对码不对")

    kiosk = new_page(shop.stall.url, expected=REFUSED)
    kiosk.get_by_role("button", name="刷卡登录").click()
    expect(kiosk.get_by_role("button", name="请刷卡")).to_be_visible()
    for _ in range(40):  # the page's question may still be on its way: a card is held there until it is taken
        shop.stall.scan(CARD)
        kiosk.wait_for_timeout(500)
        if kiosk.locator(".who").count():
            break
    expect(kiosk.locator(".who")).to_contain_text("李强")
    assert CARD not in str(shop.stall.kept("scan"))
