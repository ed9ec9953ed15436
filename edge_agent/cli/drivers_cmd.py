"""`edge-agent drivers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_agent.cli.output import config_path_option, output_option, show
from edge_agent.cli.words import say


@click.group()
def command() -> None:
    """What devices this installation can read."""


@command.command("list")
@config_path_option
@output_option
def list_drivers(config_path: Path, output: str) -> None:
    """List every driver: makes and models, interfaces, what it tells, how far it is tested.

    Those of the dialect files beside the configuration are among them.
    """
    from edge_agent.registry import discover

    registry = discover()
    registry.load_tables(config_path.parent / "dialects.d")
    rows: list[dict[str, Any]] = [
        {
            "driver": spec.id,
            "kind": spec.kind,
            "title": spec.title,
            "models": spec.models,
            "interfaces": spec.interfaces,
            "line": dict(spec.line),
            "tells": spec.tells,
            "polls": spec.dialogue.polls,
            "commands": spec.dialogue.commands,
            "needs_unit": spec.needs_unit,
            "options": [
                {"name": o.name, "type": o.type, "default": o.default, "choices": o.choices, "help": o.help}
                for o in spec.options
            ],
            "maturity": spec.maturity,
            "source": spec.source,
            "from": str(registry.origins[spec.id]),
        }
        for spec in sorted(registry.drivers.values(), key=lambda spec: (spec.kind, spec.id))
    ]
    if output == "table":
        rows = [{**row, "line": _short(row["line"])} for row in rows]
    columns = ("driver", "kind", "models", "interfaces", "line", "tells", "maturity", "source", "from")
    show(rows, columns, output)
    for fault in registry.faults:
        click.echo(f"{say('fault')}: {fault.origin}: {fault.what}", err=True)


def _short(line: dict[str, str]) -> str:
    """Line settings in their usual short form, such as 9600 8N1; empty where a device has no line."""
    if not line:
        return ""
    bits, parity, stop = (
        line.get(key, usual) for key, usual in (("bytesize", "8"), ("parity", "N"), ("stopbits", "1"))
    )
    return f"{line.get('baud', '9600')} {bits}{parity}{stop}"
