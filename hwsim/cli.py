"""The command `hwsim`: simulated devices, broker, city platform and network faults, for demos, tests and maintainers.

Data is JSON lines on stdout, messages go to stderr. Exit codes: 0 ok (SIGTERM too), 2 usage, 65 bad data,
69 broker unavailable, 73 cannot create, 74 I/O.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

if TYPE_CHECKING:
    from hwsim.chaos import ChaosProxy
    from hwsim.device import Device
    from hwsim.instruments import Instrument

BAD_DATA: Final = 65
UNAVAILABLE: Final = 69
CANNOT_CREATE: Final = 73
IO_ERROR: Final = 74
VECTORS: Final = Path("tests/vectors")


def _fail(code: int, message: str) -> NoReturn:
    click.echo(f"hwsim: {message}", err=True)
    sys.exit(code)


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    """A ValueError of an argument is a usage error, and says what would be right."""
    try:
        yield
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Simulated devices, broker, city platform and network faults."""


_port = click.option(
    "--port", default="pty", show_default=True, help="pty, tcp:PORT, tcp:HOST:PORT or hidg:PATH; 0 = a free port."
)
_link = click.option(
    "--link", type=click.Path(path_type=Path), help="A symbolic link to the pty; it moves when the device is replugged."
)
_faults = click.option("--fault", "faults", multiple=True, help="KIND[:PROBABILITY[:SECONDS]]; see `hwsim list`.")
_seed = click.option("--seed", default=0, show_default=True, help="The same seed plays the same run.")
_seconds = click.option("--seconds", type=float, help="Stop by itself after so long.")


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


@main.command("list")
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


@main.command()
@click.argument("dialect")
@_port
@_link
@click.option("--script", type=click.Path(path_type=Path), help="TOML: what is put on and taken off, and when.")
@_faults
@_seed
@_seconds
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
        with _usage():
            asked = {name: value for name, value in given.items() if value is not None}
            settings = scale_settings({**DIALECTS[dialect].build, **asked})
            if script is None:
                masses = random_goods(20, settings=settings, seed=given["seed"])
                plan = weighings(masses, every=given["every"], hold=given["hold"])
            else:
                plan = _read(read_script, script)
            platter = Platter(settings, seed=given["seed"])
            instrument = Scale(DIALECTS[dialect], platter, script=plan, rate_hz=given["rate"])
    _run(dialect, instrument, given["port"], link, given["faults"], given["seed"], given["seconds"])


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


@main.command()
@click.argument("kind")
@_port
@_link
@_faults
@_seed
@_seconds
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
    with _usage():
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
            _fail(CANNOT_CREATE, f"{evemu}: {problem}")
        return
    _run(kind, instrument, given["port"], link, given["faults"], given["seed"], given["seconds"])


