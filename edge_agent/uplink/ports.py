"""What the relay needs from the store, and nothing more. `edge_agent.store` offers it; tests bring a small one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from edge_agent.model import Instant, Refusal

Range = tuple[int, int]
"""An inclusive range of sequences."""


class Row(Protocol):
    """One kept record: its sequence and its stored bytes."""

    @property
    def sequence(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Head(Protocol):
    """The last committed record of the chain."""

    @property
    def sequence(self) -> int: ...


class Counts(Protocol):
    """How many records wait for the platform's word."""

    @property
    def pending(self) -> int: ...


class Settled(Protocol):
    """How much of a verdict was new."""

    @property
    def newly_accepted(self) -> int: ...
    @property
    def newly_refused(self) -> int: ...


class Pending(Protocol):
    """Which records are neither delivered nor rejected. Answers come from memory."""

    @property
    def oldest_pending(self) -> int | None:
        """The lowest of them; None where there is none."""

    def counts(self) -> Counts: ...
    def pending(self, first: int, last: int) -> Sequence[Range]: ...


class Outbox(Pending, Protocol):
    """Pending records, and where verdicts go."""

    def settle(self, accepted: Iterable[Range], refused: Iterable[Refusal], at: Instant) -> Settled:
        """Take a verdict: in memory at once, durable within a second."""


class SalvagedRow(Protocol):
    """One record of an earlier chain, and its stored bytes."""

    @property
    def chain(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Salvaged(Protocol):
    """Records of earlier chains that have no verdict yet."""

    def pending(self, limit: int, *, after: tuple[str, int]) -> Sequence[SalvagedRow]:
        """Some of those after the one named, in order of chain and sequence; none where there are none."""

    def settle(self, chain: str, accepted: Iterable[Range], refused: Iterable[Refusal]) -> int:
        """Take a verdict: in memory at once, durable within a second. How many records it settled."""


class Attachments(Protocol):
    """Files that records name, and what the platform has of them."""

    def waiting(self) -> Iterable[tuple[str, int]]:
        """Hash and size of those that the platform has not confirmed, oldest first."""

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        """Bytes of one; None where it cannot be read."""

    def delivered(self, name: str) -> None: ...
    def refused(self, name: str) -> None: ...


class Store(Protocol):
    """Kept records, in order."""

    @property
    def chain(self) -> str: ...
    @property
    def head(self) -> Head: ...
    def read(self, first: int, *, last: int | None, limit: int, max_bytes: int | None) -> Sequence[Row]:
        """Records in order, at most `limit`, at most `max_bytes` of bodies but at least one where there is one."""

    def on_kept(self, listener: Callable[[Sequence[Any]], None]) -> None: ...
    def note(self, key: str) -> str | None: ...
    def set_note(self, key: str, value: str) -> None: ...
    def outbox(self) -> Outbox: ...
    @property
    def salvaged(self) -> Salvaged: ...
