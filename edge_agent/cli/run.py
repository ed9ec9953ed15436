"""`edge-agent run`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli.output import config_option


@click.command()
@config_option
def command(config_path: Path, overrides: tuple[str, ...]) -> None:
    """Run the agent until SIGTERM."""
    from edge_agent.lean import one_heap

    one_heap()  # before there are threads
    from edge_agent.agent import Agent
    from edge_agent.preparing import prepare

    config, registry = prepare(config_path, overrides)
    again = True
    while again:
        agent = Agent(config, registry)
        agent.run()
        again = agent.again
