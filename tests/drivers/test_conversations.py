"""Codecs that talk or wait, driven by told time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drivers.vectors import describe
from edge_agent.driver import Codec, CodecOutput, DriverSpec, Send
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings

ANSWER = bytes.fromhex("0102532030302e3438386b67650304")


def words(outputs: list[CodecOutput]) -> list[str]:
    return [output.data.hex() if isinstance(output, Send) else describe(output) for output in outputs]


@pytest.fixture
def cas(specs: Mapping[str, DriverSpec]) -> Codec:
    return specs["cas-poll"].make({"poll_ms": 200, "reply_ms": 500})


def test_cas_asks_is_acknowledged_asks_for_weight_and_rests(cas: Codec) -> None:
    assert cas.deadline is not None
    assert words(cas.tick(10.0)) == ["05"]
    assert words(cas.feed(b"\x06", 10.1)) == ["status ack", "11"]
    assert words(cas.feed(ANSWER, 10.2)) == ["0.488 kg stable -"]
    assert words(cas.tick(10.3)) == []
    assert cas.deadline == pytest.approx(10.4)
    assert words(cas.tick(10.4)) == ["05"]


def test_cas_is_asked_for_price_and_amount_where_that_is_wanted(specs: Mapping[str, DriverSpec]) -> None:
    """The simulator, written from the makers' page by itself, must answer with what the driver understands."""
    platter = Platter(ScaleSettings())
    scale = Scale(DIALECTS["cas-poll"], platter)
    platter.set_load(1_235_000, 0.0)
    codec = specs["cas-poll"].make({"price": True})
    (asked,) = codec.tick(5.0)
    assert isinstance(asked, Send)
    first = codec.feed(b"".join(scale.receive(asked.data, 5.0)), 5.0)
    assert words(first) == ["status ack", "12"]
    assert isinstance(first[1], Send)
    told = words(codec.feed(b"".join(scale.receive(first[1].data, 5.0)), 5.0))
    assert told == ["1.235 kg stable - price=0.00 amount=0.00"]


def test_cas_zeroes_and_tares_when_it_is_told_to(specs: Mapping[str, DriverSpec]) -> None:
    platter = Platter(ScaleSettings())
    scale = Scale(DIALECTS["cas-poll"], platter)
    platter.set_load(1_235_000, 0.0)
    (command,) = specs["cas-poll"].make({}).command("tare", 5.0)
    assert isinstance(command, Send)
    scale.receive(command.data, 5.0)
    assert platter.indication(5.0).text.strip() == "0.000"


def test_cas_that_says_nak_is_asked_again_later(cas: Codec) -> None:
    cas.tick(10.0)
    assert words(cas.feed(b"\x15", 10.1)) == ["status busy"]
    assert words(cas.tick(10.2)) == []
    assert words(cas.tick(10.31)) == ["05"]


def test_cas_that_is_silent_is_asked_three_times_then_left_alone_for_a_while(cas: Codec) -> None:
    asked = []
    now = 10.0
    for _ in range(300):
        asked += [now] * len(cas.tick(now))
        now += 0.01
    assert asked == pytest.approx([10.0, 10.5, 11.0], abs=0.02)
    assert cas.deadline == pytest.approx(13.5, abs=0.03)
    assert words(cas.tick(13.6)) == ["05"]


def test_cas_frame_that_stopped_half_way_does_not_swallow_the_next_answer(cas: Codec) -> None:
    cas.tick(10.0)
    cas.feed(b"\x06", 10.0)
    assert words(cas.feed(ANSWER[:7], 10.1)) == []
    assert words(cas.tick(10.6)) == ["rejected truncated", "05"]
    assert words(cas.feed(b"\x06" + ANSWER, 10.7)) == ["status ack", "11", "0.488 kg stable -"]


def test_cas_wrong_bcc_is_asked_for_again(cas: Codec) -> None:
    cas.tick(10.0)
    cas.feed(b"\x06", 10.0)
    assert words(cas.feed(ANSWER.replace(b"4", b"5", 1), 10.1)) == ["rejected checksum"]
    assert words(cas.tick(10.5)) == ["05"]


def test_an_ack_nobody_waits_for_sends_nothing(cas: Codec) -> None:
    assert words(cas.feed(b"\x06", 1.0)) == ["status ack"]


