"""How readers of tags are asked, driven by told time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from drivers.vectors import describe
from edge_agent.driver import AddressingCodec, Codec, CodecOutput, DriverSpec, HangUp, MemoryCodec, Send
from edge_agent.model import DeviceEvent
from hwsim.rfid import READERS
from hwsim.rfid.field import Field, Tag

GREETING = bytes.fromhex("043f000000200ab288c900f600160080000c0004f8535baadaff010000060000")
NO_TAG = bytes.fromhex("bb01ff000115167e")
TAG = bytes.fromhex("bb02220011d53000e20010710000529b0940b402eb980c7e")


def words(outputs: Sequence[CodecOutput]) -> list[str]:
    def one(output: CodecOutput) -> str:
        if isinstance(output, HangUp):
            return f"hang up: {output.reason}"
        return output.data.hex() if isinstance(output, Send) else describe(output)

    return [one(output) for output in outputs]


def test_a_reader_is_asked_again_when_it_has_answered(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["uhf-m100"].make({"poll_ms": 50})
    assert words(codec.tick(10.0)) == ["bb00220000227e"]
    assert words(codec.tick(10.1)) == []
    assert words(codec.feed(NO_TAG, 10.2)) == ["status other"]
    assert codec.deadline == pytest.approx(10.25)
    assert words(codec.tick(10.25)) == ["bb00220000227e"]
    assert words(codec.feed(TAG, 10.3)) == ["tag epc E20010710000529B0940B402"]
    assert codec.deadline == pytest.approx(10.35)


def test_half_an_answer_does_not_swallow_the_next(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["uhf-m100"].make({})
    codec.tick(10.0)
    assert words(codec.feed(TAG[:12], 10.1)) == []
    assert words(codec.tick(10.5)) == ["rejected truncated", "bb00220000227e"]
    assert words(codec.feed(TAG, 10.6)) == ["tag epc E20010710000529B0940B402"]


def test_a_reader_that_does_not_answer_is_asked_less_often(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["uhf-m100"].make({})
    said = [words(codec.tick(at)) for at in (10.0, 10.5, 11.0, 11.5, 13.4)]
    assert [len(each) for each in said] == [1, 1, 1, 0, 0]
    assert words(codec.tick(13.5)) == ["bb00220000227e"]


def test_r2000_reads_its_antennas_in_turn(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["uhf-r2000"].make({"antennas": 2, "poll_ms": 20})
    done, end = bytes.fromhex("a004017410d7"), bytes.fromhex("a00a018900001100000005b6")
    at = 10.0
    asked = []
    for answer in (done, end, done, end, done):
        asked += words(codec.tick(at))
        codec.feed(answer, at + 0.01)
        at += 0.1
    assert asked == ["a004017400e7", "a004018901d1", "a004017401e6", "a004018901d1", "a004017400e7"]


CAPTURED = "a0270181 0001 1e 3000e20000191105010711105125c5a9 3000e20000191105010711105125 0e 14 01 47"
"""An R2000's answer to 81: the EPC bank of a tag, as a public test printed it."""


def memory_answer(body: str) -> bytes:
    raw = bytes.fromhex("a0") + bytes([len(bytes.fromhex(body)) + 1]) + bytes.fromhex(body)
    return raw + bytes([-sum(raw) & 0xFF])


