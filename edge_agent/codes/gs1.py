"""GS1 element strings: from separated text, from bracketed text, and what a keyboard wedge does to them.

Follows the GS1 General Specifications; AIM symbology identifiers are those of ISO/IEC 15424. A message that
breaks a rule is still taken apart as far as it goes, with the problem named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from edge_agent.codes import gs1_ai
from edge_agent.codes.check_digits import is_digits
from edge_agent.codes.dates import iso_date
from edge_agent.codes.gs1_ai import AI_LENGTH, AIS, Ai, matches, value_pattern
from edge_agent.codes.gs1_checks import CHECKS
from edge_agent.codes.iso_lists import CURRENCY_BY_NUMBER
from edge_agent.codes.values import WEDGE_SUSPECT, Problem, Validity, verdict

GS: Final = "\x1d"
"""Group separator: what a scanner sends for FNC1 between element strings."""

MAX_ELEMENTS: Final = 64
"""More element strings than any symbol holds; text with more is refused, so that the work is bounded."""

GS1_SYMBOLOGIES: Final = frozenset({"]C1", "]e0", "]e1", "]e2", "]d2", "]d5", "]Q3", "]Q4", "]J1", "]J4", "]h2"})
"""AIM identifiers under which the data is GS1 element strings."""

PERSONAL_AIS: Final = frozenset(
    {"4301", "4302", "4303", "4308", "4311", "4312", "4313", "4319", "8002"}
    | {"7250", "7251", "7252", "7253", "7254", "7255", "7256", "7257", "7258", "7259"}
)
"""AIs that name a person, an address, a telephone or a birth."""

_BRACKETED_AI: Final = re.compile(r"\(([0-9]{2,4})\)")
_WITH_TIME: Final = frozenset({"4324", "4325", "7003", "7011", "8008"})
# Formats that a swallowed element string could have and that can be told from the tail of a lot or serial, and
# what may follow them; overlapping, so that every place is tried.
_SWALLOWED: Final = re.compile(
    r"(?=(1[1-3567][0-9]{6}|3[1-6][0-9]{2}[0-9]{6}|0[12][0-9]{14})($|10|21|240|30|37|1[1-7]|31))"
)
_MEASURED: Final = frozenset({"measure", "amount", "percent", "temperature"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element string: the AI and its value."""

    code: str
    value: str


@dataclass(frozen=True, slots=True)
class Message:
    """Element strings in the order of the symbol, with what is wrong about them."""

    elements: tuple[Element, ...]
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> Validity:
        """False if something is wrong or nothing was found, else True."""
        return verdict(self.problems, checked=True) if self.elements else False

    def value(self, code: str) -> str | None:
        """The first value under an AI."""
        return next((element.value for element in self.elements if element.code == code), None)


def parse(data: str) -> Message:
    """The message in scanner data without an AIM identifier, element strings separated by GS.

    A GS at the start (FNC1 in first position), at the end and after a value of its own length is tolerated.
    """
    elements: list[Element] = []
    problems: list[Problem] = []
    lost = False
    position = 1 if data.startswith(GS) else 0
    end = len(data)
    while position < end:
        length = AI_LENGTH.get(data[position : position + 2], 0)
        ai = AIS.get(data[position : position + length]) if length else None
        if ai is None:
            problems.append(Problem("unknown-ai", f"no AI begins with {_shown(data[position : position + 4])}"))
            break
        if len(elements) == MAX_ELEMENTS:
            problems.append(Problem("too-many", f"more than {MAX_ELEMENTS} element strings"))
            break
        position += length
        stop = data.find(GS, position)
        if stop < 0:
            stop = end
        if ai.separated:
            value = data[position:stop]
            lost = lost or (stop == end and _swallows(value, ai))
            position = stop + 1
        else:
            stop = min(stop, position + ai.longest)
            value = data[position:stop]
            position = stop + 1 if data.startswith(GS, stop) else stop
        elements.append(Element(ai.code, value))
        _check_value(ai, value, problems)
    if not elements and not problems:
        problems.append(Problem("empty", "holds no element string"))
    if lost:
        problems.append(_wedge_note(elements[-1]))
    elif GS not in data and any(problem.fatal for problem in problems) and "]" in data and _repaired(data):
        problems.append(Problem(WEDGE_SUSPECT, "reads well with ] taken for a group separator", fatal=False))
    _check_pairs(elements, problems)
    return Message(tuple(elements), tuple(problems))


