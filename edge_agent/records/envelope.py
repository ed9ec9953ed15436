"""The envelope of a record: a CloudEvents 1.0 event in canonical form, chained by SHA-256.

A `Draft` is a record before it has its place on the chain. The store's committer alone gives it one:
`seal` sets chain, sequence and prevhash, computes the hash over the canonical event without `hash`, and
yields the stored bytes, which are the canonical event with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import orjson

from edge_agent import clock
from edge_agent.model import Instant
from edge_agent.records import canonical, ids

GENESIS_HASH: Final = "0" * 64
CHAIN_TYPE: Final = "trace.chain.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record that has no place on the chain yet. `data` holds the canonical bytes of its body."""

    id: str
    type: str
    subject: str
    time: str
    data: bytes


def draft(*, type: str, subject: str, at: Instant, zone: tzinfo, data: Mapping[str, Any]) -> Draft:
    """Make a draft with a fresh UUIDv7. Raises `NotCanonical` where the body holds what no record may hold."""
    return Draft(
        id=ids.uuid7(at.wall_ms),
        type=type,
        subject=subject,
        time=clock.rfc3339(at.wall_ms, zone),
        data=canonical.dumps(data),
    )


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record in its place: the stored bytes and the hash that the next record names."""

    sequence: int
    hash: str
    body: bytes


def seal(draft: Draft, *, source: str, chain: str, sequence: int, prevhash: str) -> Sealed:
    """Put a draft in its place on the chain.

    The event is spliced from parts instead of being serialised twice: with keys in order, `hash` stands
    between `datacontenttype` and `id`.
    """
    head = b'{"chain":"%b","data":%b,"datacontenttype":"application/json",' % (chain.encode(), draft.data)
    tail = (
        b'"id":"%b","prevhash":"%b","sequence":"%016d","source":%b,"specversion":"1.0",'
        b'"subject":%b,"time":"%b","type":"%b"}'
        % (
            draft.id.encode(),
            prevhash.encode(),
            sequence,
            orjson.dumps(source),
            orjson.dumps(draft.subject),
            draft.time.encode(),
            draft.type.encode(),
        )
    )
    digest = hashlib.sha256(head)
    digest.update(tail)
    value = digest.hexdigest()
    return Sealed(sequence, value, b'%b"hash":"%b",%b' % (head, value.encode(), tail))


def hash_of(event: Mapping[str, Any]) -> str:
    """The hash that an event ought to carry: SHA-256 over its canonical form without `hash`."""
    return hashlib.sha256(canonical.dumps({k: v for k, v in event.items() if k != "hash"})).hexdigest()
