"""One bit flipped in each frame of a stream: no dialect with a checksum may tell a weight that was not sent."""

from __future__ import annotations

import functools
import operator
import random
from collections.abc import Callable, Mapping

import pytest

from edge_agent.driver import DriverSpec
from edge_agent.model import Reading


def xor(data: bytes) -> bytes:
    return bytes([functools.reduce(operator.xor, data)])


def xor_hex(data: bytes) -> bytes:
    return xor(data).hex().upper().encode()


def xk3190_continuous(chance: random.Random) -> bytes:
    body = b"%c%06d%d" % (chance.choice(b"+-"), chance.randrange(10**6), chance.randrange(5))
    return b"\x02" + body + xor_hex(body) + b"\x03"


def xk3190_command(chance: random.Random) -> bytes:
    body = b"A%c%c%06d%d" % (chance.choice(b"BCD"), chance.choice(b"+-"), chance.randrange(10**6), chance.randrange(5))
    return b"\x02" + body + xor_hex(body) + b"\x03"


def xk3190_a12e(chance: random.Random) -> bytes:
    body = b"W%c%07.3fkg" % (chance.choice(b"GN"), chance.randrange(-99999, 999999) / 1000)
    return body + xor_hex(body) + b"\r\n"


def cas_poll(chance: random.Random) -> bytes:
    body = b"%c%c%06.3f%b" % (chance.choice(b"SU"), chance.choice(b" -"), chance.randrange(30000) / 1000, b"kg")
    return b"\x01\x02" + body + xor(body) + b"\x03\x04"


def toledo_continuous(chance: random.Random) -> bytes:
    words = bytes([0x28 | chance.randrange(2, 6), 0x30 | chance.choice((0, 1, 2, 8, 9)), 0x20])
    frame = b"\x02" + words + b"%6d%6d\r" % (chance.randrange(10**6), chance.randrange(1000))
    return frame + bytes([-sum(frame) & 0x7F])


def tisa(chance: random.Random) -> bytes:
    body = b"99%d%05d0%06d" % (chance.randrange(2), chance.randrange(10**5), chance.randrange(10**6))
    return body + xor(body) + b"\r\n"


WRITERS: Mapping[str, Callable[[random.Random], bytes]] = {
    "xk3190-continuous": xk3190_continuous,
    "xk3190-command": xk3190_command,
    "xk3190-a12e": xk3190_a12e,
    "cas-poll": cas_poll,
    "toledo-continuous": toledo_continuous,
    "tisa": tisa,
}


def test_every_dialect_with_a_checksum_is_here(specs: Mapping[str, DriverSpec]) -> None:
    assert {spec.id for spec in specs.values() if "checksum" in spec.tells} == set(WRITERS)


def told(spec: DriverSpec, *frames: bytes) -> list[tuple[str | None, str | None]]:
    codec = spec.make({"poll": False} if spec.dialogue.polls else {})
    outputs = [output for frame in frames for output in codec.feed(frame, 0.0)]
    outputs += codec.close(0.0)
    return [(output.weight, output.unit) for output in outputs if isinstance(output, Reading) and output.weight]


def flipped(frame: bytes, bit: int) -> bytes:
    return frame[: bit // 8] + bytes([frame[bit // 8] ^ 1 << bit % 8]) + frame[bit // 8 + 1 :]


def wrong_weights(spec: DriverSpec, frames: int) -> list[tuple[bytes, object]]:
    """The frame before is whole, one is damaged, the one behind is whole: as in a stream."""
    chance = random.Random(spec.id)
    write = WRITERS[spec.id]
    wrong: list[tuple[bytes, object]] = []
    for _ in range(frames):
        before, damaged, behind = write(chance), write(chance), write(chance)
        sent = told(spec, before, damaged, behind)
        assert len(sent) == 3
        bad = flipped(damaged, chance.randrange(8 * len(damaged)))
        got = told(spec, before + bad, behind)
        rest = iter(sent)
        if not all(weight in rest for weight in got) or not {sent[0], sent[2]} & set(got):
            wrong.append((before + bad + behind, got))
    return wrong


@pytest.mark.parametrize("driver", WRITERS)
def test_no_flipped_bit_makes_a_weight(driver: str, specs: Mapping[str, DriverSpec]) -> None:
    assert not wrong_weights(specs[driver], 10_000)


@pytest.mark.soak("frames of checksummed scale dialects with one bit turned over")
@pytest.mark.parametrize("driver", WRITERS)
def test_no_flipped_bit_of_a_million_frames_makes_a_weight(driver: str, specs: Mapping[str, DriverSpec]) -> None:
    assert not wrong_weights(specs[driver], 1_000_000)
