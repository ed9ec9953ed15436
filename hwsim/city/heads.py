"""What a gateway signs about its chain, and the keys that it names: read and checked from the description alone.

A signed head is `{"chain","sequence","hash","time","key","sig"}`. The signature is Ed25519 over the line
`trace-edge-agent/checkpoint/v1`, a line feed, and the canonical JSON (RFC 8785) of the object without `sig`; `key` is
the first 32 hexadecimal digits of the SHA-256 of the raw public key. A change of keys is signed the same way by the
key before, behind `trace-edge-agent/key-change/v1`, and names the next one in `next`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hwsim.city.events import Malformed

_HEAD: Final = b"trace-edge-agent/checkpoint/v1"
_CHANGE: Final = b"trace-edge-agent/key-change/v1"
_NAMES: Final = frozenset({"chain", "sequence", "hash", "time", "key", "sig"})
MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A checkpoint as it came; `line` is its canonical form."""

    chain: str
    sequence: int
    hash: str
    time: str
    key: str
    sig: str
    line: bytes

    def signed_by(self, public: str) -> bool:
        """Whether this public key (base64) signed it."""
        return _signed(_HEAD, orjson.loads(self.line), public)


def read_head(payload: bytes) -> SignedHead:
    """A message on `checkpoint`. Raises `Malformed`."""
    try:
        facts = orjson.loads(payload) if len(payload) <= MAX_BYTES else None
    except orjson.JSONDecodeError as problem:
        raise Malformed(f"not JSON: {problem}") from problem
    if not isinstance(facts, dict) or facts.keys() != _NAMES:
        raise Malformed(f"a checkpoint is an object with {', '.join(sorted(_NAMES))}")
    if type(facts["sequence"]) is not int or facts["sequence"] < 1:
        raise Malformed("the sequence of a checkpoint is an integer from 1 on")
    if not all(isinstance(facts[name], str) for name in _NAMES - {"sequence"}):
        raise Malformed("all of a checkpoint but its sequence is text")
    return SignedHead(**facts, line=orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))


def key_id(public: str) -> str:
    """By what a signature names a public key (base64); empty for text that is none."""
    raw = _raw(public)
    return hashlib.sha256(raw).hexdigest()[:32] if len(raw) == 32 else ""


def new_keys(known: Iterable[str], info: Mapping[str, Any]) -> list[str]:
    """The public keys that a gateway's `info` adds to those that are known.

    The first key that a gateway ever names counts (it is compared by a person when a gateway is enrolled); after
    that only one that a known key handed over to.
    """
    signing = info.get("signing")
    if not isinstance(signing, dict) or not isinstance(signing.get("public"), str):
        return []
    keys = {key_id(each): each for each in known}
    if not keys:
        return [signing["public"]] if key_id(signing["public"]) else []
    before = set(keys)
    changes = [each for each in signing.get("changes") or [] if isinstance(each, dict)]
    for change in changes:
        signer, following = keys.get(str(change.get("key"))), change.get("next")
        if signer is not None and isinstance(following, str) and _signed(_CHANGE, change, signer):
            keys[key_id(following)] = following
    return [public for name, public in keys.items() if name not in before]


def _signed(domain: bytes, facts: Mapping[str, Any], public: str) -> bool:
    bare = {name: value for name, value in facts.items() if name != "sig"}
    try:
        message = domain + b"\n" + orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)
        Ed25519PublicKey.from_public_bytes(_raw(public)).verify(_raw(str(facts.get("sig"))), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _raw(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
