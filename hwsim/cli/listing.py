"""`hwsim list`: what can be played."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import click

from hwsim.cli.common import VECTORS

_DRIVERS: Final = {"wedge": "hid-keyboard", "hid-pos": "hid-pos-scanner", "dp-401": "dp-401-push"}
"""The simulators whose driver has another name, or one more."""


def _vectors() -> dict[str, Path]:
    """The drivers that have vectors in this checkout, and their files: what has no simulator is replayed from them."""
    import tomllib

    found = {}
    for file in sorted(VECTORS.glob("*/*.toml")):
        with contextlib.suppress(tomllib.TOMLDecodeError, OSError):
            found[str(tomllib.loads(file.read_text()).get("driver", file.stem))] = file
    return found


@click.command("list")
def list_() -> None:
    """Devices, faults and scenarios that can be played."""
    from hwsim.bench import packaged_names
    from hwsim.faults import KINDS
    from hwsim.instruments import DIALECTS, SCANNERS
    from hwsim.printer import LANGUAGES
    from hwsim.push import PUSHERS
    from hwsim.rfid import TITLES
    from hwsim.running import say

    for dialect in DIALECTS.values():
        say({"kind": "scale", "name": dialect.name, "title": dialect.title, "source": dialect.source})
    for name, title in SCANNERS.items():
        say({"kind": "scanner", "name": name, "title": title, "driver": _DRIVERS.get(name, name)})
    for name, (title, source) in TITLES.items():
        say({"kind": "rfid", "name": name, "title": title, "source": source})
    for name, title in LANGUAGES.items():
        say({"kind": "printer", "name": name, "title": title})
    for name, title in PUSHERS.items():
        say({"kind": "push", "name": name, "title": title, "driver": _DRIVERS.get(name, name)})
    played = {*DIALECTS, *_DRIVERS.values(), *SCANNERS, *TITLES, *LANGUAGES, *PUSHERS}
    for name, file in _vectors().items():
        if name not in played:
            say({"kind": "replay", "name": name, "title": "the frames of its vectors", "file": str(file)})
    for kind, title in KINDS.items():
        say({"kind": "fault", "name": kind, "title": title})
    for name in packaged_names():
        say({"kind": "scenario", "name": name})
