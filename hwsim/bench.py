"""A whole station from one scenario file: several devices on ptys or TCP, goods, and the pace at which they come.

A scenario is TOML:

    title = "a stall"
    [[device]]
    id = "scale-1"
    kind = "scale"                  # or "scanner", "replay"
    dialect = "xk3190-continuous"
    port = "pty"                    # the default; or "tcp:0"
    capacity = "30 kg"              # with division, unit, decimals, rate_hz, noise_mg, drift_mg_per_s
    goods = ["0.850 kg", "1.230 kg"]   # weighed in turn; left out: seeded ones. Or script = "FILE"
    every = 2.0                     # seconds from one weighing to the next
    hold = 1.2                      # how long each lies on the platter
    faults = ["split:0.1"]

A scanner has `suffix`, `encoding`, `aim`, `every` and `[[device.code]]` tables with `text` and `symbology`; a replay
has `file`, `speed`, `repeat`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from hwsim.device import Device
from hwsim.faults import Fault, Line
from hwsim.instruments import DIALECTS, SCANNERS, Code, Instrument, Scale, Scanner, ScannerSettings
from hwsim.load import Platter, ScaleSettings, Script, random_goods, read_script, weighings
from hwsim.mass import parse_mass
from hwsim.ports import open_port
from hwsim.replay import Player, read_capture

EVERY: Final = 2.0
HOLD: Final = 1.2
RANDOM_GOODS: Final = 20

_COMMON: Final = {"id", "kind", "port", "link", "faults", "seed"}
_SCALE: Final = {
    *("dialect", "capacity", "division", "unit", "decimals", "rate_hz", "noise_mg", "drift_mg_per_s"),
    *("settle_s", "stable_s", "swing_hz", "goods", "every", "hold", "offset", "script"),
}
_SCANNER: Final = {"model", "suffix", "encoding", "aim", "every", "count", "code"}
_REPLAY: Final = {"file", "driver", "speed", "repeat"}
_KEYS: Final = {"scale": _SCALE, "scanner": _SCANNER, "replay": _REPLAY}


class Bench:
    """The devices of a scenario. `start` and `stop`, or a context manager; `ports` says how the agent reaches each."""

    def __init__(self, devices: Mapping[str, Device], *, title: str = "") -> None:
        self.title = title
        self.devices = dict(devices)

    @classmethod
    def read(cls, path: Path, *, links: Path | None = None, seed: int = 0) -> Bench:
        """Make the devices of a file; `links` is a folder where each pty gets a link named like its device.

        Raises ValueError naming file, device and what would be right; OSError.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls.parse(table, base=path.parent, links=links, seed=seed)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as problem:
            raise ValueError(f"{path}: {problem}") from problem

    @classmethod
    def parse(cls, table: Mapping[str, Any], *, base: Path = Path(), links: Path | None = None, seed: int = 0) -> Bench:
        """Make the devices of a scenario's table; files named in it are looked for in `base`."""
        devices: dict[str, Device] = {}
        try:
            for number, entry in enumerate(table.get("device", [])):
                name = str(entry.get("id", ""))
                if not name or name in devices:
                    raise ValueError(f"device {number + 1}: wants an id of its own")
                try:
                    devices[name] = make_device(entry, base=base, links=links, seed=seed + number)
                except (ValueError, TypeError) as problem:
                    raise ValueError(f"device {name}: {problem}") from problem
            if not devices:
                raise ValueError("the scenario has no [[device]]")
        except ValueError:
            for device in devices.values():
                device.port.close()
            raise
        return cls(devices, title=str(table.get("title", "")))

    @property
    def ports(self) -> dict[str, str]:
        """Each device's port as the agent's configuration writes it."""
        return {name: device.port.name for name, device in self.devices.items()}

    @property
    def report(self) -> dict[str, dict[str, Any]]:
        """What each device has played so far."""
        return {name: device.report for name, device in self.devices.items()}

    def start(self) -> Bench:
        """Power all on."""
        for device in self.devices.values():
            device.start()
        return self

    def stop(self) -> None:
        """Power all off and close their ports."""
        for device in self.devices.values():
            device.stop()

    def __enter__(self) -> Bench:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def make_device(entry: Mapping[str, Any], *, base: Path, links: Path | None, seed: int) -> Device:
    """One device from its table. Raises ValueError or TypeError for what is wrong in it."""
    kind = entry.get("kind", "scale")
    if kind not in _KEYS:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(_KEYS)}")
    unknown = set(entry) - _COMMON - _KEYS[kind]
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} is not known for a {kind}")
    seed = int(entry.get("seed", seed))
    makers = {"scale": _scale, "scanner": _scanner, "replay": _replay}
    instrument = makers[kind](entry, base, seed)
    line = Line([Fault.parse(text) for text in entry.get("faults", [])], seed=seed)
    port = str(entry.get("port", "pty"))
    link = Path(entry["link"]) if "link" in entry else None
    if link is None and links is not None and port == "pty":
        link = links / str(entry["id"])
    return Device(instrument, open_port(port, link=link), line, name=str(entry["id"]))


