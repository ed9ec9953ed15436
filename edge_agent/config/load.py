"""TOML text to a validated configuration, with every error at once."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge_agent.config.problems import ConfigError, Problem, explain
from edge_agent.config.sections import Config

DEFAULT_PATH: Final = Path("/etc/trace-edge-agent/agent.toml")
ENVIRONMENT_VARIABLE: Final = "EDGE_AGENT_CONFIG"


def load(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read and validate a configuration; `overrides` are `key=value` texts laid over it.

    Raises `ConfigError` with every problem at once.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as problem:
        raise ConfigError(
            [Problem(str(path), "-", f"cannot be read: {problem.strerror}", "an existing, readable file")]
        ) from None
    except UnicodeDecodeError as problem:
        raise ConfigError(
            [Problem(str(path), f"byte {problem.start}", "is not UTF-8", "save the file as UTF-8")]
        ) from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError([_syntax(path, text, problem)]) from None
    problems = _override(tree, overrides, str(path))
    if problems:
        raise ConfigError(problems)
    config = parse(tree, str(path))
    config._file = path
    return config


def parse(tree: dict[str, Any], file: str) -> Config:
    """Validate a configuration that is already a tree; `file` names it in problems."""
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(explain(error, tree, file)) from None
    problems = list(_cross_checks(config, file))
    if problems:
        raise ConfigError(problems)
    return config


def _syntax(path: Path, text: str, problem: tomllib.TOMLDecodeError) -> Problem:
    where = re.search(r"at line (\d+)", str(problem))
    line = int(where[1]) if where else text.count("\n") + 1
    lines = text.splitlines()
    shown = lines[line - 1].strip()[:60] if 0 < line <= len(lines) else ""
    what = re.sub(r"\s*\(at .*\)$", "", str(problem))
    return Problem(
        str(path), f"line {line}", f"is not TOML: {what}", f"look at `{shown}`: key = value, texts in quotes"
    )


def _override(tree: dict[str, Any], overrides: Iterable[str], file: str) -> list[Problem]:
    problems = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            problems.append(Problem("--set", text, "is not key=value", "e.g. --set uplink.port=1883"))
            continue
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        if not _put(tree, key.strip().split("."), parsed):
            problems.append(
                Problem("--set", key, f"does not lead to a setting of {file}", "section.key or device.ID.key")
            )
    return problems


def _put(tree: dict[str, Any], path: list[str], value: Any) -> bool:
    node: Any = tree
    for step in path[:-1]:
        if isinstance(node, list):
            node = next((item for item in node if isinstance(item, dict) and item.get("id") == step), None)
        elif isinstance(node, dict):
            node = node.setdefault(step, {})
        if not isinstance(node, dict | list):
            return False
    if not isinstance(node, dict):
        return False
    node[path[-1]] = value
    return True


def _cross_checks(config: Config, file: str) -> Iterable[Problem]:
    kinds = (("device", config.device), ("station", config.station), ("webhook", config.webhook))
    for kind, items in kinds:
        ids = [item.id for item in items]
        for double in sorted({name for name in ids if ids.count(name) > 1}):
            yield Problem(file, f"{kind}[{double}].id", "is given twice", f"a name of its own for every {kind}")
    ports: dict[str, str] = {}
    for device in config.device:
        url = device.port_url
        place = f"{url.scheme}:{url.address}"
        if place in ports and url.scheme != "tcp":
            yield Problem(
                file, f"device[{device.id}].port", f"is the port of {ports[place]} too", "one device per port"
            )
        ports.setdefault(place, device.id)
    known = {device.id for device in config.device}
    for station in config.station:
        for name in station.devices:
            if name not in known:
                close = difflib.get_close_matches(name, sorted(known), n=1)
                hint = (
                    f"did you mean {close[0]}?"
                    if close
                    else f"one of {', '.join(sorted(known)) or 'the [[device]] ids'}"
                )
                yield Problem(file, f"station[{station.id}].devices", f"{name!r} is no device", hint)
        for name in sorted({n for n in station.devices if station.devices.count(n) > 1}):
            yield Problem(file, f"station[{station.id}].devices", f"{name!r} is named twice", "each device once")
    for key, file_name in _named_files(config):
        if file_name is not None and not Path(file_name).is_file():
            yield Problem(file, key, f"{file_name!r} is not there", "the path of an existing file")


def _named_files(config: Config) -> Iterable[tuple[str, str | None]]:
    if config.uplink is not None:
        yield "uplink.password_file", config.uplink.password_file
        if config.uplink.tls is not None:
            yield "uplink.tls.ca", config.uplink.tls.ca
            yield "uplink.tls.cert", config.uplink.tls.cert
            yield "uplink.tls.key", config.uplink.tls.key
    for webhook in config.webhook:
        yield f"webhook[{webhook.id}].secret_file", webhook.secret_file
    if config.web is not None and not isinstance(config.web.tls, bool):
        yield "web.tls.cert", config.web.tls.cert
        yield "web.tls.key", config.web.tls.key
