"""USB HID devices as their makers' manuals describe them: a scanner that types, a scanner and a scale in POS mode.

Sources: USB-IF HID Usage Tables, keyboard page (07); HID 1.11 appendix B.1 (boot keyboard report); manuals of Honeywell
and Newland, HID-POS data formats; Access-IS LSR118 manual, p. 68; USB-IF Point of Sale usage tables, scale page.
What the kernel makes of key reports: linux/input-event-codes.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hwsim.load import Indication

Separator = Literal["ctrl", "alt", "f8", "none"]
KeyboardLayout = Literal["us", "de"]
Suffix = Literal["Enter", "KPEnter", "Tab", "none"]
PosLayout = Literal["symbology-first", "symbology-last"]

SEPARATORS: Final[tuple[Separator, ...]] = ("ctrl", "alt", "f8", "none")
KEYBOARD_LAYOUTS: Final[tuple[KeyboardLayout, ...]] = ("us", "de")
KEYBOARD_SUFFIXES: Final[tuple[Suffix, ...]] = ("Enter", "KPEnter", "Tab", "none")
POS_LAYOUTS: Final[tuple[PosLayout, ...]] = ("symbology-first", "symbology-last")

_LEFT_CTRL, _LEFT_SHIFT, _LEFT_ALT, _RIGHT_ALT = 0x01, 0x02, 0x04, 0x40
_ENTER, _TAB, _SPACE, _F8, _KP_ENTER, _KP_0 = 0x28, 0x2B, 0x2C, 0x41, 0x58, 0x62
_RELEASED: Final = bytes(8)

_SHIFTED_DIGITS: Final = {"us": "!@#$%^&*()", "de": '!"§$%&/()='}
_US_SIGNS: Final = {
    "-": (0x2D, 0),
    "=": (0x2E, 0),
    "[": (0x2F, 0),
    "]": (0x30, 0),
    "\\": (0x31, 0),
    ";": (0x33, 0),
    "'": (0x34, 0),
    "`": (0x35, 0),
    ",": (0x36, 0),
    ".": (0x37, 0),
    "/": (0x38, 0),
    "_": (0x2D, 2),
    "+": (0x2E, 2),
    "{": (0x2F, 2),
    "}": (0x30, 2),
    "|": (0x31, 2),
    ":": (0x33, 2),
    '"': (0x34, 2),
    "~": (0x35, 2),
    "<": (0x36, 2),
    ">": (0x37, 2),
    "?": (0x38, 2),
}
_DE_SIGNS: Final = {
    "ß": (0x2D, 0),
    "?": (0x2D, 2),
    "\\": (0x2D, 0x40),
    "ü": (0x2F, 0),
    "+": (0x30, 0),
    "*": (0x30, 2),
    "~": (0x30, 0x40),
    "#": (0x32, 0),
    "'": (0x32, 2),
    "ö": (0x33, 0),
    "ä": (0x34, 0),
    ",": (0x36, 0),
    ";": (0x36, 2),
    ".": (0x37, 0),
    ":": (0x37, 2),
    "-": (0x38, 0),
    "_": (0x38, 2),
    "<": (0x64, 0),
    ">": (0x64, 2),
    "|": (0x64, 0x40),
    "{": (0x24, 0x40),
    "[": (0x25, 0x40),
    "]": (0x26, 0x40),
    "}": (0x27, 0x40),
    "@": (0x14, 0x40),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyboardSettings:
    """How a scanner is set up that types."""

    layout: KeyboardLayout = "us"
    suffix: Suffix = "Enter"
    separator: Separator = "ctrl"
    aim: bool = False

    def __post_init__(self) -> None:
        if self.layout not in KEYBOARD_LAYOUTS:
            raise ValueError(f"layout {self.layout!r} is not one of {', '.join(KEYBOARD_LAYOUTS)}")
        if self.suffix not in KEYBOARD_SUFFIXES:
            raise ValueError(f"suffix {self.suffix!r} is not one of {', '.join(KEYBOARD_SUFFIXES)}")
        if self.separator not in SEPARATORS:
            raise ValueError(f"gs {self.separator!r} is not one of {', '.join(SEPARATORS)}")


def _stroke(modifiers: int, *keys: int) -> list[bytes]:
    """Keys pressed in one report and let go in the next."""
    return [bytes([modifiers, 0, *keys]).ljust(8, b"\0"), _RELEASED]


def _by_number(number: int) -> list[bytes]:
    """Alt and the number on the keypad. A digit that comes twice needs a report of its own."""
    keys = [_KP_0 if digit == "0" else 0x58 + int(digit) for digit in f"{number:03d}"]
    if len(set(keys)) == len(keys):
        return _stroke(_LEFT_ALT, *keys)
    alone = bytes([_LEFT_ALT]).ljust(8, b"\0")
    presses = [[bytes([_LEFT_ALT, 0, key]).ljust(8, b"\0"), alone] for key in keys]
    return [alone, *(report for pair in presses for report in pair), _RELEASED]


def _separate(settings: KeyboardSettings) -> list[bytes]:
    match settings.separator:
        case "ctrl":
            return _stroke(_LEFT_CTRL, 0x30)
        case "alt":
            return _by_number(29)
        case "f8":
            return _stroke(0, _F8)
        case "none":
            return []


def _type(character: str, settings: KeyboardSettings) -> list[bytes]:
    if character == "\x1d":
        return _separate(settings)
    if character == " ":
        return _stroke(0, _SPACE)
    if character.isdigit() and character.isascii():
        return _stroke(0, 0x27 if character == "0" else 0x1D + int(character))
    if character.isalpha() and character.isascii():
        letter = character.lower()
        if settings.layout == "de":
            letter = {"y": "z", "z": "y"}.get(letter, letter)
        return _stroke(_LEFT_SHIFT if character.isupper() else 0, 0x04 + ord(letter) - ord("a"))
    above = _SHIFTED_DIGITS[settings.layout].find(character)
    if above >= 0:
        return _stroke(_LEFT_SHIFT, 0x1E + above)
    signs = _US_SIGNS if settings.layout == "us" else _DE_SIGNS
    if character in signs:
        key, modifiers = signs[character]
        return _stroke(modifiers, key)
    if ord(character) < 256:
        return _by_number(ord(character))
    return []  # Chinese by number works on one other system only; the scanner types nothing


def keyboard_reports(text: str, settings: KeyboardSettings) -> list[bytes]:
    """The reports of one scan, as a boot keyboard sends them."""
    reports = [report for character in text for report in _type(character, settings)]
    ends = {"Enter": _ENTER, "KPEnter": _KP_ENTER, "Tab": _TAB}
    return reports + (_stroke(0, ends[settings.suffix]) if settings.suffix != "none" else [])


_KERNEL_ROWS: Final = (
    (0x04, (30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44)),
    (0x1E, (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, 58)),
    (0x3A, (59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88)),
    (0x54, (98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, 86)),
    (0xE0, (29, 42, 56, 125, 97, 54, 100, 126)),
)
_KERNEL: Final = {first + step: code for first, row in _KERNEL_ROWS for step, code in enumerate(row)}
"""Key codes of the kernel by usage of the keyboard page."""


def _pressed(report: bytes) -> list[int]:
    modifiers = [0xE0 + bit for bit in range(8) if report[0] >> bit & 1]
    return modifiers + [key for key in report[2:] if key]


def kernel_events(reports: Sequence[bytes]) -> Iterator[list[tuple[int, int, int]]]:
    """What the kernel says of each report: (type, code, value), ended by SYN_REPORT."""
    before: list[int] = []
    for report in reports:
        now = _pressed(report)
        changes = [(key, 0) for key in before if key not in now] + [(key, 1) for key in now if key not in before]
        before = now
        if changes:
            scans = [((4, 4, 0x70000 + key), (1, _KERNEL[key], value)) for key, value in changes]
            yield [event for pair in scans for event in pair] + [(0, 0, 0)]


def evemu(reports: Sequence[bytes], *, gap: float = 0.002, start: float = 0.0) -> str:
    """The same as the text of an evemu recording, `gap` seconds from report to report."""
    lines = []
    for number, batch in enumerate(kernel_events(reports)):
        at = start + number * gap
        lines += [f"E: {at:.6f} {kind:04x} {code:04x} {value}" for kind, code, value in batch]
    return "\n".join(lines) + "\n"


def pos_reports(data: bytes, symbology: str | None, layout: PosLayout) -> list[bytes]:
    """The reports of one scan in HID-POS mode, 64 bytes each; what does not fit goes on in the next.

    symbology-first   02 | length | 3 of AIM | 56 of data | 2 of the maker | bit 0: goes on      (Honeywell)
    symbology-last    02 | length | 56 of data | 4 reserved | own code or 0 | bit 0: goes on      (Newland)
    """
    if layout not in POS_LAYOUTS:
        raise ValueError(f"report layout {layout!r} is not one of {', '.join(POS_LAYOUTS)}")
    pieces = [data[at : at + 56] for at in range(0, len(data), 56)] or [b""]
    reports = []
    for number, piece in enumerate(pieces):
        more = bytes([number < len(pieces) - 1])
        body = piece.ljust(56, b"\0")
        aim = (symbology or "").encode("ascii").ljust(3, b"\0")
        middle = aim + body + b"\0\0" if layout == "symbology-first" else body + bytes(5)
        reports.append(b"\x02" + bytes([len(piece)]) + middle + more)
    return reports


_SCALE_UNITS: Final = {"mg": 1, "g": 2, "kg": 3, "ct": 4, "t": 8, "oz": 11, "lb": 12}


def scale_report(indication: Indication) -> bytes:
    """The data report of a HID scale: 03 | status | unit | exponent of ten | magnitude, low byte first."""
    if indication.unit not in _SCALE_UNITS:
        raise ValueError(f"a HID scale has no unit {indication.unit!r}; {', '.join(_SCALE_UNITS)} are possible")
    whole, _, decimals = indication.text.lstrip("-").partition(".")
    magnitude = int(whole + decimals)
    if indication.condition == "overload":
        status, magnitude = 6, 0
    elif indication.condition == "underload" or indication.text.startswith("-"):
        status = 5
    elif not indication.stable:
        status = 3
    else:
        status = 4 if magnitude else 2
    exponent = (256 - len(decimals)) & 0xFF
    return bytes([3, status, _SCALE_UNITS[indication.unit], exponent]) + min(magnitude, 0xFFFF).to_bytes(2, "little")
