"""`edge-agent config`: check, show, schema, init."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import output_option, show, write
from edge_agent.cli.words import say

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Check, show and start a configuration."""


@command.command()
@_FILE
@output_option
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE")
def check(file: Path, output: str, overrides: tuple[str, ...]) -> int:
    """Report everything that is wrong in FILE; exit 78 if anything is."""
    from edge_agent.config import ConfigError
    from edge_agent.preparing import prepare

    try:
        config, _ = prepare(file, overrides)
    except ConfigError as error:
        rows = [{"file": p.file, "key": p.key, "what": p.what, "hint": p.hint} for p in error.problems]
        show(rows, ("file", "key", "what", "hint"), output)
        click.echo(say("config.bad", n=len(rows)), err=True)
        return exits.CONFIGURATION
    for key in config.unused:
        click.echo(say("config.unused", key=key), err=True)
    click.echo(say("config.ok"), err=True)
    return exits.OK


@command.command("show")
@_FILE
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE")
def show_command(file: Path, overrides: tuple[str, ...]) -> None:
    """Print FILE with every default filled in, as JSON."""
    from edge_agent.preparing import prepare

    config, _ = prepare(file, overrides)
    write(orjson.dumps(config.model_dump(mode="json"), option=orjson.OPT_INDENT_2))


@command.command()
def schema() -> None:
    """Print the JSON Schema of a configuration."""
    from edge_agent.config import Config

    write(orjson.dumps(Config.model_json_schema(mode="serialization"), option=orjson.OPT_INDENT_2))


@command.command()
@click.option("--to", "target", type=click.Path(path_type=Path), help="Write a file that is not there yet.")
def init(target: Path | None) -> None:
    """Print an annotated configuration of a market stall to start from."""
    from edge_agent.cli.examples import example

    text = example("market-stall.toml").read_bytes()
    if target is None:
        write(text)
        return
    try:
        with target.open("xb") as file:
            file.write(text)
    except FileExistsError:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: is there already and is not overwritten") from None
    except OSError as problem:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: {problem.strerror}") from None
