"""The courier file: records, or the platform's verdicts, on a stick instead of over the network; sans-I/O.

Lines of JSON in gzip members, so that every common tool can look inside:

    {"courier":1,"kind":"records","file":"…","source":"/site/gateway","created":"…"}
    …one record as it is stored, or one verdict as on the topic `verdicts`, a line…
    {"end":true,"lines":n,"sha256":"…"}        over all lines before it, line ends included

A file without its last line is not whole, and nothing of it is taken. An interrupted export goes on behind the last
member that is whole. The checksum guards against sticks, not against people: that a record is the one that was kept
is shown by its own hash and chain.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from edge_agent.records.envelope import hash_of

VERSION: Final = 1
GZIP: Final = 31
Kind = Literal["records", "verdicts"]
KINDS: Final = ("records", "verdicts")

_LONGEST_LINE: Final = 1 << 20
_PLAIN_STEP: Final = 64 * 1024
_MEMBER: Final = 256 * 1024


class BadFile(ValueError):
    """A courier file that is not taken: where, and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line: what the file holds, its id, whose records it is about, when it was made."""

    kind: Kind
    file: str
    source: str
    created: str

    def plain(self) -> dict[str, str]:
        """As plain values."""
        return {"kind": self.kind, "file": self.file, "source": self.source, "created": self.created}

    def line(self) -> bytes:
        """The line."""
        return orjson.dumps({"courier": VERSION, **self.plain()})


class Packer:
    """Makes the bytes of a file. What `add`, `flush` and `end` return is written in this order."""

    def __init__(self) -> None:
        self.lines = 0
        self.plain_bytes = 0
        self._digest = hashlib.sha256()
        self._waiting = bytearray()

    def add(self, line: bytes) -> bytes:
        """Take a line; returns a member once there is enough for one, else nothing."""
        self._digest.update(line + b"\n")
        self.lines += 1
        self.plain_bytes += len(line) + 1
        self._waiting += line + b"\n"
        return self.flush() if len(self._waiting) >= _MEMBER else b""

    def seen(self, plain: bytes) -> None:
        """Count lines that an interrupted run wrote already."""
        self._digest.update(plain)
        self.lines += plain.count(b"\n")
        self.plain_bytes += len(plain)

    def flush(self) -> bytes:
        """A member with what waits."""
        if not self._waiting:
            return b""
        data, self._waiting = bytes(self._waiting), bytearray()
        packer = zlib.compressobj(6, zlib.DEFLATED, wbits=GZIP)
        return packer.compress(data) + packer.flush()

    def end(self) -> bytes:
        """The rest, with the last line."""
        last = {"end": True, "lines": self.lines, "sha256": self._digest.hexdigest()}
        self._waiting += orjson.dumps(last) + b"\n"
        return self.flush()


def whole_members(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The plain bytes of each member that is whole, with the offset behind it; ends before the first that is not."""
    unpacker, plain, offset = zlib.decompressobj(GZIP), bytearray(), 0
    for chunk in chunks:
        data = chunk
        while data:
            try:
                plain += unpacker.decompress(data)
            except zlib.error:
                return
            if not unpacker.eof:
                offset += len(data)
                break
            offset += len(data) - len(unpacker.unused_data)
            yield offset, bytes(plain)
            data, unpacker, plain = unpacker.unused_data, zlib.decompressobj(GZIP), bytearray()


