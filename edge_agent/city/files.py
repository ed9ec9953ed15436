"""Where city profiles lie: some come with the agent, the site's own in `profiles.d/` beside the configuration.

A profile may name another as its `base`: it takes over what it does not say itself, key by key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DEEPEST: Final = 4
"""Profiles that may stand on one another."""


class Fault(NamedTuple):
    """What is wrong with a profile: in which file, at which key, what, and what would be right."""

    file: str
    key: str
    what: str
    hint: str


class Found(NamedTuple):
    """The settings of a profile with those of its bases below them, and the file that it is."""

    settings: Mapping[str, Any]
    file: str


def known_profiles(folder: Path | None) -> list[str]:
    """The names of all profiles that can be named."""
    own = [] if folder is None or not folder.is_dir() else [each.stem for each in folder.glob("*.toml")]
    packaged = [each.name.removesuffix(".toml") for each in _packaged().iterdir() if each.name.endswith(".toml")]
    return sorted({*own, *packaged})


def read_profile(name: str, folder: Path | None, *, asked: tuple[str, str]) -> Found | Fault:
    """The settings of a profile. `asked` is the file and key that name it: where an unknown one is wrong."""
    layers: list[Found] = []
    while True:
        if len(layers) == _DEEPEST:
            return Fault(*asked, f"{name!r} stands on too many others, or on itself", f"at most {_DEEPEST} in a row")
        found = _read(name, folder, asked)
        if isinstance(found, Fault):
            return found
        layers.append(found)
        base = found.settings.get("base")
        if base is None:
            break
        if not isinstance(base, str):
            return Fault(found.file, "base", f"{base!r} is not a text", "the name of a profile")
        name, asked = base, (found.file, "base")
    settings: dict[str, Any] = {}
    for layer in reversed(layers):
        settings = _over(settings, layer.settings)
    settings.pop("base", None)
    return Found(settings, layers[0].file)


def _read(name: str, folder: Path | None, asked: tuple[str, str]) -> Found | Fault:
    if not _NAME.fullmatch(name):
        return Fault(*asked, f"{name!r} is no name of a profile", "letters, digits, - and _")
    own = None if folder is None else folder / f"{name}.toml"
    packaged = _packaged() / f"{name}.toml"
    try:
        if own is not None and own.is_file():
            file, text = str(own), own.read_text(encoding="utf-8")
        elif packaged.is_file():
            file, text = str(packaged), packaged.read_text(encoding="utf-8")
        else:
            hint = f"one of {', '.join(known_profiles(folder))}"
            return Fault(*asked, f"there is no profile {name!r}", hint if own is None else f"{hint}; or make {own}")
    except (OSError, UnicodeDecodeError) as problem:
        return Fault(str(own), "-", f"cannot be read: {problem}", "a readable file in UTF-8")
    try:
        return Found(tomllib.loads(text), file)
    except tomllib.TOMLDecodeError as problem:
        where = re.search(r"at line (\d+)", str(problem))
        line = f"line {where[1]}" if where else "the end"
        return Fault(file, line, f"is not TOML: {problem}", "key = value, texts in quotes")


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others laid over them; lists are replaced as a whole."""
    merged = dict(below)
    for key, value in above.items():
        before = merged.get(key)
        merged[key] = _over(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _packaged() -> Any:
    return resources.files("edge_agent.exports") / "profiles"
