"""What a person types to find goods: the first letters of the pinyin of their name. pypinyin's one home.

Only names without given initials need it, so it is loaded at the first of them: its tables take some 20 MB.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable


def initials_maker() -> Callable[[str], str | None] | None:
    """A function from names to initials ("dbc" for 大白菜); None where pypinyin is not installed."""
    if importlib.util.find_spec("pypinyin") is None:
        return None

    def initials(name: str) -> str | None:
        from pypinyin import Style, lazy_pinyin

        # By phrase, so that 重庆 gives cq; latin letters and digits of a name stay.
        letters = lazy_pinyin(name, style=Style.FIRST_LETTER, errors="default")
        return "".join(re.findall(r"[a-z0-9]", "".join(letters).lower()))[:40] or None

    return initials
