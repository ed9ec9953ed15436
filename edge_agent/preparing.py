"""A configuration checked against what is installed, before anything is started: every mistake at once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from edge_agent.city import DEFAULT_CITY, load_city
from edge_agent.codes import profile_from_mapping
from edge_agent.config import Config, ConfigError, Problem, load
from edge_agent.ledger import fact_problems, setup_text
from edge_agent.office.registrar import Configured
from edge_agent.registry import Registry, check_devices, discover
from edge_agent.station import MODES


def prepare(path: Path, overrides: Iterable[str] = ()) -> tuple[Config, Registry]:
    """Read a configuration and check all of it, drivers and ports included. Raises `ConfigError`."""
    registry = discover()
    registry.load_tables(path.parent / "dialects.d")
    config = load(path, overrides)
    problems = check_devices(config, registry, str(path)) + _check_modes(config, str(path))
    problems += _check_pushing(config, registry, str(path))
    if config.web is not None and importlib.util.find_spec("uvicorn") is None:
        what = "the page's packages are not installed"
        problems.append(Problem(str(path), "web", what, "pip install 'trace-edge-agent[web]', or leave [web] out"))
    problems += _check_codes(config, str(path)) + _check_city(config, str(path)) + _check_web(config, str(path))
    problems += _check_assets(config, str(path)) + _check_webhooks(config, str(path))
    if problems:
        raise ConfigError(problems)
    return config, registry


def _check_modes(config: Config, file: str) -> list[Problem]:
    return [
        Problem(file, f"station[{s.id}].mode", f"{s.mode!r} is not a mode", f"one of {', '.join(MODES)}")
        for s in config.station
        if s.mode not in MODES
    ]


def _check_pushing(config: Config, registry: Registry, file: str) -> list[Problem]:
    """A device that pushes sales waits to hear that they are kept: each wants a station that records sales."""
    problems = []
    for device in config.device:
        spec = registry.drivers.get(device.driver)
        if spec is None or spec.kind != "push":
            continue
        modes = [station.mode for station in config.station if device.id in station.devices]
        if not modes or set(modes) - {"sale", "log"}:
            what = "pushes sales and is " + (f"at a station of mode {', '.join(modes)}" if modes else "at no station")
            problems.append(Problem(file, f"device[{device.id}]", what, "a station of mode sale or log"))
    return problems


def _check_city(config: Config, file: str) -> list[Problem]:
    _, settings, faults = load_city(config.gateway.city_profile, config.profiles, (file, "gateway.city_profile"))
    problems = [Problem(*fault) for fault in faults]
    if not problems:
        # What is needed for this look only costs memory that a running box should not spend.
        from edge_agent.exports.national import BadProfile, profile_of

        try:
            profile_of(settings, "profile")
        except BadProfile as problem:
            name = config.gateway.city_profile or DEFAULT_CITY
            problems.append(
                Problem(file, "gateway.city_profile", f"{name}: {problem}", "see docs/reference/exports.md")
            )
    return problems


def _check_codes(config: Config, file: str) -> list[Problem]:
    problems = []
    for station in config.station:
        try:
            profile_from_mapping(station.codes)
        except ValueError as problem:
            problems.append(
                Problem(file, f"station[{station.id}].codes", str(problem), "see docs/reference/codes.md, Profile")
            )
    return problems


def _check_assets(config: Config, file: str) -> list[Problem]:
    return [
        Problem(file, f"device[{device.id}].asset.{name}", what, hint)
        for device in config.device
        for name, what, hint in fact_problems(device.asset)
    ]


def _check_web(config: Config, file: str) -> list[Problem]:
    """What is wrong with the files that [web] names. The PIN file may be missing: the first start makes it."""
    section = config.web
    if section is None:
        return []
    from edge_agent.web.people import BadPeople, read_file
    from edge_agent.web.tokens import BadTokens, read_tokens

    problems = []
    if section.on_lan and section.pin_file is None:
        what = f"{section.listen} can be reached from the network, and nobody would have to sign in"
        hint = (
            'with pin_file = "/etc/trace-edge-agent/pins.json" (the first start makes it), or listen = "127.0.0.1:8080"'
        )
        problems.append(Problem(file, "web.listen", what, hint))
    if section.pin_file is not None:
        path = Path(section.pin_file)
        try:
            if path.exists():
                read_file(path)
            elif not path.parent.is_dir():
                hint = f"make the directory {path.parent}, owned by the agent's user"
                problems.append(Problem(file, "web.pin_file", f"{path.parent} is no directory", hint))
        except (OSError, BadPeople) as problem:
            hint = "a file made by `edge-agent web pin set`, or none: the first start pairs a phone"
            problems.append(Problem(file, "web.pin_file", str(problem), hint))
    if section.token_file is not None and Path(section.token_file).exists():
        try:
            read_tokens(Path(section.token_file))
        except (OSError, BadTokens) as problem:
            hint = "a file made by `edge-agent web token new`, or none yet"
            problems.append(Problem(file, "web.token_file", str(problem), hint))
    if not isinstance(section.tls, bool):
        problems += [
            Problem(file, f"web.tls.{name}", f"{text} cannot be read", "a PEM file that the agent's user may read")
            for name, text in (("cert", section.tls.cert), ("key", section.tls.key))
            if not os.access(text, os.R_OK)
        ]
    return problems


def _check_webhooks(config: Config, file: str) -> list[Problem]:
    problems = []
    for section in config.webhook:
        from edge_agent.webhook import targets

        try:
            targets([section])
        except (OSError, ValueError) as problem:
            hint = "a file that the agent's user may read, with a secret of 16 characters or more"
            problems.append(Problem(file, f"webhook[{section.id}].secret_file", str(problem), hint))
    return problems


def configured_devices(config: Config, registry: Registry) -> dict[str, Configured]:
    """What the ledger has to know of each device."""
    return {
        device.id: Configured(
            kind=registry.drivers[device.driver].kind,
            setup=setup_text(device.driver, device.unit, device.options),
            facts=device.asset,
        )
        for device in config.device
    }
