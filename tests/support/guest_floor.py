"""The floor of a market in a guest: the agent, its devices, and what a test does to them and waits for.

`guest_machine` is the guest itself, `tests/guest/inside.py` does in it what is asked for here. Everything that is asked
for has a deadline, and what was not seen in time is told as `GuestFailed`; `Floor.evidence` then tells what there was.
An emulated machine is slow: deadlines are minutes, and no check rests on one but where it says so.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from guest_machine import (
    CABLES,
    ROOT,
    GuestFailed,
    Machine,
    SocketPort,
    build,
    kept_folder,
    missing,
    power_off,
    power_on,
)

from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings

PATIENCE: Final = 180.0
"""Seconds that an emulated machine on a busy one may take for what takes one."""
BOOT: Final = 400.0
KEY_PAUSES: Final = (0.02, 0.05, 0.15, 0.4)
"""Seconds from key to key of an emulated keyboard, tried one after the other."""
GADGETS: Final = ("gun", "pos", "scale", "twin")
SCALES: Final = ("scale", "bench", "roam", "left", "right")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A usb-serial adapter: the cable that hangs on it, its serial number, the USB socket that it belongs into."""

    cable: str
    serial: str
    socket: int


ADAPTERS: Final[Mapping[str, Adapter]] = {
    "bench": Adapter("one", "BENCH01", 1),
    "roam": Adapter("two", "ROAM01", 2),
    "left": Adapter("one", "0001", 3),
    "right": Adapter("two", "0001", 4),
}
"""By the device that is bound to it. `left` and `right` are of one make that gives all of them one number."""

PORTS: Final[Mapping[str, tuple[str, str]]] = {
    "gun": ("hid-keyboard", "evdev:1eab:8203"),
    "pos": ("hid-pos-scanner", "usb:0c2e:0b61:POS1"),
    "scale": ("hid-pos-scale", "usb:0922:8003"),
    "bench": ("st-gs", "serial:/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_BENCH01-if00-port0?baud=9600"),
    "roam": ("st-gs", "serial:usb:0403:6001:ROAM01?baud=9600"),
    "left": ("st-gs", "serial:usb:0403:6001?port=1-3&baud=9600"),
    "right": ("st-gs", "serial:/dev/trace/by-port/pci-0000_00_05_0-usb-0_4_1_0?baud=9600"),
}
"""Driver and port of each device; each has a station of its own, with its name."""


def agent_config() -> str:
    """The agent's configuration: each device at a station of its own, and the page without a PIN."""
    parts = [
        '[gateway]\nid = "box-1"\nsite = "guest"\n',
        '[store]\npath = "/tmp/guest/records.db"\n',
        '[web]\nlisten = "127.0.0.1:8080"\n',
    ]
    for device, (driver, port) in PORTS.items():
        options = "options = { gap_ms = 2000 }\n" if device == "gun" else ""  # an emulated keyboard types slowly
        parts.append(f'[[device]]\nid = "{device}"\ndriver = "{driver}"\nport = "{port}"\n{options}')
        parts.append(f'[[station]]\nid = "{device}"\nmode = "log"\ndevices = ["{device}"]\n')
    return "".join(parts)


