"""`edge-agent uplink test`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli import exits
from edge_agent.cli.output import config_option
from edge_agent.cli.words import say


@click.group()
def command() -> None:
    """The link to the platform."""


@command.command()
@config_option
def test(config_path: Path, overrides: tuple[str, ...]) -> None:
    """Connect, publish and hear back once, under a client id of its own; the running agent is not disturbed."""
    from edge_agent.config import load
    from edge_agent.settings import link_settings
    from edge_agent.uplink import Identity, try_link

    config = load(config_path, overrides)
    if config.uplink is None:
        raise exits.Exit(exits.CONFIGURATION, f"{config_path}: uplink: is missing; an [uplink] section with the broker")
    gateway = config.gateway
    identity = Identity(site=gateway.site, gateway=gateway.id, source=gateway.source, zone=gateway.zone)
    trial = try_link(link_settings(config), identity)
    if not trial.ok:
        raise exits.Exit(exits.UNAVAILABLE, f"{say('error')}: {trial.reason}")
    click.echo(say("uplink.ok", protocol=trial.protocol, ms=round(trial.round_trip * 1000)))
