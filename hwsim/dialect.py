"""What a simulated scale speaks: its conversation, how fast it speaks, and how such a scale is usually built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hwsim.load import Platter


class Conversation(Protocol):
    """How one dialect answers the host, and what it streams by itself."""

    def power_on(self, now: float) -> Sequence[bytes]: ...

    def receive(self, data: bytes, now: float) -> Sequence[bytes]: ...

    def sample(self, now: float) -> Sequence[bytes]:
        """One tick of the instrument's output clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One scale dialect that can be played: its maker's rate of output and how its conversation is made.

    `build` holds what differs from the usual scale (see `hwsim.load.ScaleSettings`), as a scenario writes it.
    """

    name: str
    title: str
    rate_hz: float
    make: Callable[[Platter], Conversation]
    source: str
    build: Mapping[str, Any] = field(default_factory=dict)