def read(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, the header first; the last line is checked and not given out.

    Raises `BadFile` where it is cut short, damaged, or something else. Only when the iteration has ended without one
    is the file whole: look through it once before anything of it is believed.
    """
    digest, number, ended = hashlib.sha256(), 0, False
    for number, line in enumerate(_lines(chunks), 1):
        if ended:
            raise BadFile(f"line {number}: something follows the last line")
        if number > 1 and line.startswith(b'{"end":'):
            _check_end(line, number, digest.hexdigest())
            ended = True
            continue
        if number == 1:
            header_of(line)
        digest.update(line + b"\n")
        yield number, line
    if number == 0:
        raise BadFile("the file is empty")
    if not ended:
        raise BadFile(f"after line {number}: the file is cut short, its last line is missing")


def _check_end(line: bytes, number: int, digest: str) -> None:
    try:
        end = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadFile(f"line {number}: the last line is damaged") from None
    if end.get("lines") != number - 1:
        raise BadFile(f"line {number}: it says that {end.get('lines')!r} lines come before it: some are missing")
    if end.get("sha256") != digest:
        raise BadFile(f"line {number}: the checksum is not that of the lines: the file was changed or is damaged")


def header_of(line: bytes) -> Header:
    """The header in a file's first line; raises `BadFile`."""
    try:
        facts = orjson.loads(line)
    except orjson.JSONDecodeError:
        facts = None
    if not isinstance(facts, Mapping) or "courier" not in facts:
        raise BadFile("line 1: this is no courier file")
    if facts["courier"] != VERSION:
        raise BadFile(f"line 1: version {facts['courier']!r} is not known, {VERSION} is")
    return header_from(facts)


def header_from(facts: Mapping[str, Any]) -> Header:
    """The header of plain values; raises `BadFile`."""
    texts: dict[str, str] = {}
    for name in ("kind", "file", "source", "created"):
        value = facts.get(name)
        if not isinstance(value, str) or not value:
            raise BadFile(f"line 1: {name} must be a text")
        texts[name] = value
    if texts["kind"] not in KINDS:
        raise BadFile(f"line 1: kind is {texts['kind']!r}, must be {' or '.join(KINDS)}")
    kind: Kind = "records" if texts["kind"] == "records" else "verdicts"
    return Header(kind=kind, file=texts["file"], source=texts["source"], created=texts["created"])


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = bytearray()
    for plain in _plain(chunks):
        *lines, tail = plain.split(b"\n")
        for line in lines:
            yield bytes(rest) + line
            rest.clear()
        rest += tail
        if len(rest) > _LONGEST_LINE:
            raise BadFile(f"a line is longer than {_LONGEST_LINE} bytes: this is no courier file")
    if rest:
        raise BadFile("the file is cut short in the middle of a line")


def _plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What is compressed, in small pieces whatever it unpacks to."""
    unpacker, offset, fresh = zlib.decompressobj(GZIP), 0, True
    for chunk in chunks:
        data = chunk
        while data:
            try:
                yield unpacker.decompress(data, _PLAIN_STEP)
            except zlib.error as problem:
                what = "is no gzip data" if offset == 0 and fresh else "the compressed data is damaged"
                raise BadFile(f"byte {offset}: {what} ({problem})") from None
            fresh = False
            data = unpacker.unconsumed_tail or unpacker.unused_data
            if unpacker.eof:
                unpacker, fresh = zlib.decompressobj(GZIP), True
        offset += len(chunk)
    if not fresh:
        raise BadFile(f"byte {offset}: the file is cut short in the middle of its compressed data")


@dataclass(slots=True)
class RecordCheck:
    """Holds the records of a file against themselves: the hash of each, whose they are, their order, the links."""

    source: str
    chains: dict[str, tuple[int, str]]

    @classmethod
    def of(cls, header: Header) -> RecordCheck:
        """The check of a file with this header."""
        return cls(header.source, {})

    def check(self, number: int, line: bytes) -> tuple[str, int]:
        """Chain and sequence of the record in a line; raises `BadFile`."""
        try:
            event = orjson.loads(line)
            chain, sequence, value = event["chain"], int(event["sequence"]), event["hash"]
            own = hash_of(event)
        except (ValueError, TypeError, KeyError):
            raise BadFile(f"line {number}: this is no record") from None
        if own != value:
            raise BadFile(f"line {number}: record {sequence} of chain {chain} was changed: its hash is another")
        if event["source"] != self.source:
            raise BadFile(f"line {number}: record {sequence} is of {event['source']}, the file of {self.source}")
        before, last = self.chains.get(chain, (0, ""))
        if sequence <= before:
            raise BadFile(f"line {number}: record {sequence} of chain {chain} stands behind record {before}")
        if sequence == before + 1 and last and event["prevhash"] != last:
            raise BadFile(f"line {number}: record {sequence} of chain {chain} does not follow the one before it")
        self.chains[chain] = sequence, value
        return chain, sequence


def digest_of(hashes: Iterable[str]) -> str:
    """The digest by which a verdict in a file vouches for a range: over the hashes of its records, in order."""
    digest = hashlib.sha256()
    for each in hashes:
        digest.update(each.encode())
    return digest.hexdigest()


def digests_of(verdict: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """The digests that a verdict in a file names: for each accepted range, as the platform has its records."""
    found: dict[tuple[int, int], str] = {}
    for each in verdict.get("digests") or ():
        if isinstance(each, list) and len(each) == 3 and type(each[0]) is type(each[1]) is int:
            found[each[0], each[1]] = str(each[2])
    return found
