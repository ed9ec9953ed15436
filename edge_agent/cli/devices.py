"""`edge-agent devices`: list, watch, capture, commission, probe, learn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.commission import commission
from edge_agent.cli.learn import learn
from edge_agent.cli.output import config_option, output_option, show, write
from edge_agent.cli.probe import probe
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.workshop.capture import CaptureFile


@click.group()
def command() -> None:
    """The configured devices, and what they say."""


command.add_command(commission)
command.add_command(probe)
command.add_command(learn)


@command.command("list")
@config_option
@output_option
def list_devices(config_path: Path, overrides: tuple[str, ...], output: str) -> None:
    """List the configured devices with their states."""
    from edge_agent.control import ControlClient
    from edge_agent.preparing import prepare

    config, _ = prepare(config_path, overrides)
    states: dict[str, Any] = {}
    counters: dict[str, Any] = {}
    try:
        with ControlClient(Path(f"{config.store.path}.sock")) as client:
            status = client.ask(do="status")["status"]
            states, counters = status["devices"], status["counters"]
    except ConnectionError:
        pass  # without a running agent the states are simply not known
    rows = [
        {
            "device": device.id,
            "driver": device.driver,
            "port": device.port,
            "state": states.get(device.id, {}).get("state", say("not_running") if output == "table" else None),
            "reason": states.get(device.id, {}).get("reason"),
            "counters": counters.get(device.id),
        }
        for device in config.device
    ]
    show(rows, ("device", "driver", "port", "state", "reason"), output)


@command.command()
@config_option
@click.argument("device_id", metavar="ID")
@click.option("--seconds", type=float, help="Stop by itself after this time.")
def watch(config_path: Path, overrides: tuple[str, ...], device_id: str, seconds: float | None) -> None:
    """Print what device ID says, one JSON object an event, until Ctrl-C.

    Reads along with the running agent; without one it opens the port itself.
    """
    from edge_agent.control import ControlClient
    from edge_agent.preparing import prepare

    config, registry = prepare(config_path, overrides)
    device = next((d for d in config.device if d.id == device_id), None)
    if device is None:
        raise click.UsageError(f"{device_id!r} is no device; there are {', '.join(d.id for d in config.device)}")
    until = None if seconds is None else time.monotonic() + seconds
    try:
        with ControlClient(Path(f"{config.store.path}.sock")) as client:
            for answer in client.stream(do="watch", device=device_id):
                if "event" in answer:
                    write(orjson.dumps({k: v for k, v in answer.items() if k != "ok"}))
                if until is not None and time.monotonic() >= until:
                    return
    except ConnectionError as problem:
        if "no agent answers" not in str(problem):
            raise
    from edge_agent.event_json import event_json

    spec = registry.drivers[device.driver]
    session = registry.session(
        registry.make_transport(device.port_url, spec), registry.make_codec(device.driver, device.options)
    )
    session.open()
    try:
        while until is None or time.monotonic() < until:
            for event in session.read(0.25):
                write(orjson.dumps({"device": device_id, **event_json(event)}))
    finally:
        session.close()


@command.command()
@config_option
@click.argument("port", metavar="PORT|ID")
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--seconds", type=float, default=10.0, show_default=True, help="How long to listen to a PORT.")
@click.option("--driver", help="Use this driver's line settings, and let it poll.")
@click.option("--unmasked", is_flag=True, help="Scanned codes and card numbers in clear: they may be somebody's.")
def capture(
    config_path: Path,
    overrides: tuple[str, ...],
    port: str,
    target: Path,
    seconds: float,
    driver: str | None,
    unmasked: bool,
) -> None:
    """Write what PORT sends to a file with its timing, for `hwsim replay` and as a test vector.

    Only listens, unless a driver that polls is named. For a device of the running agent, named by its ID or by its
    port, it writes the last 64 KiB that the port has said: what went wrong a minute ago is still there.
    """
    from edge_agent.driver import PortUrl
    from edge_agent.registry import discover

    registry = discover()
    registry.load_tables(config_path.parent / "dialects.d")
    if target.exists():
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: is there already and is not overwritten")
    if _from_agent(config_path, overrides, port, target, registry, unmasked):
        return
    try:
        url = PortUrl.parse(port)
        transport_spec = registry.transports[url.scheme]
        line = registry.drivers[driver].line if driver is not None else {}
        transport_spec.check(url, line)
    except ValueError as problem:
        raise click.UsageError(f"PORT {port!r}: {problem}") from None
    except KeyError as problem:
        raise click.UsageError(f"{problem} is not known here") from None
    transport = transport_spec.make(url, line)
    if driver is None:
        transport.open()  # before the file is made: a port that does not open leaves none behind
        with _recording(target, port=port, driver=None) as file:
            _listen(transport.read, lambda data: file.add("rx", data, time.monotonic()), seconds, transport.close)
        return
    session = registry.session(transport, registry.make_codec(driver, {}))
    session.open()
    with _recording(target, port=port, driver=driver) as file:
        session.tap = file.add
        _listen(session.read, lambda _events: None, seconds, session.close)
        _expect(file, registry, driver, {})


@contextlib.contextmanager
def _recording(target: Path, *, port: str, driver: str | None, masked: bool = False) -> Iterator[CaptureFile]:
    """A new recording, told of when it is done; one in which nothing was heard is not kept."""
    from edge_agent.workshop.capture import CaptureFile

    try:
        file = CaptureFile(target, port=port, driver=driver, masked=masked)
    except OSError as problem:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: {problem.strerror}") from None
    try:
        with file:
            yield file
    finally:
        if not file.pieces:
            target.unlink(missing_ok=True)
    if not file.pieces:
        raise exits.Exit(exits.UNAVAILABLE, say("capture.nothing", device=port))
    click.echo(say("captured", n=file.pieces, bytes=file.size), err=True)


def _from_agent(
    config_path: Path, overrides: tuple[str, ...], name: str, target: Path, registry: Any, unmasked: bool
) -> bool:
    """Write the ring of a device of the running agent; False where `name` is none of its devices."""
    from edge_agent.config import load
    from edge_agent.control import ControlClient

    if not config_path.exists():
        if ":" not in name:
            raise click.UsageError(f"{name!r} is no port, and there is no configuration {config_path} to look it up in")
        return False
    config = load(config_path, overrides)
    device = next((d for d in config.device if name in (d.id, d.port, d.port.partition("?")[0])), None)
    if device is None:
        if ":" not in name:
            raise click.UsageError(f"{name!r} is no device; there are {', '.join(d.id for d in config.device)}")
        return False
    try:
        client = ControlClient(Path(f"{config.store.path}.sock"))
    except ConnectionError:
        if name == device.id:
            raise
        return False
    with client:
        answers = client.stream(do="recording", device=device.id, unmasked=unmasked)
        first = next(answers)
        if not first["ok"]:
            raise exits.Exit(exits.PROBLEMS, f"{say('refused')}: {first['reason']}")
        if not first["pieces"]:
            raise exits.Exit(exits.UNAVAILABLE, say("capture.nothing", device=device.id))
        with _recording(target, port=first["port"], driver=first["driver"], masked=first["masked"]) as file:
            for _ in range(first["pieces"]):
                piece = next(answers)
                file.add(piece["dir"], bytes.fromhex(piece["hex"]), piece["t"])
            if not first["masked"] and first["driver"] in registry.drivers:
                _expect(file, registry, first["driver"], device.options)
    return True


def _expect(file: Any, registry: Any, driver: str, options: dict[str, Any]) -> None:
    """What the driver reads from all that was received."""
    from edge_agent.cli.decode import decode

    listening = {"poll": False} if any(o.name == "poll" for o in registry.drivers[driver].options) else {}
    file.expect(decode(registry, driver, file.received, {**options, **listening}))


def _listen(read: Any, take: Any, seconds: float, close: Any) -> None:
    from edge_agent.cli.output import progress

    try:
        until = time.monotonic() + seconds
        with progress(range(100), 100, "capture") as bar:
            shown = 0
            while (left := until - time.monotonic()) > 0:
                data = read(min(0.25, left))
                if data:
                    take(data)
                done = int(100 * (1 - left / seconds))
                bar.update(done - shown)
                shown = done
    finally:
        close()
