"""`edge-agent code`: what a scanned text or a tag is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from edge_agent.codes import CodeProfile, answer, classify, classify_epc, to_json


@click.command()
@click.argument("text", required=False)
@click.option("--symbology", help="AIM identifier that the scanner sent, e.g. ]C1.")
@click.option("--role", type=click.Choice(["goods", "party"]), help="What the scanner is used for.")
@click.option("--epc", "epc", metavar="HEX", help="The EPC of a tag instead of a text.")
@click.option("--batch", metavar="-", help="Read JSON lines with text or epc, symbology, role, profile.")
def command(text: str | None, symbology: str | None, role: str | None, epc: str | None, batch: str | None) -> None:
    """Print as JSON what TEXT is: its class, fields, problems, and what else it may be."""
    profile = CodeProfile(this_year=time.localtime().tm_year)
    if batch is not None:
        for line in sys.stdin.buffer:
            if line.strip():
                _print(answer(line.decode(errors="replace"), {"default": profile}))
        return
    if (text is None) == (epc is None):
        raise click.UsageError("give one of TEXT, --epc HEX or --batch -")
    if epc is not None:
        _print(to_json(classify_epc(epc)))
    else:
        _print(to_json(classify(text or "", symbology=symbology, role=role, profile=profile)))


def _print(facts: Mapping[str, Any]) -> None:
    # ASCII with escapes: a text from a hostile label may hold lone surrogates, which no UTF-8 can carry.
    click.echo(json.dumps(facts))