@main.command()
@click.argument("family")
@_port
@_link
@_faults
@_seed
@_seconds
@click.option("--tag", "numbers", multiple=True, help="The number of a tag, hexadecimal; again for more.")
@click.option("--tags", "count", default=5, show_default=True, help="How many tags, where none is named.")
@click.option("--antennas", default=1, show_default=True, help="Antennas over which the tags lie.")
@click.option("--missed", default=0.3, show_default=True, help="Share of the rounds that miss a tag.")
@click.option("--noise-db", default=3.0, show_default=True, help="Standard deviation of each RSSI.")
@click.option("--bad-check", default=0.0, show_default=True, help="Share of the frames with a wrong check.")
@click.option("--rate", default=50.0, show_default=True, help="Reads a second of a reader that reads by itself.")
@click.option("--stay", type=float, help="Seconds that a tag is there; always by default.")
@click.option("--away", default=5.0, show_default=True, help="Seconds until it comes again.")
@click.option("--spread", default=0.0, show_default=True, help="Seconds within which the tags come at first.")
@click.option("--password", default="00000000", show_default=True, help="The tags' access password, hexadecimal.")
@click.option(
    "--locked",
    "locked",
    multiple=True,
    type=click.Choice(("epc", "user")),
    help="A bank that is locked; again for more.",
)
@click.option("--leaves-after", type=int, help="A tag is taken away after so many accesses to its memory.")
@click.option("--power-for", type=int, help="A tag writes so many words at once, then its power fails.")
@click.option("--silent-after", type=float, help="llrp: hang after so many seconds, the connection open.")
@click.option("--taken", is_flag=True, help="llrp: refuse every client, as if an older one were still there.")
def rfid(family: str, link: Path | None, **given: Any) -> None:
    """A reader of FAMILY with tags before it."""
    from hwsim.rfid import ID_BYTES, READERS, TITLES
    from hwsim.rfid.field import Field, Tag, make_tags
    from hwsim.rfid.memory import BANKS, PASSWORD_BYTES

    if family == "pcsc":
        raise click.UsageError("the reader is that of a real pcscd; put a card on it with `hwsim card`")
    if family not in TITLES:
        raise click.UsageError(f"reader {family!r} is not one of {', '.join(TITLES)}")
    with _usage():
        stay, away, seed = given["stay"], given["away"], given["seed"]
        password = bytes.fromhex(given["password"])
        if len(password) != PASSWORD_BYTES:
            raise ValueError("--password: four bytes")
        tags = [Tag(number=bytes.fromhex(number), stay=stay, away=away) for number in given["numbers"]] or make_tags(
            given["count"],
            size=ID_BYTES.get(family, 12),
            antennas=given["antennas"],
            stay=stay,
            away=away,
            spread=given["spread"],
            seed=seed,
        )
        memory = {
            "password": password,
            "locked": frozenset(BANKS[name] for name in given["locked"]),
            "accesses": given["leaves_after"],
            "words": given["power_for"],
        }
        field = Field(
            [dataclasses.replace(tag, **memory) for tag in tags],
            missed=given["missed"],
            noise_db=given["noise_db"],
            spoiled=given["bad_check"],
            rate=given["rate"],
            seed=seed,
        )
    if family == "llrp":
        _run_llrp(field, given)
    else:
        _run(family, READERS[family](field), given["port"], link, given["faults"], seed, given["seconds"])


@main.command()
@click.option("--to", default="127.0.0.1:35963", show_default=True, help="HOST:PORT of vsmartcard's virtual reader.")
@click.option("--uid", default="047A3C1A", show_default=True, help="The card's number.")
@click.option("--ats", default="", help="Its ATS; a CPU card has one.")
@click.option("--stay", default=2.0, show_default=True, help="Seconds that it lies on the reader.")
@click.option("--away", default=1.0, show_default=True, help="Seconds until it is put there again.")
@_seconds
def card(to: str, uid: str, ats: str, stay: float, away: float, seconds: float | None) -> None:
    """A contactless card, put on the virtual reader of a real pcscd and taken away, again and again."""
    import time

    from hwsim.rfid.card import CPU, M1_1K, VirtualCard
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    with _usage():
        number, host_and_port = bytes.fromhex(uid), parse_address(to)
        played = VirtualCard(
            number,
            ats=bytes.fromhex(ats),
            atr=CPU if ats else M1_1K,
            host=host_and_port[0],
            port=host_and_port[1],
        )
    halt = Halt()
    until = None if seconds is None else time.monotonic() + seconds
    times = 0
    try:
        while not halt.asked and (until is None or time.monotonic() < until):
            with played:
                times += 1
                say({"card": uid.upper(), "reader": to, "times": times})
                halt.wait(stay)
            halt.wait(away)
    except OSError as problem:
        _fail(UNAVAILABLE, f"{to}: {problem}; is pcscd running with vsmartcard-vpcd?")
    say({"card": uid.upper(), "commands": len(played.commands)})


