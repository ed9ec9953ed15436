"""QR codes (ISO/IEC 18004) by segno, which comes with the page's extra."""

from __future__ import annotations

import importlib.util
import io

from edge_agent.model import QrCode


def available() -> bool:
    """Whether QR codes can be made on this box."""
    return importlib.util.find_spec("segno") is not None


def code(text: str) -> QrCode | None:
    """A code with error correction M; None where none can be made: without segno, or for too long a text."""
    if not available():
        return None
    import segno

    try:
        made = segno.make_qr(text, error="m", boost_error=False)
    except segno.DataOverflowError:
        return None
    return QrCode(text=text, rows=tuple("".join("1" if module else "0" for module in row) for row in made.matrix))


def svg(text: str) -> bytes | None:
    """The code as an SVG picture; None where none can be made."""
    if not available():
        return None
    import segno

    try:
        made = segno.make_qr(text, error="m", boost_error=False)
    except segno.DataOverflowError:
        return None
    out = io.BytesIO()
    made.save(out, kind="svg", scale=4, border=4, xmldecl=False, svgns=True, light="#fff")
    return out.getvalue()
