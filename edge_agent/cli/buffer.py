"""`edge-agent buffer`: status, requeue, and the courier file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import orjson

from edge_agent.cli import courier_cmd, exits
from edge_agent.cli.output import config_option, write
from edge_agent.cli.words import say

_COUNTS: Final = ("kept", "delivered", "rejected", "pending", "oldest_pending", "salvaged")


@click.group()
def command() -> None:
    """The durable buffer."""


@command.command()
@config_option
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(config_path: Path, overrides: tuple[str, ...], output: str) -> int:
    """Say how much is kept, delivered, waiting and refused; exit 1 when something is wrong.

    `salvaged` counts records read back from a damaged database that still wait for the platform's word.
    """
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.store import PLATFORM, Reader

    path = Path(load(config_path, overrides).store.path)
    facts: dict[str, Any]
    try:
        with ControlClient(Path(f"{path}.sock")) as client:
            live = client.ask(do="status")["status"]
        facts = {name: live[name] for name in ("chain", *_COUNTS, "link", "alarms", "held_up")} | {"running": True}
    except ConnectionError:
        with Reader.open(path) as reader:
            counts = reader.counts(PLATFORM)
            blocked = reader.signing_blocked()
            facts = {
                "chain": reader.chain(),
                "kept": counts.kept,
                "delivered": counts.delivered,
                "rejected": counts.rejected,
                "pending": counts.pending,
                "oldest_pending": None,
                "salvaged": reader.salvaged_left(),
                "link": None,
                "alarms": {} if blocked is None else {"signing": blocked},
                "held_up": {},
                "running": False,
            }
    facts["store"] = str(path)
    facts["size"] = sum(p.stat().st_size for p in (path, Path(f"{path}-wal")) if p.exists())
    if output == "json":
        write(orjson.dumps(facts, default=str))
    else:
        for name in ("store", "size", "chain", *_COUNTS):
            click.echo(f"{say(name)}: {facts[name] if facts[name] is not None else '-'}")
        click.echo(f"{say('agent')}: {say('running') if facts['running'] else say('not_running')}")
        if facts["link"] is not None:
            click.echo(f"{say('link')}: {facts['link']['state']} {facts['link']['reason'] or ''}".rstrip())
        for name, reason in {**facts["alarms"], **facts["held_up"]}.items():
            click.echo(f"! {name}: {reason}")
    degraded = facts["rejected"] or facts["alarms"] or facts["held_up"]
    return exits.PROBLEMS if degraded else exits.OK


@command.command()
@config_option
@click.argument("sequences", nargs=-1, type=int)
def requeue(config_path: Path, overrides: tuple[str, ...], sequences: tuple[int, ...]) -> None:
    """Send refused records again as they are: those with these sequences, or all."""
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.store import Store

    config = load(config_path, overrides)
    chosen = list(sequences) or None
    try:
        with ControlClient(Path(f"{config.store.path}.sock")) as client:
            answer = client.ask(do="requeue", sequences=chosen)
        if not answer["ok"]:
            raise exits.Exit(exits.PROBLEMS, answer["reason"])
        number = answer["requeued"]
    except ConnectionError:
        store = Store.open(Path(config.store.path), source=config.gateway.source, zone=config.gateway.zone)
        try:
            number = store.outbox().requeue(chosen)
        finally:
            store.stop(5.0)
    click.echo(say("requeued", n=number))


command.add_command(courier_cmd.export)
command.add_command(courier_cmd.import_file)
