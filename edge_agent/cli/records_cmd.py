"""`edge-agent records`: tail, show, export, verify, prove, and the corrections void, amend, return."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import orjson

from edge_agent.cli import corrections, exits, verify
from edge_agent.cli.output import config_option, open_target, output_option, progress, show, write
from edge_agent.cli.words import say

_PAGE = 500


@click.group()
def command() -> None:
    """The kept records."""


def _reader(config_path: Path, overrides: tuple[str, ...]) -> Any:
    from edge_agent.config import load
    from edge_agent.store import Reader

    return Reader.open(Path(load(config_path, overrides).store.path))


@command.command()
@config_option
@output_option
@click.option("-n", "number", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("-f", "follow", is_flag=True, help="Go on with records as they are kept.")
def tail(config_path: Path, overrides: tuple[str, ...], output: str, number: int, follow: bool) -> None:
    """Print the newest records."""
    with _reader(config_path, overrides) as reader:
        after = max(0, reader.head().sequence - number)
        rows = [orjson.loads(row.body) for row in reader.read(after + 1, limit=number)]
        _print(rows, output)
        after += len(rows)
        while follow:
            time.sleep(0.5)
            fresh = [orjson.loads(row.body) for row in reader.read(after + 1, limit=_PAGE)]
            after += len(fresh)
            for event in fresh:
                write(orjson.dumps(event))


def _print(events: list[dict[str, Any]], output: str) -> None:
    rows = events if output != "table" else [_summary(event) for event in events]
    show(rows, ("sequence", "time", "type", "station", "content"), output)


def _summary(event: dict[str, Any]) -> dict[str, Any]:
    data = event["data"]
    weight = f"{data['indication']} {data['unit']}" if data.get("indication") else None
    content = (weight, data.get("goods_name") or data.get("goods_code"), data.get("text"), data.get("tag_id"))
    return {
        "sequence": int(event["sequence"]),
        "time": event["time"],
        "type": event["type"].split(".")[1],
        "station": event["subject"],
        "content": "  ".join(part for part in content if part),
    }


@command.command("show")
@config_option
@click.argument("record_id", metavar="ID")
def show_record(config_path: Path, overrides: tuple[str, ...], record_id: str) -> None:
    """Print the record with this id or sequence."""
    with _reader(config_path, overrides) as reader:
        row = reader.find(record_id)
    if row is None:
        raise exits.Exit(exits.PROBLEMS, say("no_record", id=record_id))
    write(orjson.dumps(orjson.loads(row.body), option=orjson.OPT_INDENT_2))


@command.command()
@config_option
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--to", "target", type=click.Path(path_type=Path), help="Default: stdout.")
def export(config_path: Path, overrides: tuple[str, ...], form: str, target: Path | None) -> None:
    """Write all records: the stored events line by line, or a table that a spreadsheet opens."""
    with _reader(config_path, overrides) as reader, open_target(target) as out:
        last = reader.head().sequence
        count = (_export_jsonl if form == "jsonl" else _export_csv)(reader, last, out)
    click.echo(say("exported", n=count), err=True)


def _pages(reader: Any, last: int) -> Iterator[bytes]:
    after = reader.anchor().sequence
    with progress(range(last), last, "export") as bar:
        while rows := reader.read(after + 1, last=last, limit=_PAGE):
            for row in rows:
                yield row.body
            bar.update(rows[-1].sequence - after)
            after = rows[-1].sequence


def _export_jsonl(reader: Any, last: int, out: IO[bytes]) -> int:
    count = 0
    for body in _pages(reader, last):
        out.write(body + b"\n")
        count += 1
    return count


def _export_csv(reader: Any, last: int, out: IO[bytes]) -> int:
    from edge_agent.exports.table import COLUMNS, row_of

    out.write("\ufeff".encode())  # the mark by which Excel knows that a file is UTF-8
    text = _TextOnBytes(out)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for body in _pages(reader, last):
        writer.writerow(row_of(orjson.loads(body)))
        count += 1
    return count


class _TextOnBytes:
    """What csv.writer needs: a `write` for text, over a stream of bytes."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, text: str) -> int:
        return self._out.write(text.encode())


for _each in (
    corrections.void_record,
    corrections.amend_record,
    corrections.return_record,
    verify.verify,
    verify.prove,
):
    command.add_command(_each)
