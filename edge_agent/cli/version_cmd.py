"""`edge-agent version`."""

from __future__ import annotations

import platform
import sqlite3

import click
import orjson

from edge_agent import __version__
from edge_agent.cli.output import write


@click.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(output: str) -> None:
    """Print the versions of the agent and what it runs on."""
    facts = {
        "edge-agent": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": platform.machine(),
    }
    if output == "json":
        write(orjson.dumps(facts))
    else:
        click.echo("  ".join(f"{name} {value}" for name, value in facts.items()))
