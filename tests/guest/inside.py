"""Runs in the guest: USB devices made of gadgets, simulated scanners and a scale behind them, the agent before them.

Prints `HOST …` where the host has to plug something, `CHECK name {…}` for each thing seen, `FAILED …`, and `DONE`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import hid_descriptors as descriptors  # noqa: E402 -- its folder has to be known first

BIN = Path(sys.executable).parent
WORK = Path("/tmp/guest")
GADGETS = Path("/sys/kernel/config/usb_gadget")
PATIENCE = 400.0
"""Seconds that an emulated machine may take for what takes one."""

CONFIG = """\
[gateway]
id = "box-1"
site = "guest"
[store]
path = "/tmp/guest/records.db"
[[device]]
id = "gun"
driver = "hid-keyboard"
port = "evdev:1eab:8203"
options = { gap_ms = 1000 }
[[device]]
id = "pos"
driver = "hid-pos-scanner"
port = "usb:0c2e:0b61:POS1"
[[device]]
id = "scale"
driver = "hid-pos-scale"
port = "usb:0922:8003"
[[device]]
id = "bench"
driver = "st-gs"
port = "serial:/dev/bench?baud=9600"
[[station]]
id = "A"
mode = "log"
devices = ["gun", "pos", "scale"]
[[station]]
id = "B"
mode = "log"
devices = ["bench"]
"""


class Unseen(Exception):
    """Something that should have been seen was not."""


def say(*words: object) -> None:
    print(*words, flush=True)


class Gadget:
    """One USB HID device, made by configfs on a controller of its own (Documentation/usb/gadget_hid.rst)."""

    def __init__(self, number: int, ids: str, serial: str, report: bytes, length: int, *, boot: bool) -> None:
        vendor, product = ids.split(":")
        self.udc = f"dummy_udc.{number}"
        self.path = GADGETS / f"g{number}"
        function = self.path / "functions" / "hid.0"
        for folder in (self.path / "strings" / "0x409", self.path / "configs" / "c.1", function):
            folder.mkdir(parents=True)
        _write(self.path / "idVendor", f"0x{vendor}")
        _write(self.path / "idProduct", f"0x{product}")
        for name, text in (("manufacturer", "Simulated"), ("product", f"Gadget {number}"), ("serialnumber", serial)):
            _write(self.path / "strings" / "0x409" / name, text)
        _write(function / "protocol", "1" if boot else "0")
        _write(function / "subclass", "1" if boot else "0")
        _write(function / "report_length", str(length))
        (function / "report_desc").write_bytes(report)
        (self.path / "configs" / "c.1" / "hid.0").symlink_to(function)
        self._function = function

    def plug(self) -> None:
        _write(self.path / "UDC", self.udc)

    def unplug(self) -> None:
        _write(self.path / "UDC", "")

    @property
    def node(self) -> str:
        minor = (self._function / "dev").read_text().strip().split(":")[1]
        return f"/dev/hidg{minor}"

    @property
    def interface(self) -> Path:
        """The host's side in sysfs, while it is plugged in."""
        number = int(self.udc.rpartition(".")[2])
        (found,) = Path("/sys/devices/platform").glob(f"dummy_hcd.{number}/usb*/*-1/*-1:1.0")
        return found

    @property
    def kernel_driver(self) -> str:
        link = self.interface / "driver"
        return link.resolve().name if link.exists() else ""


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n")


class Agent:
    """`edge-agent run`, its log read line by line."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.states: dict[str, str] = {}
        self._words: deque[str] = deque(maxlen=8)
        self._process = subprocess.Popen(
            [str(BIN / "edge-agent"), "run", "--config", str(WORK / "agent.toml")], stderr=subprocess.PIPE, text=True
        )
        self._new: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self._new.put(json.loads(line))
            except ValueError:
                self._words.append(line.strip())

    def wait(self, what: str, fits: Callable[[dict[str, Any]], bool], patience: float = PATIENCE) -> dict[str, Any]:
        """The next line of the log that fits."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                line = self._new.get(timeout=max(0.01, until - time.monotonic()))
                self.log.append(line)
                if line.get("event") == "device.state":
                    self.states[line["device"]] = line["state"]
                if fits(line):
                    return line
        tail = "; ".join(
            f"{line.get('event')} {line.get('device', '')} {line.get('reason', '')}" for line in self.log[-6:]
        )
        raise Unseen(f"{what}; last in the log: {tail} {' / '.join(self._words)} exit {self._process.poll()}")

    def state(self, device: str, state: str) -> None:
        """Wait until a device is said to be in a state."""
        if self.states.get(device) != state:
            self.wait(f"{device} never {state}", lambda line: self.states.get(device) == state)

    def kept(self, kind: str) -> dict[str, Any]:
        """Wait for a record of a type."""
        return self.wait(f"no {kind}", lambda line: line.get("event") == "record.kept" and line["type"] == kind)

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)


