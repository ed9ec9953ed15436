"""What a key writes in the layout that a scanner is set to.

Source: the layouts of ISO/IEC 9995 countries as the X keyboard database (xkb-data) and scanner manuals have them; key
codes of linux/input-event-codes.h. Only characters on which those agree are listed behind AltGr. Dead keys are written
as their combining character: with a letter they make an accented one, with a space the accent itself.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_POSITIONS: Final = (41, *range(2, 14), *range(16, 28), *range(30, 41), 43, 86, *range(44, 54))
"""Key codes row by row: the digits' row, Q to ], A to ', backslash, the key next to the left Shift, Z to /."""
SPACE: Final = 57

_DEAD: Final = MappingProxyType({"\u0300": "`", "\u0301": "´", "\u0302": "^", "\u0303": "~", "\u0308": "¨"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Characters by key code: alone, with Shift, with AltGr."""

    plain: Mapping[int, str]
    shift: Mapping[int, str]
    altgr: Mapping[int, str]

    def character(self, code: int, *, shift: bool, altgr: bool, caps: bool) -> str | None:
        """What the key writes; None for a key that writes nothing. Caps Lock turns the case of letters only."""
        if code == SPACE:
            return " "
        if altgr:
            return self.altgr.get(code)
        plain = self.plain.get(code)
        if plain is not None and caps and plain.isalpha() and plain.upper() == self.shift.get(code):
            shift = not shift
        return self.shift.get(code) if shift else plain


def _layout(plain: str, shift: str, altgr: Mapping[str, str]) -> Layout:
    lower = dict(zip(_POSITIONS, plain, strict=True))
    codes = {character: code for code, character in lower.items()}
    return Layout(
        plain=MappingProxyType(lower),
        shift=MappingProxyType(dict(zip(_POSITIONS, shift, strict=True))),
        altgr=MappingProxyType({codes[base]: character for base, character in altgr.items()}),
    )


_US = _layout(
    "`1234567890-=" "qwertyuiop[]" "asdfghjkl;'" "\\" "<" "zxcvbnm,./",
    "~!@#$%^&*()_+" "QWERTYUIOP{}" 'ASDFGHJKL:"' "|" ">" "ZXCVBNM<>?",
    {},
)  # fmt: skip
_GB = _layout(
    "`1234567890-=" "qwertyuiop[]" "asdfghjkl;'" "#" "\\" "zxcvbnm,./",
    '¬!"£$%^&*()_+' "QWERTYUIOP{}" "ASDFGHJKL:@" "~" "|" "ZXCVBNM<>?",
    {"4": "€"},
)  # fmt: skip
_DE = _layout(
    "\u03021234567890ß\u0301" "qwertzuiopü+" "asdfghjklöä" "#" "<" "yxcvbnm,.-",
    '°!"§$%&/()=?\u0300' "QWERTZUIOPÜ*" "ASDFGHJKLÖÄ" "'" ">" "YXCVBNM;:_",
    {"2": "²", "3": "³", "7": "{", "8": "[", "9": "]", "0": "}", "ß": "\\", "q": "@", "e": "€", "+": "~", "<": "|",
     "m": "µ"},
)  # fmt: skip
_FR = _layout(
    "²&é\"'(-è_çà)=" "azertyuiop\u0302$" "qsdfghjklmù" "*" "<" "wxcvbn,;:!",
    "~1234567890°+" "AZERTYUIOP\u0308£" "QSDFGHJKLM%" "µ" ">" "WXCVBN?./§",
    {"é": "~", '"': "#", "'": "{", "(": "[", "-": "|", "è": "`", "_": "\\", "ç": "^", "à": "@", ")": "]", "=": "}",
     "e": "€"},
)  # fmt: skip
_ES = _layout(
    "º1234567890'¡" "qwertyuiop\u0300+" "asdfghjklñ\u0301" "ç" "<" "zxcvbnm,.-",
    'ª!"·$%&/()=?¿' "QWERTYUIOP\u0302*" "ASDFGHJKLÑ\u0308" "Ç" ">" "ZXCVBNM;:_",
    {"º": "\\", "1": "|", "2": "@", "3": "#", "4": "~", "6": "¬", "e": "€", "\u0300": "[", "+": "]", "\u0301": "{",
     "ç": "}"},
)  # fmt: skip
_IT = _layout(
    "\\1234567890'ì" "qwertyuiopè+" "asdfghjklòà" "ù" "<" "zxcvbnm,.-",
    '|!"£$%&/()=?^' "QWERTYUIOPé*" "ASDFGHJKLç°" "§" ">" "ZXCVBNM;:_",
    {"è": "[", "+": "]", "ò": "@", "à": "#", "e": "€"},
)  # fmt: skip

LAYOUTS: Final[Mapping[str, Layout]] = MappingProxyType(
    {"us": _US, "gb": _GB, "de": _DE, "fr": _FR, "es": _ES, "it": _IT}
)


def is_dead(character: str) -> bool:
    """Whether a key writes only together with the next one."""
    return character in _DEAD


def compose(dead: str, following: str) -> str:
    """What a dead key and the character behind it write; `following` may be empty."""
    if following in ("", " "):
        return _DEAD[dead]
    together = unicodedata.normalize("NFC", following + dead)
    return together if len(together) == 1 else _DEAD[dead] + following
