"""Report descriptors for tests, put together item by item from USB-IF HID 1.11 and the Point of Sale usage tables 1.02.

They are laid out as real devices lay them out; none is copied from one.
"""

from __future__ import annotations


def item(prefix: int, value: int = 0, size: int | None = None) -> bytes:
    """One short item with `size` bytes of data, or as many as the value needs."""
    if size is None:
        size = 1 if -128 <= value <= 255 else 2
    return bytes([prefix | {0: 0, 1: 1, 2: 2, 4: 3}[size]]) + (value & (1 << size * 8) - 1).to_bytes(size, "little")


def page(value: int) -> bytes:
    return item(0x04, value)


def usage(value: int) -> bytes:
    return item(0x08, value)


def collection(kind: int) -> bytes:
    return item(0xA0, kind)


END = b"\xc0"


def logical(minimum: int, maximum: int) -> bytes:
    wide = 4 if maximum > 0x7FFF else 2 if maximum > 0x7F or minimum < -128 else 1
    return item(0x14, minimum, wide if minimum < 0 else 1) + item(0x24, maximum, wide)


def elements(size: int, count: int) -> bytes:
    return item(0x74, size, 1) + item(0x94, count, 1)


def input_(flags: int) -> bytes:
    return item(0x80, flags, 1)


def scale_descriptor(
    *,
    report: int | None = 3,
    order: tuple[str, ...] = ("status", "unit", "scaling", "weight"),
    status_report: int = 4,
    control: int | None = None,
) -> bytes:
    """A scale's descriptor with the parts of its data report in this order; None: its reports are not numbered.

    `control` is the prefix of a control report 2 with enforced zero return and zero: 0x90 output, 0xB0 feature.
    """
    parts = {
        "status": _selector(0x70, range(0x71, 0x79)),
        "unit": _selector(0x50, range(0x51, 0x5D)),
        "scaling": usage(0x41) + logical(-128, 127) + elements(8, 1) + input_(2),
        "weight": usage(0x40) + logical(0, 0xFFFF) + elements(16, 1) + input_(2),
        "signed weight": usage(0x40) + logical(-0x8000, 0x7FFF) + elements(16, 1) + input_(2),
        "wide weight": usage(0x40) + logical(0, 0xFFFFFF) + elements(24, 1) + input_(2),
        "flags": _flags(0x71, 8),
        "pad": elements(8, 1) + input_(3),
        "nibble": elements(4, 1) + input_(3),
    }
    head = page(0x8D) + usage(0x20) + collection(1)
    number = b"" if report is None else item(0x84, report, 1)
    data = number + usage(0x32) + collection(2) + b"".join(parts[name] for name in order) + END
    status = b""
    if report is not None and status_report:
        status = item(0x84, status_report, 1) + usage(0x33) + collection(2) + parts["status"] + END
    steered = b""
    if control is not None:
        steered = (
            (b"" if report is None else item(0x84, 2, 1)) + usage(0x31) + collection(2) + usage(0x81) + usage(0x80)
        )
        steered += logical(0, 1) + elements(1, 2) + item(control, 2, 1) + elements(6, 1) + item(control, 3, 1) + END
    return head + data + status + steered + END


def _selector(group: int, members: range) -> bytes:
    named = b"".join(map(usage, members))
    return usage(group) + collection(2) + logical(1, len(members)) + elements(8, 1) + named + input_(0) + END


def _flags(first: int, count: int) -> bytes:
    named = item(0x18, first, 1) + item(0x28, first + count - 1, 1)
    return named + logical(0, 1) + elements(1, count) + input_(2)


def scanner_descriptor(*, vendor: bool = True) -> bytes:
    """A scanner's descriptor: report 2, length, three symbology bytes, 56 of data, two of the vendor's, `continued`."""
    head = page(0x8C) + usage(0x02) + collection(1) + item(0x84, 2, 1) + usage(0x12) + collection(2)
    length = page(0x01) + usage(0x3B) + logical(0, 255) + elements(8, 1) + input_(2)
    symbology = page(0x8C) + usage(0xFB) + usage(0xFC) + usage(0xFD) + elements(8, 3) + input_(2)
    data = usage(0xFE) + elements(8, 56) + item(0x80, 0x0102, 2)
    own = item(0x04, 0xFF66, 2) + usage(0x01) + usage(0x02) + elements(8, 2) + input_(2) + page(0x8C) if vendor else b""
    more = usage(0xFF) + logical(0, 1) + elements(1, 1) + input_(2) + elements(1, 7) + input_(3)
    return head + length + symbology + data + own + more + END + END


KEYBOARD = bytes.fromhex(
    "05010906a101050719e029e71500250175019508810295017508810395057501050819012905910295017503910395067508150025650507"
    "190029658100c0"
)
"""The keyboard of the HID specification's appendix B.1."""