def _run_llrp(field: Any, given: dict[str, Any]) -> None:
    from hwsim.rfid.llrp import LlrpReader
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    scheme, _, address = given["port"].partition(":")
    if scheme != "tcp" or given["faults"]:
        raise click.UsageError("an LLRP reader is on the network: --port tcp:PORT, and without --fault")
    with _usage():
        try:
            reader = LlrpReader(field, *parse_address(address))
        except OSError as problem:
            _fail(CANNOT_CREATE, f"{given['port']}: {problem}")
    halt = Halt()
    reader.hold(given["taken"])
    with reader:
        say({"device": "llrp", "port": reader.name})
        seconds, silent_after = given["seconds"], given["silent_after"]
        if silent_after is not None:
            halt.wait(silent_after)
            reader.silence()
            seconds = None if seconds is None else max(0.0, seconds - silent_after)
        halt.wait(seconds)
    say({"device": "llrp", "played": reader.report})


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


@main.command()
@_port
@_link
@_faults
@_seed
@_seconds
@click.option("--language", default="escpos", show_default=True, help="escpos, tspl or zpl.")
@click.option("--trouble", multiple=True, help="paper, cover or pause: how the printer stands; again for more.")
def printer(link: Path | None, language: str, trouble: tuple[str, ...], **given: Any) -> None:
    """A printer of receipts or labels: prints a line of JSON for each slip."""
    from hwsim.printer import TROUBLES, Printer, Slip
    from hwsim.running import say

    def show(slip: Slip) -> None:
        say({"slip": list(slip.lines), "codes": list(slip.codes), "pictures": slip.pictures})

    with _usage():
        if unknown := set(trouble) - set(TROUBLES):
            raise ValueError(f"trouble {', '.join(sorted(unknown))} is not one of {', '.join(TROUBLES)}")
        instrument = Printer(language=language, on_slip=show, trouble=set(trouble))
    _run(f"printer {language}", instrument, given["port"], link, given["faults"], given["seed"], given["seconds"])


@main.command()
@click.argument("kind")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="sale-files: where they are left.")
@click.option("--to", help="dp-401: HOST:PORT of the agent.")
@click.option("--count", type=click.IntRange(1), help="How many sales; endless by default.")
@click.option("--every", default=2.0, show_default=True, help="Seconds from one sale, or file, to the next.")
@click.option("--per-file", default=5, show_default=True, help="Sales in a file.")
@click.option("--slowly", default=0.0, help="Write files in pieces, so many seconds apart.")
@_seed
@_seconds
def push(kind: str, folder: Path | None, to: str | None, seed: int, seconds: float | None, **given: Any) -> None:
    """A trace scale of KIND that pushes the sales which it made by itself."""
    from datetime import datetime

    from hwsim.push import PUSHERS, LabelScale, file_line, sales, write_file
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    if kind not in PUSHERS or (kind == "sale-files") != (folder is not None) or (kind == "dp-401") != (to is not None):
        raise click.UsageError("say sale-files with --folder, or dp-401 with --to")
    halt = Halt()
    stream = sales(seed, datetime.now().replace(microsecond=0))
    sold = answered = 0
    with _usage():
        scale = LabelScale(*parse_address(to)) if to is not None else None
    began = time.monotonic()

    def over() -> bool:
        late = seconds is not None and time.monotonic() - began >= seconds
        return late or (given["count"] is not None and sold >= given["count"])

    while not over() and not halt.asked:
        if folder is not None:
            lines = [file_line(next(stream)) for _ in range(given["per_file"])]
            name = f"sales-{seed}-{sold:06d}.txt"
            try:
                write_file(folder, name, "".join(lines), slowly=given["slowly"])
            except OSError as problem:
                _fail(IO_ERROR, f"{folder}: {problem}")
            sold += len(lines)
            say({"file": name, "sales": len(lines)})
        elif scale is not None:
            answered += scale.push(next(stream))
            sold += 1
            say({"sold": sold, "answered": answered})
        halt.wait(given["every"], over=over)
    say({"sold": sold, **({} if scale is None else {"answered": answered, "repeated": scale.repeated})})


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_port
@_link
@_faults
@_seed
@_seconds
@click.option("--driver", help="Only the lines of this driver, for a file of vectors.")
@click.option("--speed", default=1.0, show_default=True)
@click.option("--repeat", is_flag=True, help="Start again at the end; else hwsim ends a second after the last byte.")
def replay(file: Path, link: Path | None, driver: str | None, speed: float, repeat: bool, **given: Any) -> None:
    """Play a captured FILE with its timing."""
    from hwsim.replay import Player, read_capture

    capture = _read(lambda path: read_capture(path, driver=driver), file)
    with _usage():
        player = Player(capture.chunks, speed=speed, repeat=repeat)
    name = capture.driver or file.name
    _run(name, player, given["port"], link, given["faults"], given["seed"], given["seconds"])