def parse_bracketed(text: str) -> Message | None:
    r"""The message in text such as `(01)06901234567892(10)ABC`, `\(` being a bracket inside a value.

    None if the text does not begin with an AI in brackets. An AI that is not assigned is kept with a note: the
    brackets tell where it ends.
    """
    if not _BRACKETED_AI.match(text):
        return None
    elements: list[Element] = []
    problems: list[Problem] = []
    position = 0
    while position < len(text):
        found = _BRACKETED_AI.match(text, position)
        if not found:
            problems.append(Problem("bracket", "an AI in brackets does not end, or is not of 2 to 4 digits"))
            break
        if len(elements) == MAX_ELEMENTS:
            problems.append(Problem("too-many", f"more than {MAX_ELEMENTS} element strings"))
            break
        position = _next_bracket(text, found.end())
        code, value = found[1], text[found.end() : position].replace("\\(", "(")
        elements.append(Element(code, value))
        ai = AIS.get(code)
        if ai is not None:
            _check_value(ai, value, problems)
        else:
            problems.append(_unassigned(code))
    _check_pairs(elements, problems)
    return Message(tuple(elements), tuple(problems))


def from_elements(elements: Iterable[tuple[str, str]]) -> Message:
    """The message of values that came apart already, as in a Digital Link; the AIs must be assigned."""
    kept = tuple(Element(code, value) for code, value in elements)
    problems: list[Problem] = []
    for element in kept:
        _check_value(AIS[element.code], element.value, problems)
    _check_pairs(kept, problems)
    return Message(kept, tuple(problems))


def fields(message: Message, this_year: int) -> dict[str, str]:
    """The values by AI, and beside them dates as ISO, measures and amounts as decimal text.

    `17` brings `17_date`, `3103` brings `3103_value` and `3103_unit`, `3932` also `3932_currency`; keys, lot and
    serial stand there by name too (`gtin`, `sscc`, `lot` …).
    """
    found: dict[str, str] = {}
    for element in message.elements:
        code, value = element.code, element.value
        found.setdefault(code, value)
        name = _NAMES.get(code)
        if name:
            found[name] = value
        ai = AIS.get(code)
        if ai is None:
            continue
        if ai.kind == "date":
            _add_dates(found, code, value, this_year)
        elif ai.kind in _MEASURED:
            _add_measure(found, ai, value)
    return found


_NAMES: Final[Mapping[str, str]] = {
    "00": "sscc", "01": "gtin", "10": "lot", "21": "serial", "253": "gdti", "255": "gcn", "414": "gln",
    "8003": "grai", "8004": "giai", "8006": "itip", "8010": "cpid", "8017": "gsrnp", "8018": "gsrn",
}  # fmt: skip


