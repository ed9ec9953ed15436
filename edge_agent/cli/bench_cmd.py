"""`edge-agent bench`: ingest, split, latency, drain."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import orjson

from edge_agent.cli.output import write

_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Measure on the file system of this folder; default: the temporary folder.",
)


@click.group()
def command() -> None:
    """Measure this machine. Log level warning; figures as one JSON object."""


def _report(figures: dict[str, Any]) -> None:
    write(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


@command.command()
@_FOLDER
@click.option("--records", type=click.IntRange(100, 10_000_000), default=50_000, show_default=True)
def ingest(folder: Path | None, records: int) -> None:
    """Durable ingest, beside fdatasync and executemany on the same file system."""
    from edge_agent.bench.ingest import disk_bytes, ingest_1, ingest_group

    with tempfile.TemporaryDirectory(dir=folder) as place:
        _report({**ingest_1(Path(place)), **ingest_group(Path(place), records=records), **disk_bytes(Path(place))})


@command.command()
@_FOLDER
@click.option("--records", type=click.IntRange(100, 1_000_000), default=20_000, show_default=True)
def split(folder: Path | None, records: int) -> None:
    """CPU of one record, stop by stop: typing, check, canonical form, hashing, keeping."""
    from edge_agent.bench.split import measure

    with tempfile.TemporaryDirectory(dir=folder) as place:
        _report(measure(Path(place), records))


@command.command()
@_FOLDER
@click.option("--frames", type=click.IntRange(20, 100_000), default=400, show_default=True)
def latency(folder: Path | None, frames: int) -> None:
    """From the last byte on a pty to COMMIT, beside fdatasync."""
    from edge_agent.bench.latency import measure

    with tempfile.TemporaryDirectory(dir=folder) as place:
        _report(measure(Path(place), frames))


@command.command()
@_FOLDER
@click.option("--broker", metavar="HOST:PORT", required=True, help="A broker on this machine, e.g. Mosquitto.")
@click.option("--records", type=click.IntRange(1_000, 10_000_000), default=200_000, show_default=True)
def drain(folder: Path | None, broker: str, records: int) -> None:
    """Delivery of a backlog, beside a plain paho loop."""
    from edge_agent.bench.drain import measure

    host, _, port = broker.rpartition(":")
    if not host or not port.isdigit():
        raise click.UsageError("--broker HOST:PORT")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        _report(measure(Path(place), host, int(port), records))