@main.command()
@click.argument("file")
@click.option(
    "--links", type=click.Path(path_type=Path), help="A folder where each pty gets a link named like its device."
)
@_seed
@_seconds
def bench(file: str, links: Path | None, seed: int, seconds: float | None) -> None:
    """A whole station from a TOML scenario: a FILE, or the name of one that comes with hwsim (`stall`)."""
    from hwsim.bench import Bench, packaged
    from hwsim.running import Halt, say

    with _usage():
        path = Path(file) if Path(file).suffix or Path(file).exists() else packaged(file)
    station = _read(lambda path: Bench.read(path, links=links, seed=seed), path)
    halt = Halt()
    with station:
        say({"title": station.title, "ports": station.ports})
        halt.wait(seconds)
    say({"played": station.report})


@main.command()
@click.option("--listen", type=int, required=True, help="The port on loopback; 0 = a free one.")
@_seconds
def broker(listen: int, seconds: float | None) -> None:
    """The demo's embedded MQTT broker (amqtt, 3.1.1, anonymous, on loopback only)."""
    from hwsim.broker import BrokerMissing, EmbeddedBroker
    from hwsim.running import Halt, say

    halt = Halt()
    try:
        with EmbeddedBroker(listen) as embedded:
            say({"broker": f"{embedded.host}:{embedded.port}"})
            halt.wait(seconds)
    except BrokerMissing as missing:
        _fail(UNAVAILABLE, str(missing))
    except OSError as problem:
        _fail(CANNOT_CREATE, f"port {listen}: {problem}")


@main.command()
@click.option("--broker", "address", help="HOST:PORT; needed but for --import alone.")
@click.option(
    "--import",
    "courier",
    type=click.Path(path_type=Path),
    help="First take the records of a courier file; without --broker, only that.",
)
@click.option(
    "--verdicts", type=click.Path(path_type=Path), help="Where the verdicts on it go; FILE.verdicts by default."
)
@click.option("--store", default="", help="sqlite:FILE; in memory by default.")
@click.option(
    "--reject", multiple=True, help="type=T, id=I, subject=S, chain=C, sequence=N or sequence%N [:retryable][:once]"
)
@click.option(
    "--silent",
    is_flag=False,
    flag_value=float("inf"),
    type=float,
    default=0.0,
    help="No verdicts [for so many seconds].",
)
@click.option("--slow", default=0.0, help="Milliseconds of pause before each message.")
@click.option("--client-id", default="hwsim-city", show_default=True)
@_seconds
def city(
    address: str | None,
    courier: Path | None,
    verdicts: Path | None,
    store: str,
    reject: tuple[str, ...],
    silent: float,
    slow: float,
    client_id: str,
    seconds: float | None,
) -> None:
    """A stand-in for the city platform: takes records, stores each once, gives verdicts, prints figures each second."""
    import sqlite3

    from hwsim.city import City
    from hwsim.running import Halt, say

    with _usage():
        path = _store_path(store)
    if courier is not None:
        _take_courier(courier, verdicts, path, reject)
        if address is None:
            return
    if address is None:
        raise click.UsageError("--broker HOST:PORT is missing")
    try:
        with _usage():
            platform = City(address, store=path, reject=reject, silent=silent, slow_ms=slow, client_id=client_id)
    except sqlite3.Error as problem:
        _fail(CANNOT_CREATE, f"{path}: {problem}")
    halt = Halt()
    with platform:
        halt.wait(seconds, each_second=lambda: say(platform.stats.line()), over=lambda: platform.failure is not None)
    say(platform.stats.line())
    if platform.failure is not None:
        _fail(IO_ERROR, platform.failure)


