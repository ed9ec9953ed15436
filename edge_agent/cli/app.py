"""The command group, and how errors become exit codes.

Each command's module is imported when the command is used, so that `edge-agent decode` does not pay for the
web server.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from edge_agent.cli import exits
from edge_agent.cli.words import LANGUAGES, say, set_language

_COMMANDS: Final = {
    "run": "run",
    "demo": "demo",
    "config": "config_cmd",
    "drivers": "drivers_cmd",
    "devices": "devices",
    "decode": "decode",
    "code": "code",
    "records": "records_cmd",
    "buffer": "buffer",
    "receipt": "receipt_cmd",
    "keys": "keys_cmd",
    "evidence": "evidence_cmd",
    "uplink": "uplink_cmd",
    "ledger": "ledger_cmd",
    "bench": "bench_cmd",
    "catalogue": "catalogue_cmd",
    "tags": "tags_cmd",
    "web": "web_cmd",
    "attachments": "attachments_cmd",
    "version": "version_cmd",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"edge_agent.cli.{_COMMANDS[cmd_name]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--lang", type=click.Choice(LANGUAGES), help="Language of messages (default by locale).")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def app(lang: str | None, log_level: str) -> None:
    """Trace edge agent: from scales, scanners and RFID to the city platform, nothing lost on the way."""
    from edge_agent.lean import load_structlog

    load_structlog()
    from edge_agent import logs

    set_language(lang)
    logs.configure(log_level)


def main() -> None:
    """Run the command line and exit with the right code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments and return the exit code."""
    try:
        result = app.main(args=arguments, prog_name="edge-agent", standalone_mode=False)
    except click.exceptions.Abort:
        return exits.OK
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except exits.Exit as end:
        if str(end):
            click.echo(str(end), err=True)
        return end.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except Exception as problem:  # told in words where its kind is known; any other is raised as it is
        code = _code_of(problem)
        if code is None:
            raise
        click.echo(f"{say('error')}: {problem}", err=True)
        return code
    return result if isinstance(result, int) else exits.OK


def _code_of(problem: Exception) -> int | None:
    from edge_agent.config import ConfigError
    from edge_agent.driver import BadSettings, Busy, PermissionDenied, TransportError
    from edge_agent.store import KeyForbidden, KeyUnusable, StoreBusy, StoreError

    codes: tuple[tuple[type[Exception], int], ...] = (
        (ConfigError, exits.CONFIGURATION),
        (StoreBusy, exits.BUSY),
        (KeyForbidden, exits.NO_PERMISSION),
        (KeyUnusable, exits.CONFIGURATION),
        (StoreError, exits.IO_ERROR),
        (Busy, exits.BUSY),
        (PermissionDenied, exits.NO_PERMISSION),
        (BadSettings, exits.CONFIGURATION),
        (TransportError, exits.UNAVAILABLE),
        (ConnectionError, exits.UNAVAILABLE),
        (PermissionError, exits.NO_PERMISSION),
        (TimeoutError, exits.BUSY),
        (OSError, exits.IO_ERROR),
    )
    return next((code for kind, code in codes if isinstance(problem, kind)), None)
