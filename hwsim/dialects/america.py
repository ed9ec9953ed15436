"""North America: Toledo 8217, NCI, SMA, Ohaus, U.S. Solid."""

from __future__ import annotations

from typing import Final

from hwsim.dialect import Dialect
from hwsim.dialects.talk import GRAMS, Talk, fit, magnitude, minus, ok, over, says, tares, zero_filled, zeroes
from hwsim.load import Indication, Platter


def toledo_8217(shown: Indication) -> bytes:
    """8217, answer to W: STX, WW.WWW, N when net, CR; a status where there is no stable weight above zero."""
    if not ok(shown) or not shown.stable or shown.value_mg < 0:
        return b"\x02?%c\r" % toledo_8217_status(shown)
    return f"\x02{fit(magnitude(shown), 6, '0')}{'N' if shown.net else ''}\r".encode()


def toledo_8217_status(shown: Indication) -> int:
    """Bit 0 motion, 1 over, 2 under zero, 4 centre of zero, 5 net, 6 always."""
    status = 0x40 | (0x20 if shown.net else 0)
    if over(shown):
        return status | 0x02
    if not ok(shown) or shown.value_mg < 0:
        return status | 0x04
    return status | (0 if shown.stable else 0x01) | (0x10 if shown.value_mg == 0 else 0)


def _toledo_8217(platter: Platter) -> Talk:
    def status(platter: Platter, now: float) -> bytes:
        return b"\x02?%c\r" % toledo_8217_status(platter.indication(now))

    def tare(platter: Platter, now: float) -> bytes:
        platter.tare(now)
        return status(platter, now)

    def zero(platter: Platter, now: float) -> bytes:
        platter.zero(now)
        return status(platter, now)

    def clear(platter: Platter, now: float) -> bytes:
        platter.preset_tare(0)
        return status(platter, now)

    return Talk(platter, commands={b"W": says(toledo_8217), b"T": tare, b"Z": zero, b"C": clear})


def nci(shown: Indication) -> bytes:
    """NCI SCP-01, answer to W CR: LF, weight and unit, CR, LF, status, CR, ETX; the status alone while moving."""
    first = 0x30 | (0 if shown.stable or not ok(shown) else 0x01) | (0x02 if shown.value_mg == 0 else 0)
    second = 0x30 | (0x02 if over(shown) else 0 if ok(shown) else 0x01)
    status = b"\n%c%c\r\x03" % (first, second)
    if not ok(shown):
        return b"\n%b%b\r" % ((b"^" if over(shown) else b"_") * 7, shown.unit.encode()) + status
    if not shown.stable:
        return status
    return f"\n{zero_filled(shown, 7)}{shown.unit}\r".encode() + status


def sma(shown: Indication) -> bytes:
    """SMA SCP-0499, answer to LF W CR: status, range, basis, motion, future, weight in ten, unit in three, CR."""
    state = "O" if over(shown) else "U" if not ok(shown) else "Z" if shown.value_mg == 0 and shown.stable else " "
    weight = fit(shown.text, 10) if ok(shown) else "-" * 10
    motion = " " if shown.stable or not ok(shown) else "M"
    return f"\n{state}1{'N' if shown.net else 'G'}{motion} {weight}{shown.unit.ljust(3)}\r".encode()


def ohaus(shown: Indication) -> bytes:
    """Ohaus Defender: sign apart, weight in seven, blank, unit at the left of five, ? while moving, G or N, CR LF."""
    if not ok(shown):
        return b""
    mark = " " if shown.stable else "?"
    basis = "N" if shown.net else "G"
    return f"{minus(shown)}{fit(magnitude(shown), 7)} {shown.unit.ljust(5)}{mark}{basis}\r\n".encode()


def us_solid(shown: Indication) -> bytes:
    """U.S. Solid JFDBS: sign, weight in nine, unit at the left of three, CR LF; tildes over the range."""
    if not ok(shown):
        return b"+ ~~~~~~~~" + shown.unit.ljust(3).encode() + b"\r\n" if over(shown) else b""
    return f"{minus(shown, '+')}{fit(magnitude(shown), 9)}{shown.unit.ljust(3)}\r\n".encode()


DIALECTS: Final = (
    Dialect(
        name="toledo-8217",
        title="METTLER TOLEDO 8217, answers W T Z C",
        rate_hz=10.0,
        make=_toledo_8217,
        source="Diva service manual 6.1.3",
    ),
    Dialect(
        name="nci-3835",
        title="Weigh-Tronix NCI, answers W",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"W\r": says(nci), b"Z\r": zeroes(b"\n00\r\x03")}),
        source="Weigh-Tronix NCI SCP-01",
    ),
    Dialect(
        name="sma",
        title="SMA SCP-0499, answers W Z T",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"\nW\r": says(sma), b"\nZ\r": zeroes(), b"\nT\r": tares()}),
        source="SMA SCP-0499",
    ),
    Dialect(
        name="ohaus-defender",
        title="Ohaus Defender, answers IP Z T",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"IP\r\n": says(ohaus), b"Z\r\n": zeroes(), b"T\r\n": tares()}),
        source="captures of a Defender 3000",
    ),
    Dialect(
        name="us-solid",
        title="U.S. Solid JFDBS",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(us_solid)),
        source="lines of a JFDBS",
        build=GRAMS,
    ),
)
