"""How lists are printed: as a table for people, as JSON or JSON lines for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import orjson

from edge_agent.cli.words import say

FORMATS: Final = ("table", "json", "jsonl")
_COLUMN_ON_TERMINAL: Final = 44
"""Widest column where a person reads it; in a file or a pipe nothing is wrapped."""
_Function = TypeVar("_Function", bound=Callable[..., Any])


def output_option(function: _Function) -> _Function:
    """The option `--output`."""
    return click.option("--output", type=click.Choice(FORMATS), default="table", show_default=True)(function)


def config_option(function: _Function) -> _Function:
    """The options `--config` and `--set`."""
    return config_path_option(
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Lay a setting over the file.")(
            function
        )
    )


def config_path_option(function: _Function) -> _Function:
    """The option `--config`, for what works without a configuration and looks beside one."""
    from edge_agent.config import DEFAULT_PATH, ENVIRONMENT_VARIABLE

    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        default=DEFAULT_PATH,
        envvar=ENVIRONMENT_VARIABLE,
        show_default=True,
        help="The configuration file.",
    )(function)


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: str) -> None:
    """Print rows; the table shows `columns` only, the JSON forms show all."""
    if output == "json":
        write(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2, default=str))
    elif output == "jsonl":
        for row in rows:
            write(orjson.dumps(row, default=str))
    else:
        from tabulate import tabulate

        table = [[_cell(row.get(column)) for column in columns] for row in rows]
        widths = _COLUMN_ON_TERMINAL if sys.stdout.isatty() else None
        headers = [say(column) for column in columns]
        click.echo(tabulate(table, headers=headers, disable_numparse=True, maxcolwidths=widths))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return str(value)


def write(line: bytes) -> None:
    """Write one line of data to stdout."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def progress(items: Iterable[Any], length: int, label: str) -> Any:
    """A progress bar on stderr, silent when stderr is not a terminal."""
    return click.progressbar(items, length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
