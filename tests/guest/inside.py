"""Runs in the guest: USB devices made of gadgets with simulators behind them, the agent before them.

Does what the host asks on the virtio port `talk`: one JSON object a line, `{"id", "do", "with", "within"}`; the answer
is `{"id", "ok"}` or `{"id", "failed"}`. What takes longer than `within` seconds is broken off and said to have failed.
What is asked for are the methods of `Inside` without an underscore.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import hid_descriptors as descriptors  # noqa: E402 -- its folder has to be known first

from hwsim import hid  # noqa: E402
from hwsim.device import Device  # noqa: E402
from hwsim.instruments import DIALECTS, Code, PosScannerSettings, Scale, Scanner  # noqa: E402
from hwsim.load import Platter, ScaleSettings  # noqa: E402
from hwsim.ports import GadgetPort  # noqa: E402

BIN = Path(sys.executable).parent
WORK = Path("/tmp/guest")
GADGETS = Path("/sys/kernel/config/usb_gadget")
PAGE = 8080
TAIL = 60


class Unseen(Exception):
    """Something that should have been seen was not."""


class OutOfTime(Exception):
    """What the host asked for took longer than it allows."""


def until(what: str, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ValueError, OSError):
            if found := holds():
                return found
        time.sleep(0.05)
    raise Unseen(f"{what} within {seconds:g} s")


class Gadget:
    """One USB HID device, made by configfs on a controller of its own (Documentation/usb/gadget_hid.rst)."""

    def __init__(self, number: int, ids: str, serial: str, report: bytes, length: int, *, boot: bool) -> None:
        vendor, product = ids.split(":")
        self.number = number
        self.path = GADGETS / f"g{number}"
        self._function = self.path / "functions" / "hid.0"
        for folder in (self.path / "strings" / "0x409", self.path / "configs" / "c.1", self._function):
            folder.mkdir(parents=True)
        _write(self.path / "idVendor", f"0x{vendor}")
        _write(self.path / "idProduct", f"0x{product}")
        for name, text in (("manufacturer", "Simulated"), ("product", f"Gadget {number}"), ("serialnumber", serial)):
            _write(self.path / "strings" / "0x409" / name, text)
        _write(self._function / "protocol", "1" if boot else "0")
        _write(self._function / "subclass", "1" if boot else "0")
        _write(self._function / "report_length", str(length))
        (self._function / "report_desc").write_bytes(report)
        (self.path / "configs" / "c.1" / "hid.0").symlink_to(self._function)

    @property
    def plugged(self) -> bool:
        return bool((self.path / "UDC").read_text().strip())

    def plug(self) -> None:
        if not self.plugged:
            _write(self.path / "UDC", f"dummy_udc.{self.number}")
            until(f"gadget {self.number} got no driver", lambda: self.kernel_driver)

    def unplug(self) -> None:
        if self.plugged:
            _write(self.path / "UDC", "")

    @property
    def node(self) -> str:
        minor = (self._function / "dev").read_text().strip().split(":")[1]
        return f"/dev/hidg{minor}"

    @property
    def interface(self) -> Path:
        """The host's side in sysfs. Raises ValueError while it is not plugged in."""
        (found,) = Path("/sys/devices/platform").glob(f"dummy_hcd.{self.number}/usb*/*-1/*-1:1.0")
        return found

    @property
    def kernel_driver(self) -> str:
        link = self.interface / "driver"
        return link.resolve().name if link.exists() else ""

    @property
    def event_node(self) -> str:
        (found,) = self.interface.glob("*/input/input*/event*")
        return f"/dev/input/{found.name}"


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n")


