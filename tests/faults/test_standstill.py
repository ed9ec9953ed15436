"""An agent that stands still while its devices speak: what waited in the ports is not what lies on the scale now."""

from __future__ import annotations

import array
import fcntl
import json
import os
import signal
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.store import Reader

CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "records.db"
[uplink]
host = "127.0.0.1"
port = 1
tls = false
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[device]]
id = "gun-1"
driver = "serial-scanner"
port = "serial:{gun}"
[[station]]
id = "A12"
mode = "log"
devices = ["scale-1", "gun-1"]
"""
STALE_AFTER = 3.0
EAN = "6901234567892"


class Line:
    """A terminal with a device at its far end, and a look at what waits in it."""

    def __init__(self) -> None:
        self.near, self._far = os.openpty()
        tty.setraw(self._far)
        self.path = os.ttyname(self._far)

    def waiting(self) -> int:
        number = array.array("i", [0])
        fcntl.ioctl(self._far, termios.FIONREAD, number)
        return number[0]

    def close(self) -> None:
        os.close(self.near)
        os.close(self._far)


class Scale(Line):
    """Sends what it shows twenty times a second, whoever listens."""

    def __init__(self) -> None:
        super().__init__()
        self.shows = "  0.000"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            os.write(self.near, f"ST,GS,+{self.shows}kg\r\n".encode())

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        super().close()


class Stall:
    def __init__(self, start: Callable[[str], Any]) -> None:
        self.scale, self.gun = Scale(), Line()
        self.agent = start(CONFIG.format(scale=self.scale.path, gun=self.gun.path))
        self.wait(lambda: self.counted("scale-1").get("readings", 0) > 5, "readings come")
        self.wait(lambda: "gun-1" in self.states_of("connected"), "the scanner's port is open")

    def wait(self, holds: Any, what: str) -> None:
        self.agent.wait(holds, 30, what)

    def counted(self, device: str) -> dict[str, Any]:
        found: dict[str, Any] = self.agent.status()["counters"].get(device) or {}
        return found

    def states_of(self, state: str) -> dict[str, str]:
        """Reasons of the changes to a state so far, by device."""
        told = (e for e in self.agent.log() if e["event"] == "device.state" and e["state"] == state)
        return {e["device"]: e["reason"] for e in told}

    def records(self, name: str) -> list[dict[str, Any]]:
        with Reader.open(self.agent.database) as reader:
            bodies = [json.loads(row.body) for row in reader.read(1, limit=1_000)]
        return [body["data"] for body in bodies if body["type"] == f"trace.{name}.v1"]

    def weighed(self) -> list[str]:
        return [body["indication"] for body in self.records("weighing")]

    def weigh(self, text: str) -> None:
        number = len(self.weighed())
        self.scale.shows = text
        self.wait(lambda: len(self.weighed()) > number, f"{text} is weighed")
        self.scale.shows = "  0.000"
        seen = self.counted("scale-1")["readings"]
        self.wait(lambda: self.counted("scale-1")["readings"] > seen + 2, "the platter is seen empty")

    def stand_still(self) -> None:
        process = self.agent.process
        process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 20
        while Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def go_on(self) -> None:
        self.agent.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.agent.process.poll() is None:
            self.go_on()
        self.agent.stop()
        self.scale.close()
        self.gun.close()


@pytest.fixture
def stall(start_agent: Callable[[str], Any]) -> Iterator[Stall]:
    made = Stall(start_agent)
    yield made
    made.close()


def test_what_waited_while_the_agent_stood_still_is_no_weighing_but_a_scan_is_a_scan(stall: Stall) -> None:
    stall.weigh("  1.250")
    stall.stand_still()
    stall.scale.shows = "  5.000"
    time.sleep(0.5)
    stall.scale.shows = "  0.000"
    os.write(stall.gun.near, f"{EAN}\r".encode())
    time.sleep(STALE_AFTER + 1)
    assert stall.scale.waiting() > 10 * len("ST,GS,+  5.000kg\r\n"), "nothing waited: the fault was not hit"
    assert stall.gun.waiting() == len(EAN) + 1
    stall.go_on()

    stall.wait(lambda: stall.counted("scale-1")["late"] > 10, "what waited is counted")
    stall.wait(lambda: "scale-1" in stall.states_of("stale"), "the scale is told to be stale")
    assert "stood still" in stall.states_of("stale")["scale-1"]
    stall.wait(lambda: stall.records("scan") != [], "the scan that waited is recorded")
    assert [scan["text"] for scan in stall.records("scan")] == [EAN]
    stall.wait(lambda: stall.states_of("connected")["scale-1"] == "data again", "readings of now count again")
    stall.weigh("  7.500")
    assert stall.weighed() == ["1.250", "7.500"]


def test_a_load_put_on_while_the_agent_stood_still_is_weighed_as_it_lies_there(stall: Stall) -> None:
    stall.stand_still()
    stall.scale.shows = "  5.000"
    time.sleep(STALE_AFTER + 0.5)
    stall.scale.shows = "  6.000"
    time.sleep(0.5)
    assert stall.scale.waiting() > 0, "nothing waited: the fault was not hit"
    stall.go_on()
    stall.wait(lambda: stall.weighed() != [], "what lies there now is weighed")
    assert stall.weighed() == ["6.000"]
    assert stall.counted("scale-1")["late"] > 0
