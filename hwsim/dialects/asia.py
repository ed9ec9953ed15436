"""China, Korea, Japan: Yaohua, Shuangjie, CAS, A&D, DIGI, ViBRA, T-Scale and others."""

from __future__ import annotations

from typing import Final

from hwsim.dialect import Dialect
from hwsim.dialects.talk import (
    CRLF,
    GRAMS,
    Talk,
    check_xor,
    fit,
    magnitude,
    minus,
    ok,
    over,
    says,
    tares,
    zero_filled,
    zeroes,
)
from hwsim.load import Indication, Platter
from hwsim.mass import shown as text_of


def xk3190_a12e(shown: Indication) -> bytes:
    """XK3190-A12(E) manual p. 13: `W`, G or N, seven characters, kg, XOR of the eleven as two digits, CR LF.

    Out of range: nine blanks, OL or LO, 23.
    """
    if not ok(shown):
        return b" " * 9 + (b"OL" if over(shown) else b"LO") + b"23" + CRLF
    body = f"W{'N' if shown.net else 'G'}{zero_filled(shown, 7)}kg".encode()
    return body + b"%02X" % check_xor(body) + CRLF


def xk3190_a12plus(shown: Indication) -> bytes:
    """XK3190-A12+: ww (gross) or wn (net), seven characters, kg. What it sends out of range is not told: silence."""
    return f"w{'n' if shown.net else 'w'}{zero_filled(shown, 7)}kg\r\n".encode() if ok(shown) else b""


def _yaohua_payload(shown: Indication, mass: str) -> bytes:
    digits = mass.lstrip("-").replace(".", "")
    return f"{'-' if mass.startswith('-') else '+'}{fit(digits, 6, '0')}{shown.decimals}".encode()


def _yaohua_command(platter: Platter) -> Talk:
    """XK3190-A9+ command mode: STX, address, command, XOR as two digits, ETX; this one has the address A."""

    def reply(command: bytes, payload: bytes = b"") -> bytes:
        body = b"A" + command + payload
        return b"\x02%b%02X\x03" % (body, check_xor(body))

    def gross(platter: Platter, now: float) -> bytes | None:
        shown = platter.indication(now)
        text = text_of(shown.value_mg + shown.tare_mg, shown.unit, shown.decimals)
        return reply(b"B", _yaohua_payload(shown, text)) if ok(shown) else None

    def tare(platter: Platter, now: float) -> bytes | None:
        shown = platter.indication(now)
        return reply(b"C", _yaohua_payload(shown, shown.tare_text))

    def net(platter: Platter, now: float) -> bytes | None:
        shown = platter.indication(now)
        return reply(b"D", _yaohua_payload(shown, shown.text)) if ok(shown) else None

    commands = {
        reply(b"A"): lambda platter, now: reply(b"A"),
        reply(b"B"): gross,
        reply(b"C"): tare,
        reply(b"D"): net,
        reply(b"H"): zeroes(reply(b"H")),
    }
    return Talk(platter, commands=commands)


def shuangjie(shown: Indication) -> bytes:
    """Shuangjie balances: sign, data in eight, unit in three, CR LF."""
    if not ok(shown):
        return b""
    return f"{minus(shown)}{fit(magnitude(shown), 8)}{(' ' + shown.unit).ljust(3)}\r\n".encode()


def ff_bcd(shown: Indication) -> bytes:
    """JCS-B counting scale manual p. 6: FF, status, three bytes of packed decimals from the low end, unit (0 kg)."""
    status = shown.decimals | (0x20 if shown.text.startswith("-") else 0) | (0x40 if shown.stable else 0)
    status |= 0 if ok(shown) else 0x80
    digits = fit(magnitude(shown).replace(".", ""), 6, "0") if ok(shown) else "000000"
    return b"\xff" + bytes((status,)) + bytes.fromhex(digits)[::-1] + b"\x00"


def cas_10(shown: Indication) -> bytes:
    """CAS CI-600D manual p. 74: eight characters and CR LF. Out of range is not told: silence."""
    return fit(shown.text, 8).encode() + CRLF if ok(shown) else b""


