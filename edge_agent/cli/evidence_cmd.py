"""`edge-agent evidence export --day D`: one archive for a spot check, and the check of such an archive anywhere.

The archive is a ZIP without compression, so that the same content is the same bytes everywhere: whoever checks it
writes it anew from its parts and compares. Its manifest names the SHA-256 of every part, and the box signs the
manifest: nothing in it can be changed unseen.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_option
from edge_agent.cli.verify import Check, Outcome, is_about, key_lines
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.proof import Finding, PublicKey
    from edge_agent.proof.statements import AnyStatement
    from edge_agent.store import Reader

FORMAT: Final = "trace-evidence/v1"
PARTS: Final = ("README.txt", "checks.json", "devices.jsonl", "records.jsonl", "statements.jsonl")
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig.json"
_PAGE: Final = 500
_MOVE: Final = 1 << 20
_LONGEST_SMALL: Final = 1 << 20
_DEVICE_STATE: Final = "trace.device_state.v1"

_NO_ARCHIVE: Final = (zipfile.BadZipFile, ValueError, KeyError, OSError, NotImplementedError, RuntimeError, EOFError)
"""What zipfile raises for a file that is none or was changed."""

_README: Final = """\
追溯记录抽查档案 / evidence of one day of trace records

records.jsonl     当日记录, 原样, 逐条哈希相连 / the day's records as kept, each with the hash of the one before
statements.jsonl  签名的检查点、当日默克尔根、公钥 / signed checkpoints, the day's Merkle root, public keys
devices.jsonl     各设备当日及之前最后的状态记录 / the last state record of each device, of the day or before it
checks.json       导出时在本机核验的结果 / what verifying the store said when this was made
manifest.json     各部分的 SHA-256 / the SHA-256 of every part; manifest.sig.json: its signature

核验 (无需网络) / to check it, without a network:  edge-agent records verify FILE --key KEY
KEY 为平台登记的网关公钥 / KEY is the gateway's public key as the platform knows it (edge-agent keys show)
"""


@click.group()
def command() -> None:
    """Archives for a spot check."""


@command.command()
@config_option
@click.option("--day", required=True, help="The day, as 2026-11-23.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Default: evidence-GATEWAY-DAY.zip here.")
def export(config_path: Path, overrides: tuple[str, ...], day: str, target: Path | None) -> None:
    """Write the records of a day with everything that proves them into one file.

    It holds the records, checkpoints, the day's root, the devices' states and what verifying the store says, and is
    checked by `records verify FILE` on another machine, with no network.
    """
    from edge_agent.cli.files import new_file
    from edge_agent.cli.keys_cmd import ask
    from edge_agent.config import load
    from edge_agent.store import Reader

    try:
        if date.fromisoformat(day).isoformat() != day:
            raise ValueError(day)
    except ValueError:
        raise exits.Exit(exits.USAGE, f"--day {day}: a day is written as 2026-11-23") from None
    config = load(config_path, overrides)
    fresh = ask(config_path, overrides, "sign.checkpoint")["line"]
    with Reader.open(Path(config.store.path)) as reader, tempfile.TemporaryDirectory() as folder:
        parts = _Parts(reader, day, config, None if fresh is None else fresh.encode(), Path(folder))
        manifest = parts.manifest()
        digest = hashlib.sha256(manifest).hexdigest()
        signed = ask(config_path, overrides, "sign.evidence", day=day, manifest=digest)["line"]
        small = {MANIFEST: manifest} | ({} if signed is None else {SIGNATURE: signed.encode() + b"\n"})
        path = target or Path(f"evidence-{config.gateway.id}-{day}.zip")
        with new_file(path) as out:
            pack(out, small, {name: (Path(folder) / name) for name in PARTS})
    if signed is None:
        click.echo(say("evidence.unsigned"), err=True)
    click.echo(say("evidence.made", file=path, n=parts.last - parts.first + 1, first=parts.first, last=parts.last))


def pack(out: IO[bytes], small: dict[str, bytes], large: dict[str, Path]) -> None:
    """Write the archive; the same parts give the same bytes on every machine."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted((*small, *large)):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            if name in small:
                archive.writestr(info, small[name])
                continue
            info.file_size = large[name].stat().st_size
            with large[name].open("rb") as source, archive.open(info, "w") as part:
                while piece := source.read(_MOVE):
                    part.write(piece)


