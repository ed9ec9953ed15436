"""The payloads and topics of the uplink; sans-I/O.

A batch on `records` is an array of stored record bytes, joined and never parsed again. What comes from the
platform is decoded strictly, with unknown fields ignored; what cannot be understood is a `Malformed` value
with the reason, never an exception, so that one bad message cannot stop the relay.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from edge_agent.model import Refusal, Verdict
from edge_agent.uplink.settings import Compression, Identity

BATCH_TYPE: Final = "application/cloudevents-batch+json"
JSON_TYPE: Final = "application/json"
PIECE_TYPE: Final = "application/octet-stream"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1
MAX_PAYLOAD: Final = 1024 * 1024
"""The largest payload we take from the platform, compressed or not."""
MAX_SEQUENCE: Final = 2**53 - 1
_GZIP_LEVEL: Final = 4
_ZSTD_LEVEL: Final = 1
_ZSTD_WINDOW: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one gateway, `trace/v1/{site}/{gateway}/…`, and the platform's state for its site.

    `test` is for trying the link; nobody listens to it.
    """

    state: str
    info: str
    records: str
    verdicts: str
    attachments: str
    platform_state: str
    checkpoint: str
    test: str

    @classmethod
    def of(cls, identity: Identity) -> Topics:
        """The topics of this gateway."""
        base = f"trace/v1/{identity.site}/{identity.gateway}"
        return cls(
            state=f"{base}/state",
            info=f"{base}/info",
            records=f"{base}/records",
            verdicts=f"{base}/verdicts",
            attachments=f"{base}/attachments",
            platform_state=f"trace/v1/{identity.site}/platform/state",
            checkpoint=f"{base}/checkpoint",
            test=f"{base}/test",
        )