def test_sics_starts_the_stream_and_starts_it_again_after_a_silence(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["mt-sics"].make({})
    assert words(codec.tick(5.0)) == [b"SIR\r\n".hex()]
    for tenth in range(100):
        assert words(codec.feed(b"S D       1.00 kg\r\n", 5.1 + tenth / 10)) == ["1.00 kg moving net"]
        assert codec.tick(5.1 + tenth / 10) == []
    assert codec.tick(16.9) == []
    assert words(codec.tick(17.1)) == [b"SIR\r\n".hex()]


def test_8217_is_asked_by_a_letter_and_zeroed_only_when_told(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["toledo-8217"].make({"poll_ms": 200})
    assert words(codec.tick(1.0)) == [b"W".hex()]
    assert words(codec.feed(b"\x0201.234\r", 1.1)) == ["1.234 - stable gross"]
    assert words(codec.tick(1.25)) == []
    assert words(codec.tick(1.31)) == [b"W".hex()]
    assert words(codec.feed(b"\x02?A\r", 1.4)) == ["status busy"]
    assert words(codec.command("zero", 1.5)) == [b"Z".hex()]


def test_xk3190_is_asked_by_its_address(specs: Mapping[str, DriverSpec]) -> None:
    spec = specs["xk3190-command"]
    assert words(spec.make({}).tick(1.0)) == [b"\x02AB03\x03".hex()]
    assert words(spec.make({"read": "net"}).tick(1.0)) == [b"\x02AD05\x03".hex()]
    assert words(spec.make({"address": "C"}).tick(1.0)) == [b"\x02CB01\x03".hex()]
    assert words(spec.make({"address": "A"}).command("zero", 1.0)) == [b"\x02AH09\x03".hex()]


def test_cas_22_is_zeroed_by_its_number(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["cas-22"].make({"number": 11})
    assert words(codec.command("zero", 1.0)) == [bytes.fromhex("4431314b5a0d0a").hex()]


def test_tisa_is_asked_with_the_price_zero(specs: Mapping[str, DriverSpec]) -> None:
    assert words(specs["tisa"].make({}).tick(1.0)) == [b"98000001\r\n".hex()]


def test_dp_401_is_answered_unless_told_not_to(specs: Mapping[str, DriverSpec]) -> None:
    line = b"00001,06:00:27,30.01.2026,X,000000000004,0000,Y,0000002500,0000000500,0000002000,1,N,Z\r\n"
    codec = specs["dp-401"].make({})
    assert words(codec.feed(b"SCALE-01HB", 1.0)) == ["status other", "status heartbeat"]
    assert words(codec.feed(b"KONTROLLU AKTAR OK?", 1.0)) == ["status other", b"OK\n".hex()]
    assert words(codec.feed(line, 1.0)) == ["2.000 kg stable net tare=0.500", b"OK\n".hex()]
    assert words(specs["dp-401"].make({"answer": False}).feed(line, 1.0)) == ["2.000 kg stable net tare=0.500"]


@pytest.mark.parametrize(
    ("driver", "frame", "says"),
    [
        ("xk3190-eq-forward", b"=0012.345", "12.345 - unknown -"),
        ("xk3190-eq-reversed", b"=543.2100", "12.345 - unknown -"),
        ("ff-bcd", bytes.fromhex("ff4356341200"), "123.456 kg stable -"),
    ],
)
def test_a_frame_without_an_end_waits_for_the_next_or_for_silence(
    driver: str, frame: bytes, says: str, specs: Mapping[str, DriverSpec]
) -> None:
    codec = specs[driver].make({})
    assert codec.deadline is None
    assert codec.feed(frame, 1.0) == []
    assert codec.deadline == pytest.approx(1.05)
    assert codec.tick(1.04) == []
    assert words(codec.tick(1.051)) == [says]
    assert codec.deadline is None
    assert codec.feed(frame, 2.0) == []
    assert words(codec.feed(frame[:1], 2.01)) == [says]


def test_a_frame_in_two_halves_with_a_silence_between_is_refused(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["xk3190-eq-forward"].make({})
    assert codec.feed(b"=0012.3", 1.0) == []
    assert words(codec.feed(b"45=0012.345=", 1.2)) == ["rejected truncated", "rejected malformed", "12.345 - unknown -"]


def scanner(specs: Mapping[str, DriverSpec], **options: object) -> Codec:
    return specs["serial-scanner"].make(options)


def test_a_scan_ends_with_suffix_and_silence(specs: Mapping[str, DriverSpec]) -> None:
    codec = scanner(specs)
    assert codec.feed(b"6901028", 1.000) == []
    assert codec.feed(b"225168\r", 1.020) == []
    assert codec.tick(1.049) == []
    assert codec.deadline == pytest.approx(1.05)
    assert words(codec.tick(1.051)) == ["scan - 6901028225168"]
    assert codec.deadline is None


def test_a_terminator_with_more_behind_it_within_the_gap_is_data(specs: Mapping[str, DriverSpec]) -> None:
    codec = scanner(specs, gap_ms=100)
    assert codec.feed(b"line 1\r", 1.0) == []
    assert codec.feed(b"line 2\r", 1.09) == []
    assert words(codec.tick(1.2)) == ["scan - line 1\rline 2"]
    assert codec.feed(b"one\r", 2.0) == []
    assert words(codec.feed(b"two\r", 2.11)) == ["scan - one"]
    assert words(codec.close(2.2)) == ["scan - two"]


def test_half_a_code_and_its_late_rest_are_both_refused(specs: Mapping[str, DriverSpec]) -> None:
    codec = scanner(specs)
    codec.feed(b"6901028", 1.0)
    assert words(codec.tick(1.1)) == ["rejected truncated"]
    codec.feed(b"225168\r", 1.2)
    assert words(codec.tick(1.3)) == ["rejected truncated"]
    codec.feed(b"6901028225168\r", 1.35)
    assert words(codec.tick(1.4)) == ["scan - 6901028225168"]


def test_after_a_longer_silence_bytes_are_a_new_code(specs: Mapping[str, DriverSpec]) -> None:
    codec = scanner(specs)
    codec.feed(b"6901028", 1.0)
    codec.tick(1.1)
    codec.feed(b"6901028225168\r", 1.5)
    assert words(codec.tick(1.6)) == ["scan - 6901028225168"]
