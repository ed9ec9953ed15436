"""A supervisor arranges the tiles of the goods, by touch and by keyboard; it is kept, and the same on every screen."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_stand import LOST, people_of, sign_in
from playwright.sync_api import Page, expect
from stall import Stall, goods_csv

from edge_agent.agent import Agent
from edge_agent.preparing import prepare

NewPage = Callable[..., Page]

REFUSED = ("401", "403", *LOST)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP8z4APMOGVHbHSAEEsAROxCnMTAAAAAElFTkSuQmCC"
)


@pytest.fixture
def stall(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Stall]:
    made = Stall(tmp_path, free_port(), web=people_of(tmp_path))
    yield made
    made.close()


def signed_in(new_page: NewPage, stall: Stall, person: str, *, phone: bool = False) -> Page:
    page = new_page(stall.url, size=(412, 839) if phone else (1024, 600), phone=phone, expected=REFUSED)
    sign_in(page, person)
    expect(page.locator(".tile")).to_have_count(7)
    return page


def names(page: Page) -> list[str]:
    return page.locator(".tile-name").all_inner_texts()


def expect_names(page: Page, wanted: list[str]) -> None:
    expect(page.locator(".tile-name")).to_have_text(wanted)


def of_the_box(stall: Stall) -> list[str]:
    return [each["name"] for each in stall.agent.catalogue("A12")["goods"]]


def test_tiles_are_moved_by_touch_and_keyboard_and_stay_so_on_every_screen(stall: Stall, new_page: NewPage) -> None:
    other = signed_in(new_page, stall, "03")  # an operator's screen: it follows, and cannot arrange
    expect(other.get_by_role("button", name="排列商品")).to_have_count(0)
    first = names(other)
    page = signed_in(new_page, stall, "05", phone=True)
    page.get_by_role("button", name="排列商品").tap()
    expect(page.get_by_role("button", name="完成")).to_be_visible()  # before that a tap sells
    page.locator(".tile", has_text="苹果").tap()
    page.get_by_role("button", name="移到最前").tap()
    page.get_by_role("button", name="后移").tap()
    wanted = [first[0], "苹果", *(each for each in first[1:] if each != "苹果")]
    expect_names(page, wanted)
    expect_names(other, wanted)
    page.get_by_role("button", name="完成").tap()
    expect_names(page, wanted)
    page.locator(".tile", has_text="土豆").tap()  # a tap sells again
    expect(page.locator(".name")).to_have_text("土豆")
    stall.do("A12", "clear")

    desk = signed_in(new_page, stall, "05")
    desk.get_by_role("button", name="排列商品").press("Enter")
    expect(desk.get_by_role("button", name="完成")).to_be_visible()
    last = desk.locator(".tile").last
    last.press("Enter")
    moved = wanted[-1]
    last.press("ArrowLeft")
    expect(desk.locator(".tile:focus .tile-name")).to_have_text(moved)  # the focus goes with it
    desk.locator(".tile:focus").press("ArrowLeft")
    wanted = [*wanted[:-3], moved, *wanted[-3:-1]]
    expect_names(desk, wanted)
    desk.locator(".tile:focus").press("Home")
    wanted = [moved, *(each for each in wanted if each != moved)]
    expect_names(desk, wanted)
    desk.keyboard.press("Escape")
    expect(desk.get_by_role("button", name="完成")).to_have_count(0)
    for each in (desk, page, other):
        expect_names(each, wanted)
    assert of_the_box(stall) == wanted

    # A new catalogue, the platform's for instance, does not throw it over; what is new comes last.
    stall.agent.import_catalogue(goods_csv("01990001,丝瓜,sg,9,茄果,5.00,kg,\n"), kind="goods", source="platform")
    expect_names(other, [*wanted, "丝瓜"])
    # And it is there after a restart.
    stall.agent.stop()
    stall.agent = Agent(*prepare(stall.file))
    stall.agent.start()
    assert of_the_box(stall) == [*wanted, "丝瓜"]


def test_tiles_get_a_colour_or_a_photo_on_the_page(stall: Stall, new_page: NewPage) -> None:
    other = signed_in(new_page, stall, "03")
    page = signed_in(new_page, stall, "05")
    page.get_by_role("button", name="排列商品").click()
    page.locator(".tile", has_text="番茄").click()
    page.get_by_role("button", name="颜色 #7a6aa8").click()
    tile = other.locator(".tile", has_text="番茄")
    expect(tile).to_have_attribute("style", "--hue: #7a6aa8;")
    page.locator(".arrange-keys input[type=file]").set_input_files(
        {"name": "fq.png", "mimeType": "image/png", "buffer": PNG}
    )
    expect(tile.locator("img")).to_be_visible()
    assert tile.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 10
    page.get_by_role("button", name="去掉照片").click()
    expect(tile.locator("img")).to_have_count(0)
    expect(tile).to_have_attribute("style", "--hue: #7a6aa8;")


def test_what_no_tile_can_be_is_refused(stall: Stall) -> None:
    for wrong in (
        {"order": "x"},
        {"order": ["1", "1"]},
        {"order": [""]},
        {"order": ["x"] * 2_001},
        {"looks": []},
        {"looks": {"1": {"size": "9"}}},
        {"looks": {"1": {"colour": "red"}}},
        {"looks": {"1": {"picture": "../x"}}},
    ):
        with pytest.raises(ValueError, match=r"order|code|look|colour|picture"):
            stall.agent.arrange("A12", **wrong)
    with pytest.raises(KeyError):
        stall.agent.arrange("Z9", order=[])
    before = of_the_box(stall)
    stall.agent.arrange("A12", order=["not-there-any-more", "01350101"])
    assert of_the_box(stall) == ["苹果", *(each for each in before if each != "苹果")]
    assert [each["name"] for each in stall.agent.catalogue("B1")["goods"]] == before  # another station's stay
