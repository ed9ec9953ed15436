"""Faults on a line between a simulated device and the agent: seeded, and each one counts its hits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["split", "drop", "flip", "duplicate", "delay", "unplug", "garbage"]

KINDS: Final[dict[Kind, str]] = {
    "split": "a chunk arrives in two pieces, ARG seconds apart (0.05)",
    "drop": "one byte of a chunk is lost",
    "flip": "one bit of a chunk is turned over",
    "duplicate": "a chunk arrives twice",
    "delay": "a chunk, and all after it, arrives ARG seconds late (0.5)",
    "unplug": "the plug is pulled in the middle of a chunk and put back after ARG seconds (1.0)",
    "garbage": "1 to 8 random bytes come before a chunk",
}
_ARGUMENT: Final[dict[str, float]] = {"split": 0.05, "delay": 0.5, "unplug": 1.0}
DEFAULT_PROBABILITY: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault, its probability per chunk and its length in seconds where it has one."""

    kind: Kind
    probability: float = DEFAULT_PROBABILITY
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """`KIND`, `KIND:PROBABILITY` or `KIND:PROBABILITY:SECONDS`. Raises ValueError with what would be right."""
        name, *rest = text.split(":")
        kind = next((each for each in KINDS if each == name), None)
        if kind is None:
            raise ValueError(f"fault {name!r} is not one of {', '.join(KINDS)}")
        try:
            numbers = [float(each) for each in rest]
        except ValueError:
            raise ValueError(f"{text!r}: write {name}:PROBABILITY:SECONDS, e.g. {name}:0.05:1.0") from None
        probability = numbers[0] if numbers else DEFAULT_PROBABILITY
        seconds = numbers[1] if len(numbers) > 1 else _ARGUMENT.get(name, 0.0)
        if len(numbers) > 2 or not 0 <= probability <= 1 or not 0 <= seconds <= 3600:
            raise ValueError(f"{text!r}: the probability is 0 to 1 and the time 0 to 3600 s")
        return cls(kind=kind, probability=probability, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Bytes to put on the line, `wait` seconds after what came before."""

    data: bytes
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplug:
    """Pull the plug for `seconds`."""

    seconds: float


Action = Write | Unplug


class Line:
    """Turns what a device sends into what arrives, by seeded faults."""

    def __init__(self, faults: Sequence[Fault] = (), *, seed: int = 0) -> None:
        self._faults = tuple(faults)
        self._random = random.Random(seed)
        self.hits: dict[str, int] = {fault.kind: 0 for fault in self._faults}

    @property
    def unhit(self) -> list[str]:
        """Faults that were asked for and never came; a run with one proved nothing about it."""
        return [kind for kind, count in self.hits.items() if count == 0]

    def carry(self, chunk: bytes) -> list[Action]:
        """What becomes of one chunk."""
        actions: list[Action] = [Write(data=chunk)]
        for fault in self._faults:
            if chunk and self._random.random() < fault.probability:
                self.hits[fault.kind] += 1
                actions = self._damage(fault, actions)
        return actions

    def _damage(self, fault: Fault, actions: list[Action]) -> list[Action]:
        at = next((i for i, action in enumerate(actions) if isinstance(action, Write) and action.data), None)
        if at is None:
            return actions
        write = actions[at]
        assert isinstance(write, Write)
        return [*actions[:at], *self._hurt(fault, write), *actions[at + 1 :]]

    def _hurt(self, fault: Fault, write: Write) -> list[Action]:
        data, wait = write.data, write.wait
        cut = self._random.randrange(1, len(data)) if len(data) > 1 else len(data)
        match fault.kind:
            case "split":
                return [Write(data=data[:cut], wait=wait), Write(data=data[cut:], wait=fault.seconds)]
            case "drop":
                return [Write(data=data[: cut - 1] + data[cut:], wait=wait)]
            case "flip":
                place = self._random.randrange(len(data))
                bit = 1 << self._random.randrange(8)
                return [Write(data=data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :], wait=wait)]
            case "duplicate":
                return [Write(data=data, wait=wait), Write(data=data)]
            case "delay":
                return [Write(data=data, wait=wait + fault.seconds)]
            case "unplug":
                return [Write(data=data[:cut], wait=wait), Unplug(seconds=fault.seconds)]
            case "garbage":
                return [Write(data=self._random.randbytes(self._random.randint(1, 8)) + data, wait=wait)]
