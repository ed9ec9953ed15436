"""Commissioning: what the agent reads, compared with what a person reads on the scale's own display; sans-I/O.

Five steps: the empty scale, a known mass, a tared container, an overload, and the empty scale again. Each compares one
steady reading with the text that the person typed. Where they differ, `findings` says which mistakes would explain it:

| finding | what would explain it |
|---|---|
| `unit` | the same digits in another unit |
| `decimal` | the same digits with the point elsewhere |
| `reversed` | the digits from the other end |
| `sign` | the same value with the other sign |
| `basis` | the display shows net, the reading says gross, or the other way round |
| `not-a-weight` | the display shows a state and no weight, and the agent reads a weight |
| `no-reading` | the display shows a weight and the agent reads none |
| `value` | none of these: another scale, an old value, another field of the frame |
| `scale-off` | agent and display agree, and the display is wrong about the known mass |

A weight is the same when its mass is: 1236 g on the line and 1.236 kg on the display are not different.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from edge_agent.model import Reading
from edge_agent.records.bodies import CommissioningStep
from edge_agent.units import MILLIGRAMS, to_milligrams

Step = Literal["empty", "mass", "tare", "overload", "removal"]

STEPS: Final[tuple[Step, ...]] = ("empty", "mass", "tare", "overload", "removal")
MAY_BE_SKIPPED: Final = frozenset({"tare", "overload"})
"""On a truck scale there is no container and no overload at hand."""
STEADY_WITHIN: Final = 5.0
"""Seconds that a scale gets to come to rest after the person has read its display."""
_AGREEING: Final = 3
"""So many equal readings in a row are steady where the scale does not tell stability."""

_UNIT_WORDS: Final = {"公斤": "kg", "千克": "kg", "克": "g", "斤": "jin", "市斤": "jin", "两": "liang", "吨": "t"}
_SHOWN = re.compile(r"(?P<sign>[-−]?)\s*(?P<digits>\d+(?:[.,]\d+)?)\s*(?P<unit>[A-Za-z:%]*|[一-鿿]+)")
_NET = re.compile(r"\b(?:net|nt)\b|净重?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a person read on the display: a weight with the unit where they named it, or None for a state."""

    text: str
    weight: str | None
    unit: str | None = None
    net: bool = False

    @classmethod
    def parse(cls, text: str) -> Shown:
        """Read what was typed, e.g. `1.236 kg`, `0.500kg NET`, `-0.020`, or a state such as `OL` or `----`.

        Raises ValueError, with what would be right, for a unit that is not known.
        """
        plain = text.strip()
        match = _SHOWN.fullmatch(_NET.sub("", plain).strip())
        if match is None:
            if any(character.isdigit() for character in plain):
                raise ValueError(f"{plain!r} is neither a weight such as '1.236 kg' nor a state such as 'OL'")
            return cls(text=plain, weight=None)
        word = match["unit"]
        unit = _UNIT_WORDS.get(word, word.lower() if word.lower() in MILLIGRAMS else word or None)
        if unit is not None and unit not in MILLIGRAMS:
            raise ValueError(f"{word!r} is no unit of mass known here; one of {', '.join(MILLIGRAMS)} would be right")
        digits = match["digits"].replace(",", ".")
        minus = match["sign"] and digits.strip("0.")
        return cls(
            text=plain, weight=_plain(f"{'-' if minus else ''}{digits}"), unit=unit, net=bool(_NET.search(plain))
        )


def _plain(weight: str) -> str:
    """A weight without leading zeros, as readings have it."""
    sign, digits = ("-", weight[1:]) if weight.startswith("-") else ("", weight)
    whole, point, fraction = digits.partition(".")
    return sign + (whole.lstrip("0") or "0") + point + fraction


def compare(
    step: Step, reading: Reading | None, shown: Shown, *, unit: str | None, known_mg: int | None = None
) -> CommissioningStep:
    """One step's comparison. `unit` is the one configured for the device, `known_mg` the mass that was put on.

    Raises ValueError for an overload that the display does not show: it would prove nothing.
    """
    if step == "overload" and shown.weight is not None:
        raise ValueError(f"{shown.text!r} is a weight, and no overload yet: press harder, or skip this step")
    read_unit = None if reading is None else reading.unit or unit
    findings = _findings(step, reading, shown, read_unit, known_mg)
    return CommissioningStep(
        step=step,
        shown=shown.text or "-",
        read=_words(reading, read_unit),
        result="bad" if findings else "good",
        finding=", ".join(findings) or None,
    )


