"""Check characters of serial protocols, named as dialect tables name them.

Each function takes the covered bytes and returns the check as it stands in the frame.
"""

from __future__ import annotations

import binascii
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


_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc16_ccitt(data: bytes) -> int:
    """CRC of Gen2 tags (ISO 18000-63 annex F): polynomial 1021, begun with FFFF, inverted."""
    return binascii.crc_hqx(data, 0xFFFF) ^ 0xFFFF


def crc16_reflected(data: bytes) -> bytes:
    """CRC with the reflected polynomial 8408, begun with FFFF, not inverted; low byte first as in the frame."""
    crc = binascii.crc_hqx(data.translate(_REVERSED), 0xFFFF)
    return bytes((_REVERSED[crc >> 8], _REVERSED[crc & 0xFF]))


_AUGMENTED: Final = binascii.crc_hqx(b"\x00\x00", 0xFFFF)


def crc16_augmented(data: bytes) -> bytes:
    """CRC of ThingMagic: polynomial 1021 begun with FFFF, the bits of the message shifted in at the low end.

    No zeros follow the message, so its last two bytes only go into the sum. High byte first; at least two bytes.
    """
    crc = binascii.crc_hqx(data[:-2], _AUGMENTED) ^ int.from_bytes(data[-2:], "big")
    return crc.to_bytes(2, "big")
