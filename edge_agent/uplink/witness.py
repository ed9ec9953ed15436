"""The chain's signed head towards the platform, and whether the platform holds more of the chain than the box.

The retained checkpoint is the box's own word, kept elsewhere: a store that was restored from an old image, or a card
that lost what it had promised to hold, no longer agrees with it. So it is read at every connection before anything is
published. Of the verdicts those count that wait at the broker for the connection; a later one that names sequences
which do not exist is somebody's mistake and is ignored, as before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson
import structlog

from edge_agent import clock
from edge_agent.model import Verdict
from edge_agent.proof import Checkpoint
from edge_agent.proof.statements import parse

EVERY: Final = 5.0
"""Seconds between two checkpoints at least, while records are sent."""

_log = structlog.get_logger("edge_agent.uplink")


class Chain(Protocol):
    """What the witness needs of the store."""

    @property
    def chain(self) -> str: ...
    def place_at(self, sequence: int) -> str | None:
        """The hash of a record that is there; None for one that is not."""

    @property
    def head_sequence(self) -> int: ...
    def predecessor(self) -> str | None:
        """The chain that this one says it follows."""

    def checkpoint(self) -> bytes | None:
        """The signed head; None while signing is blocked."""

    def signed_by_us(self, checkpoint: Checkpoint) -> bool:
        """Whether one of the store's own keys signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Others hold more of a chain of ours than we do, or something else: up to where, since when, and why that is so.

    `hash` is None where only a number is known. `boot` is the present one where the clock is behind `time`, so that
    times cannot tell what was kept after it.
    """

    chain: str
    sequence: int
    hash: str | None
    time: str
    boot: str | None
    reason: str


class Witness:
    """Compares what others hold with the chain. Not thread-safe: the relay owns it.

    `ahead` is told the finding, once; after that nothing more is compared and no checkpoint is made.
    """

    def __init__(self, chain: Chain, ahead: Callable[[Ahead], None]) -> None:
        self._chain = chain
        self._tell = ahead
        self.found: Ahead | None = None

    def checkpoint(self) -> bytes | None:
        """What to publish, retained; None where nothing is signed."""
        return None if self.found is not None else self._chain.checkpoint()

    def retained(self, payload: bytes) -> bool:
        """A message on our own checkpoint topic; whether it shows that the box was set back."""
        if not payload or self.found is not None:
            return False
        statement = parse(payload)
        if not isinstance(statement, Checkpoint) or not self._chain.signed_by_us(statement):
            _log.warning("checkpoint.unknown", reason="the retained checkpoint is not one that this box signed")
            return False
        reason = self._disagrees(statement)
        if reason is None:
            return False
        self._report(statement.chain, statement.sequence, statement.hash, statement.time, reason)
        return True

    def _disagrees(self, theirs: Checkpoint) -> str | None:
        ours = self._chain
        signed = f"this box signed record {theirs.sequence} of chain {theirs.chain} at {theirs.time}"
        if theirs.chain != ours.chain:
            # Chain ids rise with time: an older one is the chain before ours.
            if theirs.chain < ours.chain or theirs.chain == ours.predecessor():
                return None
            return f"{signed}, and its store holds the older chain {ours.chain}"
        if theirs.sequence > ours.head_sequence:
            return f"{signed}, and its store ends with record {ours.head_sequence}"
        own = ours.place_at(theirs.sequence)
        if own is not None and own != theirs.hash:
            return f"{signed} with the hash {theirs.hash}, and its store has {own} there"
        return None

    def waiting_verdict(self, verdict: Verdict, payload: bytes) -> bool:
        """A verdict that waited at the broker; whether it shows that the box was set back."""
        highest = max((last for _, last in verdict.accepted), default=0)
        head = self._chain.head_sequence
        if self.found is not None or verdict.chain != self._chain.chain or highest <= head:
            return False
        reason = f"the platform has accepted record {highest} of chain {verdict.chain}, and the store ends with {head}"
        self._report(verdict.chain, highest, None, _time_of(payload), reason)
        return True

    def _report(self, chain: str, sequence: int, value: str | None, time: str | None, reason: str) -> None:
        now = clock.now()
        # Where nobody tells the time, what was kept since this boot counts as later.
        behind = time is None or now.wall_ms < datetime.fromisoformat(time).timestamp() * 1000
        self.found = Ahead(
            chain=chain,
            sequence=sequence,
            hash=value,
            time=time or clock.rfc3339(now.wall_ms, UTC),
            boot=now.boot if behind else None,
            reason=reason,
        )
        _log.error("chain.set_back", chain=chain, sequence=sequence, reason=reason)
        self._tell(self.found)


def _time_of(payload: bytes) -> str | None:
    """The time in a verdict that was understood, where it is one."""
    try:
        time: Any = orjson.loads(payload).get("time")
        if datetime.fromisoformat(time).tzinfo is None:
            return None
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return None
    return str(time)
