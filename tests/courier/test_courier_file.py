"""The courier file itself: whole or refused, whatever happens to its bytes, with the place of what is wrong."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Iterable
from typing import Any

import every_record
import orjson
import pytest

from edge_agent.exports.courier import BadFile, Header, Packer, RecordCheck, header_of, read, whole_members

HEADER = Header(kind="records", file="f-1", source=every_record.SOURCE, created="2026-11-23T20:00:00.000+08:00")


def squeezed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same on every worker


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    return [orjson.dumps(event, option=orjson.OPT_SORT_KEYS) for event in every_record.every(at_random=0)]


def packed(lines: Iterable[bytes], header: Header = HEADER, every: int = 7) -> bytes:
    packer = Packer()
    data = packer.add(header.line())
    for number, line in enumerate(lines):
        data += packer.add(line)
        if number % every == 0:
            data += packer.flush()
    return data + packer.end()


def taken(data: bytes, step: int = 100) -> list[bytes]:
    """What is believed of a file: nothing where it is refused."""
    lines = list(read(data[at : at + step] for at in range(0, len(data), step)))
    assert header_of(lines[0][1]).kind in ("records", "verdicts")
    check = RecordCheck.of(header_of(lines[0][1]))
    for number, line in lines[1:]:
        check.check(number, line)
    return [line for _, line in lines[1:]]


def test_what_goes_in_comes_out_however_the_bytes_are_cut(bodies: list[bytes]) -> None:
    data = packed(bodies)
    assert all(taken(data, step) == bodies for step in (1, 7, 100, 10**6))
    assert gzip.decompress(data).count(b"\n") == len(bodies) + 2  # common tools read it, too
    assert taken(squeezed(gzip.decompress(data))) == bodies


def test_a_file_cut_anywhere_is_refused_and_says_so(bodies: list[bytes]) -> None:
    data = packed(bodies)
    for end in range(0, len(data), 11):
        with pytest.raises(BadFile, match="cut short|empty"):
            taken(data[:end])
    assert taken(data) == bodies


def test_a_flipped_bit_anywhere_is_found(bodies: list[bytes]) -> None:
    data, rng = packed(bodies), random.Random(4)
    found = 0
    for _ in range(1_500):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        changed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        try:
            same = taken(changed) == bodies
        except BadFile as problem:
            found += bool(re.search(r"line|byte|file", str(problem)))
        else:
            assert same  # a bit of gzip that means nothing, such as the time of a member
    assert found > 1_300


def spoiled(bodies: list[bytes], change: Any) -> bytes:
    event = orjson.loads(bodies[5])
    change(event)
    return packed([*bodies[:5], orjson.dumps(event, option=orjson.OPT_SORT_KEYS), *bodies[6:]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e["data"].update(operator="someone"), "line 7: record 6 of chain chain-1 was changed"),
        (lambda e: e.update(sequence=f"{99:016d}"), "line 7: record 99 of chain chain-1 was changed"),
        (lambda e: e.pop("hash"), "line 7: this is no record"),
        (lambda e: e.update(hash="0" * 64), "line 7: record 6 of chain chain-1 was changed"),
    ],
)
def test_a_changed_record_is_named_although_the_checksum_is_made_anew(
    bodies: list[bytes], change: Any, words: str
) -> None:
    with pytest.raises(BadFile, match=words):
        taken(spoiled(bodies, change))


def test_records_out_of_order_twice_or_of_another_box_are_refused(bodies: list[bytes]) -> None:
    for lines, words in (
        ([bodies[1], bodies[0]], "line 3: record 1 of chain chain-1 stands behind record 2"),
        ([bodies[0], bodies[0]], "line 3: record 1 of chain chain-1 stands behind record 1"),
    ):
        with pytest.raises(BadFile, match=words):
            taken(packed(lines))
    other = Header(kind="records", file="f", source="/other/box", created="x")
    with pytest.raises(BadFile, match="line 2: record 1 is of /market-1/gw-1, the file of /other/box"):
        taken(packed(bodies, other))
    assert taken(packed([bodies[1], bodies[7]])) == [bodies[1], bodies[7]]  # what was delivered is not in the file


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 a zip file", "byte 0: is no gzip data"),
        (squeezed(b"hello\n"), "line 1: this is no courier file"),
        (squeezed(b'{"courier":2}\n'), "line 1: version 2 is not known, 1 is"),
        (squeezed(b'{"courier":1,"kind":"x","file":"f","source":"/a/b","created":"c"}\n'), "kind is 'x'"),
        (squeezed(b'{"courier":1,"kind":"records","file":7}\n'), "line 1: file must be a text"),
        (squeezed(b"\0" * 50_000_000), "a line is longer than"),
        (squeezed(HEADER.line() + b"\n"), "after line 1: the file is cut short"),
        (squeezed(HEADER.line() + b'\n{"end":true,"lines":5,"sha256":""}\n'), "it says that 5 lines"),
        (squeezed(HEADER.line() + b'\n{"end":true,"lines":1,"sha256":"00"}\n'), "the checksum is not"),
        (packed([]) + packed([]), "line 3: something follows"),
    ],
)
def test_foreign_and_damaged_files_are_told(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        taken(data)


def test_whole_members_of_a_torn_file_are_found(bodies: list[bytes]) -> None:
    data = packed(bodies)
    ends = [0, *(offset for offset, _ in whole_members([data]))]
    assert ends[-1] == len(data)
    plain = gzip.decompress(data)
    for cut in range(0, len(data), 97):
        torn = data[:cut]
        found = list(whole_members(torn[at : at + 50] for at in range(0, cut, 50)))
        last = found[-1][0] if found else 0
        assert last == max(end for end in ends if end <= cut)
        assert plain.startswith(b"".join(part for _, part in found))
