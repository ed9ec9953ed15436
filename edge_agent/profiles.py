"""Finding the profile of a city: a file of the site, else one that comes with the agent."""

from __future__ import annotations

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from edge_agent.exports.national import BadProfile, XmlProfile, profile_of

DEFAULT: Final = "meat-vegetables"
FOLDER: Final = "profiles.d"
"""Beside the configuration: profiles of the site. They come before those of the same name that come with the agent."""


def known() -> list[str]:
    """The profiles that come with the agent."""
    folder = resources.files("edge_agent.exports") / "profiles"
    return sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml"))


def load(name: str | None, beside: Path) -> XmlProfile:
    """The profile of this name, the usual one for None. Raises `BadProfile` with the file, what, and what is right."""
    name = name or DEFAULT
    own = beside / FOLDER / f"{name}.toml"
    file: Traversable = own if own.is_file() else resources.files("edge_agent.exports") / "profiles" / f"{name}.toml"
    if "/" in name or not file.is_file():
        raise BadProfile(f"there is no profile {name!r}; known: {', '.join(known())}; or make {own}")
    try:
        return profile_of(tomllib.loads(file.read_text(encoding="utf-8")), str(file))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise BadProfile(f"{file}: {problem}") from None