def scale_settings(entry: Mapping[str, Any]) -> ScaleSettings:
    """Capacity, division and the rest of a scale, from texts such as `30 kg`."""
    given: dict[str, Any] = {
        f"{key}_mg": parse_mass(str(entry[key])) for key in ("capacity", "division") if key in entry
    }
    plain = ("unit", "decimals", "noise_mg", "drift_mg_per_s", "settle_s", "stable_s", "swing_hz")
    given.update({key: entry[key] for key in plain if key in entry})
    return ScaleSettings(**given)


def _scale(entry: Mapping[str, Any], base: Path, seed: int) -> Instrument:
    name = entry.get("dialect")
    if name not in DIALECTS:
        raise ValueError(f"dialect {name!r} is not one of {', '.join(DIALECTS)}")
    settings = scale_settings({**DIALECTS[name].build, **entry})
    return Scale(
        DIALECTS[name],
        Platter(settings, seed=seed),
        script=_goods(entry, base, settings, seed),
        rate_hz=entry.get("rate_hz"),
    )


def _goods(entry: Mapping[str, Any], base: Path, settings: ScaleSettings, seed: int) -> Script:
    if "script" in entry:
        return read_script(base / str(entry["script"]))
    texts: Sequence[str] | None = entry.get("goods")
    masses = (
        random_goods(RANDOM_GOODS, settings=settings, seed=seed) if texts is None else [parse_mass(t) for t in texts]
    )
    every, hold = float(entry.get("every", EVERY)), float(entry.get("hold", HOLD))
    return weighings(masses, every=every, hold=hold, offset=float(entry.get("offset", 0.0)))


def _scanner(entry: Mapping[str, Any], base: Path, seed: int) -> Instrument:
    model = entry.get("model", "serial-scanner")
    if model not in SCANNERS:
        raise ValueError(f"model {model!r} is not one of {', '.join(SCANNERS)}")
    codes = [Code(text=str(code["text"]), symbology=code.get("symbology")) for code in entry.get("code", [])]
    if not codes:
        raise ValueError("a scanner wants at least one [[device.code]] with a text")
    settings = {key: entry[key] for key in ("suffix", "encoding", "aim") if key in entry}
    return Scanner(ScannerSettings(**settings), codes, every=float(entry.get("every", EVERY)), count=entry.get("count"))


def _replay(entry: Mapping[str, Any], base: Path, seed: int) -> Instrument:
    capture = read_capture(base / str(entry["file"]), driver=entry.get("driver"))
    return Player(capture.chunks, speed=float(entry.get("speed", 1.0)), repeat=bool(entry.get("repeat", False)))


def _scenarios() -> Path:
    return Path(str(resources.files("hwsim"))) / "scenarios"


def packaged_names() -> list[str]:
    """The scenarios that come with hwsim."""
    return sorted(path.stem for path in _scenarios().glob("*.toml"))


def packaged(name: str) -> Path:
    """The path of a scenario that comes with hwsim, e.g. `stall`. Raises ValueError naming those there are."""
    if name not in packaged_names():
        raise ValueError(f"no scenario {name!r}; there are {', '.join(packaged_names())}")
    return _scenarios() / f"{name}.toml"
