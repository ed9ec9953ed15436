"""The bytes of each writer against examples written down by hand from the makers' manuals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim import wire
from hwsim.load import Indication

TEN = Indication(
    value_mg=0, tare_mg=0, net=False, stable=True, condition="ok", unit="kg", decimals=3, division_mg=1_000_000
)


def shows(text: str, unit: str = "kg", *, division: int = 1, **changes: object) -> Indication:
    whole, _, decimals = text.partition(".")
    size = {"g": 1_000, "kg": 1_000_000, "t": 1_000_000_000}[unit]
    count = int(whole + decimals)
    step = size // 10 ** len(decimals)
    return replace(
        TEN, value_mg=count * step, unit=unit, decimals=len(decimals), division_mg=step * division, **changes
    )


@pytest.mark.parametrize(
    ("indication", "frame"),
    [
        (shows("1560"), "02 2B 30 30 31 35 36 30 30 31 39 03"),
        (shows("-1.30"), "02 2D 30 30 30 31 33 30 32 31 44 03"),
        (shows("2.05"), "02 2B 30 30 30 32 30 35 32 31 45 03"),
        (shows("0"), "02 2B 30 30 30 30 30 30 30 31 42 03"),
        (shows("12.340"), "02 2B 30 31 32 33 34 30 33 31 43 03"),
    ],
)
def test_xk3190_continuous(indication: Indication, frame: str) -> None:
    assert wire.xk3190_continuous(indication) == bytes.fromhex(frame)


def test_xk3190_sends_nothing_without_a_weight() -> None:
    assert wire.xk3190_continuous(shows("99.000", condition="overload")) == b""


def test_xk3190_refuses_what_six_digits_cannot_hold() -> None:
    with pytest.raises(ValueError, match="six digits"):
        wire.xk3190_continuous(shows("1000000"))


@pytest.mark.parametrize(
    ("indication", "frame"),
    [
        (shows("5.0", net=True), b"ST,NT,+    5.0kg\r\n"),
        (shows("199.8", net=True), b"ST,NT,+  199.8kg\r\n"),
        (shows("0.850", stable=False), b"US,GS,+  0.850kg\r\n"),
        (shows("-282", "g"), b"ST,GS,-    282 g\r\n"),
        (shows("0.000", condition="overload"), b"OL,GS,+            \r\n"),
        (shows("0.000", condition="underload"), b"OL,GS,-            \r\n"),
    ],
)
def test_st_gs(indication: Indication, frame: bytes) -> None:
    assert wire.st_gs(indication) == frame


@pytest.mark.parametrize(
    ("indication", "line"),
    [
        (shows("100.00", "g"), b"S S     100.00 g\r\n"),
        (shows("129.07", "g", stable=False), b"S D     129.07 g\r\n"),
        (shows("-100.00", "g"), b"S S    -100.00 g\r\n"),
        (shows("0", condition="overload"), b"S +\r\n"),
        (shows("0", condition="underload"), b"S -\r\n"),
    ],
)
def test_mt_sics(indication: Indication, line: bytes) -> None:
    assert wire.mt_sics(indication) == line


@pytest.mark.parametrize(
    ("indication", "packet"),
    [
        (shows("0.488"), "01 02 53 20 30 30 2E 34 38 38 6B 67 65 03 04"),
        (shows("0.000"), "01 02 53 20 30 30 2E 30 30 30 6B 67 61 03 04"),
        (shows("0", condition="overload"), "01 02 53 46 46 46 46 46 46 46 6B 67 19 03 04"),
    ],
)
def test_cas_packet(indication: Indication, packet: str) -> None:
    assert wire.cas_packet(indication) == bytes.fromhex(packet)


def test_cas_packet_says_unstable_and_negative() -> None:
    packet = wire.cas_packet(shows("-0.010", stable=False))
    assert packet[2:12] == b"U-00.010kg"


@pytest.mark.parametrize(
    ("indication", "frame"),
    [
        (shows("11.340", net=True, tare_mg=1_000_000), "02 2D 31 20 20 31 31 33 34 30 20 20 31 30 30 30 0D 59"),
        (shows("1520", stable=False, division=2), "02 32 38 20 20 20 31 35 32 30 20 20 20 20 20 30 0D 0F"),
        (shows("12.340"), "02 2D 30 20 20 31 32 33 34 30 20 20 20 20 20 30 0D 0A"),
        (shows("50.0", "g"), "02 2B 20 21 20 20 20 35 30 30 20 20 20 20 20 30 0D 40"),
    ],
)
def test_toledo_continuous(indication: Indication, frame: str) -> None:
    assert wire.toledo_continuous(indication) == bytes.fromhex(frame)
    assert wire.toledo_continuous(indication, checksum=False) == bytes.fromhex(frame)[:17]


def test_toledo_tells_sign_range_and_the_increment_of_five() -> None:
    frame = wire.toledo_continuous(shows("-0.005", division=5))
    assert (frame[1], frame[2]) == (0x3D, 0x32)
    assert wire.toledo_continuous(shows("31.000", condition="overload", stable=False))[2] == 0x3C


def test_a_scan_has_its_symbology_before_and_its_suffix_behind() -> None:
    assert wire.scan("6901028225168", symbology="]E0", suffix="CRLF") == b"]E06901028225168\r\n"
    assert wire.scan("上海", suffix="none", encoding="gb18030") == bytes.fromhex("c9cfbaa3")
    assert wire.scan("0106901028225168", suffix="ETX") == b"0106901028225168\x03"