@dataclass(frozen=True, slots=True)
class Malformed:
    """A payload that was not understood, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlatformState:
    """Whether the platform takes records now, and how many of a backlog it takes a second (None: no limit)."""

    accepting: bool = True
    drain_per_s: float | None = None


def batch(bodies: Sequence[bytes]) -> bytes:
    """A CloudEvents JSON batch: the stored bytes of the records as one array."""
    return b"[" + b",".join(bodies) + b"]"


def state(*, online: bool, session: str, since: str) -> bytes:
    """The payload of `state`: birth and will."""
    return orjson.dumps({"online": online, "session": session, "since": since})


def info(facts: Mapping[str, Any]) -> bytes:
    """The payload of `info`. What JSON cannot hold is written as its text: a report must not fail on a detail."""
    return orjson.dumps(facts, default=str, option=orjson.OPT_NON_STR_KEYS)


@dataclass(frozen=True, slots=True)
class Compressor:
    """One way of compressing payloads. `name` is what is really used; not safe for use by two threads."""

    name: Compression
    content_type: str
    _compress: Callable[[bytes], bytes]

    def __call__(self, payload: bytes) -> tuple[bytes, str]:
        """The payload to send and its content type; uncompressed where compressing gains nothing."""
        packed = self._compress(payload)
        if len(packed) < len(payload):
            return packed, self.content_type
        return payload, BATCH_TYPE


def compressor(wanted: Compression) -> Compressor:
    """The compressor asked for; gzip in place of zstd where the optional `zstandard` is not installed."""
    if wanted == "zstd":
        try:
            import zstandard
        except ImportError:
            wanted = "gzip"
        else:
            return Compressor("zstd", BATCH_TYPE + "+zstd", zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress)
    if wanted == "gzip":
        return Compressor("gzip", BATCH_TYPE + "+gzip", _gzip)
    return Compressor("none", BATCH_TYPE, bytes)


def _gzip(payload: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, wbits=31)
    return packer.compress(payload) + packer.flush()


def unpack(payload: bytes, limit: int = MAX_PAYLOAD) -> bytes | Malformed:
    """A payload as JSON bytes; how it is compressed is told by its first bytes. Never yields more than `limit`."""
    if len(payload) > limit:
        return Malformed(f"{len(payload)} bytes, at most {limit} are taken")
    if payload.startswith(GZIP_MAGIC):
        return _gunzip(payload, limit)
    if payload.startswith(ZSTD_MAGIC):
        return _unzstd(payload, limit)
    return payload


def _gunzip(payload: bytes, limit: int) -> bytes | Malformed:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(payload, limit + 1)
    except zlib.error as problem:
        return Malformed(f"gzip: {problem}")
    if len(plain) > limit:
        return Malformed(f"gzip: unpacks to more than {limit} bytes")
    if not unpacker.eof:
        return Malformed("gzip: cut short")
    return plain


def _unzstd(payload: bytes, limit: int) -> bytes | Malformed:
    try:
        import zstandard
    except ImportError:
        return Malformed("zstd: the optional package zstandard is not installed")
    try:
        with zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(payload) as reader:
            plain: bytes = reader.read(limit + 1)
    except zstandard.ZstdError as problem:
        return Malformed(f"zstd: {problem}")
    return plain if len(plain) <= limit else Malformed(f"zstd: unpacks to more than {limit} bytes")


def decode_verdict(payload: bytes) -> Verdict | Malformed:
    """A message on `verdicts`. One wrong part makes the whole message malformed: no half of it is believed."""
    event = _object(payload)
    if isinstance(event, Malformed):
        return event
    if event.get("v") != 1 or isinstance(event.get("v"), bool):
        return Malformed(f"v is {event.get('v')!r}, 1 is understood")
    chain = event.get("chain")
    if not isinstance(chain, str) or not chain:
        return Malformed("chain is missing or not text")
    accepted = _ranges(event.get("accepted"))
    if isinstance(accepted, Malformed):
        return accepted
    rejected = _refusals(event.get("rejected"))
    if isinstance(rejected, Malformed):
        return rejected
    return Verdict(chain=chain, accepted=accepted, rejected=rejected)


def decode_platform_state(payload: bytes) -> PlatformState | Malformed:
    """A message on `platform/state`; an empty one (the retained message was removed) means no restriction."""
    if not payload:
        return PlatformState()
    event = _object(payload)
    if isinstance(event, Malformed):
        return event
    accepting = event.get("accepting")
    if not isinstance(accepting, bool):
        return Malformed(f"accepting is {accepting!r}, must be true or false")
    rate = event.get("drain_per_s")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 0):
        return Malformed(f"drain_per_s is {rate!r}, must be null or a number from 0")
    return PlatformState(accepting, None if rate is None else float(rate))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentWord:
    """What the platform has of one file: so many bytes from its beginning, all of it, or why it does not want it."""

    sha256: str
    have: int = 0
    complete: bool = False
    refused: str | None = None
    retryable: bool = False


def piece(*, chain: str, sha256: str, size: int, media_type: str, offset: int, data: bytes) -> bytes:
    """A message on `attachments`: a line of JSON that says what it is, then the bytes themselves."""
    head = {"v": 1, "chain": chain, "sha256": sha256, "size": size, "type": media_type, "offset": offset}
    return orjson.dumps(head) + b"\n" + data


def decode_attachments(payload: bytes) -> tuple[AttachmentWord, ...] | Malformed:
    """What a message on `verdicts` says of attachments, in its field of that name; nothing where it has none."""
    event = _object(payload)
    if isinstance(event, Malformed):
        return event
    items = event.get("attachments", [])
    if not isinstance(items, list):
        return Malformed(f"attachments is {_short(items)}, must be a list")
    words: list[AttachmentWord] = []
    for item in items:
        word = _word(item)
        if word is None:
            return Malformed(f"{_short(item)} says nothing of an attachment")
        words.append(word)
    return tuple(words)


def _word(item: Any) -> AttachmentWord | None:
    if not isinstance(item, dict) or not isinstance(item.get("sha256"), str):
        return None
    have, complete, refused = item.get("have", 0), item.get("complete", False), item.get("refused")
    retryable = item.get("retryable", False)
    if type(have) is not int or not 0 <= have <= MAX_SEQUENCE:
        return None
    if not isinstance(complete, bool) or not isinstance(retryable, bool) or not isinstance(refused, str | None):
        return None
    return AttachmentWord(sha256=item["sha256"], have=have, complete=complete, refused=refused, retryable=retryable)


def _object(payload: bytes) -> dict[str, Any] | Malformed:
    plain = unpack(payload)
    if isinstance(plain, Malformed):
        return plain
    try:
        event = orjson.loads(plain)
    except orjson.JSONDecodeError as problem:
        return Malformed(f"not JSON: {problem}")
    return event if isinstance(event, dict) else Malformed("not a JSON object")


def _is_sequence(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SEQUENCE


def _ranges(value: object) -> tuple[tuple[int, int], ...] | Malformed:
    if value is None:
        return ()
    if not isinstance(value, list):
        return Malformed("accepted is not a list of ranges")
    for item in value:
        if not (isinstance(item, list) and len(item) == 2 and all(map(_is_sequence, item)) and item[0] <= item[1]):
            return Malformed(f"accepted has {_short(item)}, a range is [first,last]")
    return tuple((first, last) for first, last in value)


def _refusals(value: object) -> tuple[Refusal, ...] | Malformed:
    if value is None:
        return ()
    if not isinstance(value, list):
        return Malformed("rejected is not a list")
    refusals = []
    for item in value:
        if not isinstance(item, dict) or not _is_sequence(item.get("sequence")):
            return Malformed(f"rejected has {_short(item)}, an object with its sequence is expected")
        texts = [item.get(name) or "" for name in ("id", "code", "reason")]
        retryable = item.get("retryable", False)
        if not all(isinstance(text, str) for text in texts) or not isinstance(retryable, bool):
            return Malformed(f"rejected has {_short(item)}: id, code, reason are text, retryable is true or false")
        refusals.append(
            Refusal(sequence=item["sequence"], id=texts[0], code=texts[1], reason=texts[2], retryable=retryable)
        )
    return tuple(refusals)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