def _take_courier(file: Path, answer: Path | None, store: Path | None, reject: tuple[str, ...]) -> None:
    import sqlite3

    from hwsim.city import Rule
    from hwsim.city.archive import Archive
    from hwsim.city.courier import Malformed, Refused, take
    from hwsim.running import say

    answer = answer or file.with_name(f"{file.name}.verdicts")
    if answer.exists():
        _fail(CANNOT_CREATE, f"{answer}: is there already")
    with _usage():
        rules = [Rule.parse(rule) for rule in reject]
    try:
        archive = Archive(store, rules)
        try:
            say(take(file, archive, answer) | {"verdicts": str(answer)})
        finally:
            archive.close()
    except (Refused, Malformed) as problem:
        _fail(BAD_DATA, f"{file}: {problem}; nothing was taken")
    except sqlite3.Error as problem:
        _fail(CANNOT_CREATE, f"{store}: {problem}")
    except OSError as problem:
        _fail(IO_ERROR, f"{problem.filename or file}: {problem.strerror}")


def _store_path(store: str) -> Path | None:
    scheme, _, rest = store.partition(":")
    if not store or store == "sqlite::memory:":
        return None
    if scheme == "sqlite" and rest:
        return Path(rest)
    if scheme in ("postgresql", "postgres"):
        raise ValueError("a PostgreSQL store is not available in this version; use sqlite:FILE")
    raise ValueError(f"store {store!r} is not sqlite:FILE")


@main.command()
@click.option("--listen", type=int, required=True, help="The port on loopback; 0 = a free one.")
@click.option("--to", required=True, help="HOST:PORT of the broker.")
@click.option("--latency", default=0.0, help="Milliseconds in each direction.")
@click.option("--stall", is_flag=True, help="Accept and forward nothing until `normal`.")
@click.option("--cut-after", type=int, help="Reset each connection after so many bytes.")
@click.option("--half-open", is_flag=True, help="Accept, swallow everything, send no FIN.")
@click.option("--eat-pubacks", default=0.0, help="Share of the broker's PUBACKs that vanish, 0 to 1.")
@_seed
@_seconds
def chaos(listen: int, to: str, stall: bool, half_open: bool, seconds: float | None, **given: Any) -> None:
    """A TCP proxy that plays a bad network.

    Lines on stdin change it: cut, block, unblock, half-open, stall, normal, eat-pubacks P, counters. Each is
    answered with a line of JSON, and so is the end, with the faults that were asked for and never hit.
    """
    from hwsim.chaos import ChaosProxy
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    with _usage():
        proxy = ChaosProxy(
            parse_address(to),
            listen=listen,
            latency_ms=given["latency"],
            cut_after=given["cut_after"],
            eat_pubacks=given["eat_pubacks"],
            seed=given["seed"],
        )
    try:
        proxy.start()
    except OSError as problem:
        _fail(CANNOT_CREATE, f"port {listen}: {problem}")
    halt = Halt()
    try:
        if stall:
            proxy.stall()
        if half_open:
            proxy.half_open()
        say({"listen": f"127.0.0.1:{proxy.port}", "to": to, "mode": proxy.mode})
        _listen_to_stdin(proxy)
        halt.wait(seconds)
        say({"mode": proxy.mode, "counters": proxy.counters, "unhit": proxy.unhit})
    finally:
        proxy.stop()


