"""Where the parts of a document stand on a label: text at the left, the QR code at the top right.

Dots at 8 a millimetre (203 dpi), the resolution of nearly all label printers of stalls; narrow characters 12 dots wide,
24 high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drivers.paper import paired, plain, wrapped
from edge_agent.driver import Option
from edge_agent.model import Document, Pair, QrCode, Rule, Text

DOTS_MM: Final = 8
MARGIN: Final = 12
HIGH: Final = 24
_NARROW: Final = 12
_LEADING: Final = 4
_RULE_HIGH: Final = 8
_LEAST_COLUMNS: Final = 8

SIZE: Final = (
    Option(name="width", type="integer", default=60, minimum=30, maximum=110, help="of the label, in millimetres"),
    Option(name="height", type="integer", default=40, minimum=15, maximum=300, help="of the label, in millimetres"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, or a rule where `text` is None, `y` dots from the top."""

    y: int
    size: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code `x` dots from the left, with modules of so many dots."""

    x: int
    module: int
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label laid out. `across` is the width of its text in dots."""

    lines: tuple[Line, ...]
    across: int
    code: Code | None


def lay_out(document: Document, width: int, height: int) -> Label:
    """Lay a document out on a label of so many millimetres. Raises ValueError where it does not fit."""
    code = _code(next((part for part in document.parts if isinstance(part, QrCode)), None), width)
    right = code.x - MARGIN if code else width * DOTS_MM - MARGIN
    columns = (right - MARGIN) // _NARROW
    if columns < _LEAST_COLUMNS:
        raise ValueError(f"a label {width} mm wide has no room for text beside its QR code; a wider one would")
    lines: list[Line] = []
    y = MARGIN
    for part in document.parts:
        match part:
            case QrCode():
                continue
            case Rule():
                lines.append(Line(y + 2, 1, None))
                y += _RULE_HIGH
                continue
            case Text():
                texts = wrapped(part.text, columns // part.size)
            case Pair():
                texts = paired(part, columns // part.size)
        for text in texts:
            lines.append(Line(y, part.size, text))
            y += HIGH * part.size + _LEADING
    if y > height * DOTS_MM:
        needs = -(-y // DOTS_MM)
        raise ValueError(
            f"document {document.id} needs {needs} mm and the label is {height} mm high; height = {needs} would do"
        )
    return Label(tuple(lines), columns * _NARROW, code)


def _code(part: QrCode | None, width: int) -> Code | None:
    if part is None:
        return None
    modules = len(part.rows) + 2
    module = next((dots for dots in (4, 3) if modules * dots <= width * DOTS_MM // 2), 2)
    return Code(width * DOTS_MM - MARGIN - modules * module, module, plain(part.text))
