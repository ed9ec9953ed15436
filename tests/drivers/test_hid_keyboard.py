"""What a scanner types is read: against a typist that shares no code, the X keyboard database, and the clock."""

from __future__ import annotations

import ctypes
import random
import re
import shutil
import string
import struct
import subprocess
import unicodedata
from typing import Any

import pytest

from drivers.key_stream import AGAIN, DOWN, UP, KeyStream, key
from drivers.keyboard_layouts import LAYOUTS, is_dead
from drivers.scanners.hid_keyboard import SPEC
from drivers.vectors import describe, play
from edge_agent.driver import KEY_DROPPED
from edge_agent.model import Rejected, Scan
from hwsim.hid import KeyboardSettings, kernel_events, keyboard_reports

GAP = 0.150
FORMATS = {24: struct.Struct("=qqHHi"), 16: struct.Struct("=iiHHi")}


def kernel_bytes(reports: list[bytes], size: Any = 24) -> bytes:
    """The structs that a kernel of this word size writes."""
    return b"".join(FORMATS[size].pack(7, 9, *event) for batch in kernel_events(reports) for event in batch)


def typed(text: str, **settings: Any) -> bytes:
    """The key stream of a scan."""
    return KeyStream(24).feed(kernel_bytes(keyboard_reports(text, KeyboardSettings(**settings))))


def read(stream: bytes, **options: Any) -> list[str]:
    return [describe(event) for event in play(SPEC.make(options), [stream])]


@pytest.mark.parametrize("separator", ["ctrl", "alt", "f8"])
@pytest.mark.parametrize(
    ("layout", "suffix", "options"),
    [
        ("us", "Enter", {}),
        ("us", "KPEnter", {}),
        ("us", "Tab", {"suffix": "Tab"}),
        ("us", "none", {"suffix": "none"}),
        ("de", "Enter", {"layout": "de"}),
    ],
)
def test_every_character_that_a_code_may_hold_comes_through(
    layout: str, suffix: str, options: dict[str, str], separator: str
) -> None:
    chance = random.Random(f"{layout} {suffix} {separator}")
    alphabet = [c for c in string.printable if c >= " "] + ["\x1d"] * 5
    for _ in range(40):
        text = "".join(chance.choices(alphabet, k=chance.randint(1, 48))).strip("]")
        if not text:
            continue
        stream = typed(text, layout=layout, suffix=suffix, separator=separator)
        assert read(stream, aim=False, **options) == [f"scan - {text}"]


def test_a_wrong_layout_is_another_text() -> None:
    """The reason for the option: the same keys mean other characters."""
    assert read(typed("xyz-1", layout="de")) == ["scan - xzy/1"]


@pytest.mark.parametrize("size", [24, 16])
def test_the_kernel_s_structs_of_both_sizes_cut_anywhere(size: Any) -> None:
    reports = keyboard_reports("GS\x1d1", KeyboardSettings())
    data = kernel_bytes(reports, size)
    whole = KeyStream(size).feed(data)
    assert read(whole) == ["scan - GS\x1d1"]
    for at in range(len(data)):
        stream = KeyStream(size)
        assert stream.feed(data[:at]) + stream.feed(data[at:]) == whole