class Page:
    """What the agent's page is told: each change of a station and each record, with the moment it was heard of."""

    def __init__(self, heard: list[dict[str, Any]]) -> None:
        self._heard = heard
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._listen()
            time.sleep(0.2)

    def _listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PAGE, timeout=30)
        connection.request("GET", "/api/events", headers={"Host": f"127.0.0.1:{PAGE}"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(answer.status)
        name = ""
        for raw in answer:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: ") and name in ("station", "record", "snapshot"):
                data = json.loads(line[6:])
                if name == "snapshot":
                    for station, view in data["stations"].items():
                        self._hear("station", {"station": station, "view": view})
                else:
                    self._hear(name, data)
            if self._over.is_set():
                return

    def _hear(self, kind: str, data: dict[str, Any]) -> None:
        self._heard.append({"at": time.monotonic(), "kind": kind, **data})


class Agent:
    """`edge-agent run`, its log and its page."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [str(BIN / "edge-agent"), "run", "--config", str(WORK / "agent.toml")],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LANG": "C.UTF-8"},
        )
        threading.Thread(target=self._read, daemon=True).start()
        self._page = Page(self.heard)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": line.strip()})

    def stop(self, seconds: float) -> int:
        self._page.stop()
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


OPENS = """
import sys
sys.path.insert(0, sys.argv[1])
from drivers.transports import serial, usb_hid
from edge_agent.driver import PortUrl, TransportError
url = PortUrl.parse(sys.argv[2])
spec = next(spec for spec in (usb_hid.SPEC, *serial.SPECS) if spec.scheme == url.scheme)
try:
    spec.make(url, {}).open()
    print("opened")
except TransportError as problem:
    print(f"{type(problem).__name__}: {problem}")
"""


class Inside:
    """What the host can ask for."""

    def __init__(self) -> None:
        WORK.mkdir()
        self._udev_log = (WORK / "udev.log").open("w")
        self._start_udev()
        scale = descriptors.scale_descriptor()
        self._gadgets = {
            "gun": Gadget(0, "1eab:8203", "", descriptors.KEYBOARD, 8, boot=True),
            "pos": Gadget(1, "0c2e:0b61", "POS1", descriptors.scanner_descriptor(), 64, boot=False),
            "scale": Gadget(2, "0922:8003", "", scale, 6, boot=False),
            "twin": Gadget(3, "0922:8003", "", scale, 6, boot=False),
        }
        self._agent: Agent | None = None
        self._last: Agent | None = None
        self._scales: dict[str, Device] = {}

    def _start_udev(self) -> None:
        """As on a real box: libusb hears of plugs and unplugs from udev, and our rules give the devices away."""
        rules = Path("/run/udev/rules.d")
        rules.mkdir(parents=True)
        shutil.copy(ROOT / "systemd" / "60-trace-edge-agent.rules", rules)
        subprocess.run(["/lib/systemd/systemd-udevd", "--daemon"], check=True)
        subprocess.Popen(["udevadm", "monitor", "--kernel", "--udev"], stdout=self._udev_log, stderr=self._udev_log)
        subprocess.run(["udevadm", "trigger", "--action=add"], check=True)
        subprocess.run(["udevadm", "settle", "--timeout=120"], check=True)

    # --- the machine

    def hello(self) -> dict[str, Any]:
        """Who answers."""
        return {"kernel": os.uname().release, "python": sys.version.split()[0], "pid": os.getpid()}

    def now(self) -> float:
        """The guest's monotonic clock."""
        return time.monotonic()

    def settle(self) -> None:
        """Wait until udev has done what it has to do."""
        subprocess.run(["udevadm", "settle", "--timeout=120"], check=True)

    def sh(self, command: str) -> dict[str, Any]:
        """A command of the shell; what it printed, and how it ended."""
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return {"exit": done.returncode, "out": done.stdout, "err": done.stderr}

    def python(self, program: str) -> str:
        """What a Python program prints that knows the agent's modules."""
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr[-300:]

    def forget(self) -> None:
        """Have files that changed on the host seen as they are: the kernel remembers them otherwise."""
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3\n")

    def links(self) -> dict[str, str]:
        """What udev calls the serial ports."""
        places = ("/dev/serial/by-id", "/dev/serial/by-path", "/dev/trace/by-port")
        return {str(link): link.resolve().name for place in places for link in sorted(Path(place).glob("*"))}

    def evidence(self) -> dict[str, str]:
        """What can tell why something was not seen."""
        agent = self._agent or self._last
        log = [json.dumps(line, ensure_ascii=False) for line in agent.log[-TAIL:]] if agent else ["(never ran)"]
        log += [] if self._agent else ["(does not run now)"]
        views = [json.dumps(view, ensure_ascii=False) for view in agent.heard[-12:]] if agent else []
        return {
            "agent's log": "\n".join(log),
            "agent's page": "\n".join(views),
            "kernel": self.sh(f"dmesg | tail -n {TAIL}")["out"],
            "udev": self.sh(f"tail -n {TAIL} {WORK / 'udev.log'}")["out"],
            "links": "\n".join(f"{link} -> {name}" for link, name in self.links().items()),
            "processes": self.sh("ps -eo pid,stat,etimes,time,args | tail -n 15")["out"],
        }

    # --- gadgets

    def plug(self, gadget: str) -> None:
        """Plug one in; returns when the kernel has a driver for it."""
        self._gadgets[gadget].plug()

    def unplug(self, gadget: str) -> float:
        """Pull one out; returns when that was."""
        self._gadgets[gadget].unplug()
        at = time.monotonic()
        if gadget in self._scales:
            self._scales.pop(gadget).stop(20.0)
        return at

    def plugged(self) -> dict[str, bool]:
        """Which gadgets are plugged in."""
        return {name: gadget.plugged for name, gadget in self._gadgets.items()}

    def kernel_driver(self, gadget: str) -> str:
        """The kernel's driver that has a gadget's interface: usbhid, usbfs (libusb has it), or none."""
        return self._gadgets[gadget].kernel_driver

    def scan(
        self, gadget: str, text: str, settings: dict[str, Any] | None = None, pause: float = 0.0
    ) -> dict[str, Any]:
        """Scan a code, `pause` seconds from key to key; tell whether another program that listens to a keyboard hears
        anything."""
        device = self._gadgets[gadget]
        symbology = text[:3] if text.startswith("]") else None
        code = Code(text=text[3:] if symbology else text, symbology=symbology)
        keyboard = gadget == "gun"
        chosen: Any = hid.KeyboardSettings(**(settings or {})) if keyboard else PosScannerSettings()
        reports = Scanner(chosen, [code], every=None).reports(code)
        listener = os.open(device.event_node, os.O_RDONLY | os.O_NONBLOCK) if keyboard else -1
        port = GadgetPort(device.node)
        try:
            sent = 0
            for report in reports:
                sent += port.write(report) == len(report)
                time.sleep(pause if keyboard else 0.0)
            heard = False
            if keyboard:
                with contextlib.suppress(BlockingIOError):
                    heard = bool(os.read(listener, 4096))
        finally:
            port.close()
            if keyboard:
                os.close(listener)
        if sent != len(reports):
            raise Unseen(f"the kernel took {sent} of {len(reports)} reports")
        return {"reports": sent, "heard_by_another": heard}

    def load(self, gadget: str, milligrams: int, settle_s: float = 0.08) -> None:
        """Put so much on a scale's platter, or take it off; the scale is switched on where it is not."""
        if gadget not in self._scales:
            port = GadgetPort(self._gadgets[gadget].node)
            settings = ScaleSettings()
            self._scales[gadget] = Device(
                Scale(DIALECTS["hid-pos-scale"], Platter(settings)), port, name=gadget
            ).start()
        lay(self._scales[gadget], milligrams, settle_s)

    def opens(self, port: str, groups: list[str] | None = None) -> str:
        """What is heard when a port is opened: by root, or by an account with no rights but these groups."""
        command = [sys.executable, "-c", OPENS, str(ROOT), port]
        if groups is not None:
            also = ["--groups", *groups] if groups else ["--clear-groups"]
            command = ["setpriv", "--reuid", "65534", *also, *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr[-300:]

    # --- the agent

    def start(self, config: str) -> None:
        """Start the agent with a configuration."""
        self.stop()
        (WORK / "agent.toml").write_text(config)
        self._agent = Agent()

    def running(self) -> str | None:
        """The configuration that the agent runs with; None where it does not run."""
        alive = self._agent is not None and self._agent.process.poll() is None
        return (WORK / "agent.toml").read_text() if alive else None

    def stop(self, seconds: float = 60.0) -> int | None:
        """End the agent in order; its exit code, None where none ran."""
        agent, self._agent = self._agent, None
        if agent is None:
            return None
        self._last = agent
        return agent.stop(seconds)

    def last_log(self) -> list[dict[str, Any]]:
        """The log of the agent that was ended."""
        return [] if self._last is None else self._last.log

    def pause(self) -> None:
        """Stop the agent where it stands (SIGSTOP)."""
        assert self._agent is not None
        self._agent.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._agent is not None
        self._agent.process.send_signal(signal.SIGCONT)

    def log(self, after: int) -> list[dict[str, Any]]:
        """The agent's log from a line on."""
        self._alive()
        assert self._agent is not None
        return self._agent.log[after:]

    def heard(self, after: int) -> list[dict[str, Any]]:
        """What the agent's page was told, from an event on."""
        self._alive()
        assert self._agent is not None
        return self._agent.heard[after:]

    def _alive(self) -> None:
        if self._agent is None or self._agent.process.poll() is not None:
            code = None if self._agent is None else self._agent.process.returncode
            raise Unseen(f"the agent does not run (exit {code})")

    def devices(self) -> dict[str, Any]:
        """The devices as the page lists them, by id."""
        connection = http.client.HTTPConnection("127.0.0.1", PAGE, timeout=30)
        connection.request("GET", "/api/devices", headers={"Host": f"127.0.0.1:{PAGE}"})
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told

    def command(self, *words: str) -> dict[str, Any]:
        """A command of `edge-agent` with the running configuration."""
        done = subprocess.run(
            [str(BIN / "edge-agent"), *words, "--config", str(WORK / "agent.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return {"exit": done.returncode, "out": done.stdout, "err": done.stderr}


def lay(device: Device, milligrams: int, settle_s: float) -> None:
    """Put goods on the platter of a simulated scale, which swings for as long as `settle_s` makes it."""
    instrument = device.instrument
    assert isinstance(instrument, Scale)
    platter = instrument.platter

    def put(now: float) -> None:
        platter.settings = dataclasses.replace(platter.settings, settle_s=settle_s)
        platter.set_load(milligrams, now)

    device.order(put, timeout=20.0)


def talk_port() -> Path:
    """The virtio port that is called `talk`."""
    for entry in Path("/sys/class/virtio-ports").glob("*"):
        with contextlib.suppress(OSError):
            if (entry / "name").read_text().strip() == "talk":
                return Path("/dev") / entry.name
    raise Unseen("no port named talk")


def serve(inside: Inside, port: int) -> None:
    """Do what is asked, one thing after the other, for ever."""
    signal.signal(signal.SIGALRM, _out_of_time)
    kept = b""
    while True:
        data = os.read(port, 65_536)
        if not data:  # nobody is there
            kept = b""
            time.sleep(0.1)
            continue
        *lines, kept = (kept + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):  # the rest of what an earlier host was saying
                answer = _answer(inside, json.loads(line))
                rest = memoryview(json.dumps(answer).encode() + b"\n")
                while rest:
                    rest = rest[os.write(port, rest) :]


def _answer(inside: Inside, asked: dict[str, Any]) -> dict[str, Any]:
    verb, given = str(asked["do"]), asked.get("with", {})
    signal.setitimer(signal.ITIMER_REAL, float(asked["within"]))
    try:
        if verb.startswith("_"):
            raise Unseen(f"{verb} is not for the host")
        act = getattr(inside, verb)
        done = act(*given) if isinstance(given, list) else act(**given)
        return {"id": asked["id"], "ok": done}
    except OutOfTime:
        return {"id": asked["id"], "failed": f"{verb} took longer than {asked['within']:g} s"}
    except Exception as problem:  # noqa: BLE001 -- the host is told whatever it is
        return {"id": asked["id"], "failed": f"{type(problem).__name__}: {problem}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _out_of_time(_signal: int, _frame: Any) -> None:
    raise OutOfTime


def main() -> None:
    port = os.open(until("no virtio port", talk_port), os.O_RDWR)
    serve(Inside(), port)


if __name__ == "__main__":
    main()
