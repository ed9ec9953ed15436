"""What arrives on `records`: decompression within bounds, the CloudEvents batch, and the checks of one record.

Sans-I/O, and written from the description of the wire alone.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import orjson

MAX_BATCH_BYTES: Final = 256 * 1024
MAX_BATCH_RECORDS: Final = 1000
MAX_INTEGER: Final = 2**53 - 1

TYPES: Final = frozenset(
    f"trace.{name}.v1"
    for name in (
        *("weighing", "scan", "tag", "sale", "return", "intake", "intake_review", "entry", "inspection", "disposal"),
        *("loss", "transfer", "transform", "stop_sale", "release", "recall_hit", "confirmation", "settlement"),
        *("stocktake", "party", "device_state", "patrol", "shift", "complaint", "environment", "filling"),
        *("clock_offset", "kpi", "void", "amend", "chain", "gap", "purge"),
    )
)
CAPTURED_BY: Final = frozenset({"device", "manual", "import", "replay"})

_CANONICAL: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_HEX64: Final = re.compile(r"[0-9a-f]{64}")
_SEQUENCE: Final = re.compile(r"[0-9]{16}")
_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME: Final = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}"
    r"[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
)


class Malformed(ValueError):
    """A message whose records cannot be told apart; nothing of it can get a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record that names its place on a chain. `fault` is a code and a reason when it cannot be accepted."""

    chain: str
    sequence: int
    id: str
    type: str
    subject: str
    prevhash: str
    hash: str
    body: bytes
    fault: tuple[str, str] | None = None


def unpack(payload: bytes) -> bytes:
    """The JSON text of a payload: zstd, gzip or plain, told by its first bytes.

    Raises `Malformed` for more than 256 KiB, broken compression, or zstd where the library is not installed.
    """
    try:
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            text = _unzstd(payload)
        elif payload.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=BytesIO(payload)) as file:
                text = file.read(MAX_BATCH_BYTES + 1)
        else:
            text = payload
    except (OSError, EOFError, zlib.error) as problem:
        raise Malformed(f"compression is broken: {problem}") from problem
    if len(text) > MAX_BATCH_BYTES:
        raise Malformed(f"a batch is at most {MAX_BATCH_BYTES} bytes before compression")
    return text


def _unzstd(payload: bytes) -> bytes:
    try:
        import zstandard
    except ImportError as missing:
        raise Malformed("zstd arrived and zstandard is not installed: pip install zstandard") from missing
    try:
        with zstandard.ZstdDecompressor().stream_reader(payload) as reader:
            return reader.read(MAX_BATCH_BYTES + 1)
    except zstandard.ZstdError as problem:
        raise Malformed(f"compression is broken: {problem}") from problem


def read_batch(payload: bytes, *, source: str) -> Iterator[Event]:
    """The records of one message that came on the topic of `source` (`/{site}/{gateway}`).

    Raises `Malformed` before the first record is given out.
    """
    try:
        batch = orjson.loads(unpack(payload))
    except orjson.JSONDecodeError as problem:
        raise Malformed(f"not JSON: {problem}") from problem
    if not isinstance(batch, list) or not 1 <= len(batch) <= MAX_BATCH_RECORDS:
        raise Malformed(f"a batch is an array of 1 to {MAX_BATCH_RECORDS} records")
    places = [_place(number, record) for number, record in enumerate(batch)]
    return (_check(record, chain, sequence, source) for record, (chain, sequence) in zip(batch, places, strict=True))


def _place(number: int, record: Any) -> tuple[str, int]:
    if not isinstance(record, dict):
        raise Malformed(f"[{number}] is not an object")
    chain, sequence = record.get("chain"), record.get("sequence")
    if not isinstance(chain, str) or not 0 < len(chain) <= 200:
        raise Malformed(f"[{number}] has no chain")
    if not isinstance(sequence, str) or not _SEQUENCE.fullmatch(sequence) or int(sequence) < 1:
        raise Malformed(f"[{number}] has no sequence of 16 digits from 1 on")
    return chain, int(sequence)


def _check(record: dict[str, Any], chain: str, sequence: int, source: str) -> Event:
    fault = _fault(record, source)
    return Event(
        chain=chain,
        sequence=sequence,
        id=_text(record, "id"),
        type=_text(record, "type"),
        subject=_text(record, "subject"),
        prevhash=_text(record, "prevhash"),
        hash=_text(record, "hash"),
        body=b"" if fault else orjson.dumps(record, option=_CANONICAL),
        fault=fault,
    )


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _fault(record: dict[str, Any], source: str) -> tuple[str, str] | None:
    wrong = _wrong_attribute(record, source)
    if wrong:
        return "attribute", wrong
    wrong = _wrong_value(record["data"], "data") or _wrong_body(record["data"])
    if wrong:
        return "data", wrong
    claimed = record["hash"]
    try:
        bare = orjson.dumps({key: value for key, value in record.items() if key != "hash"}, option=_CANONICAL)
    except orjson.JSONEncodeError as problem:
        return "canonical", str(problem)
    if hashlib.sha256(bare).hexdigest() != claimed:
        return "hash", "the hash is not that of the canonical event"
    return None


def _wrong_attribute(record: Mapping[str, Any], source: str) -> str:
    for name, holds in _ATTRIBUTES.items():
        if name not in record:
            return f"{name} is missing"
        if not holds(record[name]):
            return f"{name} is {str(record[name])[:80]!r}"
    if record["source"] != source:
        return f"source is {record['source'][:80]!r} on the topic of {source!r}"
    # Attributes that are not known are let pass, if they are ones that CloudEvents and canonical form allow.
    for name, value in record.items():
        if name not in _ATTRIBUTES and (type(value) not in (str, int, bool) or not name.isascii()):
            return f"{name} is not an attribute that CloudEvents allows"
    return ""


def _short_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _like(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_ATTRIBUTES: Final[dict[str, Callable[[Any], bool]]] = {
    "specversion": lambda value: bool(value == "1.0"),
    "id": _like(_UUID7),
    "source": _short_text,
    "subject": _short_text,
    "type": lambda value: isinstance(value, str) and value in TYPES,
    "time": _like(_TIME),
    "datacontenttype": lambda value: bool(value == "application/json"),
    "chain": _short_text,
    "sequence": _like(_SEQUENCE),
    "prevhash": _like(_HEX64),
    "hash": _like(_HEX64),
    "data": lambda value: isinstance(value, dict),
}


def _wrong_value(value: Any, path: str) -> str:
    """What canonical form does not allow: floats, integers beyond 2^53-1, keys that are not ASCII."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return ""
    if kind is int:
        return "" if -MAX_INTEGER <= value <= MAX_INTEGER else f"{path} is beyond 2^53-1"
    if kind is dict:
        for key, item in value.items():
            if not key.isascii():
                return f"{path} has a key that is not ASCII"
            wrong = _wrong_value(item, f"{path}.{key}")
            if wrong:
                return wrong
        return ""
    if kind is list:
        return next((wrong for item in value if (wrong := _wrong_value(item, f"{path}[]"))), "")
    return f"{path} is a {kind.__name__}"


def _wrong_body(data: Mapping[str, Any]) -> str:
    """Fields that every type has in common; fields that are not known are let pass."""
    for key, value in data.items():
        if key.endswith(("_mg", "_fen")) and value is not None and type(value) is not int:
            return f"data.{key} is not an integer"
    if "captured_by" in data and data["captured_by"] not in CAPTURED_BY:
        return f"data.captured_by is {str(data['captured_by'])[:80]!r}"
    flags = data.get("flags", [])
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        return "data.flags is not a list of texts"
    clock = data.get("clock")
    if clock is not None and not (isinstance(clock, dict) and type(clock.get("synced")) is bool):
        return "data.clock does not say whether it is synced"
    return ""