def cas_22(shown: Indication) -> bytes:
    """CAS CI-600D manual p. 74: head, basis, device number 1, lamps, weight in eight, blank, unit in two, CR LF."""
    head = b"OL" if not ok(shown) else b"ST" if shown.stable else b"US"
    lamps = 0x80 | (0x40 if shown.stable else 0) | (0x02 if shown.net else 0x04)
    lamps |= 0x01 if shown.value_mg == 0 and not shown.net else 0
    value = fit(shown.text, 8) if ok(shown) else " " * 8
    tail = f"{value} {shown.unit.rjust(2)}".encode()
    return b"%b,%b,\x01%c,%b%b" % (head, b"NT" if shown.net else b"GS", lamps, tail, CRLF)


def and_standard(shown: Indication) -> bytes:
    """A&D standard format: head, comma, sign and eight characters with leading zeros, unit in three, CR LF."""
    unit = fit(shown.unit, 3)
    if not ok(shown):
        return f"OL,{'+' if over(shown) else '-'}99999999{unit}\r\n".encode()
    head = "ST" if shown.stable else "US"
    return f"{head},{minus(shown, '+')}{fit(magnitude(shown), 8, '0')}{unit}\r\n".encode()


def digi_ds425(shown: Indication) -> bytes:
    """DIGI DS-425 service manual p. 16: status, header 0 and net in seven, header 4 and tare in seven, each CR, LF."""
    if not ok(shown):
        return b""
    status = 0x00 if shown.stable else 0x01
    return b"%c\r0%b\r4%b\r\n" % (status, fit(shown.text, 7).encode(), fit(shown.tare_text, 7).encode())


def vibra(shown: Indication) -> bytes:
    """ViBRA: sign, six characters with the point, a slash and the auxiliary digit, unit G, S or U."""
    if not ok(shown):
        return b""
    digits = fit(magnitude(shown), 7, "0")
    return f"{minus(shown, '+')}{digits[:-1]}/{digits[-1]} G {'S' if shown.stable else 'U'}\r\n".encode()


def _range(shown: Indication) -> str:
    return "OL" if not ok(shown) else "ST" if shown.stable else "US"


def tscale_nhb(shown: Indication) -> bytes:
    """T-Scale NHB: head, comma, basis, weight in eight, unit at the left of three, CR LF."""
    if not ok(shown):
        return b""
    return f"{_range(shown)},{'NT' if shown.net else 'GS'}{fit(shown.text, 8)}{shown.unit.ljust(3)}\r\n".encode()


def tscale_qhw(shown: Indication) -> bytes:
    """T-Scale QHW: as the NHB with a second comma, unit at the right of two."""
    if not ok(shown):
        return b""
    return f"{_range(shown)},{'NT' if shown.net else 'GS'},{fit(shown.text, 8)}{shown.unit.rjust(2)}\r\n".encode()


def toledo_price(shown: Indication) -> bytes:
    """Toledo retail scales in China: STX, weight in seven, KG, price and amount in eight each, CR LF."""
    if not ok(shown):
        return b""
    return f"\x02{fit(shown.text, 7)} KG{fit('0.00', 8)}{fit('0.00', 8)}\r\n".encode()


def gng(shown: Indication) -> bytes:
    """G&G JJ-B: sign, blank, weight in seven, blank and unit in three, CR LF."""
    if not ok(shown):
        return b""
    return f"{minus(shown)} {fit(magnitude(shown), 7)}{(' ' + shown.unit).ljust(3)}\r\n".encode()


def plain_line(shown: Indication) -> bytes:
    """A number and its unit behind a blank, as cheap scales print."""
    return f" {shown.text}{shown.unit}\r\n".encode() if ok(shown) else b""


def dollar_6(shown: Indication) -> bytes:
    """A dollar sign and six digits without a point, CR."""
    return f"${fit(magnitude(shown).replace('.', ''), 6, '0')}\r".encode() if ok(shown) and shown.value_mg >= 0 else b""


