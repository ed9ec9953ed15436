"""Checksums of readers, bit by bit as the manuals print them."""

from __future__ import annotations


def crc_gen2(data: bytes) -> bytes:
    """CRC-16 that a Gen2 tag sends behind PC and EPC (ISO 18000-63)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return (crc ^ 0xFFFF).to_bytes(2, "big")


def crc_uhfreader(data: bytes) -> bytes:
    """CRC-16 of UHFReader18's manual, appendix: preset FFFF, polynomial 8408, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def _nibble(high: int) -> int:
    """The remainder of four bits, without carries."""
    value = 0
    for bit in range(4):
        if high >> bit & 1:
            value ^= 0x1021 << bit
    return value & 0xFFFF


def crc_mercury(data: bytes) -> bytes:
    """CRC of the Mercury protocol: nibble by nibble, the message shifted in at the low end."""
    crc = 0xFFFF
    for byte in data:
        for nibble in (byte >> 4, byte & 0x0F):
            crc = (crc << 4 & 0xFFFF | nibble) ^ _nibble(crc >> 12)
    return crc.to_bytes(2, "big")


def pc(number: bytes) -> bytes:
    """The protocol control word of an EPC: how many words it has."""
    return (len(number) // 2 << 11).to_bytes(2, "big")
