"""Barcode scanners that type like a keyboard (keyboard wedge, HID-KBW), read before the keys reach any program.

Source: kernel documentation of input events; USB HID 1.11 appendix B.1; programming manuals of Honeywell, Zebra and
Newland scanners (keyboard country, "emulate ALT+keypad", "function key mapping", suffix).

    Shift↓ a↓ a↑ Shift↑  1↓ 1↑  Ctrl↓ ]↓ ]↑ Ctrl↑  Alt↓ KP0↓ KP2↓ KP9↓ … Alt↑  F8↓ F8↑  Enter↓ Enter↑
    A                    1      GS                  GS                          GS       end

The keys and pauses (`drivers.key_stream`) are read in the layout that the scanner is set to, whatever the keyboard of
the box is. Three ways are known in which scanners type the separator GS (1D) of GS1 codes; where none of them is set it
is lost, and what reads the code has to suspect that. Repeats are ignored. A scan ends with the key of its suffix; when
that key comes up again, or after `gap_ms`, it is told. Where nothing comes for `gap_ms` before the suffix, or keys were
lost, the scan is refused, and so is what may be its rest: half a code is a different code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.key_stream import AGAIN, DOWN, UP
from drivers.keyboard_layouts import LAYOUTS, compose, is_dead
from edge_agent.driver import KEY_DROPPED, KEY_PAUSE, CodecOutput, DriverSpec, Option
from edge_agent.model import DeviceEvent, Rejected, Scan, Status

_LIMIT: Final = 8190
"""Bytes of one scan: six or twelve a character, so that about 700 to 1,300 characters fit."""
_REST_GAPS: Final = 10
"""So many gaps after a scan that was cut, keys are taken for a new one again."""

_SHIFTS: Final = (42, 54)
_CTRLS: Final = (29, 97)
_ALT: Final = 56
_ALTGR: Final = 100
_CAPS: Final = 58
_SILENT: Final = frozenset({69, 70, 125, 126, 127})
"""Num Lock, Scroll Lock, the two system keys, Menu: pressed, they write nothing."""
_ENTER: Final = 28
_KEYPAD_ENTER: Final = 96
_TAB: Final = 15
_ESC: Final = 1
_KEYPAD: Final[Mapping[int, str]] = MappingProxyType(
    {82: "0", 79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9"}
    | {83: ".", 98: "/", 55: "*", 74: "-", 78: "+", 117: "="}
)
_FUNCTION: Final[Mapping[str, int]] = MappingProxyType(
    {f"F{number}": 58 + number for number in range(1, 11)} | {"F11": 87, "F12": 88, "none": -1}
)
_SUFFIXES: Final[Mapping[str, str]] = MappingProxyType({"Enter": "\r\n", "Tab": "\t", "none": ""})
_GS: Final = "\x1d"
_UNKNOWN: Final = "\ufffd"
_ALT_DIGITS: Final = 6

_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")


class _Typing:
    """One scan as it is typed: which keys are down, and what they wrote."""

    def __init__(self, layout: str, separator: int, alt_codes: str) -> None:
        self._layout = LAYOUTS[layout]
        self._us = LAYOUTS["us"]
        self._separator = separator
        self._alt_codes = alt_codes
        self._down: set[int] = set()
        self._caps = False
        self._alt = ""
        self._dead = ""
        self._written: list[str] = []

    def forget_keys(self) -> None:
        """Keys were lost: nobody knows any more which are down."""
        self._down.clear()
        self._caps = False
        self._alt = self._dead = ""

    def take(self) -> str:
        """What was written since the last call."""
        if self._dead:
            self._written.append(compose(self._dead, ""))
            self._dead = ""
        written, self._written = "".join(self._written), []
        return written

    def press(self, code: int) -> str | None:
        """A key goes down. Returns what it wrote if that stands by itself (it may be the suffix), else None."""
        held = self._down
        held.add(code)
        if code == _CAPS:
            self._caps = not self._caps
        if code in (_CAPS, _ALT, _ALTGR, *_SHIFTS, *_CTRLS) or code in _SILENT:
            return None
        if code in _KEYPAD and _KEYPAD[code].isdecimal() and self._alternative:
            self._alt = (self._alt + _KEYPAD[code])[: _ALT_DIGITS + 1]
            return None
        return self._write(self._character(code))

    def release(self, code: int) -> str | None:
        """A key goes up; letting go of Alt writes the character that was entered by its number."""
        self._down.discard(code)
        if self._alt and not self._alternative:
            digits, self._alt = self._alt, ""
            return self._write(self._by_number(digits))
        return None

    @property
    def _alternative(self) -> bool:
        return _ALT in self._down or _ALTGR in self._down

    def _write(self, character: str) -> str | None:
        if self._dead and character not in "\r\n\t":
            character, self._dead = compose(self._dead, character), ""
        elif is_dead(character):
            self._dead = character
            return None
        self._written.append(character)
        return character

    def unwrite(self) -> None:
        """What was written last was the suffix."""
        self._written.pop()

    def _character(self, code: int) -> str:
        if code in (_ENTER, _KEYPAD_ENTER):
            return "\r"
        if code == _TAB:
            return "\t"
        if code == _ESC:
            return "\x1b"
        if code == self._separator:
            return _GS
        if code in _KEYPAD:
            return _KEYPAD[code]
        shift = any(one in self._down for one in _SHIFTS)
        altgr = _ALTGR in self._down
        character = self._layout.character(code, shift=shift, altgr=altgr, caps=self._caps)
        if any(one in self._down for one in _CTRLS):
            return (
                _control(character)
                or _control(self._us.character(code, shift=shift, altgr=False, caps=False))
                or (character if altgr and character else _UNKNOWN)
            )
        return _UNKNOWN if character is None or _ALT in self._down else character

    def _by_number(self, digits: str) -> str:
        number = int(digits)
        if len(digits) > _ALT_DIGITS:
            return _UNKNOWN
        if number < 0x80:
            return chr(number)
        if self._alt_codes == "unicode":
            return chr(number) if number < 0xD800 or 0xDFFF < number < 0x110000 else _UNKNOWN
        if number > 0xFF and self._alt_codes == "gb18030":
            return number.to_bytes(4, "big").lstrip(b"\0").decode("gb18030", errors="replace")[:1]
        if number > 0xFF:
            return _UNKNOWN
        page = "cp1252" if digits.startswith("0") else "cp437"
        return bytes([number]).decode(page, errors="replace")


def _control(character: str | None) -> str | None:
    """What Ctrl makes of a character: 40 to 5F, and the letters, lose their upper bits; 6 and - stand for ^ and _."""
    if character is None or len(character) != 1:
        return None
    character = {"6": "^", "-": "_"}.get(character, character)
    code = ord(character.upper()) if "a" <= character <= "z" else ord(character)
    return chr(code & 0x1F) if 0x40 <= code <= 0x5F else None


class KeyboardCodec:
    """Keys to scans; see `edge_agent.driver.Codec`. `gap` is in seconds."""

    def __init__(
        self, *, layout: str, suffix: str, gap: float, separator: str, alt_codes: str, aim: bool, minimum: int
    ) -> None:
        self._typing = _Typing(layout, _FUNCTION[separator], alt_codes)
        self._suffix = _SUFFIXES[suffix]
        self._gap = gap
        self._aim = aim
        self._minimum = minimum
        self._raw = bytearray()
        self._whole = 0
        self._begun = 0.0
        self._last = 0.0
        self._fault = ""
        self._typed = False
        self._ending: int | None = None
        self._cut_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence will have ended what is held; None while nothing is."""
        return self._last + self._gap if self._raw or self._fault else None

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        outputs = self.tick(now)
        if not data:
            return outputs
        for byte in data:
            outputs += self._byte(byte, now)
        self._last = now
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        deadline = self.deadline
        return self._silence() if deadline is not None and now >= deadline else []

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: a keyboard has none."""
        raise ValueError(f"no command {name!r}; a keyboard scanner takes none")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`: the end of the stream is a silence."""
        if len(self._raw) > self._whole:
            self._fault = self._fault or "truncated"
        return self._silence()

    def _byte(self, byte: int, now: float) -> list[CodecOutput]:
        outputs: list[CodecOutput] = []
        if byte >= UP and len(self._raw) > self._whole:
            self._spoil("noise")  # the key before was not whole
        if byte >= UP and self._ending is not None and byte != UP:
            outputs.append(self._end())
        if not self._raw:
            self._begun = now
        self._raw.append(byte)
        if byte == KEY_PAUSE:
            return outputs
        if byte == KEY_DROPPED:
            self._spoil("dropped")
            self._typing.forget_keys()
        elif byte > AGAIN or (byte < UP and len(self._raw) == self._whole + 1):
            self._spoil("noise")
        elif len(self._raw) == self._whole + 3:
            outputs += self._triple()
        if len(self._raw) >= _LIMIT and (self._whole == len(self._raw) or self._fault):
            self._fault = self._fault or "too-long"
            outputs.append(self._reject(self._fault))
        return outputs

    def _triple(self) -> list[CodecOutput]:
        action, high, low = self._raw[self._whole :]
        if action != KEY_PAUSE:
            self._whole += 3
            return self._key(action, high << 7 | low)
        told = bytes(self._raw[self._whole :])
        del self._raw[self._whole :]
        passed = (high << 7 | low) / 100
        outputs = self._silence() if passed >= self._gap else []
        if passed >= self._gap * _REST_GAPS:
            self._cut_at = None
        self._raw += told
        self._whole = len(self._raw)
        return outputs

    def _spoil(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._whole = len(self._raw)

    def _key(self, action: int, code: int) -> list[CodecOutput]:
        if action == AGAIN:
            return []
        if action == UP:
            wrote = self._typing.release(code)
            if self._ending == code:
                return [self._end()]
        else:
            wrote = self._typing.press(code)
        if wrote is None:
            return []
        if wrote not in self._suffix or not self._suffix:
            self._typed = True
            return []
        self._typing.unwrite()
        self._ending = code
        return [] if action == DOWN else [self._end()]

    def _silence(self) -> list[CodecOutput]:
        if self._ending is not None or (not self._suffix and self._typed and not self._fault):
            return [self._end()]
        if self._fault or self._typed:
            return self._refuse(self._fault or "no-terminator")
        if not self._raw:
            return []
        return [Status(status="other", detail="keys released", raw=self._flush())]

    def _end(self) -> DeviceEvent:
        """The suffix has come: a scan, unless it is doubtful."""
        rest_of_a_cut = self._cut_at is not None and self._begun - self._cut_at < self._gap * _REST_GAPS
        text, fault, typed = self._typing.take(), self._fault, self._typed
        self._fault, self._typed, self._ending, self._cut_at = "", False, None, None
        raw = self._flush()
        if fault:
            return Rejected(reason=fault, raw=raw)
        if not typed:
            return Rejected(reason="empty", raw=raw)
        if rest_of_a_cut:
            return Rejected(reason="truncated", raw=raw)
        symbology = _AIM.match(text) if self._aim else None
        if symbology:
            text = text[symbology.end() :]
        if len(text) < self._minimum:
            return Rejected(reason="too-short" if text else "empty", raw=raw)
        return Scan(text=text, symbology=symbology[0] if symbology else None, lossy=_UNKNOWN in text, raw=raw)

    def _refuse(self, reason: str) -> list[CodecOutput]:
        """Silence before the suffix: what was typed is not whole, and what comes soon may be its rest."""
        self._typing.take()
        self._typing.forget_keys()
        self._cut_at = self._last
        self._fault, self._typed = "", False
        return [Rejected(reason=reason, raw=self._flush())] if self._raw else []

    def _reject(self, reason: str) -> Rejected:
        """Give up what is held; what follows before the next end belongs to it."""
        self._typing.take()
        self._ending = None
        return Rejected(reason=reason, raw=self._flush())

    def _flush(self) -> bytes:
        raw = bytes(self._raw)
        self._raw.clear()
        self._whole = 0
        return raw


def _make(options: Mapping[str, Any]) -> KeyboardCodec:
    return KeyboardCodec(
        layout=options.get("layout", "us"),
        suffix=options.get("suffix", "Enter"),
        gap=options.get("gap_ms", 150) / 1000,
        separator=options.get("separator_key", "F8"),
        alt_codes=options.get("alt_codes", "windows"),
        aim=options.get("aim", True),
        minimum=options.get("min_length", 1),
    )


SPEC = DriverSpec(
    id="hid-keyboard",
    kind="scanner",
    title="Barcode scanner in keyboard mode (wedge)",
    make=_make,
    models=("any scanner in keyboard mode: Honeywell, Zebra, Datalogic, Newland, MINDEO, Deli, TEEMI",),
    source="kernel input documentation; USB HID 1.11 appendix B; programming manuals (keyboard country, ALT+keypad)",
    maturity="captured",
    interfaces=("evdev", "memory"),
    options=(
        Option(
            name="layout",
            type="text",
            default="us",
            choices=tuple(LAYOUTS),
            help="the keyboard country that the scanner is set to, not that of the box",
        ),
        Option(
            name="suffix",
            type="text",
            default="Enter",
            choices=tuple(_SUFFIXES),
            help="the key that the scanner presses behind the data; none: silence ends a scan",
        ),
        Option(
            name="gap_ms",
            type="integer",
            default=150,
            minimum=50,
            maximum=5000,
            help="milliseconds without a key after which a scan is over",
        ),
        Option(
            name="separator_key",
            type="text",
            default="F8",
            choices=tuple(_FUNCTION),
            help="the function key that stands for the separator GS, besides Ctrl+] and Alt+029",
        ),
        Option(
            name="alt_codes",
            type="text",
            default="windows",
            choices=("windows", "gb18030", "unicode"),
            help="what a number over 127 entered with Alt on the keypad means",
        ),
        Option(name="aim", type="boolean", default=True, help="take an AIM identifier such as ]C1 off the front"),
        Option(
            name="min_length",
            type="integer",
            default=1,
            minimum=1,
            maximum=100,
            help="shorter texts are refused: some wedges lose keys",
        ),
    ),
    tells=("symbology",),
)
