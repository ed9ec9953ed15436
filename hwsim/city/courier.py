"""The courier file, as the platform's side reads and answers it. Written from its description alone.

Lines of JSON in gzip: a header, one record a line, and a last line with the number of lines and the SHA-256 of all
before it. The answer is a file of the same form with one verdict a line, as on the topic `verdicts`, and with a digest
of each accepted range: SHA-256 over the hashes of its records, so that the box can see that the same ones are meant.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from hwsim.city.archive import Archive, Outcome, ranges
from hwsim.city.events import MAX_BATCH_BYTES, Malformed, read_batch
from hwsim.city.service import verdict

_BATCH: Final = 200


class Refused(ValueError):
    """A courier file that is not taken, and why."""


def take(file: Path, archive: Archive, answer: Path) -> dict[str, int]:
    """Store the records of a file and write the verdict file; the file is looked through before anything is stored.

    Raises `Refused`, OSError. Figures: records in the file, accepted, refused.
    """
    for _ in _lines(file):
        pass
    source, batches = _open(file)
    _, site, gateway = source.split("/")
    answers: list[bytes] = []
    figures = {"records": 0, "accepted": 0, "refused": 0}
    for lines in batches:
        payload = b"[" + b",".join(lines) + b"]"
        archive.begin()
        outcomes = archive.take(read_batch(payload, source=source), site=site, gateway=gateway)
        archive.commit()
        hashes = {(e["chain"], int(e["sequence"])): e["hash"] for e in map(orjson.loads, lines)}
        figures["records"] += len(lines)
        for outcome in outcomes:
            answers.append(_answer(outcome, hashes))
            figures["accepted"] += len(set(outcome.accepted))
            figures["refused"] += len(outcome.refused)
    _write(answer, source, answers)
    return figures


def _answer(outcome: Outcome, hashes: dict[tuple[str, int], str]) -> bytes:
    facts = orjson.loads(verdict(outcome.chain, outcome.accepted, outcome.refused))
    digests = []
    for first, last in ranges(outcome.accepted):
        digest = hashlib.sha256()
        for sequence in range(first, last + 1):
            digest.update(hashes[outcome.chain, sequence].encode())
        digests.append([first, last, digest.hexdigest()])
    return orjson.dumps(facts | {"digests": digests})


def _open(file: Path) -> tuple[str, Iterator[list[bytes]]]:
    lines = _lines(file)
    header = orjson.loads(next(lines))
    return header["source"], _grouped(lines)


def _grouped(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 2
    for line in lines:
        if group and (len(group) >= _BATCH or size + len(line) + 1 > MAX_BATCH_BYTES):
            yield group
            group, size = [], 2
        group.append(line)
        size += len(line) + 1
    if group:
        yield group


def _lines(file: Path) -> Iterator[bytes]:
    """Header and records; raises `Refused` at the first thing that is wrong, at the end where the whole is."""
    digest = hashlib.sha256()
    number = 0
    end: dict[str, Any] | None = None
    try:
        with gzip.open(file) as lines:
            for number, raw in enumerate(lines, 1):
                line = raw.rstrip(b"\n")
                if end is not None:
                    raise Refused(f"line {number} follows the end")
                if number > 1 and line.startswith(b'{"end":'):
                    end = orjson.loads(line)
                    continue
                if number == 1:
                    _header(line)
                digest.update(raw)
                yield line
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise
        raise Refused(f"behind line {number}: {problem}") from problem
    if end is None:
        raise Refused(f"behind line {number}: the end is missing")
    if end.get("lines") != number - 1 or end.get("sha256") != digest.hexdigest():
        raise Refused(f"line {number}: number of lines or checksum is another")


def _header(line: bytes) -> None:
    header = orjson.loads(line)
    if not isinstance(header, dict) or header.get("courier") != 1 or header.get("kind") != "records":
        raise Refused("line 1: no courier file with records")
    if str(header.get("source")).count("/") != 2:
        raise Refused("line 1: source is not /site/gateway")


def _write(answer: Path, source: str, verdicts: Sequence[bytes]) -> None:
    created = datetime.now().astimezone().isoformat(timespec="milliseconds")
    header = {"courier": 1, "kind": "verdicts", "file": str(uuid.uuid4()), "source": source, "created": created}
    lines = b"".join(line + b"\n" for line in (orjson.dumps(header), *verdicts))
    end = {"end": True, "lines": 1 + len(verdicts), "sha256": hashlib.sha256(lines).hexdigest()}
    part = answer.with_name(f"{answer.name}.part")
    with part.open("wb") as file:
        file.write(gzip.compress(lines + orjson.dumps(end) + b"\n"))
        file.flush()
        os.fsync(file.fileno())
    part.rename(answer)


__all__ = ["Malformed", "Refused", "take"]
