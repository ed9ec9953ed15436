"""`edge-agent devices probe`: listen to a port, say which dialects fit, print a ready `[[device]]` block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent import clock
from edge_agent.cli import exits
from edge_agent.cli.output import show, write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.driver import DriverSpec, PortUrl, Transport
    from edge_agent.probing import Fit, Heard, Line, Report
    from edge_agent.registry import Registry

_LINE_KEYS: Final = frozenset({"baud", "bytesize", "parity", "stopbits"})
_MOST_BYTES: Final = 64 * 1024
_ASKING: Final = 1.5
"""Seconds that an instrument gets to answer one way of asking."""


@click.command("probe")
@click.argument("port")
@click.option("--seconds", type=click.FloatRange(0.2, 60), default=3.0, show_default=True, help="With each setting.")
@click.option("--active", is_flag=True, help="Ask too: writes the polls of every driver that polls to the port.")
@click.option("--every-setting", is_flag=True, help="Go on when a setting fits beyond doubt.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def probe(port: str, seconds: float, active: bool, every_setting: bool, output: str) -> int:
    """Say what speaks on PORT, such as serial:/dev/ttyUSB0 or tcp:192.168.1.50:4001, and how sure that is.

    Only listens, with all plausible line settings in turn (the likeliest first), unless settings are part of PORT. A
    pseudo-terminal and a TCP port have no line settings. With --active it also asks, as the drivers that poll do; it
    never sends a command. Exit 1: nothing fits.
    """
    from edge_agent.driver import PortUrl
    from edge_agent.probing import judge, lines
    from edge_agent.registry import discover

    registry = discover()
    try:
        url = PortUrl.parse(port)
        registry.transports[url.scheme].check(url, {})
    except ValueError as problem:
        raise click.UsageError(f"PORT {port!r}: {problem}") from None
    except KeyError:
        known = ", ".join(sorted(registry.transports))
        raise click.UsageError(f"PORT {port!r}: {url.scheme!r} is no kind of port; one of {known}") from None
    specs = [spec for spec in registry.drivers.values() if url.scheme in spec.interfaces]
    settings: Sequence[Line | None] = lines(specs) if _has_line(url) else [_given_line(url)]
    heard: list[Heard] = []
    for line in settings:
        click.echo(say("probe.listening", line=line or say("probe.as_is")), err=True)
        heard += _listen(_transport(registry, url, line), line, seconds)
        report = judge(heard[-1:], specs)
        if not every_setting and report.fits and report.fits[0].decisive:
            break
    report = judge(heard, specs)
    if active and not (report.fits and report.fits[0].decisive):
        heard += _ask_around(registry, url, specs)
        report = judge(heard, specs)
    _print(report, url, registry, output, active=active)
    return exits.OK if report.fits else exits.PROBLEMS


def _has_line(url: PortUrl) -> bool:
    """Whether line settings make a difference and are not given."""
    if url.scheme not in ("serial", "rfc2217") or _LINE_KEYS & {key for key, _ in url.query}:
        return False
    return not os.path.realpath(url.address).startswith("/dev/pts/")


def _given_line(url: PortUrl) -> Line | None:
    from edge_agent.probing import Line

    given = {key: value for key, value in url.query if key in _LINE_KEYS}
    if not given:
        return None
    plain = {**Line().query, **given}
    return Line(
        baud=int(plain["baud"]), bytesize=int(plain["bytesize"]), parity=plain["parity"], stopbits=plain["stopbits"]
    )


def _transport(registry: Registry, url: PortUrl, line: Line | None) -> Transport:
    from edge_agent.driver import PortUrl

    query = dict(url.query) | (line.query if line is not None else {})
    return registry.transports[url.scheme].make(PortUrl(url.scheme, url.address, tuple(query.items())), {})


def _listen(transport: Transport, line: Line | None, seconds: float) -> Iterator[Heard]:
    """What the port says by itself. Nothing is written."""
    from edge_agent.probing import Heard

    pieces: list[tuple[float, bytes]] = []
    size = 0
    transport.open()
    try:
        began = clock.monotonic()
        while (left := seconds - (clock.monotonic() - began)) > 0 and size < _MOST_BYTES:
            data = transport.read(min(0.25, left))
            if data:
                pieces.append((clock.monotonic() - began, data))
                size += len(data)
    finally:
        transport.close()
    yield Heard(line=line, pieces=tuple(pieces))


def _ask_around(registry: Registry, url: PortUrl, specs: Sequence[DriverSpec]) -> Iterator[Heard]:
    """What the port answers to the polls of each driver that polls; each with its own settings."""
    from edge_agent.driver import Send
    from edge_agent.probing import Heard, line_of

    given = _given_line(url)
    with_line = _has_line(url)
    for spec in sorted(specs, key=lambda spec: (str(line_of(spec)), spec.id)):
        if not spec.dialogue.polls:
            continue
        line = line_of(spec) if with_line else given
        click.echo(say("probe.asking", driver=spec.id, line=line or say("probe.as_is")), err=True)
        transport = _transport(registry, url, line)
        codec = registry.make_codec(spec.id, {})
        pieces: list[tuple[float, bytes]] = []
        transport.open()
        try:
            began = clock.monotonic()
            while (now := clock.monotonic()) - began < _ASKING:
                due = codec.deadline
                outputs = list(codec.tick(now)) if due is not None and due <= now else []
                data = transport.read(0.02)
                if data:
                    pieces.append((clock.monotonic() - began, data))
                    outputs += codec.feed(data, clock.monotonic())
                for output in outputs:
                    if isinstance(output, Send):
                        transport.write(output.data, 1.0)
        finally:
            transport.close()
        yield Heard(line=line, pieces=tuple(pieces))


def _print(report: Report, url: PortUrl, registry: Registry, output: str, *, active: bool) -> None:
    blocks = [_block(fit, url, registry) for fit in report.fits]
    if output == "json":
        facts = {
            "port": f"{url.scheme}:{url.address}",
            "bytes": report.size,
            "fits": [_facts(fit) | {"device": block} for fit, block in zip(report.fits, blocks, strict=True)],
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


def _facts(fit: Fit) -> dict[str, Any]:
    return {
        "driver": fit.driver,
        "kind": fit.kind,
        "line": None if fit.line is None else fit.line.query,
        "heard_as": None if fit.heard_as is None else str(fit.heard_as),
        "options": dict(fit.options),
        "frames": fit.frames,
        "share": fit.share,
        "checksummed": fit.checksummed,
        "bits": fit.bits,
        "rejected": dict(fit.rejected),
        "against": list(fit.against),
        "said": list(fit.said),
    }


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


def _block(fit: Fit, url: PortUrl, registry: Registry) -> str:
    """A `[[device]]` block that works as it stands, but for what no byte tells."""
    spec = registry.drivers[fit.driver]
    default = {k: v for k, v in (fit.line.query if fit.line else {}).items() if spec.line.get(k, _usual(k)) != v}
    query = {k: v for k, v in url.query if k not in _LINE_KEYS} | default
    address = _lasting(url.address) if url.scheme == "serial" else url.address
    port = f"{url.scheme}:{address}" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
    rows = [
        "[[device]]",
        f'id = "{spec.kind}-1"',
        f'driver = "{fit.driver}"',
        f"port = {orjson.dumps(port).decode()}",
    ]
    if spec.needs_unit:
        rows.append(f'unit = "kg"   # {say("probe.check_unit")}')
    if fit.options:
        inner = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in fit.options.items())
        rows.append(f"options = {{ {inner} }}")
    return "\n".join(rows) + "\n"


def _usual(key: str) -> str:
    return {"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}[key]


def _lasting(path: str, root: Path = Path("/dev/serial")) -> str:
    """The name of a port that survives replugging: its by-id link, else by-path; the path itself where it has none."""
    target = os.path.realpath(path)
    for folder in ("by-id", "by-path"):
        links = sorted((root / folder).glob("*")) if (root / folder).is_dir() else []
        for link in links:
            if os.path.realpath(link) == target:
                return str(link)
    return path
