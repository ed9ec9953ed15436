"""One sweep over every driver of the bundle: well-formed, harmless on any bytes, bounded."""

from __future__ import annotations

import importlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import bundle
from edge_agent.driver import API_VERSION, Codec, DriverSpec, PortUrl, Send
from edge_agent.model import DeviceEvent, Rejected

FAMILY = {"push": "push", "scale": "scales", "scanner": "scanners", "rfid": "rfid", "printer": "printers"}
TRANSPORTS = {spec.scheme: spec for spec in bundle().transports}
MOST_HELD = 9000


def test_ids_and_schemes_are_unique() -> None:
    ids = [spec.id for spec in bundle().drivers]
    assert len(set(ids)) == len(ids)
    assert set(TRANSPORTS) >= {"serial", "rfc2217", "tcp", "memory"}


def test_a_spec_is_well_formed(spec: DriverSpec) -> None:
    module = importlib.import_module(f"drivers.{FAMILY[spec.kind]}.{spec.id.replace('-', '_')}")
    assert spec in (getattr(module, "SPEC", None), *getattr(module, "SPECS", ()))
    assert module.__doc__
    assert "Source:" in module.__doc__
    assert spec.source
    assert spec.title
    assert spec.models
    assert spec.api_version == API_VERSION
    assert spec.stale_after is None or spec.stale_after > 0
    assert spec.needs_unit == (spec.kind == "scale" and "unit" not in spec.tells)
    for scheme in spec.interfaces:
        addresses = {"serial": "/dev/ttyS0", "memory": "x", "usb": "0922:8003", "folder": "/tmp", "lp": "/dev/usb/lp0"}
        address = addresses.get(scheme, "host:1")
        TRANSPORTS[scheme].check(PortUrl(scheme, address), spec.line)
    for option in spec.options:
        assert option.help
        if option.choices:
            assert option.default in option.choices
        for value in option.choices:
            assert isinstance(spec.make({option.name: value}), Codec)
    assert isinstance(spec.make({}), Codec)


def fuzzed(codec: Codec, data: bytes) -> list[Any]:
    outputs = list(codec.feed(data, 0.0))
    assert len(data) - sum(len(o.raw) for o in outputs if isinstance(o, DeviceEvent)) <= MOST_HELD
    outputs += codec.close(0.0)
    events = [output for output in outputs if isinstance(output, DeviceEvent)]
    assert b"".join(event.raw for event in events) == data
    return events


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=600))
def test_no_bytes_raise_and_none_are_lost(spec: DriverSpec, data: bytes) -> None:
    fuzzed(spec.make({}), data)


def test_mutated_frames_raise_nothing_and_lose_nothing(spec: DriverSpec, vectors_of: Any) -> None:
    chance = random.Random(spec.id)
    frames = [vector.data for vector in vectors_of(spec.id)]
    for _ in range(300):
        stream = bytearray(b"".join(chance.choices(frames, k=3)))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(stream))
            action = chance.randrange(3)
            if action == 0:
                stream[at] ^= 1 << chance.randrange(8)
            elif action == 1:
                stream[at:at] = chance.randbytes(1)
            elif len(stream) > 1:
                del stream[at]
        fuzzed(spec.make({}), bytes(stream))


@pytest.mark.parametrize("flood", [b"\x00", b"\x01", b"\x02", b"\r", b"\n", b"0", b" ", b"S", b"ST,", b"\xff", b"="])
def test_a_flood_is_neither_kept_nor_believed(spec: DriverSpec, flood: bytes) -> None:
    codec = spec.make({})
    returned = 0
    for _ in range(20):
        for event in codec.feed(flood * 5000, 0.0):
            assert isinstance(event, Rejected)
            returned += len(event.raw)
    assert 20 * 5000 * len(flood) - returned <= MOST_HELD


def test_commands_are_those_announced(spec: DriverSpec) -> None:
    codec = spec.make({})
    for name in spec.dialogue.commands:
        assert all(isinstance(output, Send) and output.data for output in codec.command(name, 0.0))
    with pytest.raises(ValueError, match="no command"):
        codec.command("self-destruct", 0.0)


def test_only_a_driver_that_says_so_ever_asks(spec: DriverSpec, vectors_of: Any) -> None:
    def said(codec: Codec, frames: list[bytes]) -> list[Any]:
        outputs = list(codec.tick(1.0)) if codec.deadline is not None else []
        for frame in frames:
            outputs += [*codec.feed(frame, 2.0), *codec.tick(3.0)]
        return [output for output in outputs if not isinstance(output, DeviceEvent)]

    frames = [vector.data for vector in vectors_of(spec.id)]
    if spec.dialogue.polls:  # some wait for the device to greet them
        assert any(isinstance(output, Send) for output in said(spec.make({}), frames))
        silent = spec.make({"poll": False})
        assert silent.deadline is None
        assert said(silent, frames) == []
    else:
        assert said(spec.make({}), []) == []


def test_maturity_is_what_the_vectors_prove(spec: DriverSpec, vectors_of: Any) -> None:
    """`captured` is said of a driver that reads what a real device sent in use, and of no other."""
    vectors = vectors_of(spec.id)
    assert vectors, "a driver without vectors is no driver"
    events = [event for vector in vectors if vector.origin == "capture" for event in vector.events]
    told = any(not event.startswith(("status", "rejected")) for event in events)
    assert (spec.maturity == "captured") == told
