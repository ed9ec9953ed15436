"""Hostile bytes by the million through every codec: no exception, no byte lost, no slow call, no memory that grows."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import random
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from edge_agent.driver import READ_LIMIT, Codec, CodecOutput, DriverSpec, Printer
from edge_agent.model import DeviceEvent

MOST_HELD = 9_000
"""Bytes that a codec may hold back: its longest frame, and what one read brings besides."""
LONGER = {"llrp": 0xFFFF + READ_LIMIT}
"""The same, where a frame is longer: a report of all tags of a door."""
SLOWEST = 0.1
"""Seconds of this thread's own CPU time that one call may take."""
MOST_GROWTH = 8 << 20
"""Bytes by which the process may grow between the first tenth of the stream and its end."""
SEGMENT = 200_000
"""Bytes that one codec gets before it is closed and one with other options begins."""
MARKS = b"\x00\x01\x02\x03\x04\x05\x06\x15\r\n\t =+-.:,0S\xff"

RecordProperty = Callable[[str, object], None]


class Stream:
    """Endless hostile bytes for one driver: its own frames, hurt in every way, among noise and floods."""

    def __init__(self, frames: list[bytes], chance: random.Random) -> None:
        self._frames = frames
        self._chance = chance
        self._alphabet = bytes(sorted(set(b"".join(frames)) | set(MARKS)))

    def pieces(self) -> Iterator[bytes]:
        """Pieces without end, each of one kind."""
        kinds = (self._sound, self._sound, self._hurt, self._hurt, self._glued, self._soup, self._noise, self._flood)
        while True:
            yield self._chance.choice(kinds)()

    def chunks(self) -> Iterator[bytes]:
        """The same bytes as reads bring them: mostly some dozens, now and then all that one read can hold."""
        waiting = bytearray()
        for piece in self.pieces():
            waiting += piece
            while waiting:
                size = self._chance.choice((1, 3, 17, 64, 64, 256, 256, 1_024, READ_LIMIT))
                if size > len(waiting) and size == READ_LIMIT and len(waiting) < READ_LIMIT:
                    break
                yield bytes(waiting[:size])
                del waiting[:size]

    def _frame(self) -> bytes:
        return self._chance.choice(self._frames)

    def _sound(self) -> bytes:
        return b"".join(self._chance.choices(self._frames, k=30))

    def _hurt(self) -> bytes:
        """Frames with bits turned over, bytes lost, put in or doubled."""
        chance = self._chance
        stream = bytearray(self._sound())
        for _ in range(chance.randint(1, 40)):
            at = chance.randrange(len(stream))
            match chance.randrange(5):
                case 0:
                    stream[at] ^= 1 << chance.randrange(8)
                case 1:
                    stream[at] = chance.choice(self._alphabet)
                case 2:
                    stream[at:at] = chance.randbytes(chance.randint(1, 3))
                case 3:
                    stream[at:at] = stream[at : at + chance.randint(1, 40)]
                case _:
                    del stream[at : at + chance.randint(1, 20)]
                    stream = stream or bytearray(b"0")
        return bytes(stream)

    def _glued(self) -> bytes:
        """Beginnings of frames followed by ends of others."""
        parts = []
        for _ in range(20):
            one, other = self._frame(), self._frame()
            parts.append(one[: self._chance.randint(0, len(one))] + other[self._chance.randint(0, len(other)) :])
        return b"".join(parts)

    def _soup(self) -> bytes:
        """The characters of its frames in any order."""
        return bytes(self._chance.choices(self._alphabet, k=self._chance.randint(1, 600)))

    def _noise(self) -> bytes:
        return self._chance.randbytes(self._chance.randint(1, 600))

    def _flood(self) -> bytes:
        """One or two characters without end, as a line with a wrong speed brings them; what slow patterns choke on."""
        letters = bytes(self._chance.choices(self._alphabet, k=self._chance.choice((1, 1, 2))))
        return self._frame()[: self._chance.randint(0, 12)] + letters * self._chance.randint(1, 6_000)


class Patient:
    """One codec under watch."""

    def __init__(self, codec: Codec, most_held: int = MOST_HELD) -> None:
        self._codec = codec
        self._most_held = most_held
        self._held = b""
        self._now = 1_000.0
        self.said: Counter[str] = Counter()

    def take(self, chunk: bytes, pause: float) -> None:
        self._now += pause
        deadline = self._codec.deadline
        if deadline is not None and deadline <= self._now:
            self._watch(lambda: self._codec.tick(self._now))
        if isinstance(self._codec, Printer) and pause:
            self._codec.ask(self._now)  # a printer's answer counts only where it was asked
        self._held += chunk
        self._watch(lambda: self._codec.feed(chunk, self._now))
        assert len(self._held) <= self._most_held, f"{len(self._held)} bytes are held back"

    def close(self) -> None:
        self._watch(lambda: self._codec.close(self._now))
        assert not self._held, "bytes came out in no event"

    def _watch(self, call: Callable[[], Any]) -> None:
        before = time.thread_time()
        outputs = call()
        took = time.thread_time() - before
        events = [output for output in outputs if isinstance(output, DeviceEvent)]
        self.said.update(type(event).__name__ for event in events)
        raw = b"".join(event.raw for event in events)
        assert self._held.startswith(raw), "bytes came out that did not go in, or in another order"
        self._held = self._held[len(raw) :]
        assert took <= SLOWEST, f"one call took {took * 1000:.0f} ms of CPU time, ending with {raw[-60:]!r}"


