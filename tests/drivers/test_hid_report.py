"""Report descriptors are read as the specification says, whatever a device puts in them, and never for long."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator
from typing import Any

import hid_descriptors as make
import pytest

from drivers.hid_report import Descriptor, parse_descriptor, usage
from drivers.hid_stream import packed, preamble
from drivers.scales.hid_pos_scale import SPEC
from drivers.vectors import describe, play
from edge_agent.driver import Send
from edge_agent.model import DeviceEvent, Status
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings

DATA = usage(0x8D, 0x32)


def said(descriptor: bytes, *reports: str) -> list[str]:
    """What the scale's codec makes of these reports under this descriptor; the preamble's own event left out."""
    stream = preamble(descriptor) + b"".join(packed(bytes.fromhex(report)) for report in reports)
    whole = play(SPEC.make({}), [stream])
    assert play(SPEC.make({}), [stream[i : i + 1] for i in range(len(stream))]) == whole
    assert b"".join(event.raw for event in whole) == stream
    assert isinstance(whole[0], Status)
    return [describe(event) for event in whole[1:]]


def test_the_keyboard_of_the_specification() -> None:
    keyboard = parse_descriptor(make.KEYBOARD)
    assert not keyboard.numbered
    assert keyboard.applications == (usage(1, 6),)
    report = keyboard.reports[0]
    assert report.length == keyboard.longest == 8
    modifiers, keys = report.fields
    assert modifiers.usage_of(1) == usage(7, 0xE1)
    assert (keys.offset, keys.array, keys.count) == (16, True, 6)
    pressed = bytes([2, 0, 4, 0x28, 0, 0, 0, 0])
    assert [value for _, value, _ in report.elements(pressed)] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert [keys.selected(value) for value in keys.values(pressed)][:2] == [usage(7, 4), usage(7, 0x28)]


def test_a_scanner_s_fields_are_where_its_makers_say() -> None:
    report = parse_descriptor(make.scanner_descriptor()).reports[2]
    places = {one.usages[0]: (one.offset, one.size, one.count) for one in report.fields}
    assert report.length == 64
    assert places[usage(0x01, 0x3B)] == (8, 8, 1)
    assert places[usage(0x8C, 0xFB)] == (16, 8, 3)
    assert places[usage(0x8C, 0xFE)] == (40, 8, 56)
    assert places[usage(0x8C, 0xFF)] == (63 * 8, 1, 1)
    shorter = parse_descriptor(make.scanner_descriptor(vendor=False)).reports[2]
    assert shorter.length == 62


@pytest.mark.parametrize(
    ("order", "report", "told"),
    [
        (("status", "unit", "scaling", "weight"), "03 04 03 fd 34 30", "12.340 kg stable -"),
        (("weight", "scaling", "unit", "status"), "03 34 30 fd 03 04", "12.340 kg stable -"),
        (("pad", "weight", "pad", "status", "unit", "scaling"), "03 99 34 30 99 04 03 fd", "12.340 kg stable -"),
        (("nibble", "weight", "nibble", "status", "unit", "scaling"), "03 49 03 93 04 03 fd", "12.340 kg stable -"),
        (("flags", "unit", "scaling", "wide weight"), "03 08 02 ff 40 e2 01", "12345.6 g stable -"),
        (("status", "unit", "scaling", "signed weight"), "03 04 02 00 85 ff", "-123 g stable -"),
        (("status", "unit", "scaling", "weight"), "03 05 0b ff 05 00", "-0.5 oz stable -"),
        (("status", "unit", "scaling", "weight"), "03 06 03 fd ff ff", "overload"),
        (("status", "unit", "scaling", "weight"), "04 03", "status other"),
    ],
)
def test_a_weight_is_read_wherever_the_descriptor_puts_it(order: tuple[str, ...], report: str, told: str) -> None:
    assert said(make.scale_descriptor(order=order), report) == [told]


def test_reports_without_numbers_and_with_others() -> None:
    assert said(make.scale_descriptor(report=None), "04 03 fd 34 30") == ["12.340 kg stable -"]
    assert said(make.scale_descriptor(report=9, status_report=7), "09 04 03 fd 34 30", "07 03") == [
        "12.340 kg stable -",
        "status other",
    ]


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ("05 04 03 fd 34 30", "unknown-report"),
        ("03 04 03 fd 34", "truncated"),
        ("03 09 03 fd 34 30", "unknown-status"),
        ("03 00 03 fd 34 30", "unknown-status"),
        ("03 04 0d fd 34 30", "unknown-unit"),
        ("03 04 05 fd 34 30", "unknown-unit"),
        ("03 04 03 80 34 30", "malformed"),
        ("03 02 03 fd 34 30", "inconsistent"),
    ],
)
def test_a_doubtful_report_gives_no_weight(report: str, reason: str) -> None:
    assert said(make.scale_descriptor(), report) == [f"rejected {reason}"]


def test_two_states_at_once_are_no_state() -> None:
    order = ("flags", "unit", "scaling", "weight")
    assert said(make.scale_descriptor(order=order), "03 0c 03 fd 34 30") == ["rejected unknown-status"]


def test_a_descriptor_that_says_nothing_of_a_weight_is_reported_and_nothing_is_read() -> None:
    stream = preamble(make.KEYBOARD) + packed(bytes.fromhex("0304030000000000"))
    error, other = play(SPEC.make({}), [stream])
    assert isinstance(error, Status)
    assert (error.status, "no weight" in error.detail) == ("error", True)
    assert isinstance(other, Status)


def zeroing(**how: Any) -> bytes:
    codec = SPEC.make({})
    codec.feed(preamble(make.scale_descriptor(**how)), 0.0)
    (sent,) = codec.command("zero", 0.0)
    assert isinstance(sent, Send)
    return sent.data


@pytest.mark.parametrize("control", [0x90, 0xB0])
def test_a_scale_is_zeroed_by_the_bit_that_its_descriptor_names(control: int) -> None:
    assert zeroing(control=control) == bytes.fromhex("0202")
    assert zeroing(control=control, report=None) == bytes.fromhex("02")
    descriptor = parse_descriptor(make.scale_descriptor(control=control))
    assert list(descriptor.reports) == [3, 4]
    assert (2 in descriptor.outputs, 2 in descriptor.features) == (control == 0x90, control == 0xB0)
    assert said(make.scale_descriptor(control=control), "03 04 03 fe 64 00") == ["1.00 kg stable -"]


def test_a_simulated_scale_is_zeroed() -> None:
    platter = Platter(ScaleSettings())
    scale = Scale(DIALECTS["hid-pos-scale"], platter)
    scale.power_on(0.0)
    platter.set_load(20_000, 0.0)  # the leftovers of a pack
    codec = SPEC.make({})
    codec.feed(preamble(make.scale_descriptor(control=0x90)), 0.0)

    def shown(now: float) -> list[str]:
        told = [event for report in scale.tick(now) for event in codec.feed(packed(report), now)]
        return [describe(event) for event in told if isinstance(event, DeviceEvent)]

    assert shown(5.0) == ["0.020 kg stable -"]
    (sent,) = codec.command("zero", 5.0)
    assert isinstance(sent, Send)
    scale.receive(sent.data, 5.0)
    assert shown(6.0) == ["0.000 kg stable -"]


def test_a_scale_without_such_a_bit_is_not_written_to() -> None:
    with pytest.raises(ValueError, match="has no way to zero it"):
        zeroing()
    assert SPEC.make({}).command("zero", 0.0) == [Send(data=b"\x02\x02")]  # nothing said: as captured scales have it


@pytest.mark.parametrize("text", [b"", b"\x05\x8d\x09", b"\xc0", b"\x85\x00"])
def test_without_a_readable_descriptor_the_usual_layout_is_taken(text: bytes) -> None:
    assert said(text, "03 04 03 fd 34 30", "03 04 03 fd 34 30 00", "03 04 03 fd 34 30 01") == [
        "12.340 kg stable -",
        "12.340 kg stable -",
        "rejected malformed",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("05", "within an item"),
        ("c0", "not begun"),
        ("b4", "pop without a push"),
        ("8500", "report id 0"),
        ("058da101", "not ended"),
        ("058d", "no input report"),
        ("750095018102", "elements of 0 bits"),
        ("750896ff7f8102", "bytes"),
        ("19012900", "cannot be"),
        ("1a00002affff", "cannot be"),
        ("a4" * 40, "pushes"),
        ("a101" * 40, "deeper"),
        ("7508950181028501810200", "some are not"),
    ],
)
def test_what_is_wrong_in_a_descriptor_is_said(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_descriptor(bytes.fromhex(text))


@pytest.fixture
def quiet_collector() -> Iterator[None]:
    """A walk of Python's collector through all that the test run holds would be taken for the parser's time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quiet_collector")
def test_hurt_descriptors_raise_nothing_else_and_take_no_time() -> None:
    chance = random.Random("descriptors")
    sound = [make.scale_descriptor(), make.scanner_descriptor(), make.KEYBOARD]
    read = 0
    for _ in range(20_000):
        text = bytearray(chance.choice(sound))
        for _ in range(chance.randint(0, 5)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        before = time.thread_time()
        try:
            result = parse_descriptor(bytes(text))
        except ValueError:
            continue
        finally:
            assert time.thread_time() - before < 0.1
        assert isinstance(result, Descriptor)
        data = chance.randbytes(result.longest)
        report = result.report(data)
        if report is not None:
            assert all(isinstance(value, int) for _, value, _ in report.elements(data))
        read += 1
    assert read > 1_000
