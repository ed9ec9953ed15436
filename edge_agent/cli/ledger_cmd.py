"""`edge-agent ledger`: the devices as assets (设备管理台账), with or without a running agent."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, output_option, show, write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.registry import Registry

_PAGE: Final = 1_000
_COLUMNS: Final = (
    "device",
    "state",
    "kind",
    "maker",
    "model",
    "serial_no",
    "verified_until",
    "commissioned_at",
    "flags",
)


@click.group()
def command() -> None:
    """The ledger of devices: state, verification, seal, commissioning."""


@command.command("list")
@config_option
@output_option
def list_assets(config_path: Path, overrides: tuple[str, ...], output: str) -> None:
    """List how every device stands, with the flags that its records carry."""
    show([_flat(asset) for asset in _assets(config_path, overrides)], _COLUMNS, output)


@command.command("set")
@config_option
@click.argument("device", metavar="ID")
@click.argument("facts", nargs=-1, required=True, metavar="FACT=VALUE...")
@click.option("--reason", metavar="TEXT", help="Why, in words.")
@click.option("--operator", metavar="CODE", help="Who says so.")
def set_facts(
    config_path: Path,
    overrides: tuple[str, ...],
    device: str,
    facts: tuple[str, ...],
    reason: str | None,
    operator: str | None,
) -> None:
    """Write facts of device ID into the ledger, as a new event on the chain; prints the record's id.

    `state` is in-use, idle, fault, repair, retired or disposed. After repair a scale has to be commissioned again.
    Facts are those of the record `trace.device_state.v1`, e.g. verified_until=2027-03-31 seal_ok=true max_mg=15000000.
    """
    changes: dict[str, Any] = dict(map(_fact, facts))
    if {"commissioning", "setup", "steps"} & changes.keys():
        raise click.UsageError("commissioning is written by `edge-agent devices commission` only")
    if reason is not None:
        changes["reason"] = reason
    write(orjson.dumps(keep_event(config_path, overrides, device, changes, operator)))


@command.command()
@config_option
@click.option("--format", "form", type=click.Choice(["csv", "json", "jsonl"]), default="csv", show_default=True)
@click.option("--events", is_flag=True, help="Every event on the chain instead of how each device stands now.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="A file; stdout by default.")
def export(config_path: Path, overrides: tuple[str, ...], form: str, events: bool, target: Path | None) -> None:
    """Write the ledger for an inspection or another system."""
    rows = list(_events(config_path, overrides)) if events else [_flat(a) for a in _assets(config_path, overrides)]
    if target is None:
        _write(rows, form, sys.stdout)
        return
    try:
        with target.open("x", encoding="utf-8", newline="") as file:
            _write(rows, form, file)
    except FileExistsError:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: is there already and is not overwritten") from None


def _write(rows: list[dict[str, Any]], form: str, file: IO[str]) -> None:
    if form == "csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    elif form == "json":
        file.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        file.writelines(orjson.dumps(row).decode() + "\n" for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    # A spreadsheet must not take a text for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _flat(asset: Mapping[str, Any]) -> dict[str, Any]:
    kind = asset["kind"] or asset["facts"].get("kind")
    return {n: v for n, v in asset.items() if n not in ("facts", "kind")} | {**asset["facts"], "kind": kind}


def _fact(text: str) -> tuple[str, Any]:
    """FACT=VALUE; true, false and, for masses, whole numbers are what they look like."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text}: write FACT=VALUE, e.g. verified_until=2027-03-31")
    if value in ("true", "false"):
        return name, value == "true"
    if name.endswith("_mg") and value.isdecimal():
        return name, int(value)
    return name, value


def _assets(config_path: Path, overrides: tuple[str, ...]) -> list[dict[str, Any]]:
    from edge_agent.control import ControlClient
    from edge_agent.preparing import prepare

    config, registry = prepare(config_path, overrides)
    try:
        with ControlClient(Path(f"{config.store.path}.sock")) as client:
            answer: list[dict[str, Any]] = client.ask(do="ledger")["assets"]
            return answer
    except ConnectionError:
        return _read_assets(config, registry)


def _read_assets(config: Config, registry: Registry) -> list[dict[str, Any]]:
    from edge_agent.office.registrar import Registrar
    from edge_agent.preparing import configured_devices
    from edge_agent.store import Reader, StoreUnusable

    path = Path(config.store.path)

    class Unstarted:
        """What a store that nobody has started tells: notes, if there is a file."""

        def __init__(self) -> None:
            self.path = path

        def note(self, key: str) -> str | None:
            try:
                with Reader.open(path) as reader:
                    return reader.note(key)
            except StoreUnusable:
                return None

        def set_note(self, key: str, value: str) -> None:
            raise NotImplementedError

        def keep(self, draft: object, timeout: float = 5.0) -> Any:
            raise NotImplementedError

    registrar = Registrar(Unstarted(), config.gateway.zone, configured_devices(config, registry))
    registrar.open()
    return registrar.assets()


def keep_event(
    config_path: Path, overrides: tuple[str, ...], device: str, changes: Mapping[str, Any], operator: str | None
) -> dict[str, Any]:
    """Have the running agent keep an event; with none running, take the store and do it here."""
    from edge_agent.control import ControlClient
    from edge_agent.office.registrar import Registrar
    from edge_agent.preparing import configured_devices, prepare
    from edge_agent.store import Store

    config, registry = prepare(config_path, overrides)
    path = Path(config.store.path)
    try:
        with ControlClient(Path(f"{path}.sock"), timeout=30.0) as client:
            answer = client.ask(do="ledger", device=device, changes=changes, operator=operator)
        if not answer["ok"]:
            raise exits.Exit(exits.PROBLEMS, f"{say('refused')}: {answer['reason']}")
        kept: dict[str, Any] = answer["kept"][0]
        return kept
    except ConnectionError:
        store = Store.open(path, source=config.gateway.source, zone=config.gateway.zone)
        try:
            registrar = Registrar(store, config.gateway.zone, configured_devices(config, registry))
            registrar.open()
            done = registrar.set(device, changes, operator=operator)
        except KeyError:
            raise exits.Exit(exits.PROBLEMS, f"{say('refused')}: there is no device {device}") from None
        except ValueError as problem:
            raise exits.Exit(exits.PROBLEMS, f"{say('refused')}: {problem}") from None
        finally:
            store.stop(5.0)
        return {"id": done.id, "sequence": done.sequence, "type": done.type}


def _events(config_path: Path, overrides: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    from edge_agent.config import load
    from edge_agent.records.bodies import DeviceState
    from edge_agent.store import Reader

    ending = f'"type":"{DeviceState.TYPE}"}}'.encode()  # the canonical form has its keys in order
    with Reader.open(Path(load(config_path, overrides).store.path)) as reader:
        first = 1
        while rows := reader.read(first, limit=_PAGE, max_bytes=4 << 20):
            for row in rows:
                if row.body.endswith(ending):
                    event = orjson.loads(row.body)
                    data = {n: v for n, v in event["data"].items() if v not in (None, [], ()) and n != "clock"}
                    yield {"sequence": row.sequence, "time": event["time"], "id": event["id"], **data}
            first = rows[-1].sequence + 1
