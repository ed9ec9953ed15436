"""Listening to a port to find out what speaks on it; what was heard is judged by `edge_agent.workshop.probing`.

For the command line and for the page of the running agent. It only listens, unless it is told to ask.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from edge_agent import clock
from edge_agent.driver import Busy, Disconnected, DriverSpec, HangUp, PortUrl, Send, Transport
from edge_agent.registry import Registry, checked_options
from edge_agent.workshop.probing import Fit, Heard, Line, Report, judge, line_of, lines, understands

_WITH_LINE: Final = ("serial", "rfc2217")
_LINE_KEYS: Final = frozenset({"baud", "bytesize", "parity", "stopbits"})
_MOST_BYTES: Final = 64 * 1024
_LONGER: Final = 3
"""So many times as long it listens on."""
_ASKING: Final = 1.5
"""Seconds that an instrument gets to answer one way of asking."""
_BACK_WITHIN: Final = 3.0
_LOOK_AGAIN: Final = 0.1
_ASK_AGAIN_MS: Final = 150
"""From an answer to the next question: enough answers to judge by must fit in, and a first question may go wrong,
because the instrument still holds the beginning of another driver's as the beginning of a command."""


def _nothing(_word: str, _facts: Mapping[str, Any]) -> None:
    """Nobody looks on."""


class Prober:
    """Finds out what speaks on a port.

    `tell` hears `listening` and `asking` with their facts; `ended` breaks it off.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        tell: Callable[[str, Mapping[str, Any]], None] = _nothing,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._registry = registry
        self._tell = tell
        self._ended = ended

    def port(self, text: str) -> PortUrl:
        """The port of that name. Raises ValueError with what is wrong."""
        url = PortUrl.parse(text)
        if url.scheme not in self._registry.transports:
            known = ", ".join(sorted(self._registry.transports))
            raise ValueError(f"{url.scheme!r} is no kind of port; one of {known}")
        self._registry.transports[url.scheme].check(url, {})
        return url

    def probe(self, url: PortUrl, *, seconds: float, active: bool = False, every_setting: bool = False) -> Report:
        """Listen `seconds` with each plausible setting, the likeliest first, until one fits beyond doubt.

        Where none does, listens on with the setting that fits best: a scale that prints a block for each weighing says
        too little in a few seconds, and its lines look like those of a simpler one. `active` asks too, as the drivers
        that poll do. Raises a `TransportError` where the port does not open.
        """
        specs = [spec for spec in self._registry.drivers.values() if url.scheme in spec.interfaces]
        settings: Sequence[Line | None] = lines(specs) if _has_line(url) else [_given_line(url)]
        heard: list[Heard] = []
        for line in settings:
            if self._ended():
                break
            self._tell("listening", {"line": line})
            heard += self._listen(self._transport(url, line), line, seconds)
            report = judge(heard[-1:], specs)
            if not every_setting and report.fits and report.fits[0].decisive:
                break
        report = judge(heard, specs)
        if heard and not self._ended() and not _settled(report, len(settings)):
            line = (report.fits[0].heard_as or report.fits[0].line) if len(settings) > 1 else settings[0]
            self._tell("listening", {"line": line})
            heard += self._listen(self._transport(url, line), line, _LONGER * seconds)
            report = judge(heard, specs)
        if active and not (report.fits and report.fits[0].decisive):
            for answers in self._ask_around(url, specs, tuple(heard)):
                heard.append(answers)
                found = judge([answers], specs).fits
                if not every_setting and found and found[0].decisive:
                    break
            report = judge(heard, specs)
        return report

    def block(self, fit: Fit, url: PortUrl, unit_note: str) -> str:
        """A `[[device]]` block that works as it stands, but for what no byte tells: `unit_note` says to look."""
        return _block(fit, url, self._registry, unit_note)

    def _transport(self, url: PortUrl, line: Line | None) -> Transport:
        query = dict(url.query) | (line.query if line is not None else {})
        return self._registry.transports[url.scheme].make(PortUrl(url.scheme, url.address, tuple(query.items())), {})

    def _listen(self, transport: Transport, line: Line | None, seconds: float) -> Iterator[Heard]:
        """What the port says by itself. Nothing is written."""
        pieces: list[tuple[float, bytes]] = []
        size = 0
        transport.open()
        try:
            began = clock.monotonic()
            while (left := seconds - (clock.monotonic() - began)) > 0 and size < _MOST_BYTES and not self._ended():
                data = transport.read(min(0.25, left))
                if data:
                    pieces.append((clock.monotonic() - began, data))
                    size += len(data)
        finally:
            transport.close()
        yield Heard(line=line, pieces=tuple(pieces))

    def _ask_around(self, url: PortUrl, specs: Sequence[DriverSpec], heard: Sequence[Heard]) -> Iterator[Heard]:
        """What the port answers to the polls of each driver that polls; each with its own settings.

        Those that understand what was said by itself come first: a reader greets, and hangs up on whoever answers in
        another language. That is no reason not to ask on.
        """
        given = _given_line(url)
        with_line = _has_line(url)
        asking = [spec for spec in specs if spec.dialogue.polls]
        for spec in sorted(asking, key=lambda spec: (not understands(spec, heard), str(line_of(spec)), spec.id)):
            if self._ended():
                return
            line = line_of(spec) if with_line else given
            self._tell("asking", {"driver": spec.id, "line": line})
            until = clock.monotonic() + _BACK_WITHIN
            answers, busy = self._ask(self._transport(url, line), spec)
            while busy and clock.monotonic() < until and not self._ended():
                time.sleep(_LOOK_AGAIN)  # it has not noticed yet that we have gone a moment ago
                answers, busy = self._ask(self._transport(url, line), spec)
            yield Heard(line=line, pieces=answers)

    def _ask(self, transport: Transport, spec: DriverSpec) -> tuple[tuple[tuple[float, bytes], ...], bool]:
        """What is answered to one driver's polls, and whether it was that somebody else is served."""
        hurried = {"poll_ms": _ASK_AGAIN_MS} if any(o.name == "poll_ms" for o in spec.options) else {}
        codec = self._registry.make_codec(spec.id, hurried)
        pieces: list[tuple[float, bytes]] = []
        self._open_again(transport)
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
                    elif isinstance(output, HangUp):
                        return tuple(pieces), output.busy
        except Disconnected:
            pass  # it does not speak so; the next may be right
        finally:
            transport.close()
        return tuple(pieces), False

    def _open_again(self, transport: Transport) -> None:
        """Open a port that was open a moment ago; whoever hung up may take a while. Raises a `TransportError`."""
        until = clock.monotonic() + _BACK_WITHIN
        while True:
            try:
                transport.open()
                return
            except (Disconnected, Busy):
                if clock.monotonic() >= until or self._ended():
                    raise
            time.sleep(_LOOK_AGAIN)


