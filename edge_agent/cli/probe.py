"""`edge-agent devices probe`: listen to a port, say which dialects fit, print a ready `[[device]]` block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_path_option, show, write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.driver import PortUrl
    from edge_agent.workshop.probing import Fit, Report


@click.command("probe")
@config_path_option
@click.argument("port")
@click.option("--seconds", type=click.FloatRange(0.2, 60), default=3.0, show_default=True, help="With each setting.")
@click.option("--active", is_flag=True, help="Ask too: writes the polls of every driver that polls to the port.")
@click.option("--every-setting", is_flag=True, help="Go on when a setting fits beyond doubt.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def probe(config_path: Path, port: str, seconds: float, active: bool, every_setting: bool, output: str) -> int:
    """Say what speaks on PORT, such as serial:/dev/ttyUSB0 or tcp:192.168.1.50:4001, and how sure that is.

    Only listens, with all plausible line settings in turn (the likeliest first), unless settings are part of PORT. A
    pseudo-terminal and a TCP port have no line settings. With --active it also asks, as the drivers that poll do; it
    never sends a command. Exit 1: nothing fits.
    """
    from edge_agent.registry import discover
    from edge_agent.workshop.prober import Prober

    registry = discover()
    registry.load_tables(config_path.parent / "dialects.d")
    prober = Prober(
        registry,
        tell=lambda word, facts: click.echo(
            say(f"probe.{word}", **{**facts, "line": facts["line"] or say("probe.as_is")}), err=True
        ),
    )
    try:
        url = prober.port(port)
    except ValueError as problem:
        raise click.UsageError(f"PORT {port!r}: {problem}") from None
    report = prober.probe(url, seconds=seconds, active=active, every_setting=every_setting)
    blocks = [prober.block(fit, url, say("probe.check_unit")) for fit in report.fits]
    _print(report, url, blocks, output, active=active)
    return exits.OK if report.fits else exits.PROBLEMS


def _print(report: Report, url: PortUrl, blocks: Sequence[str], output: str, *, active: bool) -> None:
    from edge_agent.workshop.prober import fit_facts

    if output == "json":
        facts = {
            "port": f"{url.scheme}:{url.address}",
            "bytes": report.size,
            "fits": [fit_facts(fit) | {"device": block} for fit, block in zip(report.fits, blocks, strict=True)],
            "warnings": [{"warning": w.word, **w.facts, "text": _warning(w.word, w.facts)} for w in report.warnings],
            "device": blocks[0] if blocks else None,
        }
        write(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    columns = ("driver", "settings", "frames", "share", "checksum", "bits", "rejected_as", "against", "said")
    show([_row(fit) for fit in report.fits], columns, "table")
    for warning in report.warnings:
        click.echo(f"! {_warning(warning.word, warning.facts)}")
    if not active and not report.fits:
        click.echo(say("probe.try_active"))
    if blocks:
        click.echo(f"\n{blocks[0]}", nl=False)


def _warning(word: str, facts: Mapping[str, Any]) -> str:
    return say(f"probe.{word}", **facts)


def _row(fit: Fit) -> dict[str, Any]:
    return {
        "driver": fit.driver,
        "settings": str(fit.line) if fit.line is not None else None,
        "frames": fit.frames,
        "share": f"{fit.share:.0%}",
        "checksum": say("probe.yes") if fit.checksummed else say("probe.no"),
        "bits": fit.bits,
        "rejected_as": dict(fit.rejected) or None,
        "against": [say(f"probe.{word}") for word in fit.against],
        "said": " | ".join(fit.said),
    }