def steady(readings: Sequence[Reading]) -> Reading | None:
    """The last of these readings where the scale is at rest at their end; None where it is not, or nobody can tell."""
    run = readings[-_AGREEING:]
    said = {(reading.weight, reading.unit, reading.condition) for reading in run}
    at_rest = len(run) == _AGREEING and len(said) == 1 and all(reading.stability != "moving" for reading in run)
    return run[-1] if at_rest else None


def skipped(step: Step) -> CommissioningStep:
    """A step that was left out. Raises ValueError for one that proves what the others cannot."""
    if step not in MAY_BE_SKIPPED:
        raise ValueError(f"the step {step} cannot be skipped")
    return CommissioningStep(step=step, result="skipped")


def passed(steps: Iterable[CommissioningStep]) -> bool:
    """Whether a scale is read right: every step was taken or rightly skipped, and none was bad."""
    results = {step.step: step.result for step in steps}
    return set(results) == set(STEPS) and all(
        result == "good" or (result == "skipped" and step in MAY_BE_SKIPPED) for step, result in results.items()
    )


def _words(reading: Reading | None, unit: str | None) -> str:
    if reading is None:
        return "-"
    if reading.weight is None:
        return reading.condition
    words = [reading.weight, unit or "", reading.basis or ""]
    return " ".join(word for word in words if word)


def _findings(
    step: Step, reading: Reading | None, shown: Shown, unit: str | None, known_mg: int | None
) -> Sequence[str]:
    if shown.weight is None:
        # A scale that falls silent while it is overloaded tells no wrong weight.
        return ["not-a-weight"] if reading is not None and reading.weight is not None else []
    if reading is None or reading.weight is None:
        return ["no-reading"]
    shown_unit = shown.unit or _unit_of(shown.weight, known_mg) or unit
    if _same(reading.weight, unit, shown.weight, shown_unit):
        if shown.net and reading.basis == "gross":
            return ["basis"]
        return _scale_off(step, shown.weight, shown_unit, known_mg)
    return _explanations(reading.weight, shown.weight, same_unit=shown_unit == unit) or ["value"]


def _same(read: str, read_unit: str | None, shown: str, shown_unit: str | None) -> bool:
    if read_unit == shown_unit or read_unit not in MILLIGRAMS or shown_unit not in MILLIGRAMS:
        return read_unit == shown_unit and ":" not in read + shown and Decimal(read) == Decimal(shown)
    return Decimal(read) * MILLIGRAMS[read_unit] == Decimal(shown) * MILLIGRAMS[shown_unit]


def _explanations(read: str, shown: str, *, same_unit: bool) -> list[str]:
    here, there = _digits(read), _digits(shown)
    same_digits = here.strip("0") == there.strip("0")
    holds = {
        "unit": not same_unit and same_digits,
        "decimal": same_digits and read.lstrip("-") != shown.lstrip("-"),
        "sign": read.lstrip("-") == shown.lstrip("-") and read != shown,
        "reversed": here != there and here.strip("0") == there[::-1].strip("0"),
    }
    return [name for name, yes in holds.items() if yes]


def _digits(weight: str) -> str:
    return weight.lstrip("-").replace(".", "")


def _unit_of(weight: str, known_mg: int | None) -> str | None:
    """The unit of a display that names none, where a known mass lies on the scale: the one that fits within 5 %."""
    if not known_mg:
        return None
    fitting = [
        unit
        for unit in ("kg", "g", "jin", "liang", "t", "lb", "oz")
        if abs(Decimal(weight) * MILLIGRAMS[unit] - known_mg) * 20 <= known_mg
    ]
    return fitting[0] if len(fitting) == 1 else None


def _scale_off(step: Step, weight: str, unit: str | None, known_mg: int | None) -> list[str]:
    """Whether the display is wrong about the known mass by more than 2 % and three of its last digits."""
    if step != "mass" or known_mg is None or unit is None:
        return []
    mass = to_milligrams(weight, unit)
    last_digit = MILLIGRAMS[unit].scaleb(-len(weight.partition(".")[2]))
    off = abs((mass or 0) - known_mg)
    return ["scale-off"] if off * 50 > known_mg and off > 3 * last_digit else []
