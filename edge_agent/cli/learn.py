"""`edge-agent devices learn`: a dialect file from what an unknown scale sends and what its display shows."""

from __future__ import annotations

import itertools
import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import orjson

from edge_agent import clock
from edge_agent.cli import exits
from edge_agent.cli.output import config_path_option, write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.driver import Lesson, Transport
    from edge_agent.registry import Registry
    from edge_agent.workshop.commissioning import Shown

_WEIGHTS: Final = 3
_MOST_BYTES: Final = 64 * 1024
_ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@click.command("learn")
@config_path_option
@click.argument("port")
@click.option("--id", "identity", help="The new driver's id: small letters, digits, hyphens. Default: learned-scale.")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), help="Default: dialects.d/ID.toml beside the configuration."
)
@click.option("--title", help="What the scale is; default: its id.")
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=4.0, show_default=True, help="Each listening.")
@click.option("--digits", type=click.IntRange(1, 12), default=None, help="How many digits a weight has at most.")
@click.option("--ask", metavar="HEX", help="Bytes to write, where the scale must be asked.")
@click.option("--ask-ms", type=click.IntRange(20, 60_000), default=500, show_default=True, help="How often.")
def learn(
    config_path: Path,
    port: str,
    identity: str | None,
    target: Path | None,
    title: str | None,
    seconds: float,
    digits: int | None,
    ask: str | None,
    ask_ms: int,
) -> None:
    """Write a dialect file for a scale with an unknown text protocol on PORT.

    Asks for three known weights and one that moves; type what the display shows. Use weights that do not read the same
    from both ends, such as 1.235 and 0.820. Line settings are part of PORT: serial:/dev/ttyUSB0?baud=2400. The file
    needs no Python and no network on the box that uses it; without a configuration it goes to ./dialects.d/.
    """
    from edge_agent.driver import Lesson, PortUrl
    from edge_agent.registry import discover

    registry = discover()
    folder = (config_path.parent if config_path.exists() else Path()) / "dialects.d"
    registry.load_tables(folder)
    identity = identity or _free_id(registry, folder)
    if not _ID.fullmatch(identity):
        raise click.UsageError(f"--id {identity!r}: small letters, digits and hyphens would be right, e.g. stall-scale")
    path = target or folder / f"{identity}.toml"
    if path.exists():
        raise exits.Exit(exits.CANNOT_CREATE, f"{path}: is there already and is not overwritten")
    if identity in registry.drivers:
        raise click.UsageError(f"--id {identity!r}: a driver of that id is there already")
    try:
        url = PortUrl.parse(port)
        spec = registry.transports[url.scheme]
        spec.check(url, {})
        polled = bytes.fromhex(ask or "")
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    except KeyError:
        raise click.UsageError(f"PORT {port!r}: no such kind of port") from None
    lessons: list[Lesson] = []
    transport = spec.make(url, {})
    transport.open()
    try:
        for number in range(1, _WEIGHTS + 1):
            click.echo(say("learn.weight", n=number, of=_WEIGHTS), err=True)
            shown = _shown()
            lessons.append(
                Lesson(data=_listen(transport, seconds, polled, ask_ms / 1000), weight=shown.weight, unit=shown.unit)
            )
            click.echo(say("learn.heard", bytes=len(lessons[-1].data)), err=True)
        click.echo(say("learn.moving"), err=True)
        click.echo(f"{say('learn.press_enter')}: ", nl=False, err=True)
        sys.stdin.readline()  # nothing is asked but to begin: where the input has ended it begins at once
        lessons.append(Lesson(data=_listen(transport, seconds, polled, ask_ms / 1000), weight=None))
    finally:
        transport.close()
    head = {
        "id": identity,
        "title": title or identity,
        "source": f"learned from the display, {date.fromtimestamp(clock.now().wall_ms / 1000)}",
        "models": [title or identity],
        "maturity": "captured",
        "stale_after": max(3, 10 * ask_ms // 1000),
    }
    line = {key: value for key, value in url.query if key in ("baud", "bytesize", "parity", "stopbits")}
    poll = {"send": polled.hex(" "), "after_ms": ask_ms} if polled else {}
    try:
        text = registry.learner(lessons, head=head, line=line, poll=poll, digits=digits or 0)
    except ValueError as problem:
        raise exits.Exit(exits.BAD_DATA, f"{say('learn.failed')}: {problem}") from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise exits.Exit(exits.CANNOT_CREATE, f"{path}: {problem.strerror}") from None
    registry = discover()
    registry.load_tables(path.parent)
    problems = [fault.what for fault in registry.faults if str(path) in str(fault.origin)]
    if problems or identity not in registry.drivers:
        raise exits.Exit(exits.BAD_DATA, f"{say('learn.failed')}: {'; '.join(problems)}")
    made = registry.drivers[identity]
    write(orjson.dumps({"driver": identity, "file": str(path), "tells": made.tells, "needs_unit": made.needs_unit}))
    unit = f'unit = "{lessons[0].unit or "kg"}"\n' if made.needs_unit else ""
    block = f'[[device]]\nid = "scale-1"\ndriver = "{identity}"\nport = "{port}"\n{unit}'
    click.echo(say("learn.done", file=path, block=block), err=True)


def _free_id(registry: Registry, folder: Path) -> str:
    """An id that no driver and no file has yet."""
    numbered = itertools.chain(["learned-scale"], (f"learned-scale-{number}" for number in itertools.count(2)))
    return next(name for name in numbered if name not in registry.drivers and not (folder / f"{name}.toml").exists())


def _shown() -> Shown:
    from edge_agent.workshop.commissioning import Shown

    while True:
        try:
            shown = Shown.parse(_line(say("commission.display")))
        except ValueError as problem:
            click.echo(str(problem), err=True)
            continue
        if shown.weight is not None:
            return shown
        click.echo(say("learn.a_weight"), err=True)


def _line(question: str) -> str:
    click.echo(f"{question}: ", nl=False, err=True)
    text = sys.stdin.readline()
    if not text:
        raise exits.Exit(exits.BAD_DATA, say("learn.broken_off"))
    return text.strip()


def _listen(transport: Transport, seconds: float, ask: bytes, every: float) -> bytes:
    """What arrives from now on; what waited in the port is of the weight before."""
    while transport.read(0.0):
        pass
    heard = bytearray()
    began = clock.monotonic()
    due = began
    while (now := clock.monotonic()) - began < seconds and len(heard) < _MOST_BYTES:
        if ask and now >= due:
            transport.write(ask, 1.0)
            due = now + every
        heard += transport.read(min(0.1, max(0.0, began + seconds - now)))
    return bytes(heard)
