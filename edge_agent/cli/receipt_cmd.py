"""`edge-agent receipt`: print one, and check the proof in the code on one."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, output_option, show
from edge_agent.cli.words import say
from edge_agent.facade import SLIPS


@click.group()
def command() -> None:
    """Receipts, labels and certificates."""


@command.command("print")
@click.argument("record")
@config_option
@click.option("--what", type=click.Choice(SLIPS), default="receipt", show_default=True)
@click.option("--station", help="On a printer of this station; by default of the record's own.")
def print_slip(record: str, config_path: Path, overrides: tuple[str, ...], what: str, station: str | None) -> None:
    """Have the running agent print what belongs to the record with this id or sequence."""
    from edge_agent.config import load
    from edge_agent.control import ControlClient

    path = Path(f"{load(config_path, overrides).store.path}.sock")
    try:
        with ControlClient(path) as client:
            answer = client.ask(do="print", record=record, what=what, station=station)
    except ConnectionError:
        raise exits.Exit(exits.UNAVAILABLE, f"{say('not_running')}: {path}") from None
    if not answer["ok"]:
        raise exits.Exit(exits.BAD_DATA, answer["reason"])
    click.echo(say("receipt.queued", printer=answer["printer"], job=answer["job"]))


@command.command()
@click.argument("text")
@click.option("--key", "keys", multiple=True, help="A public key (base64, see `edge-agent keys show`); again for more.")
@config_option
@output_option
def check(text: str, keys: tuple[str, ...], config_path: Path, overrides: tuple[str, ...], output: str) -> int:
    """Check the scanned TEXT of a receipt's code, with no network; exit 1 where it does not hold.

    Without --key the keys of this box's own store are taken.
    """
    from edge_agent.config import load
    from edge_agent.proof import NotAKey, PublicKey
    from edge_agent.receipts import check as check_proof
    from edge_agent.store import Reader

    if not keys:
        with Reader.open(Path(load(config_path, overrides).store.path)) as reader:
            keys = tuple(each.public for each in reader.signing_keys())
    try:
        proof = check_proof(text, [PublicKey.parse(key) for key in keys])
    except NotAKey as problem:
        raise exits.Exit(exits.BAD_DATA, f"--key: {problem}") from problem
    show([{"fact": name, "value": value} for name, value in proof.facts.items()], ("fact", "value"), output)
    for wrong in proof.problems:
        click.echo(f"! {wrong}", err=True)
    return exits.PROBLEMS if proof.problems else exits.OK