def test_a_pause_counts_by_the_kernel_s_clock_even_where_all_is_read_at_once() -> None:
    """An agent that was held up reads the end of one code and the next one in one piece."""
    unended = keyboard_reports("12345", KeyboardSettings(suffix="none"))
    whole = keyboard_reports("678", KeyboardSettings())

    def at(seconds: int, microseconds: int, reports: list[bytes]) -> bytes:
        pack = FORMATS[24].pack
        return b"".join(pack(seconds, microseconds, *e) for batch in kernel_events(reports) for e in batch)

    for pause, said in (
        (100_000, ["scan - 12345678"]),
        (160_000, ["rejected no-terminator", "rejected truncated"]),
        (1_600_000, ["rejected no-terminator", "scan - 678"]),
    ):
        data = at(5, 0, unended) + at(5 + pause // 1_000_000, pause % 1_000_000, whole)
        stream = KeyStream(24).feed(data)
        assert read(stream) == said
        assert [describe(e) for e in play(SPEC.make({}), [bytes([byte]) for byte in stream])] == said


def test_what_the_kernel_lost_is_told_and_what_follows_up_to_the_report_is_ignored() -> None:
    pack = FORMATS[24].pack
    lost = pack(0, 0, 0, 3, 0) + pack(0, 0, 1, 30, 1) + pack(0, 0, 0, 0, 0) + pack(0, 0, 1, 48, 1)
    assert KeyStream(24).feed(lost) == bytes([KEY_DROPPED]) + key(DOWN, 48)


@pytest.mark.parametrize("place", range(0, 82, 7))
def test_a_scan_in_which_keys_were_lost_is_never_believed(place: int) -> None:
    stream = typed("6901028225168")
    assert len(stream) > 80
    at = place - place % 3
    events = play(SPEC.make({}), [stream[:at] + bytes([KEY_DROPPED]) + stream[at + 12 :]])
    assert not [event for event in events if isinstance(event, Scan)]


def test_shift_that_was_down_when_keys_were_lost_is_forgotten() -> None:
    before = key(DOWN, 42) + key(DOWN, 30) + bytes([KEY_DROPPED]) + key(DOWN, 28) + key(UP, 28)
    assert read(before + typed("abc")) == ["rejected dropped", "scan - abc"]


def test_a_scan_is_told_when_its_suffix_comes_up_or_after_the_gap() -> None:
    codec = SPEC.make({})
    stream = typed("123")
    assert codec.feed(stream[:-3], 10.0) == []
    assert codec.deadline == 10.0 + GAP
    assert codec.tick(10.0 + GAP - 0.01) == []
    (scan,) = codec.tick(10.0 + GAP)
    assert isinstance(scan, Scan)
    assert scan.text == "123"
    assert codec.deadline is None
    (late,) = codec.feed(stream[-3:], 10.3) + list(codec.tick(11.0))
    assert describe(late) == "status other"


def test_no_suffix_seen_is_told_and_the_rest_of_the_code_is_not_taken_for_a_code() -> None:
    codec = SPEC.make({})
    first, rest = typed("690102", suffix="none"), typed("8225168")
    assert codec.feed(first, 0.0) == []
    events = list(codec.feed(rest, 0.3))
    assert [describe(event) for event in events] == ["rejected no-terminator", "rejected truncated"]
    assert [describe(event) for event in codec.feed(typed("6901028225168"), 5.0)] == ["scan - 6901028225168"]


def test_a_slow_scanner_wants_a_longer_gap() -> None:
    strokes = re.findall(rb"...", typed("12"), re.DOTALL)
    patient = SPEC.make({"gap_ms": 400})
    said = [event for number, stroke in enumerate(strokes) for event in patient.feed(stroke, number * 0.2)]
    assert [describe(event) for event in said] == ["scan - 12"]
    hasty = SPEC.make({})
    said = [event for number, stroke in enumerate(strokes) for event in hasty.feed(stroke, number * 0.2)]
    assert not [event for event in said if isinstance(event, Scan)]


def test_a_key_that_is_held_is_one_key() -> None:
    stream = key(DOWN, 2) + key(AGAIN, 2) * 50 + key(UP, 2) + key(DOWN, 28) + key(AGAIN, 28) + key(UP, 28)
    assert read(stream)[0] == "scan - 1"
    assert not [word for word in read(stream)[1:] if word.startswith("scan")]


def test_keys_that_are_never_whole_are_not_held_back_for_ever() -> None:
    """A key without its last byte, again and again: no key is ever whole, and so none was counted."""
    codec = SPEC.make({})
    told = [event for _ in range(20_000) for event in codec.feed(b"\x82\x03", 1.0)]
    assert {describe(event) for event in told if isinstance(event, Rejected)} == {"rejected noise"}
    assert 40_000 - sum(len(event.raw) for event in told if isinstance(event, Rejected)) < 8_200


def test_texts_that_are_too_short_or_too_long_are_refused() -> None:
    assert read(typed("123"), min_length=8) == ["rejected too-short"]
    events = play(SPEC.make({}), [typed("1" * 3000)])
    assert {event.reason for event in events if isinstance(event, Rejected)} == {"too-long"}
    assert len(events) == sum(isinstance(event, Rejected) for event in events)
    assert read(typed("7" * 1300)) == ["scan - " + "7" * 1300]


@pytest.mark.parametrize(
    ("alt_codes", "number", "text"),
    [
        ("windows", "0228", "ä"),
        ("windows", "132", "ä"),
        ("windows", "8364", "\ufffd"),
        ("unicode", "8364", "€"),
        ("unicode", "55296", "\ufffd"),
        ("gb18030", "54992", "中"),
        ("windows", "1234567", "\ufffd"),
    ],
)
def test_characters_entered_by_number(alt_codes: str, number: str, text: str) -> None:
    keypad = {"0": 82, "1": 79, "2": 80, "3": 81, "4": 75, "5": 76, "6": 77, "7": 71, "8": 72, "9": 73}
    digits = b"".join(key(DOWN, keypad[digit]) + key(UP, keypad[digit]) for digit in number)
    stream = key(DOWN, 56) + digits + key(UP, 56) + key(DOWN, 28) + key(UP, 28)
    (event,) = play(SPEC.make({"alt_codes": alt_codes}), [stream])
    assert isinstance(event, Scan)
    assert (event.text, event.lossy) == (text, text == "\ufffd")


DEAD = {"grave": "\u0300", "acute": "\u0301", "circumflex": "\u0302", "tilde": "\u0303", "diaeresis": "\u0308"}


def xkb_levels(layout: str) -> dict[int, list[str]]:
    """The key symbols of a layout by the kernel's key codes, as the X keyboard database has them."""
    text = subprocess.run(["xkbcli", "compile-keymap", "--layout", layout], capture_output=True, text=True, check=True)
    codes = {name: int(number) - 8 for name, number in re.findall(r"<(\w+)>\s*=\s*(\d+);", text.stdout)}
    levels = {}
    for name, body in re.findall(r"key <(\w+)>\s*\{(.*?)\};", text.stdout, re.DOTALL):
        symbols = re.search(r"(?:symbols\[Group1\]\s*=\s*|^\s*)\[([^\]]*)\]", body)
        if symbols and name in codes:
            levels[codes[name]] = [symbol.strip() for symbol in symbols[1].split(",")]
    return levels


def symbol(name: str) -> str:
    """The character of a key symbol."""
    if name.startswith("dead_"):
        return DEAD.get(name[5:], "")
    library = ctypes.CDLL("libxkbcommon.so.0")
    library.xkb_keysym_to_utf32.restype = ctypes.c_uint32
    value = library.xkb_keysym_to_utf32(library.xkb_keysym_from_name(name.encode(), 0))
    return chr(value) if value else ""


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_layouts_are_those_of_the_x_keyboard_database(name: str) -> None:
    assert shutil.which("xkbcli"), "apt-get install libxkbcommon-tools"
    layout, levels, compared = LAYOUTS[name], xkb_levels(name), 0
    for number, table in enumerate((layout.plain, layout.shift, layout.altgr)):
        for code, character in table.items():
            told = symbol(levels[code][number])
            plain_or_dead = {character, *([] if not is_dead(told) else [unicodedata.normalize("NFKC", character)])}
            same = told in plain_or_dead or (is_dead(told) and number == 2)
            assert same, f"{name}: key {code}, level {number}: {character!r}, X has {told!r}"
            compared += 1
    assert compared >= 96
