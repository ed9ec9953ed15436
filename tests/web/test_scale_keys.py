"""Tare and zero from the page, on a simulated scale that takes them: for who sees its display, each a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_stand import people_of, sign_in
from playwright.sync_api import Page, expect
from stall import Stall

from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings
from hwsim.ports import open_port

NewPage = Callable[..., Page]


class Counter:
    """A stall with a simulated scale of the same dialect as the others have."""

    def __init__(self, folder: Path, port: int) -> None:
        self.platter = Platter(ScaleSettings(capacity_mg=15_000_000))
        self.device = Device(Scale(DIALECTS["st-gs"], self.platter), open_port("pty")).start()
        web = people_of(folder) + 'names = ["stall.example"]'
        self.stall = Stall(folder, port, host="0.0.0.0", scale=self.device.port.name, web=web)
        self.stall.take_in("01230101", "20261126-11", 40_000_000)

    def put(self, milligrams: int) -> None:
        self.device.order(lambda now: self.platter.set_load(milligrams, now))

    def close(self) -> None:
        self.stall.close()
        self.device.stop()


@pytest.fixture
def counter(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Counter]:
    made = Counter(tmp_path, free_port())
    yield made
    made.close()


def test_tare_and_zero_at_the_scale_and_not_from_afar(counter: Counter, new_page: NewPage) -> None:
    page = new_page(counter.stall.url, expected=("401",))
    sign_in(page, "03")
    expect(page.locator(".value")).to_have_text("0.000")
    expect(page.locator(".scale-keys button")).to_have_text(["去皮", "清零", "预置皮重"])
    counter.put(120_000)
    expect(page.locator(".state .word")).to_have_text("稳定")
    page.get_by_role("button", name="去皮").click()
    expect(page.locator(".value")).to_have_text("0.000")
    expect(page.locator(".tared")).to_have_text("净重")
    counter.put(620_000)
    expect(page.locator(".value")).to_have_text("0.500")
    page.locator(".tile", has_text="番茄").click()
    page.get_by_role("button", name="确认销售").click()
    expect(page.locator(".records li").first).to_contain_text("0.500 kg")
    assert counter.stall.kept("sale")[-1]["data"]["net_mg"] == 500_000

    # From a phone on the network nobody sees the scale's display.
    phone = new_page(f"http://stall.example:{counter.stall.port}", size=(412, 839), phone=True, expected=("401",))
    sign_in(phone, "05")
    expect(phone.get_by_role("button", name="清零")).to_be_disabled()
    expect(phone.get_by_role("button", name="去皮")).to_be_disabled()

    counter.device.order(lambda now: counter.platter.preset_tare(0))
    counter.put(15_000)
    expect(page.locator(".value")).to_have_text("0.015")
    page.keyboard.press("z")
    expect(page.locator(".value")).to_have_text("0.000")
    done = [each["data"] for each in counter.stall.kept("device_state") if each["data"].get("operator")]
    assert [(each["device"], each["operator"]) for each in done] == [("scale-1", "03")] * 2
