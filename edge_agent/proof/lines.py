"""One line of a chain: a record as it is stored, its stub, or a statement about the chain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from edge_agent.proof import statements
from edge_agent.proof.signing import NotAKey, PublicKey
from edge_agent.proof.statements import HEX64, AnyStatement
from edge_agent.records import canonical

MAX_LINE: Final = 1 << 20
"""Bytes; a batch of records on the wire is at most a quarter of it."""

STUB_KEYS: Final = frozenset({"chain", "sequence", "prevhash", "hash"})
_KEY_LINE_KEYS: Final = frozenset({"key", "public", "since"})
_SEQUENCE: Final = re.compile(r"[0-9]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a record or a stub says of its place. `computed` is the hash of its content; None for a stub."""

    chain: str
    sequence: int
    prevhash: str
    hash: str
    computed: str | None

    @property
    def whole(self) -> bool:
        """Whether it is a record, not a stub."""
        return self.computed is not None

    @property
    def changed(self) -> bool:
        """Whether the content is not the one that was hashed."""
        return self.computed is not None and self.computed != self.hash

    @property
    def hashes(self) -> tuple[str, ...]:
        """The hashes by which the next record may know this one: what it says, and what its content has."""
        return (self.hash,) if self.computed is None or not self.changed else (self.hash, self.computed)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is none of them, and why."""

    reason: str


def read(line: bytes) -> Link | AnyStatement | PublicKey | Unreadable:
    """Take a line apart. Raises nothing."""
    event = canonical_object(line)
    if isinstance(event, Unreadable):
        return event
    return (
        link_of(event)
        or statements.of(event)
        or key_of(event)
        or Unreadable("neither a record nor a stub nor a statement nor a key")
    )


def key_line(key: PublicKey, since: str) -> bytes:
    """A public key as a line beside records and statements, so that they can be checked where nothing else is known."""
    return canonical.dumps({"key": key.id, "public": str(key), "since": since})


def key_of(event: Mapping[str, Any]) -> PublicKey | None:
    """The key of such a line; None where it is none, or does not have the id that it says."""
    if event.keys() != _KEY_LINE_KEYS or not all(isinstance(value, str) for value in event.values()):
        return None
    try:
        key = PublicKey.parse(event["public"])
    except NotAKey:
        return None
    return key if key.id == event["key"] else None


def canonical_object(line: bytes) -> dict[str, Any] | Unreadable:
    """The JSON object whose canonical form a line is. Raises nothing."""
    if len(line) > MAX_LINE:
        return Unreadable(f"longer than {MAX_LINE} bytes")
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        return Unreadable(f"not JSON: {problem}")
    if not isinstance(event, dict):
        return Unreadable("not a JSON object")
    try:
        if canonical.dumps(event) != line:
            return Unreadable("not in canonical form (RFC 8785)")
    except canonical.NotCanonical as problem:
        return Unreadable(str(problem))
    except RecursionError:
        return Unreadable("nested too deeply")
    return event


def link_of(event: Mapping[str, Any]) -> Link | None:
    """What a record or a stub says of its place; None where the object is neither. The object is canonical."""
    chain, sequence = event.get("chain"), event.get("sequence")
    prevhash, own = event.get("prevhash"), event.get("hash")
    if not (
        isinstance(chain, str)
        and isinstance(sequence, str)
        and _SEQUENCE.fullmatch(sequence)
        and int(sequence) > 0
        and isinstance(prevhash, str)
        and HEX64.fullmatch(prevhash)
        and isinstance(own, str)
        and HEX64.fullmatch(own)
    ):
        return None
    if event.keys() == STUB_KEYS:
        computed = None
    elif "data" in event and "type" in event:
        computed = _content_hash(event)
    else:
        return None
    return Link(chain=chain, sequence=int(sequence), prevhash=prevhash, hash=own, computed=computed)


def _content_hash(event: Mapping[str, Any]) -> str:
    """As `envelope.hash_of`, for an event that was just seen to be canonical: at a third of the price."""
    content = {key: value for key, value in event.items() if key != "hash"}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def stub_of(event: Mapping[str, Any]) -> bytes:
    """The stub of a record: enough to check completeness and chain, nothing of its content."""
    return canonical.dumps({key: event[key] for key in sorted(STUB_KEYS)})
