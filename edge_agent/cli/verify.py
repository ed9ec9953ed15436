"""`edge-agent records verify` and `records prove`: is what is kept what was kept, and one record proved by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.files import new_file
from edge_agent.cli.output import config_option, progress, write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.proof import Finding, PublicKey
    from edge_agent.proof.statements import AnyStatement
    from edge_agent.store import Reader

_SQLITE: Final = b"SQLite format 3\x00"
_ZIP: Final = b"PK"
SIDECAR: Final = ".proof"
"""What the name of a file with statements ends with, behind the name of the export that they are about."""
_LISTED: Final = 1_000
"""Findings that are listed; the rest is counted. One wrong record can hardly be missed among so many."""


@dataclass(slots=True)
class Outcome:
    """What was looked at, and by which keys; `facts` is what the check can say of it."""

    what: str
    facts: dict[str, Any]
    keys: tuple[str, ...]
    pinned: bool


def key_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--key`, as often as there are keys."""
    return click.option(
        "--key",
        "key_texts",
        multiple=True,
        metavar="KEY",
        help="A public key that counts (base64, or a file that holds it), as `keys show` told it on the box. Default: "
        "what the store or file says of itself.",
    )(function)


def public_keys(texts: Iterable[str]) -> list[PublicKey]:
    """The keys that were named. Raises `exits.Exit`."""
    from edge_agent.proof import NotAKey, PublicKey

    found = []
    for text in texts:
        path = Path(text)
        try:
            found.append(PublicKey.parse(path.read_text() if path.is_file() else text))
        except (NotAKey, OSError, UnicodeDecodeError) as problem:
            raise exits.Exit(exits.USAGE, f"--key {text}: {problem}") from None
    return found


@click.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--output", type=click.Choice(["table", "json", "jsonl"]), default="table", show_default=True)
@key_option
@click.option(
    "--statements",
    "sidecar",
    type=click.Path(path_type=Path),
    help="Signed statements about FILE. Default: FILE.proof, where it is there.",
)
@click.option("--any-order", is_flag=True, help="FILE is a stream as it came over the wire: order and copies are fine.")
def verify(
    config_path: Path,
    overrides: tuple[str, ...],
    file: Path | None,
    output: str,
    key_texts: tuple[str, ...],
    sidecar: Path | None,
    any_order: bool,
) -> int:
    """Check that nothing was changed, removed, inserted, moved or forked, and say where.

    Without FILE the store is checked, whether the agent runs or not. FILE is an export (JSON lines, whole or with
    stubs), a proof of one record, an archive of `evidence export`, or a store's database. No network is needed.
    Exit 0 where all holds, 1 where not.
    """
    keys = public_keys(key_texts)
    if file is None:
        from edge_agent.config import load

        check: Check = StoreCheck(Path(load(config_path, overrides).store.path), keys)
    else:
        check = check_of(file, keys, sidecar, any_order=any_order)
    found = count = 0
    listed: list[dict[str, Any]] = []
    for finding in check.findings():
        count += 1
        if count > _LISTED:
            continue
        if output == "table":
            click.echo(f"✗ {finding}")
        elif output == "jsonl":
            write(orjson.dumps(asdict(finding)))
        else:
            listed.append(asdict(finding))
    found = count
    outcome = check.outcome()
    summary = {
        "ok": not found,
        "what": outcome.what,
        "findings_count": found,
        **outcome.facts,
        "keys": outcome.keys,
        "keys_pinned": outcome.pinned,
    }
    if output == "json":
        write(orjson.dumps(summary | {"findings": listed}))
    elif output == "jsonl":
        write(orjson.dumps(summary))
    else:
        _tell(summary)
    return exits.PROBLEMS if found else exits.OK


def _tell(summary: dict[str, Any]) -> None:
    if summary["findings_count"] > _LISTED:
        click.echo(say("verify.more", n=summary["findings_count"] - _LISTED))
    facts = ", ".join(f"{name} {value}" for name, value in summary.items() if name in _TOLD and value not in (None, 0))
    click.echo(f"{summary['what']}: {facts}")
    if not summary["keys"]:
        click.echo(say("verify.no_key"))
    elif not summary["keys_pinned"]:
        click.echo(say("verify.own_key", keys=", ".join(summary["keys"])))
    click.echo(say("verify.ok") if summary["ok"] else say("verify.bad", n=summary["findings_count"]))


