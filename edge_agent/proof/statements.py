"""What the box signs: checkpoints of the chain, the Merkle root of a day, up to where it has purged, a new key.

A statement travels and is kept as one line of canonical JSON; nothing else is taken for one, so that no byte of it
can be changed unnoticed. The signature covers the canonical form without `sig`, behind the domain of its kind.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, ClassVar, Final, TypeVar

import orjson

from edge_agent.proof.findings import Place
from edge_agent.proof.signing import PUBLIC_BYTES, SIGNATURE_BYTES, PublicKey, Signer, from_base64
from edge_agent.records import canonical

HEX64: Final = re.compile(r"[0-9a-f]{64}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{32}")
_CHAIN: Final = re.compile(r"[!-~]{1,128}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", re.ASCII)
_S = TypeVar("_S", bound="Statement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The common part: on which chain, when, by which key."""

    DOMAIN: ClassVar[bytes]

    chain: str
    time: str
    key: str
    sig: str

    @classmethod
    def _signed(cls: type[_S], signer: Signer, **facts: Any) -> _S:
        facts["key"] = signer.public.id
        signature = signer.sign(cls.DOMAIN, canonical.dumps(facts))
        return cls(**facts, sig=base64.b64encode(signature).decode())

    def dumps(self) -> bytes:
        """The line."""
        return canonical.dumps(asdict(self))

    def signed_by(self, key: PublicKey) -> bool:
        """Whether this key signed it. Raises nothing."""
        facts = asdict(self)
        signature = from_base64(facts.pop("sig"))
        return (
            signature is not None
            and self.key == key.id
            and key.verifies(self.DOMAIN, canonical.dumps(facts), signature)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Statement):
    """At `time` the chain reached `sequence`, and the record there has this hash."""

    DOMAIN: ClassVar[bytes] = b"trace-edge-agent/checkpoint/v1"

    sequence: int
    hash: str

    @property
    def place(self) -> Place:
        """The place that is attested."""
        return Place(self.sequence, self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRoot(Statement):
    """The records `first` to `last` are those of `day`; `root` is the Merkle root over their hashes, in order."""

    DOMAIN: ClassVar[bytes] = b"trace-edge-agent/day-root/v1"

    day: str
    first: int
    last: int
    root: str

    @property
    def size(self) -> int:
        """How many records the day has."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Statement):
    """What was delivered up to `purged_to`, the record with this hash, may be gone; the chain is whole after it."""

    DOMAIN: ClassVar[bytes] = b"trace-edge-agent/purged/v1"

    purged_to: int
    hash: str

    @property
    def place(self) -> Place:
        """The last place that may be missing."""
        return Place(self.purged_to, self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange(Statement):
    """From `time` on the key `next` (base64 of its 32 bytes) signs in place of `key`, which signed this last.

    Where the old key was lost, the new one signs it itself: that vouches for nothing, and whoever checks must know
    both keys.
    """

    DOMAIN: ClassVar[bytes] = b"trace-edge-agent/key-change/v1"

    next: str
    reason: str

    @property
    def next_key(self) -> PublicKey:
        """The new key."""
        return PublicKey.parse(self.next)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Statement):
    """The archive of `day` whose manifest has this SHA-256 was handed out by this box."""

    DOMAIN: ClassVar[bytes] = b"trace-edge-agent/evidence/v1"

    day: str
    manifest: str


AnyStatement = Checkpoint | DayRoot | Purged | KeyChange | Evidence


def sign_checkpoint(signer: Signer, *, chain: str, place: Place, time: str) -> Checkpoint:
    """Attest that the chain reached a place."""
    return Checkpoint._signed(signer, chain=chain, sequence=place.sequence, hash=place.hash, time=time)


def sign_day_root(signer: Signer, *, chain: str, day: str, first: int, last: int, root: bytes, time: str) -> DayRoot:
    """Attest the records of a day."""
    return DayRoot._signed(signer, chain=chain, day=day, first=first, last=last, root=root.hex(), time=time)


def sign_purged(signer: Signer, *, chain: str, place: Place, time: str) -> Purged:
    """Attest that records up to a place were purged."""
    return Purged._signed(signer, chain=chain, purged_to=place.sequence, hash=place.hash, time=time)


def sign_key_change(signer: Signer, *, chain: str, successor: PublicKey, reason: str, time: str) -> KeyChange:
    """Hand over to another key."""
    return KeyChange._signed(signer, chain=chain, next=str(successor), reason=reason, time=time)


def sign_evidence(signer: Signer, *, chain: str, day: str, manifest: str, time: str) -> Evidence:
    """Attest an archive by the digest of its manifest."""
    return Evidence._signed(signer, chain=chain, day=day, manifest=manifest, time=time)


def trusted(statements: Iterable[AnyStatement], keys: Iterable[PublicKey]) -> dict[str, PublicKey]:
    """These keys and those that they handed over to, by id."""
    known = {key.id: key for key in keys}
    changes = [each for each in statements if isinstance(each, KeyChange)]
    while True:
        left = []
        for change in changes:
            if change.key in known and change.signed_by(known[change.key]):
                known[change.next_key.id] = change.next_key
            else:
                left.append(change)
        if len(left) == len(changes):
            return known
        changes = left


def parse(line: bytes) -> AnyStatement | None:
    """The statement that a line is, whoever signed it; None where it is none. Raises nothing."""
    try:
        facts = orjson.loads(line)
        if not isinstance(facts, dict) or canonical.dumps(facts) != line:
            return None
    except (orjson.JSONDecodeError, canonical.NotCanonical, RecursionError):
        return None
    return of(facts)


def of(facts: Mapping[str, Any]) -> AnyStatement | None:
    """The statement that a JSON object is, whoever signed it; None where it is none."""
    for kind, names, well_formed in _FORMS:
        if facts.keys() == names:
            return kind(**facts) if _well_formed(facts) and well_formed(facts) else None
    return None


def _well_formed(facts: Mapping[str, Any]) -> bool:
    signature = from_base64(facts["sig"]) if isinstance(facts["sig"], str) else None
    return (
        _is(_CHAIN, facts["chain"])
        and _is_time(facts["time"])
        and _is(_KEY_ID, facts["key"])
        and signature is not None
        and len(signature) == SIGNATURE_BYTES
    )


def _checkpoint_formed(facts: Mapping[str, Any]) -> bool:
    return _is_sequence(facts["sequence"]) and _is(HEX64, facts["hash"])


def _purged_formed(facts: Mapping[str, Any]) -> bool:
    return _is_sequence(facts["purged_to"]) and _is(HEX64, facts["hash"])


def _day_root_formed(facts: Mapping[str, Any]) -> bool:
    return (
        _is_sequence(facts["first"])
        and _is_sequence(facts["last"])
        and facts["first"] <= facts["last"]
        and _is(HEX64, facts["root"])
        and _is_day(facts["day"])
    )


def _key_change_formed(facts: Mapping[str, Any]) -> bool:
    raw = from_base64(facts["next"]) if isinstance(facts["next"], str) else None
    return raw is not None and len(raw) == PUBLIC_BYTES and isinstance(facts["reason"], str)


def _evidence_formed(facts: Mapping[str, Any]) -> bool:
    return _is(HEX64, facts["manifest"]) and _is_day(facts["day"])


def _names(kind: type[Statement]) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))


_FORMS: Final[tuple[tuple[type[AnyStatement], frozenset[str], Callable[[Mapping[str, Any]], bool]], ...]] = (
    (Checkpoint, _names(Checkpoint), _checkpoint_formed),
    (DayRoot, _names(DayRoot), _day_root_formed),
    (Purged, _names(Purged), _purged_formed),
    (KeyChange, _names(KeyChange), _key_change_formed),
    (Evidence, _names(Evidence), _evidence_formed),
)


def _is(shape: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and shape.fullmatch(value) is not None


def _is_sequence(value: object) -> bool:
    return type(value) is int and 1 <= value <= canonical.MAX_INTEGER


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_day(value: object) -> bool:
    if not isinstance(value, str) or len(value) != 10:
        return False
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
