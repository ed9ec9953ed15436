"""`edge-agent records void`, `amend`, `return`: corrections as new records, with or without a running agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, write
from edge_agent.cli.words import say

_reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why, in words.")
_operator_option = click.option("--operator", metavar="CODE", help="Who does it.")
_record_argument = click.argument("record", metavar="ID")


@click.command("void")
@config_option
@_record_argument
@_reason_option
@_operator_option
def void_record(config_path: Path, overrides: tuple[str, ...], record: str, reason: str, operator: str | None) -> None:
    """Make the record with this id or sequence void, by a new record that names it."""
    _correct(config_path, overrides, "void", record, reason, operator, {})


@click.command("amend")
@config_option
@_record_argument
@click.option(
    "--change",
    "changes",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE",
    help="A new value; repeat for more. JSON, or plain text; `null` for not known.",
)
@_reason_option
@_operator_option
def amend_record(
    config_path: Path,
    overrides: tuple[str, ...],
    record: str,
    changes: tuple[str, ...],
    reason: str,
    operator: str | None,
) -> None:
    """Say what the record with this id or sequence should have been, by a new record that names it.

    What was measured cannot be changed. The amount of a sale follows its price, pieces and deduction.
    """
    _correct(config_path, overrides, "amend", record, reason, operator, dict(map(_change, changes)))


@click.command("return")
@config_option
@_record_argument
@click.option("--net", metavar="MASS", help='How much came back, such as "0.5 kg"; default: all that has not yet.')
@click.option("--qty", type=click.IntRange(min=1), help="How many pieces came back.")
@click.option("--amount-fen", type=click.IntRange(min=0), help="What was paid back; default: by price.")
@_reason_option
@_operator_option
def return_record(
    config_path: Path,
    overrides: tuple[str, ...],
    record: str,
    net: str | None,
    qty: int | None,
    amount_fen: int | None,
    reason: str,
    operator: str | None,
) -> None:
    """Record that goods of the sale with this id or sequence came back."""
    from edge_agent.units import to_milligrams

    details = {"qty": qty, "amount_fen": amount_fen}
    if net is not None:
        number, _, unit = net.strip().partition(" ")
        try:
            details["net_mg"] = to_milligrams(number, unit.strip())
        except ValueError as problem:
            raise click.UsageError(f"--net {net}: {problem}") from None
    given = {name: value for name, value in details.items() if value is not None}
    _correct(config_path, overrides, "return", record, reason, operator, given)


def _change(text: str) -> tuple[str, Any]:
    """FIELD=VALUE. A value that is a JSON number is one, unless the field holds codes: those keep their zeros."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--change {text}: is not FIELD=VALUE")
    if name in _numbers() or value == "null" or value[:1] in ('"', "[", "{"):
        try:
            return name, orjson.loads(value)
        except orjson.JSONDecodeError:
            raise click.UsageError(f"--change {text}: {value!r} is not JSON") from None
    return name, value


def _numbers() -> frozenset[str]:
    """The fields that hold whole numbers or truth values in every type that has them."""
    from edge_agent.records.bodies import BODIES
    from edge_agent.records.shape import json_hints, of_hint

    return frozenset(
        name
        for kind in BODIES.values()
        for name, hint in json_hints(kind).items()
        if {"integer", "boolean"} & set(_kinds(of_hint(hint)))
    )


def _kinds(schema: dict[str, Any]) -> tuple[str, ...]:
    kinds = schema.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def _correct(
    config_path: Path,
    overrides: tuple[str, ...],
    kind: str,
    record: str,
    reason: str,
    operator: str | None,
    details: dict[str, Any],
) -> None:
    """Have the running agent do it; with none running, take the store and do it here."""
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.office.corrector import Corrector
    from edge_agent.records.corrections import Refused
    from edge_agent.store import Reader, Store

    config = load(config_path, overrides)
    path = Path(config.store.path)
    request = {"kind": kind, "record": record, "reason": reason, "operator": operator, "details": details}
    try:
        with ControlClient(Path(f"{path}.sock"), timeout=30.0) as client:
            answer = client.ask(do="correct", **request)
        if not answer["ok"]:
            raise exits.Exit(exits.PROBLEMS, f"{say('refused')}: {answer['reason']}")
        kept = answer["kept"][0]
    except ConnectionError:
        Reader.open(path).close()  # a store that is not there is an error, not one to be made
        store = Store.open(path, source=config.gateway.source, zone=config.gateway.zone)
        try:
            done = Corrector(store, config.gateway.zone).correct(
                kind, record, reason=reason, operator=operator, details=details
            )
        except Refused as refused:
            raise exits.Exit(exits.PROBLEMS, f"{say('refused')}: {refused}") from None
        finally:
            store.stop(5.0)
        kept = {"id": done.id, "sequence": done.sequence, "type": done.type}
    write(orjson.dumps(kept))