_TOLD: Final = ("chain", "day", "records", "stubs", "last", "purged_to", "checkpoints", "days", "signed_to", "salvaged")


class Check:
    """One thing to be checked: `findings` is gone through once, and then `outcome` holds."""

    def findings(self) -> Iterator[Finding]:
        """What is wrong."""
        raise NotImplementedError

    def outcome(self) -> Outcome:
        """What was looked at."""
        raise NotImplementedError


class StoreCheck(Check):
    """A store's database, beside a running agent or without one."""

    def __init__(self, path: Path, keys: list[PublicKey]) -> None:
        from edge_agent.store import Reader, Verification

        self._path = path
        self._reader: Reader = Reader.open(path)
        self._verification = Verification(self._reader, keys=keys)
        self._pinned = bool(keys)

    def findings(self) -> Iterator[Finding]:
        with self._reader as reader, progress(range(0), reader.head().sequence, "verify") as bar:
            yield from self._verification.findings(bar.update)

    def outcome(self) -> Outcome:
        report = self._verification.report
        facts = {} if report is None else asdict(report)
        facts.pop("findings", None)
        return Outcome(
            str(self._path), facts | {"salvaged": self._verification.salvaged}, self._verification.keys, self._pinned
        )


class LinesCheck(Check):
    """An exported file: records, stubs, statements and keys, one a line. It is read twice, never held."""

    def __init__(self, file: Path, keys: list[PublicKey], sidecar: Path | None, *, any_order: bool) -> None:
        from edge_agent.proof.files import keys_among, statements_among

        self._file = file
        beside = sidecar if sidecar is not None else file.with_name(file.name + SIDECAR)
        self._sidecar = beside if sidecar is not None or beside.is_file() else None
        self._pinned = bool(keys)
        self._any_order = any_order
        self._statements = []
        own: list[PublicKey] = []
        for place, name in ((self._sidecar, "proof line"), (file, "line")):
            if place is not None:
                with place.open("rb") as raw:
                    self._statements += list(statements_among(_bounded(raw), name))
                with place.open("rb") as raw:
                    own += keys_among(_bounded(raw))
        self._keys = keys or list({key.id: key for key in own}.values())

    def findings(self) -> Iterator[Finding]:
        from edge_agent.proof import Audit
        from edge_agent.proof.files import check_lines, check_statements

        if self._sidecar is not None:
            with self._sidecar.open("rb") as raw:
                yield from check_statements(_bounded(raw), "proof line")
        audit = Audit(statements=self._statements, keys=self._keys, any_order=self._any_order)
        with self._file.open("rb") as raw:
            yield from check_lines(_bounded(raw), audit)
        self._audit = audit

    def outcome(self) -> Outcome:
        facts = asdict(self._audit.report)
        facts.pop("findings")
        return Outcome(str(self._file), facts, tuple(key.id for key in self._keys), self._pinned)


class ProofCheck(Check):
    """The proof of one record."""

    def __init__(self, file: Path, keys: list[PublicKey]) -> None:
        from edge_agent.proof.files import keys_among

        self._file = file
        raw = file.read_bytes().splitlines(keepends=True)
        self._pinned = bool(keys)
        self._keys = keys or list(keys_among(raw))
        self._raw = raw
        self._facts: dict[str, Any] = {}

    def findings(self) -> Iterator[Finding]:
        from edge_agent.proof import receipt
        from edge_agent.proof.files import check_statements

        yield from check_statements(self._raw[1:], "line")
        yield from receipt.check_file(self._raw, self._keys)
        self._facts = receipt.facts(self._raw[0])

    def outcome(self) -> Outcome:
        return Outcome(str(self._file), self._facts, tuple(key.id for key in self._keys), self._pinned)


