"""Check characters of serial protocols, named as dialect tables name them.

Each function takes the covered bytes and returns the check as it stands in the frame.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final


def xor(data: bytes) -> bytes:
    """Exclusive or of all bytes (BCC, LRC of ISO 1155), one byte."""
    return bytes((functools.reduce(operator.xor, data, 0),))


def xor_hex(data: bytes) -> bytes:
    """Exclusive or, written as two upper-case hexadecimal characters, high nibble first."""
    return b"%02X" % xor(data)[0]


def total(data: bytes) -> bytes:
    """Sum of all bytes modulo 256, one byte."""
    return bytes((sum(data) & 0xFF,))


def total_hex(data: bytes) -> bytes:
    """Sum modulo 256, written as two upper-case hexadecimal characters."""
    return b"%02X" % total(data)[0]


def twos_complement_7(data: bytes) -> bytes:
    """Two's complement of the low seven bits of the sum: all bytes and the check add up to 0 modulo 128."""
    return bytes((-sum(data) & 0x7F,))


CHECKSUMS: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {
        "xor": xor,
        "xor-hex": xor_hex,
        "sum": total,
        "sum-hex": total_hex,
        "twos-complement-7": twos_complement_7,
    }
)
