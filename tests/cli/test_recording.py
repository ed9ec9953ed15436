"""Field recordings: from a port, after the fact from a running agent, played again, and nothing private in them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.cli.app import run
from edge_agent.control import ControlClient
from hwsim.device import Device
from hwsim.ports import open_port
from hwsim.replay import Player, read_capture

CONFIG = """\
[gateway]
id = "box-1"
site = "m"
[store]
path = "{folder}/records.db"
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[device]]
id = "scanner-1"
driver = "serial-scanner"
port = "serial:{scanner}"
[[station]]
id = "A12"
mode = "log"
devices = ["scale-1", "scanner-1"]
"""
PAYMENT = "134567890123456789"


class Stall:
    """A running agent with a scale and a scanner on terminals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        self.scale, self.scale_port = self._line("scale")
        self.scanner, scanner_port = self._line("scanner")
        self.config.write_text(CONFIG.format(folder=folder, scale=self.scale_port, scanner=scanner_port))
        command = [sys.executable, "-m", "edge_agent", "run", "--config", str(self.config)]
        self._agent = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)

    def _line(self, name: str) -> tuple[int, str]:
        """The far end of a line, and the near one's name: one of its own, as a number is soon given to another."""
        far, near = os.openpty()
        link = self.folder / name
        link.symlink_to(os.ttyname(near))
        os.close(near)  # held open here it would be a second program at the port
        return far, str(link)

    def start(self) -> None:
        """Wait for the ports to be open: a scale that says nothing is stale soon, on a busy machine before we look."""
        self.wait(
            lambda counters, devices: (
                {d["state"] for d in devices.values()} <= {"connected", "stale"} and len(devices) == 2
            )
        )

    def wait(self, holds: Callable[[dict[str, Any], dict[str, Any]], bool]) -> None:
        until = time.monotonic() + 40
        while True:
            assert time.monotonic() < until
            try:
                with ControlClient(self.folder / "records.db.sock") as client:
                    status = client.ask(do="status")["status"]
                if holds(status["counters"], status["devices"]):
                    return
            except ConnectionError:
                assert self._agent.poll() is None
            time.sleep(0.1)

    def capture(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        target = self.folder / f"capture-{time.monotonic_ns()}.jsonl"
        code = run(["devices", "capture", *arguments, "--to", str(target), "--config", str(self.config)])
        self.file = target
        return code, [orjson.loads(line) for line in target.read_bytes().splitlines()] if target.exists() else []

    def close(self) -> None:
        self._agent.terminate()
        assert self._agent.wait(20) == 0
        os.close(self.scale)
        os.close(self.scanner)


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Stall]:
    made = Stall(tmp_path)
    try:
        made.start()
        yield made
    finally:  # an agent that is left behind would take the terminals of other tests
        made.close()


def held(terminal: str) -> int:
    """How many times this process has a terminal open."""
    times = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            times += str(descriptor.readlink()) == terminal
    return times


def test_what_was_said_before_anybody_thought_of_it_is_recorded_and_played_again(stall: Stall) -> None:
    frames = [b"ST,GS,+%7.3fkg\r\n" % weight for weight in (0.0, 1.236, 1.236)]
    for frame in frames:
        os.write(stall.scale, frame)
        time.sleep(0.5)  # much more than a busy machine is late with the first of them
    os.write(stall.scale, b"\xff\xfe nonsense \r\n")
    stall.wait(lambda counters, _: counters.get("scale-1", {}).get("rejected", 0) >= 1)
    code, lines = stall.capture("scale-1")
    assert code == 0
    header, *pieces, expected = lines
    assert (header["driver"], header["port"]) == ("st-gs", f"serial:{stall.scale_port}")
    assert b"".join(bytes.fromhex(p["hex"]) for p in pieces if p["dir"] == "rx").startswith(b"".join(frames))
    assert pieces[-1]["t"] >= 0.4
    assert [e.get("weight") for e in expected["events"] if e["event"] == "reading"] == ["0.000", "1.236", "1.236"]
    assert expected["events"][-1]["event"] == "rejected"
    by_port, again = stall.capture(f"serial:{stall.scale_port}")
    assert (by_port, again[1:-1]) == (0, pieces)

    target = stall.folder / "second.jsonl"
    device = Device(Player(read_capture(stall.file).chunks), open_port("pty"))
    command = ["devices", "capture", device.port.name, "--driver", "st-gs", "--seconds", "6", "--to", str(target)]
    terminal = device.port.name.removeprefix("serial:")
    before = held(terminal)
    listener = threading.Thread(target=run, args=(command,))
    listener.start()
    until = time.monotonic() + 20
    while held(terminal) == before:
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(0.5)  # its settings follow, and what waited before them is thrown away
    with device:
        listener.join(40)
    replayed = [orjson.loads(line) for line in target.read_bytes().splitlines()]
    assert replayed[-1] == expected
    assert abs(replayed[-2]["t"] - pieces[-1]["t"]) < 2


def test_a_recording_of_a_scanner_holds_no_payment_code(stall: Stall) -> None:
    os.write(stall.scanner, f"]Q3{PAYMENT}\r".encode())
    stall.wait(lambda counters, _: counters.get("scanner-1", {}).get("scans", 0) >= 1)
    code, lines = stall.capture("scanner-1")
    assert (code, lines[0]["masked"]) == (0, True)
    assert b"]A9" + b"9" * 18 + b"\r" in b"".join(bytes.fromhex(line["hex"]) for line in lines[1:])
    assert PAYMENT.encode() not in stall.file.read_bytes()
    assert PAYMENT.encode().hex().encode() not in stall.file.read_bytes()
    code, lines = stall.capture("scanner-1", "--unmasked")
    assert (code, lines[-1]["events"][0]["text"]) == (0, PAYMENT)


def test_a_device_that_is_not_there_and_one_that_was_silent_say_so(stall: Stall) -> None:
    assert stall.capture("scale-9")[0] == 2
    assert stall.capture("scale-1")[0] == 69
    assert not stall.file.exists()


def test_a_recording_that_cannot_be_made_leaves_no_file(tmp_path: Path) -> None:
    """Once there, an empty file was in the way of the next try."""
    target = tmp_path / "capture.jsonl"
    near, far = os.openpty()
    tty.setraw(far)
    silent = f"serial:{os.ttyname(far)}"
    for port, to, code in (
        ("serial:/dev/does-not-exist", target, 69),
        (silent, target, 69),
        (silent, tmp_path / "no-folder" / "capture.jsonl", 73),
    ):
        for more in ([], ["--driver", "st-gs"]):
            assert run(["devices", "capture", port, "--to", str(to), "--seconds", "0.3", *more]) == code
            assert not to.exists()
    os.close(near)
    os.close(far)