def check_of(file: Path, keys: list[PublicKey], sidecar: Path | None, *, any_order: bool) -> Check:
    """What looks at a file, told by its first bytes. Raises `exits.Exit` and OSError."""
    from edge_agent.proof import receipt

    try:
        with file.open("rb") as raw:
            begin = raw.read(8192)
    except FileNotFoundError:
        raise exits.Exit(exits.USAGE, f"{file}: there is no such file") from None
    if begin.startswith(_SQLITE):
        return StoreCheck(file, keys)
    if begin.startswith(_ZIP):
        from edge_agent.cli.evidence_cmd import EvidenceCheck

        return EvidenceCheck(file, keys)
    if receipt.is_proof(begin):
        return ProofCheck(file, keys)
    return LinesCheck(file, keys, sidecar, any_order=any_order)


def _bounded(raw: Any) -> Iterator[bytes]:
    """The lines of a file; one that never ends is cut, so that no file can fill the memory."""
    from edge_agent.proof.lines import MAX_LINE

    while line := raw.readline(MAX_LINE + 2):
        yield line


def key_lines(reader: Reader) -> Iterator[bytes]:
    """The public keys of a store as lines beside its records."""
    from edge_agent.proof import PublicKey
    from edge_agent.proof.lines import key_line

    for each in reader.signing_keys():
        yield key_line(PublicKey.parse(each.public), each.since)


def is_about(statement: AnyStatement, first: int, last: int) -> bool:
    """Whether a statement is about the records from `first` to `last`, or the place before them; or about keys."""
    from edge_agent.proof import Checkpoint, DayRoot, KeyChange, Purged

    match statement:
        case KeyChange():
            return True
        case Checkpoint():
            return first - 1 <= statement.sequence <= last
        case DayRoot():
            return first <= statement.first and statement.last <= last
        case Purged():
            return statement.purged_to <= last
        case _:
            return False


def write_sidecar(reader: Reader, export: Path, last: int) -> None:
    """Beside an export of the whole store put down what was signed about its records up to `last`."""
    from edge_agent.proof.statements import parse

    with new_file(export.with_name(export.name + SIDECAR)) as out:
        for line in key_lines(reader):
            out.write(line + b"\n")
        for line in reader.statements():
            statement = parse(line)
            if statement is not None and is_about(statement, 1, last):
                out.write(line + b"\n")


@click.command()
@config_option
@click.argument("record_id", metavar="ID")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Default: stdout.")
def prove(config_path: Path, overrides: tuple[str, ...], record_id: str, target: Path | None) -> None:
    """Prove one record by itself: that it is among those of a day whose root the box signed.

    The proof holds nothing of other records but hashes. `records verify FILE` checks it anywhere. The day must have
    ended.
    """
    from edge_agent.config import load
    from edge_agent.proof import DayRoot, receipt
    from edge_agent.proof.statements import parse
    from edge_agent.store import Reader

    with Reader.open(Path(load(config_path, overrides).store.path)) as reader:
        row = reader.find(record_id)
        if row is None:
            raise exits.Exit(exits.PROBLEMS, say("no_record", id=record_id))
        roots = [each for each in map(parse, reader.statements()) if isinstance(each, DayRoot)]
        day = next((each for each in roots if each.first <= row.sequence <= each.last), None)
        if day is None:
            raise exits.Exit(exits.PROBLEMS, say("prove.no_root", sequence=row.sequence))
        try:
            line = receipt.prove(row.body, list(_hashes(reader, day.first, day.last)), day)
        except ValueError as problem:
            raise exits.Exit(exits.PROBLEMS, str(problem)) from None
        keys, changes = list(key_lines(reader)), reader.key_changes()
    with new_file(target) as out:
        for each in (line, *keys, *changes):
            out.write(each + b"\n")


def _hashes(reader: Reader, first: int, last: int) -> Iterator[str]:
    passed = first - 1
    while rows := reader.read(passed + 1, last=last, limit=500):
        for row in rows:
            yield orjson.loads(row.body)["hash"]
        passed = rows[-1].sequence
