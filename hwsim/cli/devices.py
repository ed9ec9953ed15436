"""Scales, scanners, printers, recordings and whole stations."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import (
    CANNOT_CREATE,
    VECTORS,
    fail,
    fault_option,
    link_option,
    play,
    port_option,
    read_file,
    seconds_option,
    seed_option,
    usage,
)

if TYPE_CHECKING:
    from hwsim.instruments import Instrument


@click.command()
@click.argument("dialect")
@port_option
@link_option
@click.option("--script", type=click.Path(path_type=Path), help="TOML: what is put on and taken off, and when.")
@fault_option
@seed_option
@seconds_option
@click.option("--capacity", help="30 kg, or as the dialect's scales are built.")
@click.option("--division", help="5 g, or as the dialect's scales are built.")
@click.option("--unit", help="kg, or as the dialect's scales are built.")
@click.option("--decimals", type=int, help="3, or as the dialect's scales are built.")
@click.option("--noise-mg", default=0, show_default=True, help="Standard deviation of each sample.")
@click.option("--rate", type=float, help="Frames a second; the dialect's own by default.")
@click.option(
    "--every", default=3.0, show_default=True, help="Seconds from one weighing to the next, without a script."
)
@click.option("--hold", default=1.8, show_default=True, help="Seconds that the goods lie there, without a script.")
@click.option(
    "--vectors",
    type=click.Path(path_type=Path),
    default=VECTORS,
    show_default=True,
    help="A file or folder of vectors, for a dialect that has no simulator: they are replayed.",
)
def scale(dialect: str, link: Path | None, script: Path | None, vectors: Path, **given: Any) -> None:
    """A scale that speaks DIALECT, with goods put on and taken off."""
    from hwsim.bench import scale_settings
    from hwsim.instruments import DIALECTS, Scale
    from hwsim.load import Platter, random_goods, read_script, weighings

    instrument: Instrument
    if dialect not in DIALECTS:
        instrument = _vector_player(dialect, vectors)
    else:
        with usage():
            asked = {name: value for name, value in given.items() if value is not None}
            settings = scale_settings({**DIALECTS[dialect].build, **asked})
            if script is None:
                masses = random_goods(20, settings=settings, seed=given["seed"])
                plan = weighings(masses, every=given["every"], hold=given["hold"])
            else:
                plan = read_file(read_script, script)
            platter = Platter(settings, seed=given["seed"])
            instrument = Scale(DIALECTS[dialect], platter, script=plan, rate_hz=given["rate"])
    play(dialect, instrument, given["port"], link, given["faults"], given["seed"], given["seconds"])


def _vector_player(dialect: str, vectors: Path) -> Instrument:
    from hwsim.instruments import DIALECTS
    from hwsim.replay import Player, read_capture

    files = sorted([*vectors.rglob("*.toml"), *vectors.rglob("*.jsonl")]) if vectors.is_dir() else [vectors]
    for file in files:
        with contextlib.suppress(ValueError, OSError):
            return Player(read_capture(file, driver=dialect, good_only=True).chunks, repeat=True)
    raise click.UsageError(
        f"no simulator and no vectors in {vectors} for {dialect!r}; simulated are {', '.join(DIALECTS)}"
    )


@click.command()
@click.argument("kind")
@port_option
@link_option
@fault_option
@seed_option
@seconds_option
@click.option("--code", "codes", multiple=True, help="A text to scan; again for more. `]C1…` names the symbology.")
@click.option("--every", default=2.0, show_default=True, help="Seconds from one scan to the next.")
@click.option("--count", type=int, help="How many scans; endless by default.")
@click.option("--suffix", help="CR (the default), LF, CRLF, TAB, ETX or none; a wedge: Enter, KPEnter, Tab or none.")
@click.option("--encoding", default="utf-8", show_default=True)
@click.option("--aim/--no-aim", default=None, help="Send the AIM identifier; a wedge does not by default.")
@click.option("--layout", default="us", show_default=True, help="A wedge's keyboard country: us or de.")
@click.option("--gs", default="ctrl", show_default=True, help="How a wedge types GS: ctrl (Ctrl+]), alt, f8 or none.")
@click.option("--report", default="symbology-first", show_default=True, help="hid-pos: or symbology-last.")
@click.option(
    "--evemu",
    type=click.Path(path_type=Path),
    help="A wedge: write what the kernel says of its scans to a file for umockdev-run, and end.",
)
def scanner(kind: str, link: Path | None, codes: tuple[str, ...], evemu: Path | None, **given: Any) -> None:
    """A barcode scanner of KIND that scans its codes in turn."""
    from hwsim import hid
    from hwsim.instruments import SCANNERS, Code, Scanner

    if kind not in SCANNERS:
        raise click.UsageError(f"scanner {kind!r} is not one of {', '.join(SCANNERS)}")
    with usage():
        settings = _scanner_settings(kind, given)
        plan = [_code(text) for text in codes] or [Code(text="6901028225168", symbology="]E0")]
        instrument = Scanner(settings, plan, every=given["every"], count=given["count"])
        if evemu is not None and not isinstance(settings, hid.KeyboardSettings):
            raise ValueError("only a wedge types")
    if evemu is not None:
        each = [hid.evemu(instrument.reports(c), start=number * given["every"]) for number, c in enumerate(plan)]
        try:
            evemu.write_text("".join(each), encoding="ascii")
        except OSError as problem:
            fail(CANNOT_CREATE, f"{evemu}: {problem}")
        return
    play(kind, instrument, given["port"], link, given["faults"], given["seed"], given["seconds"])


def _scanner_settings(kind: str, given: dict[str, Any]) -> Any:
    from hwsim import hid
    from hwsim.instruments import PosScannerSettings, ScannerSettings

    aim = given["aim"] if given["aim"] is not None else kind != "wedge"
    if kind == "wedge":
        return hid.KeyboardSettings(
            layout=given["layout"], suffix=given["suffix"] or "Enter", separator=given["gs"], aim=aim
        )
    if kind == "hid-pos":
        return PosScannerSettings(layout=given["report"], encoding=given["encoding"], aim=aim)
    return ScannerSettings(suffix=given["suffix"] or "CR", encoding=given["encoding"], aim=aim)


def _code(text: str) -> Any:
    from hwsim.instruments import Code

    return Code(text=text[3:], symbology=text[:3]) if text.startswith("]") and len(text) > 3 else Code(text=text)


@click.command()
@port_option
@link_option
@fault_option
@seed_option
@seconds_option
@click.option("--language", default="escpos", show_default=True, help="escpos, tspl or zpl.")
@click.option("--trouble", multiple=True, help="paper, cover or pause: how the printer stands; again for more.")
def printer(link: Path | None, language: str, trouble: tuple[str, ...], **given: Any) -> None:
    """A printer of receipts or labels: prints a line of JSON for each slip."""
    from hwsim.printer import TROUBLES, Printer, Slip
    from hwsim.running import say

    def show(slip: Slip) -> None:
        say({"slip": list(slip.lines), "codes": list(slip.codes), "pictures": slip.pictures})

    with usage():
        if unknown := set(trouble) - set(TROUBLES):
            raise ValueError(f"trouble {', '.join(sorted(unknown))} is not one of {', '.join(TROUBLES)}")
        instrument = Printer(language=language, on_slip=show, trouble=set(trouble))
    play(f"printer {language}", instrument, given["port"], link, given["faults"], given["seed"], given["seconds"])


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@port_option
@link_option
@fault_option
@seed_option
@seconds_option
@click.option("--driver", help="Only the lines of this driver, for a file of vectors.")
@click.option("--speed", default=1.0, show_default=True)
@click.option("--repeat", is_flag=True, help="Start again at the end; else hwsim ends a second after the last byte.")
def replay(file: Path, link: Path | None, driver: str | None, speed: float, repeat: bool, **given: Any) -> None:
    """Play a captured FILE with its timing."""
    from hwsim.replay import Player, read_capture

    capture = read_file(lambda path: read_capture(path, driver=driver), file)
    with usage():
        player = Player(capture.chunks, speed=speed, repeat=repeat)
    name = capture.driver or file.name
    play(name, player, given["port"], link, given["faults"], given["seed"], given["seconds"])


@click.command()
@click.argument("file")
@click.option(
    "--links", type=click.Path(path_type=Path), help="A folder where each pty gets a link named like its device."
)
@seed_option
@seconds_option
def bench(file: str, links: Path | None, seed: int, seconds: float | None) -> None:
    """A whole station from a TOML scenario: a FILE, or the name of one that comes with hwsim (`stall`)."""
    from hwsim.bench import Bench, packaged
    from hwsim.running import Halt, say

    with usage():
        path = Path(file) if Path(file).suffix or Path(file).exists() else packaged(file)
    station = read_file(lambda path: Bench.read(path, links=links, seed=seed), path)
    halt = Halt()
    with station:
        say({"title": station.title, "ports": station.ports})
        halt.wait(seconds)
    say({"played": station.report})
