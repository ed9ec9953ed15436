"""Conversations, as the manuals describe them, with time passed in."""

from __future__ import annotations

import pytest

from hwsim.instruments import DIALECTS, Code, Scale, Scanner, ScannerSettings
from hwsim.load import Platter, ScaleSettings, weighings

KG = 1_000_000


def scale(dialect: str, **changes: object) -> Scale:
    made = Scale(DIALECTS[dialect], Platter(ScaleSettings(**changes)))  # type: ignore[arg-type]
    made.power_on(0.0)
    return made


def ask(instrument: Scale, text: bytes, now: float) -> bytes:
    return b"".join(instrument.receive(text, now))


def test_a_streaming_scale_keeps_its_rate_and_does_not_catch_up() -> None:
    made = scale("st-gs")
    sent = [made.tick(i / 100) for i in range(101)]
    assert sum(map(len, sent)) == 11
    assert len(made.tick(60.0)) == 1, "frames that were missed are gone"
    assert made.due is not None
    assert 60.0 <= made.due <= 60.1


def test_st_gs_reads_tares_and_zeroes_on_request() -> None:
    made = scale("st-gs")
    made.platter.set_load(KG, 0.0)
    assert ask(made, b"R\r\n", 5.0) == b"ST,GS,+  1.000kg\r\n"
    assert ask(made, b"T\r\n", 5.0) == b""
    assert ask(made, b"R\r\n", 5.0) == b"ST,NT,+  0.000kg\r\n"


def test_toledo_obeys_single_letters() -> None:
    made = scale("toledo-continuous")
    made.platter.set_load(KG, 0.0)
    assert ask(made, b"TP", 5.0)[2] & 0x01
    assert ask(made, b"CP", 5.0)[4:10] == b"  1000"


def test_cas_wants_its_greeting_first() -> None:
    made = scale("cas-poll")
    made.platter.set_load(488_000, 0.0)
    made.platter.set_load(490_000, 1.0)
    assert made.tick(2.0) == ()
    assert ask(made, b"\x11", 5.0) == b""
    assert ask(made, b"\x05", 5.0) == b"\x06"
    assert ask(made, b"\x11", 5.0) == bytes.fromhex("0102532030302e3439306b676c0304")
    assert ask(made, b"\x11", 5.0) == b"", "one answer for one greeting"
    priced = b"\x06\x01\x02    0.00\x1e\x03\x02S 00.490kgl\x03\x02    0.00\x1e\x03\x04"
    assert ask(made, b"\x05\x12", 5.0) == priced
    ask(made, b"<TK>\t", 5.0)
    assert ask(made, b"\x05\x11", 5.0)[5:11] == b"00.000"


def test_sics_answers_at_once_or_waits_for_rest() -> None:
    made = Scale(DIALECTS["mt-sics"], Platter(ScaleSettings()))
    assert made.power_on(0.0) == [b'I4 A "1234567"\r\n']
    made.platter.set_load(KG, 1.0)
    assert ask(made, b"SI\r\n", 1.02).startswith(b"S D ")
    assert ask(made, b"S\r", 1.03) == b""
    assert ask(made, b"\n", 1.03) == b"", "still moving: it waits"
    assert b"".join(made.tick(1.05)) == b""
    assert b"".join(made.tick(3.0)) == b"S S      1.000 kg\r\n"
    assert b"".join(made.tick(3.1)) == b"", "one answer for one command"


def test_sics_gives_up_waiting_after_its_time_out() -> None:
    made = scale("mt-sics", settle_s=1000.0)
    made.platter.set_load(KG, 1.0)
    assert ask(made, b"S\r\n", 1.1) == b""
    assert b"".join(made.tick(7.0)) == b"S I\r\n"


def test_sics_repeats_until_told_otherwise() -> None:
    made = scale("mt-sics")
    assert ask(made, b"SIR\r\n", 1.0) == b""
    assert [len(made.tick(1.0 + i)) for i in range(3)] == [1, 1, 1]
    assert ask(made, b"@\r\n", 9.0) == b'I4 A "1234567"\r\n'
    assert made.tick(10.0) == ()


