"""`edge-agent catalogue`: goods, market participants and prices, with or without a running agent."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, output_option, show
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.catalogue import Kind
    from edge_agent.store import CatalogueVersion

_KIND_OPTION = click.option(
    "--kind", type=click.Choice(["goods", "parties", "prices"]), help="What it is; default: told by its columns."
)
_KIND_ARGUMENT = click.argument("kind", type=click.Choice(["goods", "parties", "prices"]))
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "goods": ("code", "name", "plu", "initials", "category", "mode", "price_fen", "price_per"),
    "parties": ("code", "name", "kind", "position", "uscc"),
    "prices": ("goods", "since", "price_fen", "price_per", "party"),
}


@click.group()
def command() -> None:
    """The catalogue: goods, market participants, prices by date."""


@command.command("import")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@_KIND_OPTION
@click.option("--add", is_flag=True, help="Keep what the file does not name; else the file is all there is.")
@output_option
def import_file(
    config_path: Path, overrides: tuple[str, ...], file: Path, kind: str | None, add: bool, output: str
) -> int:
    """Import FILE (CSV or JSON; UTF-8, GBK or as Excel writes it), all of it or nothing.

    Faults are listed all at once, each with line, column, what is wrong and what would be right; exit 65.
    """
    from edge_agent.catalogue import MOST_BYTES

    try:
        with file.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as problem:
        raise exits.Exit(exits.BAD_DATA, f"{file}: {problem.strerror}") from None
    result = _import(config_path, overrides, data, kind, add, file.name)
    faults = [{"file": str(file), **fault} for fault in result["faults"]]
    if faults:
        show(faults, ("file", "line", "column", "what", "hint"), output)
        click.echo(say("catalogue.bad", n=len(faults)), err=True)
        return exits.BAD_DATA
    click.echo(say("catalogue.imported", kind=result["kind"], n=result["rows"], version=result["version"]), err=True)
    return exits.OK


def _import(
    config_path: Path, overrides: tuple[str, ...], data: bytes, kind: str | None, add: bool, source: str
) -> dict[str, Any]:
    """Have the running agent import; with none running, take the store and do it here.

    For a running agent the file is read and checked here, so that it need not load what makes pinyin of names.
    """
    from edge_agent.catalogue import kind_of_text, read_catalogue
    from edge_agent.catalogue.pinyin import initials_maker
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.office.cataloguer import Cataloguer, Outcome, catalogue_of, rows_of
    from edge_agent.store import Reader, Store

    config = load(config_path, overrides)
    path = Path(config.store.path)
    try:
        client = ControlClient(Path(f"{path}.sock"), timeout=60.0)
    except ConnectionError:
        store = Store.open(path, source=config.gateway.source, zone=config.gateway.zone)
        try:
            keeper = Cataloguer(store, config.gateway.zone, config.gateway.id)
            keeper.open()
            return keeper.take(data, kind=kind_of_text(kind), source=source, add=add, initials=initials_maker()).plain()
        finally:
            store.stop(5.0)
    with client, Reader.open(path) as reader:

        def there(kind: Kind) -> list[dict[str, Any]]:
            version = reader.catalogue(kind)
            return [] if version is None else rows_of(version)

        read = read_catalogue(
            data,
            kind=kind_of_text(kind),
            known=catalogue_of(there),
            initials=initials_maker(),
            beside=there if add else lambda _kind: (),
        )
        if read.faults:
            return Outcome(kind=read.kind, faults=read.faults).plain()
        client.send(orjson.dumps(read.rows))
        faults: list[dict[str, Any]] = []
        for answer in client.stream(do="catalogue", kind=read.kind, source=source):
            if "reason" in answer:
                raise exits.Exit(exits.PROBLEMS, answer["reason"])
            if not answer["more"]:
                return {**answer, "faults": faults}
            faults.append({name: answer[name] for name in ("line", "column", "what", "hint")})
    raise exits.Exit(exits.UNAVAILABLE, "the agent closed the connection")


@command.command("list")
@config_option
@output_option
def list_versions(config_path: Path, overrides: tuple[str, ...], output: str) -> None:
    """List the versions that are kept, newest first."""
    from edge_agent.config import load
    from edge_agent.store import Reader

    with Reader.open(Path(load(config_path, overrides).store.path)) as reader:
        rows = [
            {
                "kind": each.kind,
                "version": each.version,
                "time": datetime.fromtimestamp(each.time_ms / 1000, UTC).astimezone().isoformat(timespec="seconds"),
                "rows": each.rows,
                "from": each.source,
                "sha256": each.sha256,
            }
            for each in reader.catalogue_versions()
        ]
    show(rows, ("kind", "version", "time", "rows", "from"), output)


@command.command("show")
@config_option
@_KIND_ARGUMENT
@click.option("--version", type=click.IntRange(min=1), help="An earlier version; default: the newest.")
@output_option
def show_rows(config_path: Path, overrides: tuple[str, ...], kind: str, version: int | None, output: str) -> None:
    """Show the goods, parties or prices of a version."""
    rows = _rows(config_path, overrides, kind, version)
    show(rows, _COLUMNS[kind], output)


@command.command()
@config_option
@_KIND_ARGUMENT
@click.option("--version", type=click.IntRange(min=1), help="An earlier version; default: the newest.")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--to", "target", type=click.Path(path_type=Path), help="A file; stdout by default.")
def export(
    config_path: Path, overrides: tuple[str, ...], kind: str, version: int | None, form: str, target: Path | None
) -> None:
    """Write a version as a file that `import` takes back and Excel opens."""
    rows = _rows(config_path, overrides, kind, version)
    maker: Callable[[str, list[dict[str, Any]]], bytes] = _csv if form == "csv" else _json
    data = maker(kind, rows)
    if target is None:
        sys.stdout.buffer.write(data)
        return
    try:
        target.write_bytes(data)
    except OSError as problem:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: {problem.strerror}") from None


def _json(_kind: str, rows: list[dict[str, Any]]) -> bytes:
    return orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n"


def _csv(kind: str, rows: list[dict[str, Any]]) -> bytes:
    """With a byte-order mark, by which Excel knows UTF-8, and codes in the form ="…" that keeps their zeros."""
    import io

    from edge_agent.catalogue.columns import COLUMNS

    known = {name: column for name, column in COLUMNS[kind_checked(kind)].items() if column.fills is None}
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(known)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in known])
    return b"\xef\xbb\xbf" + stream.getvalue().encode()


def kind_checked(kind: str) -> Any:
    """The kind, which the command line has checked."""
    return kind


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return ";".join(value)
        case dict():
            return ";".join(f"{kind}:{number}" for kind, number in value.items())
        case bool():
            return str(int(value))
    text = str(value)
    # A long number or one with leading zeros would be changed by Excel; text that begins like a formula, run by it.
    if text[:1] in "=+-@" or (text.isdigit() and (len(text) > 10 or text[0] == "0") and text != "0"):
        return f'="{text}"' if text.isdigit() else f"'{text}"
    return text


def _rows(config_path: Path, overrides: tuple[str, ...], kind: str, version: int | None) -> list[dict[str, Any]]:
    from edge_agent.config import load
    from edge_agent.office.cataloguer import rows_of
    from edge_agent.store import Reader

    with Reader.open(Path(load(config_path, overrides).store.path)) as reader:
        found: CatalogueVersion | None = reader.catalogue(kind, version)
    if found is None:
        raise exits.Exit(exits.PROBLEMS, say("catalogue.none", kind=kind, version=version or ""))
    return rows_of(found)
