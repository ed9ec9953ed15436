"""`edge-agent decode`: bytes to events, without a device."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_path_option, write
from edge_agent.event_json import event_json
from edge_agent.model import DeviceEvent
from edge_agent.registry import OptionError, Registry, discover


@click.command()
@config_path_option
@click.argument("driver", required=False)
@click.argument("source", required=False, metavar="[-]")
@click.option("--hex", "hex_text", help="The bytes as hexadecimal text.")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file with the bytes."
)
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the driver.")
@click.option("--batch", "batch", metavar="-", help="Read JSON lines with driver, hex and options.")
def command(
    config_path: Path,
    driver: str | None,
    source: str | None,
    hex_text: str | None,
    file: Path | None,
    options: tuple[str, ...],
    batch: str | None,
) -> None:
    """Print one JSON object for each event in the bytes of DRIVER."""
    registry = discover()
    registry.load_tables(config_path.parent / "dialects.d")
    if batch is not None:
        _decode_batch(registry)
        return
    if driver is None:
        raise click.UsageError("name a driver (see `edge-agent drivers list`) or use --batch -")
    given = [what for what in (hex_text, file, source) if what is not None]
    if len(given) != 1 or source not in (None, "-"):
        raise click.UsageError("give the bytes by one of --hex HEX, --file FILE or -")
    if hex_text is not None:
        data = _unhex(registry, driver, hex_text)
    else:
        data = file.read_bytes() if file is not None else sys.stdin.buffer.read()
    try:
        events = decode(registry, driver, data, options_given(registry, driver, options))
    except KeyError:
        raise click.UsageError(f"{driver!r} is no driver; `edge-agent drivers list` names them") from None
    except OptionError as problem:
        raise click.UsageError(str(problem)) from None
    for event in events:
        write(orjson.dumps(event))


def decode(registry: Registry, driver: str, data: bytes, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every event of these bytes, the end of the bytes being the end of the stream.

    Raises KeyError for an unknown driver and OptionError for options that do not fit.
    """
    codec = registry.make_codec(driver, options)
    outputs = [*codec.feed(data, 0.0), *codec.close(0.0)]
    return [event_json(output) for output in outputs if isinstance(output, DeviceEvent)]


def _decode_batch(registry: Registry) -> None:
    for line in sys.stdin.buffer:
        if line.strip():
            write(orjson.dumps(_answer(registry, line)))


def _answer(registry: Registry, line: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        return {"driver": None, "events": [], "error": f"not JSON: {problem}"}
    if not isinstance(request, dict):
        return {"driver": None, "events": [], "error": 'not a JSON object with "driver" and "hex"'}
    driver = request.get("driver")
    if not isinstance(driver, str):
        return {"driver": None, "events": [], "error": f"driver is {driver!r}; the id of a driver would be right"}
    try:
        data = _bytes(registry, driver, request["hex"])
        options = request.get("options") or {}
        return {"driver": driver, "events": decode(registry, driver, data, options)}
    except KeyError as problem:
        missing = problem.args[0] == "hex"
        return {
            "driver": driver,
            "events": [],
            "error": '"hex" is missing' if missing else f"unknown driver {driver!r}",
        }
    except (ValueError, TypeError, AttributeError) as problem:
        return {"driver": driver, "events": [], "error": str(problem)}


def _bytes(registry: Registry, driver: str, text: str) -> bytes:
    """The bytes of a hexadecimal text; a number of bits is written with as many digits as it needs."""
    spec = registry.drivers.get(driver)
    if spec is not None and spec.bits is not None and len(text) == (spec.bits + 3) // 4:
        text = text.rjust((spec.bits + 7) // 8 * 2, "0")
    return bytes.fromhex(text)


def _unhex(registry: Registry, driver: str, text: str) -> bytes:
    try:
        return _bytes(registry, driver, text)
    except ValueError as problem:
        raise exits.Exit(exits.BAD_DATA, f"--hex: {problem}") from None


def options_given(registry: Registry, driver: str, texts: tuple[str, ...]) -> dict[str, Any]:
    """Options as typed on the command line, turned into the types that the driver declares."""
    types = {option.name: option.type for option in registry.drivers[driver].options}
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--option {text}: write KEY=VALUE")
        match types.get(name):
            case "integer" if value.lstrip("-").isdigit():
                values[name] = int(value)
            case "number" if value.replace(".", "", 1).lstrip("-").isdigit():
                values[name] = float(value)
            case "boolean" if value in ("true", "false"):
                values[name] = value == "true"
            case _:
                values[name] = value
    return values