def options_of(spec: DriverSpec, chance: random.Random) -> dict[str, Any]:
    """Some of the settings that a box in the field may have."""
    return {option.name: chance.choice(option.choices) for option in spec.options if option.choices}


NEEDED = {"modbus-rtu": {"preset": "load-cell-module"}}
"""Settings without which a driver reads nothing."""


def listening(spec: DriverSpec) -> dict[str, Any]:
    """The default settings, without asking: some codecs take an answer only where they asked."""
    defaults = {option.name: False if option.name == "poll" else option.default for option in spec.options}
    return defaults | NEEDED.get(spec.id, {})


def resident() -> int:
    """Bytes of memory in use; what earlier tests freed is given back first, or growth could hide in it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fuzz(spec: DriverSpec, frames: list[bytes], amount: int, seed: str, seconds: float = float("inf")) -> int:
    """Feed `amount` bytes, or as many as go in `seconds`; how many went."""
    gc.collect()
    gc.freeze()  # a walk through all that the test run holds would be taken for the codec's time
    try:
        return _fuzz(spec, frames, amount, seed, seconds)
    finally:
        gc.unfreeze()


def _fuzz(spec: DriverSpec, frames: list[bytes], amount: int, seed: str, seconds: float) -> int:
    chance = random.Random(seed)
    chunks = Stream(frames, chance).chunks()
    until = time.monotonic() + seconds
    fed, memory = 0, 0
    said: Counter[str] = Counter()
    while fed < amount and time.monotonic() < until:
        # First as its frames were made, so that some are read; then with whatever settings a box may have.
        codec = spec.make(options_of(spec, chance) if fed else listening(spec))
        patient = Patient(codec, LONGER.get(spec.id, MOST_HELD))
        segment_end = fed + min(SEGMENT, amount - fed)
        while fed < segment_end:
            chunk = next(chunks)
            patient.take(chunk, chance.choice((0.0, 0.001, 0.02, 0.2, 3.0)))
            fed += len(chunk)
        patient.close()
        said += patient.said
        if not memory and fed >= amount // 10:
            memory = resident()
    growth = resident() - memory
    assert growth <= MOST_GROWTH, f"{growth} bytes more than after the first tenth"
    assert said["Rejected"] > 0, "nothing was refused: the stream is too kind"
    told = ("Status",) if spec.kind == "printer" else ("Reading", "Scan", "TagRead", "PushedSale")
    assert any(said[kind] for kind in told), "nothing was read: the stream is too hostile to reach far"
    return fed


@pytest.fixture
def frames(spec: DriverSpec, vectors_of: Any) -> list[bytes]:
    return [vector.data for vector in vectors_of(spec.id)]


def test_a_million_hostile_bytes(spec: DriverSpec, frames: list[bytes]) -> None:
    assert fuzz(spec, frames, 10**6, spec.id) >= 10**6


@pytest.mark.soak("hostile bytes into the codec: hurt frames, glued halves, soup, noise, floods")
def test_a_hundred_million_hostile_bytes(
    spec: DriverSpec, frames: list[bytes], pytestconfig: pytest.Config, record_property: RecordProperty
) -> None:
    seed = pytestconfig.getoption("--fuzz-seed") or secrets.token_hex(4)
    print(f"again with: --fuzz-seed {seed}")
    fed = fuzz(spec, frames, 10**8, f"{spec.id} {seed}", pytestconfig.getoption("--fuzz-seconds"))
    record_property("count", f"{fed:,} bytes")


# Planted bugs


class Planted:
    """A codec with one fault, around a sound one."""

    deadline = None

    def __init__(self, sound: Codec) -> None:
        self._sound = sound

    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        return self._sound.feed(data, now)

    def tick(self, now: float) -> Sequence[CodecOutput]:
        return []

    def command(self, name: str, now: float) -> Sequence[CodecOutput]:
        return []

    def close(self, now: float) -> Sequence[CodecOutput]:
        return self._sound.close(now)


class LosesAByte(Planted):
    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        return super().feed(data.replace(b"\x00", b""), now)


class HoldsEverythingBack(Planted):
    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        return []


class RaisesOnData(Planted):
    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        data.decode("ascii")
        return super().feed(data, now)


class TriesEveryWay(Planted):
    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        re.match(rb"(?:\D+)+\d\Z", data[:26])  # each further byte doubles the time
        return super().feed(data, now)


class RemembersEverything(Planted):
    memory: ClassVar[list[bytes]] = []

    def feed(self, data: bytes, now: float) -> Sequence[CodecOutput]:
        self.memory.append(data * 20)
        return super().feed(data, now)


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (LosesAByte, "in another order"),
        (HoldsEverythingBack, "held back"),
        (RaisesOnData, "ascii"),
        (TriesEveryWay, "of CPU time"),
        (RemembersEverything, "more than after the first tenth"),
    ],
)
def test_a_planted_bug_is_noticed(planted: type[Planted], told: str, specs: Any, vectors_of: Any) -> None:
    sound = specs["st-gs"]
    hurt = dataclasses.replace(sound, make=lambda options: planted(sound.make(options)))
    try:
        with pytest.raises((AssertionError, UnicodeDecodeError), match=told):
            fuzz(hurt, [vector.data for vector in vectors_of("st-gs")], 10**6, "planted")
    finally:
        RemembersEverything.memory.clear()
