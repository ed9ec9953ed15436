"""What the commands share: exit codes, options, and how a device is played at a port."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

if TYPE_CHECKING:
    from hwsim.device import Device
    from hwsim.instruments import Instrument

BAD_DATA: Final = 65
UNAVAILABLE: Final = 69
CANNOT_CREATE: Final = 73
IO_ERROR: Final = 74

VECTORS: Final = Path("tests/vectors")
"""Where a checkout keeps real frames; a dialect without a simulator is replayed from them."""


port_option = click.option(
    "--port", default="pty", show_default=True, help="pty, tcp:PORT, tcp:HOST:PORT or hidg:PATH; 0 = a free port."
)
link_option = click.option(
    "--link", type=click.Path(path_type=Path), help="A symbolic link to the pty; it moves when the device is replugged."
)
fault_option = click.option("--fault", "faults", multiple=True, help="KIND[:PROBABILITY[:SECONDS]]; see `hwsim list`.")
seed_option = click.option("--seed", default=0, show_default=True, help="The same seed plays the same run.")
seconds_option = click.option("--seconds", type=float, help="Stop by itself after so long.")


def fail(code: int, message: str) -> NoReturn:
    """End the command with a message on stderr."""
    click.echo(f"hwsim: {message}", err=True)
    sys.exit(code)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """A ValueError of an argument is a usage error, and says what would be right."""
    try:
        yield
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem


def read_file(reader: Any, path: Path) -> Any:
    """Read a file; what is wrong in it, or with it, ends the command."""
    try:
        return reader(path)
    except ValueError as problem:
        fail(BAD_DATA, str(problem))
    except OSError as problem:
        fail(IO_ERROR, f"{path}: {problem}")


def play(
    name: str,
    instrument: Instrument,
    port: str,
    link: Path | None,
    faults: tuple[str, ...],
    seed: int,
    seconds: float | None,
) -> None:
    """Play an instrument at a port, with faults, until it is over, `seconds` have passed or SIGTERM comes."""
    from hwsim.device import Device
    from hwsim.faults import Fault, Line
    from hwsim.ports import open_port
    from hwsim.running import Halt, say

    with usage():
        line = Line([Fault.parse(text) for text in faults], seed=seed)
        try:
            opened = open_port(port, link=link)
        except OSError as problem:
            fail(CANNOT_CREATE, f"{port}: {problem}")
    halt = Halt()
    with Device(instrument, opened, line, name=name) as device:
        say({"device": name, "port": opened.name})
        halt.wait(seconds, over=_ending(device))
    say({"device": name, "played": device.report, "unhit": line.unhit})


def _ending(device: Device) -> Any:
    """A replay that does not repeat ends the command one second after its last byte."""
    import time

    from hwsim.replay import Player

    player = device.instrument
    if not isinstance(player, Player):
        return None
    finished_at: list[float] = []

    def over() -> bool:
        if player.finished and not finished_at:
            finished_at.append(time.monotonic())
        return bool(finished_at) and time.monotonic() - finished_at[0] > 1.0

    return over
