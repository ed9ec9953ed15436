"""The unit as systemd sees it, and the notifications of the running agent."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "trace-edge-agent.service"

CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "records.db"
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[station]]
id = "A12"
mode = "log"
devices = ["scale-1"]
"""

# A fault is planted in the station's way: it hangs as soon as a file tells it to.
HANGING = """\
import sys, threading
from pathlib import Path
from edge_agent.station.log import LogStation

observe = LogStation.observe

def hang(self, observation):
    if Path("hang").exists():
        threading.Event().wait(600)
    return observe(self, observation)

LogStation.observe = hang
from edge_agent import health
from edge_agent.cli.app import run
part = health.Health.part
health.Health.part = lambda self, name, patience=1.0: part(self, name, 2.0)
sys.exit(run(["run", "--config", "agent.toml"]))
"""


def test_the_unit_verifies(tmp_path: Path) -> None:
    # verify wants the program to be there: the same unit with a program that is.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/trace-edge-agent/bin/edge-agent", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_exposed_by_two_points_at_most() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:]
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= 2.0


def test_the_unit_does_not_restart_what_starting_again_cannot_cure() -> None:
    text = UNIT.read_text()
    assert "RestartPreventExitStatus=2 78" in text
    assert "Type=notify" in text


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[socket.socket]:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.settimeout(30)
    yield receiver
    receiver.close()


def test_ready_and_watchdog_are_sent_and_stop_when_a_part_is_held_up(tmp_path: Path, notify: socket.socket) -> None:
    near, far = os.openpty()
    (tmp_path / "agent.toml").write_text(CONFIG.format(scale=os.ttyname(far)))
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING],
        cwd=tmp_path,
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "500000"},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert b"READY=1" in notify.recv(1000)
        for _ in range(5):
            assert b"WATCHDOG=1" in notify.recv(1000)
        (tmp_path / "hang").touch()
        os.write(near, b"ST,GS,+  0.000kg\r\n")
        deadline = time.monotonic() + 30
        while b"held up: station A12" not in notify.recv(1000):
            assert time.monotonic() < deadline, "the held-up part was not noticed"
        for _ in range(5):
            assert b"WATCHDOG=1" not in notify.recv(1000)
        process.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in notify.recv(1000):
            assert time.monotonic() < deadline
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
        os.close(near)
        os.close(far)
