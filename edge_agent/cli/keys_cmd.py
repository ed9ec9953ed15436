"""`edge-agent keys`: the key that signs checkpoints; show it, change it, say that it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, output_option, show
from edge_agent.cli.words import say


@click.group()
def command() -> None:
    """The key that signs what the store says of itself."""


@command.command("show")
@config_option
@output_option
def show_keys(config_path: Path, overrides: tuple[str, ...], output: str) -> int:
    """Print the public keys that signed this store, the present one last; exit 1 while signing is blocked."""
    from edge_agent.config import load
    from edge_agent.store import Reader

    with Reader.open(Path(load(config_path, overrides).store.path)) as reader:
        rows = [{"key": each.id, "public": each.public, "since": each.since} for each in reader.signing_keys()]
        blocked = reader.signing_blocked()
    show(rows, ("key", "public", "since"), output)
    if blocked is not None:
        click.echo(f"! {say('signing')}: {blocked}", err=True)
    return exits.OK if blocked is None else exits.PROBLEMS


@command.command()
@config_option
@click.option("--reason", default="rotation", show_default=True, help="Why; it is signed with the change.")
@click.option(
    "--new-key",
    "new_key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The next private key (PEM), where the present one is a credential of the service manager.",
)
def rotate(config_path: Path, overrides: tuple[str, ...], reason: str, new_key: Path | None) -> None:
    """Change to a new key. The old one signs the change, so that what it signed before still verifies."""
    answer = ask(
        config_path,
        overrides,
        "keys.rotate",
        reason=reason,
        new_key=None if new_key is None else str(new_key.resolve()),
    )
    click.echo(say("keys.rotated", key=answer["key"]))


@command.command()
@config_option
def accept(config_path: Path, overrides: tuple[str, ...]) -> None:
    """Say that the box, its store and its key are right: sign again after signing was blocked."""
    answer = ask(config_path, overrides, "keys.accept")
    click.echo(say("keys.accepted" if answer["was_blocked"] else "keys.not_blocked"))


def ask(config_path: Path, overrides: tuple[str, ...], verb: str, **arguments: Any) -> dict[str, Any]:
    """Have the running agent do it; with no agent running take the store and do it here."""
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.office.signing_desk import attend
    from edge_agent.store import Store

    config = load(config_path, overrides)
    try:
        with ControlClient(Path(f"{config.store.path}.sock"), timeout=40.0) as client:
            answer = client.ask(do=verb, **arguments)
        if not answer["ok"]:
            raise exits.Exit(exits.PROBLEMS, answer["reason"])
        return answer
    except ConnectionError:
        store = Store.open(Path(config.store.path), source=config.gateway.source, zone=config.gateway.zone)
        try:
            return attend(store, verb, arguments)
        finally:
            store.stop(5.0)