class _Parts:
    """Writes the parts of an archive into a folder; `first` to `last` are the day's records."""

    def __init__(self, reader: Reader, day: str, config: Config, fresh: bytes | None, folder: Path) -> None:
        from edge_agent.proof import DayRoot
        from edge_agent.proof.statements import parse

        self._reader, self._day, self._config, self._folder = reader, day, config, folder
        lines = reader.statements()
        if fresh is not None and fresh not in lines:
            lines.append(fresh)
        known = [(line, statement) for line in lines if (statement := parse(line)) is not None]
        roots = [each for _, each in known if isinstance(each, DayRoot) and each.day == day]
        if roots:
            self.first, self.last = min(each.first for each in roots), max(each.last for each in roots)
        else:
            self.first, self.last = self._range()
        (folder / "README.txt").write_text(_README)
        self._write("records.jsonl", (row.body for row in self._rows(self.first, self.last)))
        self._write("statements.jsonl", self._statements(known))
        self._write("devices.jsonl", self._devices())
        (folder / "checks.json").write_bytes(self._checks())

    def _rows(self, first: int, last: int) -> Iterator[Any]:
        passed = first - 1
        while rows := self._reader.read(passed + 1, last=last, limit=_PAGE):
            yield from rows
            passed = rows[-1].sequence

    def _range(self) -> tuple[int, int]:
        """The records of a day that has no root: from the first of that date to the last."""
        from edge_agent.store.attestor import hash_and_time

        first = last = 0
        for row in self._rows(1, self._reader.head().sequence):
            if hash_and_time(row.body)[1].startswith(self._day):
                first, last = first or row.sequence, row.sequence
        if not first:
            raise exits.Exit(exits.PROBLEMS, say("evidence.none", day=self._day))
        return first, last

    def _write(self, name: str, lines: Iterable[bytes]) -> None:
        with (self._folder / name).open("wb") as file:
            file.writelines(line + b"\n" for line in lines)

    def _statements(self, known: Iterable[tuple[bytes, AnyStatement]]) -> Iterator[bytes]:
        """Keys, changes of keys, and what was signed about these records and the place before them."""
        from edge_agent.proof import Purged

        yield from key_lines(self._reader)
        for line, statement in known:
            if not isinstance(statement, Purged) and is_about(statement, self.first, self.last):
                yield line

    def _devices(self) -> Iterator[bytes]:
        newest: dict[str, bytes] = {}
        type_ = f'"type":"{_DEVICE_STATE}"}}'.encode()
        for row in self._rows(1, self.last):
            if row.body.endswith(type_):
                newest[str(orjson.loads(row.body)["data"].get("device"))] = row.body
        yield from newest.values()

    def _checks(self) -> bytes:
        from dataclasses import asdict

        from edge_agent.store import Verification

        check = Verification(self._reader)
        found = [asdict(each) for _, each in zip(range(_PAGE), check.findings(), strict=False)]
        report = None if check.report is None else asdict(check.report)
        return orjson.dumps({"findings": found, "report": report, "keys": check.keys}, option=orjson.OPT_INDENT_2)

    def manifest(self) -> bytes:
        """What the archive is, and the digest of each part, as canonical JSON."""
        from edge_agent.records import canonical
        from edge_agent.settings import version

        return canonical.dumps(
            {
                "format": FORMAT,
                "source": self._config.gateway.source,
                "chain": self._reader.chain(),
                "day": self._day,
                "first": self.first,
                "last": self.last,
                "agent": version(),
                "parts": {name: _digest(self._folder / name) for name in PARTS},
            }
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class EvidenceCheck(Check):
    """An archive of `evidence export`."""

    def __init__(self, file: Path, keys: list[PublicKey]) -> None:
        self._file = file
        self._pinned = bool(keys)
        self._keys = keys
        self._facts: dict[str, Any] = {}

    def outcome(self) -> Outcome:
        return Outcome(str(self._file), self._facts, tuple(key.id for key in self._keys), self._pinned)

    def findings(self) -> Iterator[Finding]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            try:
                small = self._unpack(folder)
            except _NO_ARCHIVE as problem:
                yield self._finding("archive", f"not an archive as it was made: {problem}")
                return
            yield from self._check(folder, small)

    def _finding(self, where: str, what: str) -> Finding:
        from edge_agent.proof import Fault, Finding

        return Finding(fault=Fault.UNREADABLE, where=where, what=what)

    def _unpack(self, folder: Path) -> dict[str, bytes]:
        """Take the archive apart, and hold it against one made anew from its parts. Raises what zipfile does."""
        small: dict[str, bytes] = {}
        with zipfile.ZipFile(self._file) as archive:
            names = archive.namelist()
            if set(names) - {SIGNATURE} != {*PARTS, MANIFEST} or len(names) != len(set(names)):
                raise ValueError(f"it holds {', '.join(names)[:200]}")
            for name in names:
                info = archive.getinfo(name)
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > self._file.stat().st_size:
                    raise ValueError(f"{name} is compressed")
                if name in (MANIFEST, SIGNATURE):
                    if info.file_size > _LONGEST_SMALL:
                        raise ValueError(f"{name} is too long")
                    small[name] = archive.read(name)
                    continue
                with archive.open(name) as part, (folder / name).open("wb") as out:
                    while piece := part.read(_MOVE):
                        out.write(piece)
        with tempfile.TemporaryFile() as again:
            pack(again, small, {name: folder / name for name in PARTS})
            again.seek(0)
            with self._file.open("rb") as file:
                if hashlib.file_digest(file, "sha256").digest() != hashlib.file_digest(again, "sha256").digest():
                    raise ValueError("its bytes are not those of an archive with this content")
        return small

    def _check(self, folder: Path, small: dict[str, bytes]) -> Iterator[Finding]:
        from edge_agent.proof import Audit, Fault, Finding, Place
        from edge_agent.proof.files import check_lines, check_statements, keys_among, statements_among
        from edge_agent.proof.lines import Unreadable, canonical_object

        manifest = canonical_object(small[MANIFEST])
        wrong = manifest.reason if isinstance(manifest, Unreadable) else _ill_formed(manifest)
        if isinstance(manifest, Unreadable) or wrong is not None:
            yield self._finding(MANIFEST, str(wrong))
            return
        for name in PARTS:
            if _digest(folder / name) != manifest["parts"][name]:
                what = "its content is not the one that the manifest names"
                yield Finding(fault=Fault.CHANGED, where=name, what=what)
        raw = (folder / "statements.jsonl").read_bytes().splitlines(keepends=True)
        yield from check_statements(raw, "statements line")
        named = list(statements_among(raw, "statements line"))
        self._keys = self._keys or list({key.id: key for key in keys_among(raw)}.values())
        yield from self._signature(small, manifest, named)
        first, last = manifest["first"], manifest["last"]
        yield from self._bounds(manifest, named)
        with (folder / "records.jsonl").open("rb") as records:
            begin = canonical_object(records.readline(_LONGEST_SMALL).removesuffix(b"\n"))
            records.seek(0)
            before = "" if isinstance(begin, Unreadable) else str(begin.get("prevhash"))
            start = next((hash_ for _, each in named for hash_ in _hash_at(each, first - 1)), before)
            audit = Audit(
                chain=manifest["chain"],
                statements=named,
                keys=self._keys,
                purged=Place(first - 1, start),
                at_least=last,
                stubs=False,
            )
            yield from check_lines(records, audit, "records line")
        report = audit.report
        if report.last > last:
            what = f"records up to {report.last} are here, and the manifest ends with {last}"
            yield Finding(fault=Fault.CHANGED, where=MANIFEST, what=what, sequence=last + 1, last=report.last)
        yield from _whole_records(folder / "devices.jsonl")
        self._facts = {
            "day": manifest["day"],
            "chain": report.chain,
            "records": report.records,
            "first": first,
            "last": report.last,
            "checkpoints": report.checkpoints,
            "days": report.days,
            "signed_to": report.signed_to,
            "signed": SIGNATURE in small,
        }

    def _signature(
        self, small: dict[str, bytes], manifest: dict[str, Any], named: list[tuple[str, AnyStatement]]
    ) -> Iterator[Finding]:
        from edge_agent.proof import Evidence, Fault, Finding
        from edge_agent.proof.statements import parse, trusted

        line = small.get(SIGNATURE)
        if line is None:
            yield Finding(fault=Fault.SIGNATURE, where=SIGNATURE, what="the archive is not signed")
            return
        statement = parse(line.removesuffix(b"\n")) if line.endswith(b"\n") else None
        if not isinstance(statement, Evidence):
            yield self._finding(SIGNATURE, "not the signature of an archive")
            return
        key = trusted((each for _, each in named), self._keys).get(statement.key)
        if key is None or not statement.signed_by(key):
            what = f"the signature by the key {statement.key} does not hold, or the key is not ours"
            yield Finding(fault=Fault.SIGNATURE, where=SIGNATURE, what=what)
        said = (statement.manifest, statement.day, statement.chain)
        if said != (hashlib.sha256(small[MANIFEST]).hexdigest(), manifest["day"], manifest["chain"]):
            what = "the box signed another manifest than this one"
            yield Finding(fault=Fault.NOT_AS_SIGNED, where=SIGNATURE, what=what)

    def _bounds(self, manifest: dict[str, Any], named: list[tuple[str, AnyStatement]]) -> Iterator[Finding]:
        """The signed roots of the day say where it begins and ends."""
        from edge_agent.proof import DayRoot, Fault, Finding

        roots = [each for _, each in named if isinstance(each, DayRoot) and each.day == manifest["day"]]
        if roots and (min(r.first for r in roots), max(r.last for r in roots)) != (manifest["first"], manifest["last"]):
            what = f"the day has other records than {manifest['first']} to {manifest['last']} by its signed root"
            yield Finding(fault=Fault.NOT_AS_SIGNED, where=MANIFEST, what=what)


def _hash_at(statement: AnyStatement, sequence: int) -> Iterator[str]:
    """The hash that a checkpoint of that place attests."""
    from edge_agent.proof import Checkpoint

    if isinstance(statement, Checkpoint) and statement.sequence == sequence:
        yield statement.hash


def _ill_formed(manifest: dict[str, Any]) -> str | None:
    parts = manifest.get("parts")
    if manifest.get("format") != FORMAT:
        return f"format is {str(manifest.get('format'))[:40]!r}, this version reads {FORMAT}"
    if not isinstance(parts, dict) or set(parts) != set(PARTS):
        return f"parts are not {', '.join(PARTS)}"
    if not all(isinstance(manifest.get(name), str) for name in ("chain", "day")):
        return "chain and day are texts"
    places = (manifest.get("first"), manifest.get("last"))
    if not all(type(each) is int and each > 0 for each in places):
        return "first and last are sequences"
    return None


def _whole_records(path: Path) -> Iterator[Finding]:
    from edge_agent.proof import Fault, Finding
    from edge_agent.proof.lines import Link, read

    for number, line in enumerate(io.BytesIO(path.read_bytes()), 1):
        link = read(line.removesuffix(b"\n"))
        if not isinstance(link, Link) or not link.whole or link.changed:
            what = "not a record whose content has the hash that it says"
            yield Finding(fault=Fault.CHANGED, where=f"devices line {number}", what=what)
