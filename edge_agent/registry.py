"""Entry points to drivers and transports. A broken third-party driver is reported, never fatal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from edge_agent.config import Config, Problem
from edge_agent.driver import (
    API_VERSION,
    ENTRY_POINT_GROUP,
    Bundle,
    Codec,
    DriverSpec,
    Learner,
    Option,
    PortUrl,
    Session,
    Transport,
    TransportSpec,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which installed distribution (or file) a driver came from."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something offered as a driver that could not be used, and why."""

    origin: Origin
    what: str


class OptionError(ValueError):
    """Options that do not fit the driver. `problems` are pairs of the option's name and what is wrong; right."""

    def __init__(self, problems: list[tuple[str, str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{name}: {what}; {hint}" for name, what, hint in problems))


@dataclass
class Registry:
    """Every driver and transport that can be used, where each came from, and what could not be loaded."""

    drivers: dict[str, DriverSpec] = field(default_factory=dict)
    transports: dict[str, TransportSpec] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _refused: set[str] = field(default_factory=set)
    _bundles: list[Bundle] = field(default_factory=list)

    def add(self, bundle: Bundle, origin: Origin) -> None:
        """Take what a bundle offers. Two drivers of one id are both refused, with both names."""
        self._bundles.append(bundle)
        for transport in bundle.transports:
            if transport.scheme in self.transports:
                self.faults.append(Fault(origin=origin, what=f"transport {transport.scheme}: is there already"))
            else:
                self.transports[transport.scheme] = transport
        for spec in bundle.drivers:
            self.add_driver(spec, origin)

    def add_driver(self, spec: DriverSpec, origin: Origin) -> None:
        """Take one driver."""
        if spec.api_version != API_VERSION:
            what = f"driver {spec.id}: made for driver API {spec.api_version}, this agent has {API_VERSION}"
            self.faults.append(Fault(origin=origin, what=what))
        elif spec.id in self.drivers or spec.id in self._refused:
            other = self.origins.get(spec.id)
            self.drivers.pop(spec.id, None)
            self._refused.add(spec.id)
            both = f"{other} and {origin}" if other else str(origin)
            self.faults.append(Fault(origin=origin, what=f"driver {spec.id}: offered by {both}; none of them is used"))
        else:
            self.drivers[spec.id] = spec
            self.origins[spec.id] = origin

    def load_tables(self, folder: Path) -> None:
        """Take the dialects written as TOML tables in a folder (`dialects.d`); a bad one is a fault."""
        loader = next((b.load_table for b in self._bundles if b.load_table is not None), None)
        if loader is None or not folder.is_dir():
            return
        for path in sorted(folder.glob("*.toml")):
            origin = Origin(name=str(path))
            try:
                self.add_driver(loader(path), origin)
            except (ValueError, OSError) as problem:
                self.faults.append(Fault(origin=origin, what=str(problem)))

    @property
    def learner(self) -> Learner:
        """What makes dialect files from lessons. Raises LookupError when no bundle offers one."""
        for bundle in self._bundles:
            if bundle.learn is not None:
                return bundle.learn
        raise LookupError("no installed driver package learns dialects")

    def session(self, transport: Transport, codec: Codec) -> Session:
        """Compose a session. Raises LookupError when no bundle offers one."""
        for bundle in self._bundles:
            if bundle.session is not None:
                return bundle.session(transport, codec)
        raise LookupError("no installed driver package offers sessions")

    def make_codec(self, driver: str, options: Mapping[str, Any]) -> Codec:
        """A fresh codec. Raises KeyError for an unknown driver and `OptionError` for options that do not fit."""
        spec = self.drivers[driver]
        return spec.make(checked_options(spec, options))

    def make_transport(self, port: PortUrl, spec: DriverSpec) -> Transport:
        """An unopened transport. Raises KeyError for an unknown scheme, ValueError for bad settings."""
        transport = self.transports[port.scheme]
        transport.check(port, spec.line)
        return transport.make(port, spec.line)


def checked_options(spec: DriverSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a driver with defaults filled in. Raises `OptionError` naming each that does not fit."""
    known = {option.name: option for option in spec.options}
    problems = []
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            listed = ", ".join(known) or "none"
            problems.append((name, "is not an option", f"did you mean {close[0]}?" if close else f"options: {listed}"))
    values = {}
    for option in spec.options:
        value = given.get(option.name, option.default)
        wrong = _wrong(option, value) if option.name in given else None
        if wrong is not None:
            problems.append((option.name, f"{value!r} {wrong[0]}", wrong[1]))
        values[option.name] = value
    if problems:
        raise OptionError(problems)
    return values


def _wrong(option: Option, value: Any) -> tuple[str, str] | None:
    number: Any = value
    types: dict[str, tuple[type, ...]] = {
        "text": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    if not isinstance(value, types[option.type]) or (option.type != "boolean" and isinstance(value, bool)):
        return f"is not of type {option.type}", _one_of(option) if option.choices else option.help
    if option.choices and value not in option.choices:
        return "is not one of the choices", _one_of(option)
    if option.minimum is not None and number < option.minimum:
        return "is too small", f"{option.minimum:g} or more: {option.help}"
    if option.maximum is not None and number > option.maximum:
        return "is too large", f"{option.maximum:g} or less: {option.help}"
    return None


def _one_of(option: Option) -> str:
    return f"one of {', '.join(map(str, option.choices))}"


def discover(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every installed driver bundle. What raises while loading is a fault of its distribution."""
    registry = Registry()
    for point in entry_points(group=ENTRY_POINT_GROUP) if points is None else points:
        origin = Origin(
            name=point.dist.name if point.dist else point.value, version=point.dist.version if point.dist else None
        )
        try:
            offered = point.load()
            bundle = offered() if callable(offered) else offered
        except Exception as problem:  # noqa: BLE001 -- foreign code: whatever it raises must not stop the agent
            registry.faults.append(Fault(origin=origin, what=f"{point.name}: {type(problem).__name__}: {problem}"))
            continue
        if isinstance(bundle, Bundle):
            registry.add(bundle, origin)
        else:
            registry.faults.append(
                Fault(origin=origin, what=f"{point.name}: offers {type(bundle).__name__}, not a Bundle")
            )
    return registry


def check_devices(config: Config, registry: Registry, file: str) -> list[Problem]:
    """What only the registry can tell: drivers, options, ports and their settings, units."""
    problems = []
    for device in config.device:
        where = f"device[{device.id}]"
        spec = registry.drivers.get(device.driver)
        if spec is None:
            close = difflib.get_close_matches(device.driver, registry.drivers, n=1)
            fault = next((f for f in registry.faults if device.driver in f.what), None)
            hint = f"did you mean {close[0]}?" if close else "one of those that `edge-agent drivers list` names"
            what = "is not installed" if fault is None else f"cannot be used: {fault.what}"
            problems.append(Problem(file, f"{where}.driver", f"{device.driver!r} {what}", hint))
            continue
        try:
            options = checked_options(spec, device.options)
            if spec.check is not None:
                spec.check(options)
        except OptionError as error:
            problems += [Problem(file, f"{where}.options.{name}", what, hint) for name, what, hint in error.problems]
        except ValueError as error:
            problems.append(
                Problem(file, f"{where}.options", str(error), f"see {spec.id} in docs/reference/drivers.md")
            )
        problems += _check_port(device.port_url, spec, registry, file, where)
        if spec.needs_unit and device.unit is None:
            what = f"is missing: {spec.id} frames carry no unit"
            problems.append(Problem(file, f"{where}.unit", what, 'the unit shown on the scale, e.g. unit = "kg"'))
    return problems


def _check_port(port: PortUrl, spec: DriverSpec, registry: Registry, file: str, where: str) -> list[Problem]:
    transport = registry.transports.get(port.scheme)
    if transport is None:
        known = ", ".join(sorted(registry.transports))
        return [Problem(file, f"{where}.port", f"{port.scheme!r} is no kind of port", f"one of {known}")]
    if port.scheme not in spec.interfaces:
        what = f"{spec.id} does not work over {port.scheme}"
        return [Problem(file, f"{where}.port", what, f"one of {', '.join(spec.interfaces)}")]
    try:
        transport.check(port, spec.line)
    except ValueError as problem:
        return [Problem(file, f"{where}.port", str(problem), "see docs/reference/configuration.md, ports")]
    return []
