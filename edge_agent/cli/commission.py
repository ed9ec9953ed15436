"""`edge-agent devices commission`: five comparisons with the scale's own display, and the result into the ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from edge_agent import clock
from edge_agent.cli import exits
from edge_agent.cli.output import config_option, write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.cli.ears import Ear
    from edge_agent.records.bodies import CommissioningStep
    from edge_agent.workshop.commissioning import Shown, Step


@click.command("commission")
@config_option
@click.argument("device_id", metavar="ID")
@click.option("--mass", default="", metavar="MASS", help='The known mass, such as "1 kg"; asked for when left out.')
@click.option("--operator", metavar="CODE", help="Who does it.")
def commission(config_path: Path, overrides: tuple[str, ...], device_id: str, mass: str, operator: str | None) -> int:
    """Prove that scale ID is read right: compare readings with its own display, and write the result into the ledger.

    Asks for the empty scale, a known mass, a tared container, an overload and the empty scale again; type what the
    display shows each time. Until a scale has passed, its records carry `uncommissioned`. Exit 1: it did not pass.
    """
    from edge_agent.cli.ears import listening
    from edge_agent.cli.ledger_cmd import keep_event
    from edge_agent.preparing import prepare
    from edge_agent.workshop.commissioning import STEPS, passed

    config, registry = prepare(config_path, overrides)
    device = next((d for d in config.device if d.id == device_id), None)
    if device is None:
        raise click.UsageError(f"{device_id!r} is no device; there are {', '.join(d.id for d in config.device)}")
    if registry.drivers[device.driver].kind != "scale":
        raise click.UsageError(f"{device_id!r} is no scale; only scales are commissioned")
    known = _known_mass(mass)
    steps: list[CommissioningStep] = []
    with listening(config, registry, device) as ear:
        for step in STEPS:
            steps.append(_take(step, ear, device.unit, known))
            _report(steps[-1])
    good = passed(steps)
    changes = {
        "commissioning": "passed" if good else "failed",
        "kind": "scale",
        "steps": [_plain(step) for step in steps],
    }
    kept = keep_event(config_path, overrides, device_id, changes, operator)
    write(orjson.dumps({"device": device_id, "result": changes["commissioning"], "steps": changes["steps"], **kept}))
    click.echo(say("commission.passed" if good else "commission.failed", device=device_id), err=True)
    return exits.OK if good else exits.PROBLEMS


def _plain(step: CommissioningStep) -> dict[str, str | None]:
    return {n: getattr(step, n) for n in ("step", "shown", "read", "result", "finding")}


def _known_mass(text: str) -> int:
    from edge_agent.units import to_milligrams

    while True:
        text = text or _ask(say("commission.which_mass"))
        number, _, unit = text.strip().partition(" ")
        try:
            mass = to_milligrams(number, unit.strip())
        except ValueError:
            mass = None
        if mass is not None and mass > 0:
            return mass
        click.echo(say("commission.no_mass", text=text), err=True)
        text = ""


def _take(step: Step, ear: Ear, unit: str | None, known: int) -> CommissioningStep:
    from edge_agent.workshop.commissioning import MAY_BE_SKIPPED, STEADY_WITHIN, Shown, compare, skipped

    click.echo(say(f"commission.{step}"), err=True)
    began = clock.monotonic()
    hint = say("commission.or_skip") if step in MAY_BE_SKIPPED else ""
    while True:
        text = _ask(say("commission.display") + hint)
        if text == "" and step in MAY_BE_SKIPPED:
            return skipped(step)
        try:
            shown: Shown = Shown.parse(text)
        except ValueError as problem:
            click.echo(str(problem), err=True)
            continue
        if not text:
            continue
        now = clock.monotonic()
        # A scale that tells changes only said the weight while the person looked; one that is overloaded may fall
        # silent, and then what it said on the way there is old.
        reading = ear.steady(since=now, within=STEADY_WITHIN, oldest=now if shown.weight is None else began)
        try:
            return compare(step, reading, shown, unit=unit, known_mg=known if step == "mass" else None)
        except ValueError as problem:
            click.echo(str(problem), err=True)


def _ask(question: str) -> str:
    click.echo(f"{question}: ", nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        raise exits.Exit(exits.BAD_DATA, say("commission.broken_off"))
    return line.strip()


def _report(step: CommissioningStep) -> None:
    if step.result == "skipped":
        click.echo(f"  {say('commission.skipped')}", err=True)
        return
    click.echo(f"  {say('commission.read', read=step.read)}", err=True)
    if step.finding:
        causes = " / ".join(say(f"finding.{name}") for name in step.finding.split(", "))
        click.echo(f"  {say('commission.differs', causes=causes)}", err=True)