def _listen_to_stdin(proxy: ChaosProxy) -> None:
    import threading

    def run() -> None:
        # The thread ends with the process: reading a terminal cannot be interrupted.
        for line in sys.stdin:
            _obey(proxy, line.split())

    threading.Thread(target=run, name="hwsim-chaos-stdin", daemon=True).start()


def _obey(proxy: ChaosProxy, words: list[str]) -> None:
    from hwsim.running import say

    orders = {
        "cut": proxy.cut,
        "block": proxy.block,
        "unblock": proxy.unblock,
        "half-open": proxy.half_open,
        "stall": proxy.stall,
        "normal": proxy.normal,
    }
    try:
        match words:
            case []:
                return
            case ["eat-pubacks", share]:
                proxy.eat_pubacks(float(share))
            case ["counters"]:
                pass
            case [name] if name in orders:
                orders[name]()
            case _:
                raise ValueError(f"say {', '.join(orders)}, eat-pubacks P or counters")
    except ValueError as problem:
        click.echo(f"hwsim: {problem}", err=True)
        return
    say({"order": " ".join(words), "mode": proxy.mode, "counters": proxy.counters})


def _read(reader: Any, path: Path) -> Any:
    """Read a file; what is wrong in it, or with it, ends the command."""
    try:
        return reader(path)
    except ValueError as problem:
        _fail(BAD_DATA, str(problem))
    except OSError as problem:
        _fail(IO_ERROR, f"{path}: {problem}")


def _run(
    name: str,
    instrument: Instrument,
    port: str,
    link: Path | None,
    faults: tuple[str, ...],
    seed: int,
    seconds: float | None,
) -> None:
    from hwsim.device import Device
    from hwsim.faults import Fault, Line
    from hwsim.ports import open_port
    from hwsim.running import Halt, say

    with _usage():
        line = Line([Fault.parse(text) for text in faults], seed=seed)
        try:
            opened = open_port(port, link=link)
        except OSError as problem:
            _fail(CANNOT_CREATE, f"{port}: {problem}")
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


@main.command("pay")
@click.option("--to", "url", required=True, help="The box's page, such as http://127.0.0.1:8080.")
@click.option("--token", required=True, help="A token with the scope `pay`; `@FILE` reads it from a file.")
@click.option("--amount-fen", type=click.IntRange(min=1), multiple=True, required=True, help="Repeat for more.")
@click.option("--method", default="wechat", show_default=True, help="wechat, alipay, unionpay, ecny or card.")
@click.option("--station", help="The counter, where the provider knows it.")
@click.option("--reference", "number", help="The payment's number; default: a new one each time.")
@click.option("--repeat", type=click.IntRange(min=0), default=0, help="Tell of each so many times more.")
@_seed
def pay_(
    url: str,
    token: str,
    amount_fen: tuple[int, ...],
    method: str,
    station: str | None,
    number: str | None,
    repeat: int,
    seed: int,
) -> None:
    """Tell a box of payments, as a provider's callback does; one JSON line for each answer."""
    import json
    import random

    from hwsim.pay import METHODS, Till, pay, reference

    if method not in METHODS:
        raise click.UsageError(f"{method!r} is no method; one of {', '.join(METHODS)}")
    if token.startswith("@"):
        token = Path(token[1:]).read_text().strip()
    chance = random.Random(seed) if seed else random.SystemRandom()
    till = Till(url=url.rstrip("/") + "/api/v1/payments", token=token, station=station)
    heard = True
    for amount in amount_fen:
        status = 0
        for answer in pay(till, amount_fen=amount, method=method, number=number or reference(chance), repeat=repeat):
            click.echo(json.dumps(answer, ensure_ascii=False))
            status = answer["status"]
        heard = heard and status == 200
    if not heard:
        sys.exit(UNAVAILABLE)