def records() -> list[dict[str, Any]]:
    """Everything that was kept so far."""
    done = subprocess.run(
        [str(BIN / "edge-agent"), "records", "export", "--format", "jsonl", "--config", str(WORK / "agent.toml")],
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def scan(gadget: Gadget, kind: str, text: str, *options: str) -> None:
    """One scan through a gadget, by the simulator."""
    done = subprocess.run(
        [
            *(str(BIN / "hwsim"), "scanner", kind, "--port", f"hidg:{gadget.node}", "--code", text, "--count", "1"),
            *("--every", "0.2", "--seconds", "8", *options),
        ],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    if done.returncode:
        raise Unseen(f"hwsim: {done.stderr}")


@contextlib.contextmanager
def weighing(gadget: Gadget) -> Iterator[None]:
    """A scale on a gadget on which goods are put and taken off."""
    command = [str(BIN / "hwsim"), "scale", "hid-pos-scale", "--port", f"hidg:{gadget.node}"]
    with subprocess.Popen([*command, "--every", "16", "--hold", "11"], stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def reads_nothing(node: str, act: Callable[[], None]) -> bool:
    """Whether another reader of an input device hears nothing while something is typed."""
    fd = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
    try:
        act()
        with contextlib.suppress(BlockingIOError):
            return not os.read(fd, 4096)
        return True
    finally:
        os.close(fd)


def event_node(gadget: Gadget) -> str:
    (found,) = gadget.interface.glob("*/input/input*/event*")
    return f"/dev/input/{found.name}"


def until(what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(ValueError, OSError):
            if holds():
                return
        time.sleep(0.2)
    raise Unseen(what)


def texts() -> list[str]:
    return [record["data"]["text"] for record in records() if record["type"] == "trace.scan.v1"]


LONG = "https://example.org/" + "0123456789" * 14
CODE = "010690123456789210AB12\x1d3103000500"


def start_udev() -> None:
    """As on a real box: libusb hears of plugs and unplugs from udev, and our rules give the devices away."""
    rules = Path("/run/udev/rules.d")
    rules.mkdir(parents=True)
    shutil.copy(ROOT / "systemd" / "60-trace-edge-agent.rules", rules)
    subprocess.run(["/lib/systemd/systemd-udevd", "--daemon"], check=True, timeout=PATIENCE)
    subprocess.run(["udevadm", "trigger", "--action=add"], check=True, timeout=PATIENCE)
    subprocess.run(["udevadm", "settle", "--timeout=120"], check=True, timeout=PATIENCE)


def as_nobody(*groups: str) -> str:
    """What an account without rights, but for these groups, hears when it opens the scale."""
    also = ["--groups", *groups] if groups else ["--clear-groups"]
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", *also, sys.executable, "-c", OPENS_THE_SCALE, str(ROOT)],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr[-300:]


def play() -> None:
    WORK.mkdir()
    start_udev()
    (WORK / "agent.toml").write_text(CONFIG)
    gun = Gadget(0, "1eab:8203", "", descriptors.KEYBOARD, 8, boot=True)
    pos = Gadget(1, "0c2e:0b61", "POS1", descriptors.scanner_descriptor(), 64, boot=False)
    scale = Gadget(2, "0922:8003", "", descriptors.scale_descriptor(), 6, boot=False)
    twin = Gadget(3, "0922:8003", "", descriptors.scale_descriptor(), 6, boot=False)
    for gadget in (gun, pos, scale):
        gadget.plug()
        until(f"{gadget.udc} has no driver", lambda gadget=gadget: gadget.kernel_driver == "usbhid")  # type: ignore[misc]
    say("HOST plug serial")
    until("no link by-id", lambda: any(Path("/dev/serial/by-id").glob("*QEMU*")))
    (by_id,) = Path("/dev/serial/by-id").glob("*QEMU*")
    Path("/dev/bench").symlink_to(by_id)
    found = sorted(path.name for path in Path("/sys/bus/usb/devices").glob("*-1"))
    say("CHECK devices", json.dumps({"usb": found, "serial": by_id.name}))

    subprocess.run(["udevadm", "settle", "--timeout=120"], check=True, timeout=PATIENCE)
    refused, opened = as_nobody(), as_nobody("plugdev")
    if not refused.startswith("PermissionDenied") or "60-trace-edge-agent.rules" not in refused or opened != "opened":
        raise Unseen(f"permission: {refused} / {opened}")
    say("CHECK permission", json.dumps({"told": refused, "with_the_rule": opened}))

    agent = Agent()
    for device in ("gun", "pos", "scale", "bench"):
        agent.state(device, "connected")
    taken = {"pos": pos.kernel_driver, "scale": scale.kernel_driver}
    if set(taken.values()) - {"usbfs"}:
        raise Unseen(f"the kernel's driver was not taken off: {taken}")
    say("CHECK connected", json.dumps({"kernel_driver": taken}))

    quiet = reads_nothing(event_node(gun), lambda: scan(gun, "wedge", CODE, "--gs", "alt", "--aim"))
    agent.kept("trace.scan.v1")
    if not quiet:
        raise Unseen("another program heard what was typed")
    say("CHECK keyboard", json.dumps({"texts": texts(), "grabbed": quiet}))

    scan(pos, "hid-pos", "]Q1" + LONG)
    agent.kept("trace.scan.v1")
    say("CHECK pos-scanner", json.dumps({"texts": texts()[-1:]}))

    with weighing(scale):
        until("no weighing of each scale", lambda: {"scale", "bench"} <= weighed())
    say("CHECK scales", json.dumps(indications()))

    for name, gadget in (("gun", gun), ("pos", pos), ("scale", scale)):
        gadget.unplug()
        agent.state(name, "lost")
        gadget.plug()
        agent.state(name, "connected")
        say("CHECK replug", json.dumps({"device": name}))
    scan(gun, "wedge", "6901028225168")
    agent.kept("trace.scan.v1")
    scan(pos, "hid-pos", "]E06921168509256")
    agent.kept("trace.scan.v1")
    say("CHECK after-replug", json.dumps({"texts": texts()[-2:]}))

    say("HOST unplug serial")
    agent.state("bench", "lost")
    say("HOST plug serial")
    agent.state("bench", "connected")
    before = len([1 for record in records() if record["data"].get("device") == "bench"])
    until("nothing weighed after the serial port came back",
          lambda: len([1 for r in records() if r["data"].get("device") == "bench"]) > before)  # fmt: skip
    say("CHECK serial-replug", json.dumps({"weighings": before + 1}))

    known = len(texts())
    os.kill(agent.pid, signal.SIGSTOP)
    scan(gun, "wedge", "9" * 60)
    os.kill(agent.pid, signal.SIGCONT)
    time.sleep(5)
    scan(gun, "wedge", "4006381333931")
    agent.kept("trace.scan.v1")
    new = texts()[known:]
    if new != ["4006381333931"]:
        raise Unseen(f"after keys were lost: {new}")
    say("CHECK syn-dropped", json.dumps({"texts": new}))

    twin.plug()
    until("twin not there", lambda: twin.kernel_driver == "usbhid")
    scale.unplug()
    agent.state("scale", "lost")
    agent.state("scale", "connected")
    scale.plug()
    say("CHECK twin-took-over", json.dumps({"kernel_driver": twin.kernel_driver}))

    if agent.stop() != 0:
        raise Unseen("the agent did not end in order")
    until("the kernel has its drivers back", lambda: {pos.kernel_driver, twin.kernel_driver} == {"usbhid"})
    say("CHECK reattached", json.dumps({"kernel_driver": [pos.kernel_driver, twin.kernel_driver]}))
    two = subprocess.run(
        [sys.executable, "-c", OPENS_THE_SCALE, str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if "plugged in 2 times" not in two.stdout:
        raise Unseen(f"two equal scales: {two.stdout} {two.stderr[-300:]}")
    say("CHECK twins", json.dumps({"told": two.stdout.strip()}))
    done = subprocess.run(
        [str(BIN / "edge-agent"), "records", "verify", "--config", str(WORK / "agent.toml")],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    say("CHECK verify", json.dumps({"exit": done.returncode, "kept": len(records())}))


def weighed() -> set[str]:
    return {record["data"]["device"] for record in records() if record["type"] == "trace.weighing.v1"}


def indications() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records():
        if record["type"] == "trace.weighing.v1":
            data = record["data"]
            found.setdefault(data["device"], []).append(f"{data['indication']} {data['unit']}")
    return found


OPENS_THE_SCALE = """
import sys
sys.path.insert(0, sys.argv[1])
from drivers.transports.usb_hid import SPEC
from edge_agent.driver import PortUrl, TransportError
try:
    SPEC.make(PortUrl.parse("usb:0922:8003"), {}).open()
    print("opened")
except TransportError as problem:
    print(f"{type(problem).__name__}: {problem}")
"""


def main() -> None:
    try:
        play()
    except (Unseen, OSError, ValueError, subprocess.SubprocessError) as problem:
        say("FAILED", f"{type(problem).__name__}: {problem}")
        return
    say("DONE")


if __name__ == "__main__":
    main()
