"""Eight scales at twenty frames a second, a reader at a door and two scanners at once: CPU and latency.

    python tests/bench/floor.py [--seconds 20]

CPU is that of the agent with its store and stations, beside a bare pyserial loop that reads the same traffic at the
same time and throws it away. Latency is from the moment before a frame is written to the pty until its observation is
handed to a station, beside the same loop's until it holds the line; with and without garbage at a megabyte a second
on a ninth port.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drivers import bundle
from edge_agent.board import Board
from edge_agent.control import ControlClient
from edge_agent.driver import PortUrl
from edge_agent.health import Health
from edge_agent.model import Observation, Reading
from edge_agent.registry import Origin, Registry
from edge_agent.supervisor import DeviceRunner
from edge_agent.supervisor.mailbox import Mailbox

SCALES = 8
FRAMES_A_SECOND = 20
GOALS = {"floor_cpu_percent": 10.0, "floor_latency_p99_ms": 5.0}
"""The second one wants a machine that does little else; beside it stands what a bare loop took at the same moments."""

FEEDER = """
import json, os, sys, time, tty
ports, seconds, rate = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
ends = []
for _ in range(ports):
    near, far = os.openpty()
    tty.setraw(far)
    os.set_blocking(near, False)
    ends.append((near, far))
print(json.dumps([os.ttyname(far) for _, far in ends]), flush=True)
sys.stdin.readline()
sent, number, began = {}, 0, time.monotonic()
step = 0
while time.monotonic() - began < seconds:
    for index, (near, _) in enumerate(ends):
        due = began + (step + index / ports) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        number += 1
        cycle = step // 20 % 2
        weight = number % 1_000_000 if sys.argv[4] == "numbered" else 1235 * cycle
        frame = b"ST,GS,+%7.3fkg\\r\\n" % (weight / 1000)
        sent[weight] = time.monotonic()
        try:
            os.write(near, frame)
        except BlockingIOError:
            pass
    step += 1
print(json.dumps(sent if sys.argv[4] == "numbered" else {}), flush=True)
sys.stdin.readline()
"""

BARE = """
import sys, threading, serial
def read(path):
    port = serial.Serial(path, 9600, timeout=0.25)
    while True:
        port.read(max(1, port.in_waiting))
for path in sys.argv[1:]:
    threading.Thread(target=read, args=(path,), daemon=True).start()
print("reading", flush=True)
sys.stdin.readline()
"""

BARE_CLOCKED = """
import json, sys, threading, time, serial
arrived = {}
def read(path):
    port = serial.Serial(path, 9600, timeout=0.25)
    held = b""
    while True:
        held += port.read(max(1, port.in_waiting))
        *lines, held = held.split(b"\\r\\n")
        for line in lines:
            arrived[line[7:-2].decode().strip()] = time.monotonic()
for path in sys.argv[1:]:
    threading.Thread(target=read, args=(path,), daemon=True).start()
print("[]", flush=True)
sys.stdin.readline()
print(json.dumps(arrived), flush=True)
"""

CONFIG = """\
[gateway]
id = "box-1"
site = "bench"
[store]
path = "{folder}/agent.db"
{devices}
[[station]]
id = "A12"
mode = "log"
devices = [{names}]
"""


def main() -> int:
    """Measure, print, and say whether the goals were reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    figures = measure(parser.parse_args().seconds)
    print(json.dumps(figures, indent=2))
    return 0 if all(figures[name] <= goal for name, goal in GOALS.items()) else 1


def measure(seconds: float = 20.0) -> dict[str, Any]:
    """All figures of the floor."""
    with tempfile.TemporaryDirectory(prefix="trace-floor-") as name:
        figures = cpu(Path(name), seconds)
    figures |= latency(seconds, garbage=False)
    noisy = latency(seconds, garbage=True)
    return figures | {key.replace("floor_", "floor_garbage_"): value for key, value in noisy.items()}


