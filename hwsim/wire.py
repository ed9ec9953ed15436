"""Byte writers: what each instrument puts on the wire for one indication or one barcode decode.

Written from the makers' manuals. A writer never interprets what it reads back; conversations are in
`instruments`.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Final, Literal

from hwsim.load import Indication

STX, ETX, EOT, ENQ, ACK, NAK, DC1, SOH = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15, 0x11, 0x01
CRLF: Final = b"\r\n"


def _digits(text: str) -> tuple[str, int]:
    """The digits of a displayed number without sign and point, and how many of them are decimals."""
    whole, _, decimals = text.lstrip("-").partition(".")
    return whole + decimals, len(decimals)


def xk3190_continuous(indication: Indication) -> bytes:
    """Shanghai Yaohua XK3190-A9, serial output mode tF=0 (manual, continuous mode: 12 bytes).

        02 | sign | 6 digits, high first | decimals from the right 0..4 | XOR of bytes 2..9, two characters | 03

    The two check characters are the nibbles, each +30h up to 9 and +37h above. The frame has no unit, no
    stability and no overload; what an overloaded instrument sends is not documented, so nothing is sent.
    """
    if indication.condition != "ok":
        return b""
    digits, decimals = _digits(indication.text)
    if len(digits) > 6 or decimals > 4:
        raise ValueError(f"{indication.text} does not fit six digits with at most four decimals")
    sign = "-" if indication.text.startswith("-") else "+"
    body = f"{sign}{digits.rjust(6, '0')}{decimals}".encode("ascii")
    return b"%c%b%02X%c" % (STX, body, reduce(xor, body), ETX)


def xk3190_eq(indication: Indication, *, backwards: bool) -> bytes:
    """Yaohua `=` frames (XK3190-A26 manual p. 11): `=`, sign (`0` or `-`), seven characters of the display.

    Format 2 sends them as they are read, format 1 (`backwards`) from the last to the first. Out of range the
    indicator is silent here: the page does not tell what it sends.
    """
    if indication.condition != "ok":
        return b""
    text = indication.text.strip()
    display = ("-" if text.startswith("-") else "0") + text.lstrip("-").rjust(7, "0")
    return b"=" + (display[::-1] if backwards else display).encode()


def st_gs(indication: Indication) -> bytes:
    """The ST,GS family (CAS, T-Scale, Excell, GSC …), the form of 18 bytes with CR LF.

        ST|US|OL , GS|NT , sign | value, 7 characters right-aligned | unit, 2 characters | CR LF

    An overload is `OL,GS,+` and 12 blanks; an underload the same with `-`.
    """
    basis = b"NT" if indication.net else b"GS"
    if indication.condition != "ok":
        sign = b"+" if indication.condition == "overload" else b"-"
        return b"OL,%b,%b%b%b" % (basis, sign, b" " * 12, CRLF)
    stability = b"ST" if indication.stable else b"US"
    sign = b"-" if indication.text.startswith("-") else b"+"
    value = indication.text.lstrip("-").rjust(7).encode("ascii")
    return b"%b,%b,%b%b%b%b" % (stability, basis, sign, value, indication.unit.rjust(2).encode("ascii"), CRLF)


def mt_sics(indication: Indication, command: str = "S") -> bytes:
    """METTLER TOLEDO MT-SICS weight response (reference manual, S and SI).

    <command> SP S|D SP <value, 10 characters right-aligned> SP <unit> CR LF, or <command> SP +|- CR LF
    """
    if indication.condition != "ok":
        sign = "+" if indication.condition == "overload" else "-"
        return sics_line(command, sign)
    status = "S" if indication.stable else "D"
    return sics_line(command, status, indication.text.rjust(10), indication.unit)


def sics_line(*parts: str) -> bytes:
    """One MT-SICS response line."""
    return " ".join(parts).encode("ascii") + CRLF


_CAS_UNIT: Final = {"kg": "kg", "g": " g", "jin": "SJ"}


def cas_packet(indication: Indication) -> bytes:
    """CAS AP / ACLAS weight packet after DC1 (CAS AP-1 protocol type 1; ACLAS OS2CX manual p. 19).

    01 02 | S stable, U unstable, F out of range | sign: blank, -, or F for overload | weight, 6 characters
    with point | unit, 2 | BCC = XOR from the status to the last unit character | 03 04
    """
    return b"%c%b%c" % (SOH, _cas_block(_cas_body(indication)), EOT)


def cas_priced_packet(indication: Indication, *, price: str, amount: str) -> bytes:
    """The packet after DC2 (Ohaus Aviator 7000 service manual p. 36, format 2).

    01 | 02 amount BCC 03 | 02 status … unit BCC 03 | 02 unit price BCC 03 | 04, amount and price in eight characters
    """
    bodies = (amount.rjust(8), _cas_body(indication), price.rjust(8))
    return b"%c%b%c" % (SOH, b"".join(_cas_block(body) for body in bodies), EOT)


def _cas_block(body: str) -> bytes:
    raw = body.encode("ascii")
    return b"%c%b%c%c" % (STX, raw, reduce(xor, raw), ETX)


def _cas_body(indication: Indication) -> str:
    unit = _CAS_UNIT.get(indication.unit)
    if unit is None:
        raise ValueError(f"a CAS poll scale has no unit {indication.unit!r}; it has {', '.join(_CAS_UNIT)}")
    if indication.condition == "overload":
        return f"SFFFFFFF{unit}"
    if indication.condition == "underload":
        return f"F-00.000{unit}"
    sign = "-" if indication.text.startswith("-") else " "
    weight = indication.text.lstrip("-").rjust(6, "0")
    if len(weight) > 6:
        raise ValueError(f"{indication.text} does not fit six characters")
    return f"{'S' if indication.stable else 'U'}{sign}{weight}{unit}"


_SWC_UNIT: Final = {"kg": 0, "g": 1, "t": 2}
_SWA_INCREMENT: Final = {1: 0b01 << 3, 2: 0b10 << 3, 5: 0b11 << 3}


def toledo_continuous(indication: Indication, *, checksum: bool = True) -> bytes:
    """Toledo standard continuous output (WILDCAT manual p. 6-4, IND445 p. 50): 17 bytes, 18 with checksum.

        02 | SWA | SWB | SWC | weight, 6 | tare, 6 | 0D | two's complement of the low 7 bits of the sum of all

    SWA: bits 2..0 decimals + 2, bits 4,3 increment; SWB: bit 0 net, 1 negative, 2 out of range, 3 motion,
    4 kg; SWC: bits 2..0 unit (0 = by SWB). Bit 5 of each is always 1. Out of range still carries digits, as
    real indicators do: only the bit says that they are no weight.
    """
    if indication.unit not in _SWC_UNIT:
        raise ValueError(f"Toledo continuous has no unit {indication.unit!r}; it has {', '.join(_SWC_UNIT)}")
    step = indication.increment
    while step % 10 == 0:
        step //= 10
    status_a = 0x20 | _SWA_INCREMENT.get(step, 0b01 << 3) | indication.decimals + 2
    status_b = 0x20
    status_b |= 0x01 if indication.net else 0
    status_b |= 0x02 if indication.value_mg < 0 else 0
    status_b |= 0x04 if indication.condition != "ok" else 0
    status_b |= 0 if indication.stable else 0x08
    status_b |= 0x10 if indication.unit == "kg" else 0
    status_c = 0x20 | _SWC_UNIT[indication.unit]
    weight = _six(indication.text)
    frame = b"%c%c%c%c%b%b\r" % (STX, status_a, status_b, status_c, weight, _six(indication.tare_text))
    return frame + bytes([-sum(frame) & 0x7F]) if checksum else frame


def _six(text: str) -> bytes:
    digits, _ = _digits(text)
    digits = digits.lstrip("0") or "0"
    if len(digits) > 6:
        raise ValueError(f"{text} does not fit six digits")
    return digits.rjust(6).encode("ascii")


Suffix = Literal["CR", "LF", "CRLF", "TAB", "ETX", "none"]
SUFFIXES: Final[dict[str, bytes]] = {
    "CR": b"\r",
    "LF": b"\n",
    "CRLF": b"\r\n",
    "TAB": b"\t",
    "ETX": b"\x03",
    "none": b"",
}


def scan(text: str, *, symbology: str | None = None, suffix: Suffix = "CR", encoding: str = "utf-8") -> bytes:
    """One decode as a serial scanner sends it: AIM identifier (ISO/IEC 15424) where set, data, suffix."""
    return (symbology or "").encode("ascii") + text.encode(encoding) + SUFFIXES[suffix]
