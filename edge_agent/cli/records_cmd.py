"""`edge-agent records`: tail, show, export, and the corrections void, amend, return."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import orjson

from edge_agent.cli import corrections, exits, export_cmd, verify
from edge_agent.cli.output import config_option, output_option, show, write
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


for _each in (
    corrections.void_record,
    corrections.amend_record,
    corrections.return_record,
    export_cmd.export,
    verify.verify,
    verify.prove,
):
    command.add_command(_each)