def stx_a(shown: Indication) -> bytes:
    """STX, A, eight characters, CR ETX."""
    return b"\x02A" + fit(shown.text, 8).encode() + b"\r\x03" if ok(shown) else b""


DIALECTS: Final = (
    Dialect(
        name="xk3190-a12e",
        title="Yaohua XK3190-A12E, 15 bytes with check",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(xk3190_a12e)),
        source="XK3190-A12(E) manual p. 13",
    ),
    Dialect(
        name="xk3190-a12plus",
        title="Yaohua XK3190-A12+, text lines, answers R T Z",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"R": says(xk3190_a12plus), b"T": tares(), b"Z": zeroes()}),
        source="XK3190-A12+ manual, serial communication",
    ),
    Dialect(
        name="xk3190-command",
        title="Yaohua XK3190 command mode at address A",
        rate_hz=10.0,
        make=_yaohua_command,
        source="XK3190-A9+ manual, command mode",
    ),
    Dialect(
        name="shuangjie",
        title="Shuangjie balances, answer ESC p",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"\x1bp": says(shuangjie), b"\x1bt": tares()}),
        source="Shuangjie serial interface",
    ),
    Dialect(
        name="ff-bcd",
        title="JCS-B packed decimals",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(ff_bcd)),
        source="JCS-B manual p. 6",
    ),
    Dialect(
        name="cas-10",
        title="CAS CI 10 bytes",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(cas_10)),
        source="CAS CI-600D manual p. 74",
    ),
    Dialect(
        name="cas-22",
        title="CAS CI 22 bytes with lamps",
        rate_hz=10.0,
        make=lambda platter: Talk(
            platter, stream=says(cas_22), commands={b"D01KZ\r\n": zeroes(), b"D01KT\r\n": tares()}
        ),
        source="CAS CI-600D manual p. 74",
    ),
    Dialect(
        name="and-standard",
        title="A&D standard format, answers Q Z T",
        rate_hz=10.0,
        make=lambda platter: Talk(
            platter, commands={b"Q\r\n": says(and_standard), b"Z\r\n": zeroes(b"\x06"), b"T\r\n": tares(b"\x06")}
        ),
        source="A&D FX-i manual, A&D standard format",
    ),
    Dialect(
        name="digi-ds425",
        title="DIGI DS-425 with status and headers",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(digi_ds425)),
        source="DIGI DS-425 service manual p. 16",
    ),
    Dialect(
        name="vibra",
        title="ViBRA with the auxiliary digit",
        rate_hz=5.0,
        make=lambda platter: Talk(platter, stream=says(vibra)),
        source="captures of a ViBRA balance",
        build=GRAMS,
    ),
    Dialect(
        name="tscale-nhb",
        title="T-Scale NHB",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(tscale_nhb)),
        source="captures of a T-Scale NHB",
    ),
    Dialect(
        name="tscale-qhw",
        title="T-Scale QHW",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(tscale_qhw)),
        source="captures of a T-Scale QHW",
    ),
    Dialect(
        name="toledo-price",
        title="Toledo retail scale with price and amount",
        rate_hz=5.0,
        make=lambda platter: Talk(platter, stream=says(toledo_price)),
        source="captures at a Kingtron till",
    ),
    Dialect(
        name="gng",
        title="G&G JJ-B, answers ESC p",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"\x1bp": says(gng), b"\x1bt": tares()}),
        source="captures of a JJ-B",
    ),
    Dialect(
        name="plain-line",
        title="a number and its unit",
        rate_hz=5.0,
        make=lambda platter: Talk(platter, stream=says(plain_line)),
        source="captures of shop scales",
    ),
    Dialect(
        name="dollar-6",
        title="a dollar sign and six digits",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(dollar_6)),
        source="a capture; no manual was found",
        build={"decimals": 0, "division": "1 kg", "capacity": "3000 kg"},
    ),
    Dialect(
        name="stx-a",
        title="STX, A, eight characters",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(stx_a)),
        source="a capture; no manual was found",
    ),
)