class Floor:
    """What a test does in the guest whose sockets are in `folder`; a context manager."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self._console = folder / "console.log"
        self._process = process
        self._asked = 0
        self._kept = b""
        self.machine = Machine(folder)
        self._talk = socket.socket(socket.AF_UNIX)
        self._talk.connect(str(folder / "talk.sock"))
        self._ports = {cable: SocketPort(folder / f"{cable}.sock") for cable in CABLES}
        self._cables = {
            cable: Device(Scale(DIALECTS["st-gs"], Platter(ScaleSettings()), rate_hz=5.0), port, name=cable)
            for cable, port in self._ports.items()
        }
        self._plugged: dict[str, Adapter | None] = {}
        """What hangs on each cable; nothing is known of a guest that was up before."""
        self.log: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []

    def __enter__(self) -> Floor:
        for cable in self._cables.values():
            cable.start()
        self.call("hello", within=BOOT)
        return self

    def __exit__(self, *_: object) -> None:
        for cable in self._cables.values():
            cable.stop()
        self._talk.close()
        self.machine.close()

    # --- asking

    def call(self, verb: str, *given: Any, within: float = PATIENCE, **named: Any) -> Any:
        """Have the guest do something. Raises `GuestFailed` where that fails, or takes longer than `within` seconds."""
        self._asked += 1
        number = f"{id(self)}-{self._asked}"
        asked = {"id": number, "do": verb, "with": named or list(given), "within": within}
        self._talk.settimeout(30.0)
        self._talk.sendall(json.dumps(asked).encode() + b"\n")
        until = time.monotonic() + within + 30.0
        while time.monotonic() < until:
            for line in self._lines():
                with contextlib.suppress(ValueError):
                    answer = json.loads(line)
                    if answer["id"] == number:
                        if "failed" in answer:
                            raise GuestFailed(f"{verb}: {answer['failed']}")
                        return answer["ok"]
            self._judge_machine()
        raise GuestFailed(f"{verb}: the guest did not answer within {within:g} s; its console: {self._console_tail()}")

    def _lines(self) -> Iterator[bytes]:
        self._talk.settimeout(0.5)
        try:
            data = self._talk.recv(65_536)
        except TimeoutError:
            return
        if not data:
            raise GuestFailed(f"the guest has ended; its console: {self._console_tail()}")
        *lines, self._kept = (self._kept + data).split(b"\n")
        yield from lines

    def _judge_machine(self) -> None:
        said = self._console.read_text(errors="replace") if self._console.exists() else ""
        if (self._process is not None and self._process.poll() is not None) or "GUEST " in said:
            raise GuestFailed(f"the guest has failed; its console: {self._console_tail()}")

    def _console_tail(self) -> str:
        return self._console.read_text(errors="replace")[-2000:] if self._console.exists() else "(nothing)"

    def evidence(self) -> dict[str, str]:
        """What can tell why something was not seen: logs of the agent, the kernel and udev, by title."""
        try:
            told: dict[str, str] = self.call("evidence", within=60.0)
        except (GuestFailed, OSError) as problem:
            return {"console": f"{problem}\n{self._console_tail()}"}
        return told

    # --- waiting

    def wait(self, what: str, holds: Callable[[], Any], within: float = PATIENCE) -> Any:
        """Follow the agent's log and page until something holds; returns it."""
        until = time.monotonic() + within
        while True:
            self.look()
            if found := holds():
                return found
            if time.monotonic() > until:
                raise GuestFailed(f"{what}: not seen within {within:g} s")
            time.sleep(0.1)

    def look(self) -> None:
        """Take what is new in the agent's log and on its page."""
        self.log += self.call("log", len(self.log))
        self.heard += self.call("heard", len(self.heard))

    def state(self, device: str) -> str | None:
        """The newest state of a device in the agent's log."""
        for line in reversed(self.log):
            if line.get("event") == "device.state" and line["device"] == device:
                return str(line["state"])
        return None

    def reason(self, device: str) -> str:
        """The reason of that state."""
        return next(
            str(line["reason"])
            for line in reversed(self.log)
            if line.get("event") == "device.state" and line["device"] == device
        )

    def becomes(self, device: str, *states: str, within: float = PATIENCE) -> None:
        """Wait until a device is in one of these states."""
        self.wait(f"{device} {' or '.join(states)}", lambda: self.state(device) in states, within)

    def comes_back(self, device: str, act: Callable[[], None]) -> None:
        """Do something after which the agent has to find a device anew."""
        assert self.state(device) == "lost"
        act()
        self.becomes(device, "connected")

    def view(self, station: str) -> dict[str, Any]:
        """What the page shows of a station."""
        for event in reversed(self.heard):
            if event["kind"] == "station" and event["station"] == station:
                return {**event["view"], "at": event["at"]}
        return {"state": None, "weight": None, "at": 0.0}

    def shows(self, station: str, *states: str, weight: str | None = None, within: float = PATIENCE) -> dict[str, Any]:
        """Wait until the page shows a station in one of these states (and with this weight); returns the view."""

        def holds() -> Any:
            view = self.view(station)
            return view if view["state"] in states and weight in (None, view["weight"]) else None

        wanted = " or ".join(states) + (f" at {weight}" if weight else "")
        try:
            seen: dict[str, Any] = self.wait(f"station {station} {wanted}", holds, within)
        except GuestFailed as problem:
            raise GuestFailed(f"{problem}; it shows {self.view(station)}") from problem
        return seen

    def records(self, station: str, after: int = 0) -> list[dict[str, Any]]:
        """The records of a station that the page was told, from an event on."""
        return [event for event in self.heard[after:] if event["kind"] == "record" and event["station"] == station]

    def record(self, station: str, after: int) -> dict[str, Any]:
        """Wait for one."""
        self.wait(f"a record of {station}", lambda: self.records(station, after))
        return self.records(station, after)[0]

    def link(self, path: str, within: float = PATIENCE) -> str:
        """The terminal that a link of udev leads to; waits until there is one."""
        until = time.monotonic() + within
        while path not in (links := self.call("links")):
            if time.monotonic() > until:
                raise GuestFailed(f"{path}: not there within {within:g} s; there is {', '.join(links) or 'none'}")
            time.sleep(0.2)
        return str(links[path])

    # --- acting

    def scan(self, scanner: str, text: str, **settings: Any) -> dict[str, Any]:
        """Scan a code; the record that comes of it, and what `Inside.scan` told as `typed`.

        Where the agent is so slow that the kernel drops keys, the scan is refused, and done again more slowly.
        """
        after = len(self.heard)
        for pause in KEY_PAUSES:
            refused = self.refusals(scanner)
            typed = self.call("scan", scanner, text, settings or None, pause)
            what = f"a record of {scanner}, or a refusal"
            answer = self.wait(what, partial(self._answer, scanner, after, refused))
            if isinstance(answer, dict):
                return {**answer, "typed": typed}
        raise GuestFailed(f"{text} was refused {len(KEY_PAUSES)} times: {self.reasons(scanner)}")

    def _answer(self, scanner: str, after: int, refused: int) -> dict[str, Any] | bool:
        """What came of a scan: the record, or that it was refused."""
        kept = self.records(scanner, after)
        return kept[0] if kept else self.refusals(scanner) > refused

    def reasons(self, device: str) -> dict[str, int]:
        """How often what a device said was refused, by reason."""
        counters = self.call("devices")[device]["counters"] or {}
        return dict(counters.get("reasons", {}))

    def refusals(self, device: str) -> int:
        """How often in all."""
        return sum(self.reasons(device).values())

    def lay(self, device: str, milligrams: int, settle_s: float = 0.08) -> None:
        """Put goods on a scale, so that so much lies there in all. It swings for about ten times `settle_s` seconds."""
        if device == "scale":
            self.call("load", device, milligrams, settle_s)
            return
        instrument = self._cables[ADAPTERS[device].cable].instrument
        assert isinstance(instrument, Scale)
        platter = instrument.platter

        def put(now: float) -> None:
            platter.settings = replace(platter.settings, settle_s=settle_s)
            platter.set_load(milligrams, now)

        self._cables[ADAPTERS[device].cable].order(put, timeout=20.0)

    def weigh(self, device: str, milligrams: int) -> dict[str, Any]:
        """Put goods on an empty scale, wait for the record, take them off; the record."""
        self.shows(device, "empty")
        after = len(self.heard)
        self.lay(device, milligrams)
        record = self.record(device, after)
        self.lay(device, 0)
        self.shows(device, "empty")
        assert len(self.records(device, after)) == 1, "one load, one record"
        return record

    def plug(self, device: str, socket_number: int | None = None) -> None:
        """Plug a device in; an adapter into another USB socket, where one is named."""
        if device in GADGETS:
            self.call("plug", device)
            if device in ("scale", "twin"):
                self.call("load", device, 0)
            return
        adapter = ADAPTERS[device]
        if socket_number is not None:
            adapter = replace(adapter, socket=socket_number)
        self.machine.plug_adapter(adapter.cable, adapter.serial, adapter.socket)
        self._ports[adapter.cable].plug()
        self._plugged[adapter.cable] = adapter

    def unplug(self, device: str) -> float:
        """Pull a device out; the guest's time when that was."""
        if device in GADGETS:
            return float(self.call("unplug", device))
        at = float(self.call("now"))  # a little too early: what is judged by it can only look slower
        self.unplug_cable(ADAPTERS[device].cable)
        return at

    def unplug_cable(self, cable: str) -> None:
        """Pull out the adapter that hangs on a cable, if one does."""
        self._ports[cable].unplug()
        self.machine.unplug_adapter(cable)
        self._plugged[cable] = None

    def switch_off(self, device: str) -> None:
        """Switch the instrument off, while its adapter stays plugged in."""
        self._ports[ADAPTERS[device].cable].unplug()

    def switch_on(self, device: str) -> None:
        """And on again."""
        self._ports[ADAPTERS[device].cable].plug()

    def ready(self, *devices: str) -> None:
        """The agent runs, these devices (and no others) are plugged in and connected, their platters empty.

        Whatever a test before this one did, or whichever test failed in the middle.
        """
        self._start_agent()
        self._plug_only(*devices)
        for device in devices:
            if device in PORTS:
                self.becomes(device, "connected")
            if device in SCALES:
                self.lay(device, 0)
                self.shows(device, "empty")

    def bare(self, *devices: str) -> None:
        """No agent runs, and these devices (and no others) are plugged in."""
        self.call("stop")
        self._plug_only(*devices)
        self.call("settle")

    def _plug_only(self, *devices: str) -> None:
        wanted = {ADAPTERS[device].cable: ADAPTERS[device] for device in devices if device in ADAPTERS}
        assert len(wanted) == sum(device in ADAPTERS for device in devices), "two adapters on one cable"
        for cable in CABLES:
            if self._plugged.get(cable, ...) not in (None, wanted.get(cable)):
                self.unplug_cable(cable)
        for gadget, plugged in self.call("plugged").items():
            if plugged and gadget not in devices:
                self.call("unplug", gadget)
        for device in devices:
            if device in GADGETS or self._plugged[ADAPTERS[device].cable] is None:
                self.plug(device)
            else:
                self.switch_on(device)

    def _start_agent(self) -> None:
        if self.call("running") != agent_config():
            self.log, self.heard = [], []
            self.call("start", agent_config())
        with contextlib.suppress(GuestFailed):
            self.call("resume")
        self.wait("the agent's page", lambda: any(event["kind"] == "station" for event in self.heard), within=BOOT)

    def stop_agent(self) -> int:
        """End the agent in order; its exit code."""
        code = self.call("stop", within=PATIENCE)
        assert code is not None, "no agent ran"
        return int(code)


@contextlib.contextmanager
def a_floor() -> Iterator[Floor]:
    """The floor of the guest that `keep.py` holds, where it does, else of one of its own. Raises `GuestFailed`."""
    if (kept_folder() / "talk.sock").exists():
        with Floor(kept_folder()) as floor:
            floor.call("stop")
            floor.call("forget")
            yield floor
        return
    if missing():
        raise GuestFailed(f"apt-get install -y --no-install-recommends {' '.join(missing())}")
    kernel, initramfs = build(ROOT / "build" / "guest")
    folder = Path(tempfile.mkdtemp(prefix="trace-guest-"))
    try:
        process = power_on(kernel, initramfs, folder, python=Path(sys.executable))
        try:
            with Floor(folder, process) as floor:
                yield floor
        finally:
            power_off(process)
    finally:
        shutil.rmtree(folder)