def test_sics_sends_on_change() -> None:
    made = scale("mt-sics")
    ask(made, b"SR\r\n", 1.0)
    assert b"".join(made.tick(2.0)) == b"S S      0.000 kg\r\n"
    assert made.tick(3.0) == ()
    made.platter.set_load(KG, 4.0)
    assert b"".join(made.tick(9.0)) == b"S S      1.000 kg\r\n"
    made.platter.set_load(KG + 50_000, 10.0)
    assert made.tick(15.0) == (), "less than 12.5 % and 30 divisions"


def test_sics_tare_zero_and_errors() -> None:
    made = scale("mt-sics")
    made.platter.set_load(KG, 1.0)
    assert ask(made, b"T\r\n", 5.0) == b"T S      1.000 kg\r\n"
    assert ask(made, b"S\r\n", 5.0) == b"S S      0.000 kg\r\n"
    assert ask(made, b"TA 0.500 kg\r\n", 5.0) == b"TA A      0.500 kg\r\n"
    assert ask(made, b"TA 5 stone\r\n", 5.0) == b"TA L\r\n"
    assert ask(made, b"TAC\r\n", 5.0) == b"TAC A\r\n"
    assert ask(made, b"Z\r\n", 5.0) == b"Z +\r\n", "a kilogram is more than 2 % of 30 kg"
    made.platter.set_load(0, 6.0)
    assert ask(made, b"Z\r\n", 9.0) == b"Z A\r\n"
    assert ask(made, b"HELLO\r\n\xff\r\n", 9.0) == b"ES\r\nET\r\n"
    assert ask(made, b"I0\r\n", 9.0).splitlines()[-1].startswith(b"I0 A")
    made.platter.set_load(40 * KG, 10.0)
    assert ask(made, b"S\r\nSI\r\nT\r\n", 15.0) == b"S +\r\nS +\r\nT +\r\n"


def test_sics_forgets_what_does_not_fit_its_input() -> None:
    made = scale("mt-sics")
    assert ask(made, b"S" * 10_000 + b"\r\n", 5.0) == b"ES\r\n"
    assert ask(made, b"SI\r\n", 5.0) == b"S S      0.000 kg\r\n"


def test_a_script_puts_goods_on_at_its_own_times() -> None:
    plan = weighings([KG, 2 * KG], every=2.0, hold=1.2)
    made = Scale(DIALECTS["st-gs"], Platter(ScaleSettings()), script=plan)
    made.power_on(100.0)
    shown = {}
    for i in range(1000):
        for frame in made.tick(100.0 + i / 100):
            shown[round(i / 100, 1)] = frame
    assert shown[1.1] == b"ST,GS,+  1.000kg\r\n"
    assert shown[1.9] == b"ST,GS,+  0.000kg\r\n"
    assert shown[3.1] == b"ST,GS,+  2.000kg\r\n"
    assert made.counters["weighings"] == 5


def test_a_replugged_scale_goes_on_with_its_script() -> None:
    made = Scale(DIALECTS["st-gs"], Platter(ScaleSettings()), script=weighings([KG], every=2.0, hold=1.2))
    made.power_on(0.0)
    made.tick(0.5)
    made.power_on(3.0)
    made.tick(3.0)
    assert made.platter.load_mg == KG


def test_impossible_rates_are_refused() -> None:
    for rate in (0.0, 1e4):
        with pytest.raises(ValueError, match="rate"):
            Scale(DIALECTS["st-gs"], Platter(ScaleSettings()), rate_hz=rate)


def test_a_scanner_scans_its_codes_in_turn_and_stops_at_its_count() -> None:
    codes = [Code(text="6901028225168", symbology="]E0"), Code(text="二维码", symbology="]Q1")]
    made = Scanner(ScannerSettings(suffix="LF", encoding="gb18030"), codes, every=2.0, count=3)
    made.power_on(0.0)
    sent = b"".join(b"".join(made.tick(i / 10)) for i in range(200))
    assert sent == b"]E06901028225168\n]Q1" + "二维码".encode("gb18030") + b"\n]E06901028225168\n"
    assert made.due is None
    silent = Scanner(ScannerSettings(aim=False), codes, every=None)
    assert silent.trigger(codes[0]) == b"6901028225168\r"
    with pytest.raises(ValueError, match="suffix"):
        ScannerSettings(suffix="NUL")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="encoding"):
        ScannerSettings(encoding="klingon")