def named(elements: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values of keys, lot and serial by the names people use."""
    return {_NAMES[code]: value for code, value in elements if code in _NAMES}


def without_persons(message: Message) -> Message:
    """The message with the values about persons masked; what was found wrong about them stays said."""
    return Message(
        tuple(
            Element(element.code, "*" * len(element.value)) if element.code in PERSONAL_AIS else element
            for element in message.elements
        ),
        message.problems,
    )


def element_string(message: Message) -> str:
    """The message as scanner data, with GS only where it is needed."""
    text = ""
    pending = False
    for element in message.elements:
        text += (GS if pending else "") + element.code + element.value
        ai = AIS.get(element.code)
        pending = ai is None or ai.separated
    return text


def bracketed(message: Message) -> str:
    """The message as people read it, AIs in brackets."""
    return "".join(f"({element.code})" + element.value.replace("(", "\\(") for element in message.elements)


def _next_bracket(text: str, position: int) -> int:
    while (position := text.find("(", position)) >= 0:
        if text[position - 1] != "\\":
            return position
        position += 1
    return len(text)


def _unassigned(code: str) -> Problem:
    """A note for an AI that may be assigned one day; a fatal problem where its digits can never be an AI."""
    known = AI_LENGTH.get(code[:2])
    if known is not None and known != len(code):
        return Problem("unknown-ai", f"AIs that begin with {code[:2]} have {known} digits, not {len(code)}")
    if known is not None and any(other[:3] == code[:3] for other in AIS):
        return Problem("unknown-ai", f"{code} is not assigned, though its neighbours are")
    return Problem("unknown-ai", f"{code} is not assigned in the table of this version", fatal=False)


def _check_value(ai: Ai, value: str, problems: list[Problem]) -> None:
    found = value_pattern(ai.code).fullmatch(value)
    if found is None:
        problems.append(_shape_problem(ai, value))
        return
    for part, text in zip(ai.parts, found.groups(), strict=True):
        if text is None:
            break
        for name in part.checks:
            words = CHECKS[name](text)
            if words is not None:
                problems.append(Problem(_PROBLEM_CODES.get(name, "content"), f"({ai.code}) {ai.title}: {words}"))


_PROBLEM_CODES: Final[Mapping[str, str]] = {
    "mod10": "check-digit",
    "gmn": "check-digit",
    "iban": "check-digit",
    "date": "date",
    "date0": "date",
    "yyyymmdd": "date",
}


def _shape_problem(ai: Ai, value: str) -> Problem:
    if not ai.shortest <= len(value) <= ai.longest:
        limits = str(ai.longest) if ai.shortest == ai.longest else f"{ai.shortest} to {ai.longest}"
        return Problem("length", f"({ai.code}) {ai.title} has {len(value)} characters, {limits} are allowed")
    return Problem("format", f"({ai.code}) {ai.title} has a character or a length that is not allowed")


def _check_pairs(elements: Iterable[Element], problems: list[Problem]) -> None:
    values: dict[str, str] = {}
    problems.extend(
        Problem("repeated", f"({element.code}) stands twice with different values")
        for element in elements
        if values.setdefault(element.code, element.value) != element.value
    )
    keyed = not gs1_ai.IDENTIFICATION_KEYS.isdisjoint(values)
    for code in values:
        ai = AIS.get(code)
        if ai is None:
            continue
        for pattern in ai.excludes:
            other = _present(pattern, values, besides=code)
            if other:
                problems.append(Problem("pair", f"({code}) and ({other}) exclude each other"))
        problems.extend(_unmet(ai, need, keyed) for need in ai.needs if not _met(need, values))
    if "8030" in values:
        for code, without in gs1_ai.SERIALISED_BY_TAIL.items():
            if len(values.get(code, "")) == without:
                problems.append(Problem("pair", f"({code}) has no serial, which a signature needs"))


def _met(need: gs1_ai.Need, values: Mapping[str, str]) -> bool:
    for group in need:
        for one in group:
            if not _present(one, values):
                break
        else:
            return True
    return False


def _present(pattern: str, values: Mapping[str, str], besides: str = "") -> str | None:
    if pattern in values:
        return pattern if pattern != besides else None
    if pattern[-1] != "n":
        return None
    return next((code for code in values if code != besides and matches(pattern, code)), None)


def _unmet(ai: Ai, need: gs1_ai.Need, keyed: bool) -> Problem:
    """An unmet need is a note where another symbol on the same thing may meet it: where a key is missing, or where
    this symbol has no key at all and so cannot be the only one."""
    wanted = " or ".join("+".join(f"({one})" for one in group) for group in need)
    elsewhere = any(one in gs1_ai.IDENTIFICATION_KEYS for group in need for one in group)
    fatal = (keyed and not elsewhere) or ai.code in gs1_ai.BOUND_TO_KEY
    return Problem("pair", f"({ai.code}) {ai.title} wants {wanted}", fatal=fatal)


def _swallows(value: str, ai: Ai) -> bool:
    """Whether the end of a value looks like element strings whose separator was lost."""
    return ai.longest > 6 and split_swallowed(value) is not None


def split_swallowed(value: str) -> tuple[str, str] | None:
    """The value before, and the element strings that may have been swallowed behind it; None if it shows none.

    Only formats are trusted that can be told from a lot's own characters: a date that exists, a measure, a GTIN
    with its check digit, standing at the very end or followed by one more AI.
    """
    if len(value) < 9:
        return None
    for found in _SWALLOWED.finditer(value, 1):
        head = found[1]
        ai = AIS.get(head[: AI_LENGTH[head[:2]]])
        if ai is None:
            continue
        problems: list[Problem] = []
        _check_value(ai, head[len(ai.code) :], problems)
        if not problems:
            return value[: found.start()], value[found.start() :]
    return None


def _repaired(data: str) -> bool:
    repaired = parse(data.replace("]", GS))
    return repaired.valid is True


def _wedge_note(element: Element) -> Problem:
    split = split_swallowed(element.value)
    before, behind = split if split else (element.value, "")
    words = f"({element.code}) may be {_shown(before)} followed by {_shown(behind)}: separator lost in the wedge"
    return Problem(WEDGE_SUSPECT, words, fatal=False)


def _shown(text: str) -> str:
    return repr(text[:40])


def _add_dates(found: dict[str, str], code: str, value: str, this_year: int) -> None:
    if len(value) < 6 or not is_digits(value):
        return
    zero = AIS[code].parts[0].checks == ("date0",)
    date = iso_date(value[:6], this_year, day_may_be_zero=zero)
    if date is None:
        return
    rest = value[6:]
    if code == "7007" and len(rest) == 6:
        last = iso_date(rest, this_year, day_may_be_zero=False)
        if last:
            found["7007_until"] = last
    found[f"{code}_date"] = date
    if code in _WITH_TIME and len(rest) in {2, 4, 6} and rest != "9999":
        clock = (rest + "0000")[:6]
        found[f"{code}_time"] = f"{clock[:2]}:{clock[2:4]}:{clock[4:]}"


def _add_measure(found: dict[str, str], ai: Ai, value: str) -> None:
    digits = value
    if ai.code[:3] in {"391", "393"}:
        currency = CURRENCY_BY_NUMBER.get(value[:3])
        if currency:
            found[f"{ai.code}_currency"] = currency
        digits = value[3:]
    negative = ai.kind == "temperature" and digits.endswith("-")
    digits = digits.rstrip("-") if negative else digits
    if not is_digits(digits) or len(digits) > 15 or ai.decimals is None:
        return
    number = Decimal(digits).scaleb(-ai.decimals)
    found[f"{ai.code}_value"] = format(-number if negative and number else number, "f")
    if ai.unit:
        found[f"{ai.code}_unit"] = ai.unit
