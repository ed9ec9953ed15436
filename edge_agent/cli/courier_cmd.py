"""`edge-agent buffer export` and `import`: the courier file, with or without a running agent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.files import sync_directory
from edge_agent.cli.output import config_option
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.exports.courier import Header
    from edge_agent.store import Reader

_PAGE: Final = 500
_CHUNK: Final = 1 << 18
_SYNC_EVERY: Final = 4 << 20
_BATCH: Final = 4 << 20
"""Bytes of lines that are handed to the agent at a time."""


@click.command("export")
@config_option
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
def export(config_path: Path, overrides: tuple[str, ...], target: Path) -> None:
    """Write the records that wait for the platform to FILE, to be carried there.

    The file is compressed, has a checksum and is whole or not there. An export that was interrupted goes on when it is
    run again. Nothing changes on the box: the records go on being sent, and count once however they arrive.
    """
    from edge_agent.config import load
    from edge_agent.store import PLATFORM, Reader

    config = load(config_path, overrides)
    part = target.with_name(f"{target.name}.part")
    if target.exists():
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: is there already and is not overwritten")
    with Reader.open(Path(config.store.path)) as reader:
        chain = reader.chain()
        if not reader.pending(PLATFORM) and not reader.salvaged(after=("", 0), limit=1):
            click.echo(say("courier.none"), err=True)
            return
        written = _Part(part, chain, config)
        try:
            written.write(_waiting(reader, written.after))
            written.close(target)
        except OSError as problem:
            words = say("courier.unfinished", file=part, reason=problem.strerror, n=written.records)
            raise exits.Exit(exits.IO_ERROR, words) from None
    _verify(target)
    size = target.stat().st_size
    click.echo(say("courier.exported", file=target, n=written.records, bytes=size))


def _waiting(reader: Reader, after: int) -> Iterator[bytes]:
    """The records that wait: those of this chain after a sequence, then those of others."""
    from edge_agent.store import PLATFORM

    for first, last in reader.pending(PLATFORM):
        first = max(first, after + 1)
        while first <= last and (rows := reader.read(first, last=last, limit=_PAGE)):
            for row in rows:
                yield row.body
            first = rows[-1].sequence + 1
    place = ("", 0)
    while found := reader.salvaged(after=place, limit=_PAGE):
        for each in found:
            yield each.body
        place = (found[-1].chain, found[-1].sequence)


class _Part:
    """The unfinished file: what is whole of it is kept, the rest is written behind."""

    def __init__(self, path: Path, chain: str | None, config: Config) -> None:
        from edge_agent.exports.courier import Header, Packer

        self.path = path
        self.after = 0
        """The last record of this chain that is in the file."""
        self._packer = Packer()
        self._unsynced = 0
        try:
            self._file = self._open_again(chain, config) if path.exists() else None
            if self._file is None:
                self._file = path.open("wb")
                created = datetime.now(UTC).astimezone(config.gateway.zone).isoformat(timespec="milliseconds")
                header = Header(kind="records", file=str(uuid.uuid4()), source=config.gateway.source, created=created)
                self._packer = Packer()
                self._packer.add(header.line())
                self._put(self._packer.flush())
        except OSError as problem:
            raise exits.Exit(exits.CANNOT_CREATE, f"{path}: {problem.strerror}") from None

    @property
    def records(self) -> int:
        """How many records it holds."""
        return max(0, self._packer.lines - 1)

    def _open_again(self, chain: str | None, config: Config) -> IO[bytes] | None:
        """The part of an earlier run, cut behind its last whole member; None where it is of no use."""
        from edge_agent.exports.courier import BadFile, header_of, whole_members

        end, last = 0, b""
        with self.path.open("rb") as file:
            for offset, plain in whole_members(_chunks(file)):
                if end == 0:
                    try:
                        header = header_of(plain.partition(b"\n")[0])
                    except BadFile:
                        return None
                    if (header.kind, header.source) != ("records", config.gateway.source):
                        return None
                if b'{"end":true' in plain[-200:]:
                    return None
                self._packer.seen(plain)
                end, last = offset, plain.rstrip(b"\n").rpartition(b"\n")[2]
        if not end:
            return None
        if self.records:
            event = orjson.loads(last)
            if event["chain"] != chain:  # it had come to the records of other chains, which are few
                return None
            self.after = int(event["sequence"])
            click.echo(say("courier.resumed", n=self.records), err=True)
        again = self.path.open("r+b")
        again.truncate(end)
        again.seek(end)
        return again

    def write(self, bodies: Iterator[bytes]) -> None:
        """Write records."""
        for body in bodies:
            self._put(self._packer.add(body))

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        if not data:
            return
        self._file.write(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_EVERY:
            self._sync()

    def _sync(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def close(self, target: Path) -> None:
        """Write the end and give the file its name."""
        assert self._file is not None
        self._put(self._packer.end())
        self._sync()
        self._file.close()
        self.path.rename(target)
        sync_directory(target.parent)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _verify(target: Path) -> None:
    """Read back what the stick holds."""
    from edge_agent.exports.courier import BadFile, RecordCheck, header_of, read

    try:
        with target.open("rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            lines = read(_chunks(file))
            check = RecordCheck.of(header_of(next(lines)[1]))
            for number, line in lines:
                check.check(number, line)
    except (BadFile, OSError) as problem:
        raise exits.Exit(exits.IO_ERROR, f"{target}: cannot be read back: {problem}; use another stick") from None


@click.command("import")
@config_option
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
def import_file(config_path: Path, overrides: tuple[str, ...], source: Path) -> None:
    """Take in a courier FILE: the platform's verdicts on our records, or records of another box to be delivered.

    Verdicts settle records as if they had come over the network. Records keep their ids and places and are sent to the
    platform in the name of the box that made them. A file that is cut short, changed or not for this box is refused
    before anything of it is taken; to take one twice is as once.
    """
    from edge_agent.config import load
    from edge_agent.exports.courier import BadFile

    config = load(config_path, overrides)
    try:
        header = _examine(source, config)
        taken = _take(source, header, config)
    except FileNotFoundError:
        raise exits.Exit(exits.BAD_DATA, f"{source}: there is no such file") from None
    except BadFile as problem:
        raise exits.Exit(exits.BAD_DATA, f"{source}: {problem}; nothing was taken") from None
    click.echo(say(f"courier.{header.kind}", **taken))


def _examine(source: Path, config: Config) -> Header:
    """Look through the whole file, and hold it against the store where it is about it; raises `BadFile`."""
    from edge_agent.courier import verdict_of
    from edge_agent.exports.courier import BadFile, RecordCheck, header_of, read
    from edge_agent.store import Reader

    with source.open("rb") as file, Reader.open(Path(config.store.path)) as reader:
        lines = read(_chunks(file))
        header = header_of(next(lines, (1, b""))[1])
        if header.kind == "verdicts" and header.source != config.gateway.source:
            raise BadFile(f"line 1: these are verdicts for {header.source}, this box is {config.gateway.source}")
        check = RecordCheck.of(header)
        chain = reader.chain()
        for number, line in lines:
            if header.kind == "records":
                check.check(number, line)
            else:
                verdict_of(number, line, reader, chain)
    return header


def _take(source: Path, header: Header, config: Config) -> dict[str, int]:
    """Hand the lines over in batches: to the running agent, or to the store itself."""
    from edge_agent.control import ControlClient
    from edge_agent.courier import Taken, take
    from edge_agent.exports.courier import BadFile
    from edge_agent.store import Store

    path = Path(config.store.path)
    total = Taken()
    try:
        with ControlClient(Path(f"{path}.sock"), timeout=60.0) as client:
            for batch in _batches(source):
                client.send(b"\n".join(batch))
                answer = client.ask(do="courier", header=header.plain())
                if not answer.pop("ok"):
                    raise BadFile(answer["reason"])
                total += Taken(**answer)
            return total.plain()
    except ConnectionError:
        if total != Taken():
            raise
    store = Store.open(path, source=config.gateway.source, zone=config.gateway.zone)
    try:
        for batch in _batches(source):
            total += take(store, header, batch, config.gateway.source)
    finally:
        store.stop(30.0)
    return total.plain()


def _batches(source: Path) -> Iterator[list[bytes]]:
    from edge_agent.exports.courier import read

    with source.open("rb") as file:
        batch: list[bytes] = []
        size = 0
        for number, line in read(_chunks(file)):
            if number == 1:
                continue
            batch.append(line)
            size += len(line)
            if size >= _BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