@contextlib.contextmanager
def script(text: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that waits for a line on its standard input before it ends."""
    command = [sys.executable, "-c", text, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def line(process: subprocess.Popen[bytes]) -> Any:
    """The next line that a program prints, as JSON."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def go(process: subprocess.Popen[bytes]) -> None:
    """Let a program that waits go on."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


@contextlib.contextmanager
def others() -> Iterator[dict[str, str]]:
    """A reader at a door and two scanners on ptys, by hwsim."""
    commands = {
        "door": ("rfid", "mercury", "--rate", "50", "--tags", "10", "--missed", "0"),
        "scanner-1": ("scanner", "serial-scanner", "--every", "1"),
        "scanner-2": ("scanner", "serial-scanner", "--every", "1"),
    }
    hwsim = str(Path(sys.executable).with_name("hwsim"))
    with contextlib.ExitStack() as stack:
        ports = {}
        for name, words in commands.items():
            process = subprocess.Popen([hwsim, *words, "--port", "pty"], stdout=subprocess.PIPE)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            ports[name] = line(process)["port"]
        yield ports


def cpu(folder: Path, seconds: float) -> dict[str, Any]:
    """CPU of the agent and of a bare loop over the same traffic, in percent of a core."""
    with script(FEEDER, str(2 * SCALES), str(seconds + 6), str(FRAMES_A_SECOND), "weighed") as feeder:
        paths = line(feeder)
        with others() as ours, others() as theirs:
            ports = {f"scale-{n}": f"serial:{path}" for n, path in enumerate(paths[:SCALES])} | ours
            bare = [*paths[SCALES:], *(port.removeprefix("serial:") for port in theirs.values())]
            with agent(folder, ports) as pid, script(BARE, *bare) as loop:
                assert loop.stdout is not None
                loop.stdout.readline()
                go(feeder)
                time.sleep(3)
                before = cpu_seconds(pid), cpu_seconds(loop.pid)
                time.sleep(seconds)
                after = cpu_seconds(pid), cpu_seconds(loop.pid)
                with ControlClient(folder / "agent.db.sock") as client:
                    status = client.ask(do="status")["status"]
    readings = sum(c["readings"] for n, c in status["counters"].items() if n.startswith("scale"))
    return {
        "floor_cpu_percent": round(100 * (after[0] - before[0]) / seconds, 2),
        "floor_cpu_bare_pyserial_percent": round(100 * (after[1] - before[1]) / seconds, 2),
        "floor_readings": readings,
        "floor_tags": status["counters"].get("door", {}).get("tags", 0),
        "floor_scans": sum(status["counters"].get(f"scanner-{n}", {}).get("scans", 0) for n in (1, 2)),
        "floor_records": status["kept"],
    }


@contextlib.contextmanager
def agent(folder: Path, ports: dict[str, str]) -> Iterator[int]:
    """A running agent with these devices, all of them connected."""
    drivers = {"door": "mercury", "scanner-1": "serial-scanner", "scanner-2": "serial-scanner"}
    devices = "".join(
        f'[[device]]\nid = "{name}"\ndriver = "{drivers.get(name, "st-gs")}"\nport = "{port}"\n'
        for name, port in ports.items()
    )
    names = ", ".join(f'"{name}"' for name in ports)
    (folder / "agent.toml").write_text(CONFIG.format(folder=folder, devices=devices, names=names))
    command = [sys.executable, "-m", "edge_agent", "--log-level", "warning", "run", "--config", "agent.toml"]
    process = subprocess.Popen(command, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(ConnectionError), ControlClient(folder / "agent.db.sock") as client:
                states = client.ask(do="status")["status"]["devices"]
                if len(states) == len(ports) and {s["state"] for s in states.values()} == {"connected"}:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the agent does not start, or a device does not open")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Clocked(Mailbox):
    """Notes when each reading arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: dict[str, float] = {}

    def put(self, item: Any) -> bool:
        """Take an observation."""
        now = time.monotonic()
        if isinstance(item, Observation) and isinstance(item.event, Reading):
            self.arrived[str(item.event.weight)] = now
        return True


def latency(seconds: float, *, garbage: bool) -> dict[str, Any]:
    """Milliseconds from byte to observation, half and 99 of 100."""
    registry = Registry()
    registry.add(bundle(), Origin(name="built in"))
    inbox = Clocked()
    with contextlib.ExitStack() as stack:
        feeder = stack.enter_context(script(FEEDER, str(2 * SCALES), str(seconds), str(FRAMES_A_SECOND), "numbered"))
        every = line(feeder)
        paths = every[:SCALES]
        bare = stack.enter_context(script(BARE_CLOCKED, *every[SCALES:]))
        line(bare)
        if garbage:
            paths.append(stack.enter_context(flood()))
        others_ports = stack.enter_context(others())
        places = [("st-gs", path) for path in paths]
        kinds = ("mercury", "serial-scanner", "serial-scanner")
        places += [(n, p.removeprefix("serial:")) for n, p in zip(kinds, others_ports.values(), strict=True)]
        runners = []
        for number, (driver, path) in enumerate(places):
            url = PortUrl("serial", path)
            mine = registry.drivers[driver]

            def session(url: PortUrl = url, driver: str = driver, mine: Any = mine) -> Any:
                return registry.session(registry.make_transport(url, mine), registry.make_codec(driver, {}))

            runners.append(DeviceRunner(f"d-{number}", mine, session, [inbox], Board(), Health()))
        for runner in runners:
            runner.start()
        time.sleep(2)
        go(feeder)
        sent = line(feeder)
        time.sleep(0.5)
        go(bare)
        theirs = line(bare)
        for runner in runners:
            runner.stop()
        for runner in runners:
            runner.join(20)
    took, bare_took = _milliseconds(sent, inbox.arrived), _milliseconds(sent, theirs)
    if len(took) < len(sent) // 2 * 0.999:
        raise RuntimeError(f"{len(sent) // 2 - len(took)} of {len(sent) // 2} frames did not arrive")
    p99, bare_p99 = took[int(len(took) * 0.99)], bare_took[int(len(bare_took) * 0.99)]
    return {
        "floor_latency_p50_ms": round(statistics.median(took), 2),
        "floor_latency_p99_ms": round(p99, 2),
        "floor_latency_bare_p50_ms": round(statistics.median(bare_took), 2),
        "floor_latency_bare_p99_ms": round(bare_p99, 2),
        "floor_latency_p99_vs_bare": round(p99 / bare_p99, 2),
    }


def _milliseconds(sent: dict[str, float], arrived: dict[str, float]) -> list[float]:
    """How long each frame took, in order of size."""
    named = {f"{int(number) / 1000:.3f}": at for number, at in sent.items()}
    return sorted(1000 * (arrived[weight] - at) for weight, at in named.items() if weight in arrived)


@contextlib.contextmanager
def flood() -> Iterator[str]:
    """A port on which a megabyte of garbage a second is offered."""
    near, far = os.openpty()
    tty.setraw(far)
    text = "import os, time\nwhile True:\n    os.write(1, bytes(range(128, 256)) * 32)\n    time.sleep(0.004)\n"
    source = subprocess.Popen([sys.executable, "-c", text], stdout=near)
    try:
        yield os.ttyname(far)
    finally:
        source.kill()
        source.wait(30)
        os.close(near)
        os.close(far)


if __name__ == "__main__":
    sys.exit(main())
