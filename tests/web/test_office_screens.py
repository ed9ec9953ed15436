"""The screens behind a PIN, and those of a stall whose platform, network and printer are there: in both languages and
four sizes, as in test_screens.

With PAGE_SHOTS=FOLDER a picture of each is left there, to be looked at (tests/support/page_tour.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from page_stand import sign_in, stand
from page_tour import EVERY, REFUSALS, SIZES, Screen, click, look, visit
from playwright.sync_api import Page, expect
from stall import Scale, Stall

NewPage = Callable[..., Page]

REFUSED = "trace.return.v1"


@dataclass
class Office:
    """The stall, and a scale that nobody has configured."""

    stall: Stall
    loose: Scale


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    with stand(folder, port, reject=[f"type={REFUSED}"]) as made:
        stall = made.stall
        loose = Scale()
        stall.take_in("01230101", "20261126-11", 40_000_000)
        for weight in ("2.345", "0.850"):
            stall.put_on(weight)
            stall.settle(weight)
            stall.do("A12", "goods", code="01230101", name="番茄", price_fen=798, price_per="kg")
            stall.do("A12", "confirm")
        sale = stall.kept("sale")[-1]["id"]
        stall.do("A12", "return", sale=sale, reason="顾客退货", goods_go="stock", net_mg=850_000)
        stall.weigh("0.000")
        stall.settle("0.000")
        deadline = time.monotonic() + 30
        while stall.agent.status()["rejected"] != 1:
            assert time.monotonic() < deadline, stall.agent.status()
            time.sleep(0.05)
        yield Office(stall, loose)
        loose.unplug()


def part(number: int, *then: str) -> Callable[[Page], Any]:
    """A part of the maintenance screen, and what is tapped there."""
    return click(f".maintain .categories button:nth-child({number})", *then)


def probe(page: Page) -> None:
    part(2)(page)
    page.locator("form.inline input").fill(page.evaluate("window.loosePort"))
    page.locator("form.inline button").click()


def broken_off(page: Page) -> None:
    """A sheet that was closed in the middle of a commissioning keeps nobody from beginning with another scale."""
    commission(page)
    with page.expect_response("**/commission"):
        page.keyboard.press("Escape")
    page.locator(COMMISSION.replace("scale-1", "scale-2")).click()
    page.locator(".sheet form .field input").last.fill("0.000 kg")
    page.locator(".sheet form .strong").click()


def commission(page: Page) -> None:
    """The display says something else than was read."""
    part(2, COMMISSION)(page)
    page.locator(".sheet form .field input").last.fill("0.000 kg")
    page.locator(".sheet form .strong").click()
    expect(page.locator(".sheet [data-result=good]")).to_be_visible()
    page.locator(".sheet form .field input").last.fill("10.00 kg")
    page.locator(".sheet form .strong").click()


def arrange(page: Page) -> None:
    page.locator(".find .letters[title]").click()
    expect(page.locator(".arrange-keys")).to_be_visible()
    page.locator(".tile").nth(1).click()


def invite(page: Page) -> None:
    page.locator(".maintain .categories button").last.click()
    page.locator("form.card input").first.fill("07")
    page.locator("form.card .strong").click()
    page.locator("img.qr").evaluate("image => image.decode()")  # fails where there is no picture


COMMISSION = ".lines.tall li:has(b:text-is('scale-1')) button:last-child"
SCREENS = {
    "03": (
        Screen("office-sell"),
        Screen("office-refused", page=click(".records [data-mark=refused] button"), shown=".sheet .facts"),
        Screen("office-who", page=click(".who"), shown=".sheet .sign"),
        Screen("office-status", hash="status"),
    ),
    "05": (
        Screen("office-arrange", page=arrange, shown=".arrange-keys button"),
        Screen("office-quarantine", hash="maintain", page=part(1), shown=".lines.tall li"),
        Screen("office-mend", hash="maintain", page=part(1, ".lines.tall .row button:last-child"), shown=".sheet"),
        Screen(
            "office-people", hash="maintain", page=click(".maintain .categories button:last-child"), shown="form.card"
        ),
        Screen("office-invite", hash="maintain", page=invite, shown="img.qr"),
    ),
    "09": (
        Screen("office-devices", hash="maintain", page=part(2), shown=".lines.tall li"),
        Screen("office-watch", hash="maintain", page=part(2, ".lines.tall button"), shown="pre.out:has-text('kg')"),
        Screen("office-log", hash="maintain", page=part(3), shown="pre.out"),
        Screen("office-config", hash="maintain", page=part(4), shown="pre.out"),
        Screen("office-probe", hash="maintain", page=probe, shown=".probed table"),
        Screen("office-commission", hash="maintain", page=part(2, COMMISSION), shown=".sheet form"),
        Screen("office-commission-next", hash="maintain", page=broken_off, shown=".steps-done [data-result]"),
        Screen("office-commission-wrong", hash="maintain", page=commission, shown="[data-result=bad]"),
    ),
}


@pytest.mark.parametrize(("locale", "size"), [("zh-CN", "kiosk")])
def test_every_screen_behind_a_pin(office: Office, new_page: NewPage, locale: str, size: str) -> None:
    tour(office, new_page, locale, size)


@pytest.mark.soak("every screen behind a PIN in each language and size")
@pytest.mark.parametrize(("locale", "size"), EVERY)
def test_every_screen_behind_a_pin_in_each_size(office: Office, new_page: NewPage, locale: str, size: str) -> None:
    tour(office, new_page, locale, size)


def tour(office: Office, new_page: NewPage, locale: str, size: str) -> None:
    problems = []
    for person, screens in SCREENS.items():
        page = new_page(office.stall.url, locale=locale, size=SIZES[size][0], phone=SIZES[size][1], expected=REFUSALS)
        page.add_init_script(f"window.loosePort = 'serial:{office.loose.port}'")
        expect(page.locator(".gate .sign")).to_be_visible()
        if person == "03":
            problems += look(page, f"office-gate-{size}-{locale}")
        sign_in(page, person)
        for screen in screens:
            problems += visit(page, office.stall, screen, f"{size}-{locale}")
    assert not problems, "\n".join(problems)