def test_r2000_tells_which_tag_its_memory_is_of(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["uhf-r2000"].make({"poll": False})
    assert isinstance(codec, MemoryCodec)
    number = "E20000191105010711105125"
    assert codec.memory_in(bytes.fromhex(CAPTURED)) == (number, bytes.fromhex("3000" + number))
    body = CAPTURED.replace(" ", "")[4:-2]
    assert memory_answer(body).hex() == CAPTURED.replace(" ", "")
    assert codec.memory_in(memory_answer(body.replace("c5a9", "c5a8"))) is None  # the CRC of the tag
    assert codec.memory_in(memory_answer(body.replace("810001", "810002"))) is None
    assert codec.memory_in(memory_answer(body[:-6] + "001401")) is None  # nothing was read: what is no tag's CRC
    written = f"0182 0001 10 3000{number}c5a9 10 14 01".replace(" ", "")
    assert codec.memory_in(memory_answer(written)) == (number, b"")
    assert codec.memory_in(memory_answer(written[:-6] + "331401")) is None
    for data in ("018136", "018132", "018233"):
        assert codec.memory_in(memory_answer(data)) is None


@pytest.mark.parametrize(
    ("driver", "question"),
    [
        ("uhf-m100", "bb003900090000000003000200044b7e"),
        ("uhf-r2000", "a0060181030204cf"),
        ("uhf-reader18", "18ff0206e2000017221101441890abcd030204000000000749"),
        ("mercury", "ff202803e8140000030000000204000000000000002060e2000017221101441890abcd05c4"),
    ],
)
def test_memory_is_asked_for_as_the_manuals_have_it(
    driver: str, question: str, specs: Mapping[str, DriverSpec]
) -> None:
    codec = specs[driver].make({"poll": False})
    assert isinstance(codec, MemoryCodec)
    if isinstance(codec, AddressingCodec):
        codec.choose(bytes.fromhex("e2000017221101441890abcd"))
    assert codec.read_memory(3, 2, 4).data.hex() == question


@pytest.mark.parametrize("family", ["uhf-m100", "uhf-r2000", "uhf-reader18", "uhf-reader288", "mercury"])
def test_only_the_chosen_of_two_tags_is_read_and_written(family: str, specs: Mapping[str, DriverSpec]) -> None:
    one, other = bytes(range(12)), bytes(range(100, 112))
    reader = READERS[family](Field([Tag(number=one), Tag(number=other)]))
    codec = specs[family].make({"poll": False})
    assert isinstance(codec, AddressingCodec)

    def asked(*questions: Send) -> list[DeviceEvent]:
        answers = b"".join(frame for question in questions for frame in reader.receive(question.data, 1.0))
        return [event for event in codec.feed(answers, 1.0) if isinstance(event, DeviceEvent)]

    def read() -> tuple[str, bytes] | None:
        (event,) = asked(codec.read_memory(3, 2, 2))
        return codec.memory_in(event.raw)

    for number in (other, one):
        assert {describe(event) for event in asked(*codec.choose(number))} <= {"status ack"}
        assert read() == (number.hex().upper(), bytes(4))
        (event,) = asked(codec.write_memory(3, 2, number[:4]))
        assert codec.memory_in(event.raw) == (number.hex().upper(), b"")
        assert read() == (number.hex().upper(), number[:4])
    assert {describe(event) for event in asked(*codec.choose(b""))} <= {"status ack"}


def test_a_reader_that_finds_tags_by_their_number_refuses_what_its_questions_do_not_hold(
    specs: Mapping[str, DriverSpec],
) -> None:
    codec = specs["uhf-reader288"].make({"poll": False})
    assert isinstance(codec, AddressingCodec)
    with pytest.raises(ValueError, match="an EPC of 32 bytes"):
        codec.choose(bytes(32))
    codec.choose(bytes(30))
    assert codec.read_memory(3, 0, 40).data[0] + 1 <= 0x60
    assert codec.write_memory(3, 0, bytes(32)).data[0] + 1 <= 0x60
    for wrong in (lambda: codec.read_memory(3, 0, 41), lambda: codec.write_memory(3, 256, b"ab")):
        with pytest.raises(ValueError, match="words"):
            wrong()


def test_more_to_come_is_no_end_of_a_round(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["uhf-reader288"].make({})
    assert words(codec.tick(10.0)) == ["04ff011bb4"]
    codec.feed(bytes.fromhex("1500010301010c3039606303c74380001a055940f93e"), 10.1)
    assert words(codec.tick(10.3)) == []
    codec.feed(bytes.fromhex("0700010101001e4b"), 10.4)
    assert words(codec.tick(10.5)) == ["04ff011bb4"]


def test_pn532_is_woken_and_set_up_before_it_is_asked_for_cards(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["pn532"].make({})
    ack = bytes.fromhex("0000ff00ff00")
    (wake,) = words(codec.tick(10.0))
    assert wake.startswith("5555")
    assert wake.endswith("0000ff05fbd4140114010200")
    assert words(codec.feed(ack, 10.01)) == ["status ack"]
    assert words(codec.tick(10.02)) == []
    codec.feed(bytes.fromhex("0000ff02fed5151600"), 10.03)
    assert words(codec.tick(10.04)) == ["0000ff06fad43205ff0102f300"]
    codec.feed(ack + bytes.fromhex("0000ff02fed533f800"), 10.05)
    assert words(codec.tick(10.3)) == ["0000ff04fcd44a0200e000"]


def test_a_thingmagic_that_stops_streaming_is_started_again(specs: Mapping[str, DriverSpec]) -> None:
    codec = specs["mercury"].make({})
    (start,) = words(codec.tick(10.0))
    assert start.startswith("ff102f00000122")
    codec.feed(bytes.fromhex("ff0022040084e0"), 11.0)
    assert words(codec.tick(13.9)) == []
    codec.feed(bytes.fromhex("ff0022040084e0"), 13.9)
    assert words(codec.tick(16.8)) == []
    assert words(codec.tick(16.9)) == [start]


# LLRP


def answer(question: int, *, code: int = 0) -> bytes:
    status = b"\x01\x1f\x00\x08" + code.to_bytes(2, "big") + b"\x00\x00"
    return (0x0400 | question + 10).to_bytes(2, "big") + (10 + len(status)).to_bytes(4, "big") + bytes(4) + status


@pytest.fixture
def llrp(specs: Mapping[str, DriverSpec]) -> Codec:
    return specs["llrp"].make({"keepalive_s": 2, "refused_wait_s": 40})


def started(codec: Codec, at: float) -> list[str]:
    said = words(codec.tick(at)) + words(codec.feed(GREETING, at))
    for question in (3, 21, 41, 20, 24):
        said += words(codec.feed(answer(question, code=101 if question in (21, 41) else 0), at))
    return [each[:4] for each in said if not each.startswith("status")]


def test_the_reader_is_set_up_question_by_question(llrp: Codec) -> None:
    assert started(llrp, 10.0) == ["0403", "0415", "0429", "0414", "0418", "0440"]


def test_a_keepalive_is_answered_with_its_number(llrp: Codec) -> None:
    started(llrp, 10.0)
    assert words(llrp.feed(bytes.fromhex("043e0000000a00012345"), 11.0)) == [
        "status heartbeat",
        "04480000000a00012345",
    ]


def test_a_silent_reader_is_lost_after_two_and_a_half_keepalives(llrp: Codec) -> None:
    started(llrp, 10.0)
    llrp.feed(bytes.fromhex("043e0000000a00000001"), 12.0)
    assert words(llrp.tick(16.9)) == []
    assert words(llrp.tick(17.0)) == ["hang up: the reader has fallen silent: no keepalive came"]
    assert llrp.deadline is None


def test_half_a_message_is_no_sign_of_life(llrp: Codec) -> None:
    started(llrp, 10.0)
    llrp.feed(bytes.fromhex("043e000000"), 14.9)
    assert words(llrp.tick(15.0)) == ["hang up: the reader has fallen silent: no keepalive came"]


def test_a_reader_with_another_client_is_left_in_peace(llrp: Codec) -> None:
    llrp.tick(10.0)
    _status, hang_up = llrp.feed(GREETING[:-1] + b"\x02", 10.1)
    assert isinstance(hang_up, HangUp)
    assert (hang_up.busy, hang_up.retry_after) == (True, 40)
    assert "another client" in hang_up.reason


@pytest.mark.parametrize("refused", [3, 20, 24])
def test_a_question_that_is_refused_is_named(llrp: Codec, refused: int) -> None:
    llrp.tick(10.0)
    llrp.feed(GREETING, 10.0)
    for question in (3, 21, 41, 20, 24):
        outputs = llrp.feed(answer(question, code=100 if question == refused else 0), 10.0)
        if question == refused:
            break
    assert isinstance(outputs[-1], HangUp)
    assert "refused" in outputs[-1].reason
    assert "100" in outputs[-1].reason


@pytest.mark.parametrize("silent_after", range(5))
def test_a_question_without_an_answer_ends_the_conversation(llrp: Codec, silent_after: int) -> None:
    llrp.tick(10.0)
    llrp.feed(GREETING, 10.0)
    for question in (3, 21, 41, 20, 24)[:silent_after]:
        llrp.feed(answer(question), 10.0)
    (hang_up,) = words(llrp.tick(20.0))
    names = ("SET_READER_CONFIG", "DELETE_ROSPEC", "DELETE_ACCESSSPEC", "ADD_ROSPEC", "ENABLE_ROSPEC")
    assert hang_up == f"hang up: the reader does not answer {names[silent_after]}"


def test_a_port_that_does_not_greet_is_no_reader(llrp: Codec) -> None:
    assert words(llrp.tick(10.0)) == []
    (hang_up,) = words(llrp.tick(20.0))
    assert "does not greet" in hang_up
