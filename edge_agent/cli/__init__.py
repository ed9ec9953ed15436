"""The command line. Data on stdout, log on stderr; every exit code says what kind of trouble it was."""

from edge_agent.cli.app import main

__all__ = ["main"]