def _settled(report: Report, settings: int) -> bool:
    """Whether listening longer would change nothing: one fits beyond doubt, or nobody speaks, or nothing fits what is
    heard and any of several settings may be the reason."""
    if not report.fits:
        return settings > 1 or any(warned.word in ("silent", "baud") for warned in report.warnings)
    return report.fits[0].decisive


def _has_line(url: PortUrl) -> bool:
    """Whether line settings make a difference and are not given."""
    if url.scheme not in _WITH_LINE or _LINE_KEYS & {key for key, _ in url.query}:
        return False
    return not os.path.realpath(url.address).startswith("/dev/pts/")


def _given_line(url: PortUrl) -> Line | None:
    given = {key: value for key, value in url.query if key in _LINE_KEYS}
    if not given:
        return None
    plain = {**Line().query, **given}
    return Line(
        baud=int(plain["baud"]), bytesize=int(plain["bytesize"]), parity=plain["parity"], stopbits=plain["stopbits"]
    )


def _block(fit: Fit, url: PortUrl, registry: Registry, unit_note: str) -> str:
    """A `[[device]]` block that works as it stands, but for what no byte tells."""
    spec = registry.drivers[fit.driver]
    default = {k: v for k, v in (fit.line.query if fit.line else {}).items() if spec.line.get(k, _usual(k)) != v}
    if url.scheme in _WITH_LINE:
        query = {k: v for k, v in url.query if k not in _LINE_KEYS} | default
    else:  # the line belongs to the device server; only parity that it passes on in bit 7 can be dealt with here
        query = dict(url.query) | ({"bytesize": "7", "parity": fit.line.parity} if fit.line and fit.heard_as else {})
    address = lasting(url.address) if url.scheme == "serial" else url.address
    port = f"{url.scheme}:{address}" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
    rows = [
        "[[device]]",
        f'id = "{spec.kind}-1"',
        f'driver = "{fit.driver}"',
        f"port = {orjson.dumps(port).decode()}",
    ]
    if spec.needs_unit:
        rows.append(f'unit = "kg"   # {unit_note}')
    options = dict(fit.options)
    unset = _unset(spec, options)
    if unset is not None:
        options |= {"preset": "unknown"}
        rows.append(f"# {unset}")
    if options:
        inner = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in options.items())
        rows.append(f"options = {{ {inner} }}")
    return "\n".join(rows) + "\n"


def _unset(spec: DriverSpec, options: Mapping[str, Any]) -> str | None:
    """What a driver must still be told, which no byte tells, where it can wait for it (the preset `unknown`)."""
    waits = any(option.name == "preset" and "unknown" in option.choices for option in spec.options)
    try:
        if spec.check is not None and waits:
            spec.check(checked_options(spec, options))
    except ValueError as missing:
        return str(missing)
    return None


def _usual(key: str) -> str:
    return {"baud": "9600", "bytesize": "8", "parity": "N", "stopbits": "1"}[key]


def lasting(path: str, root: Path = Path("/dev/serial"), claims: Path = Path("/run/udev/links")) -> str:
    """The name of a port that survives replugging: its by-id link, else by-path; the path itself where it has none.

    A link that udev could give to another port too, because both are of one make and number, is no name for it:
    `claims` holds a folder for each link, with an entry for each device that asks for it (systemd-udevd).
    """
    target = os.path.realpath(path)
    for folder in ("by-id", "by-path"):
        links = sorted((root / folder).glob("*")) if (root / folder).is_dir() else []
        for link in links:
            if os.path.realpath(link) == target and _claimed(claims, f"{root.name}/{folder}/{link.name}") < 2:
                return str(link)
    return path


def _claimed(claims: Path, link: str) -> int:
    """How many devices ask udev for a link; 0 where it does not say."""
    try:
        return len(os.listdir(claims / link.replace("\\", "\\x5c").replace("/", "\\x2f")))
    except OSError:
        return 0


def fit_facts(fit: Fit) -> dict[str, Any]:
    """A fit as plain values."""
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
