"""A pcscd of one's own with vsmartcard's virtual reader, as root: its socket has one place on a machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import subprocess
import time
from pathlib import Path

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET = Path("/run/pcscd/pcscd.comm")
LOCK = Path("/tmp/trace-edge-agent-pcscd.lock")
READER = "Virtual PCD"


def _two_free_ports() -> int:
    """A port that is free with the one after it, which the second slot takes; not one that the system hands out."""
    for port in random.sample(range(20_000, 30_000, 2), 200):
        with (
            contextlib.suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
            socket.create_server(("127.0.0.1", port + 1)),
        ):
            return port
    raise AssertionError("no two free ports from 20000 to 30000")


class Pcscd:
    """The daemon; `start`, `kill` and `start` again is a restart. Cards connect to `port`."""

    def __init__(self, folder: Path) -> None:
        assert os.geteuid() == 0, "pcscd needs root for its socket"
        self._lock = LOCK.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # other test runs on this machine wait here
        self.port = _two_free_ports()
        self._config = folder / "reader.conf"
        self._config.write_text(
            f'FRIENDLYNAME "{READER}"\nDEVICENAME /dev/null:{self.port:#x}\n'
            f"LIBPATH {DRIVER}\nCHANNELID {self.port:#x}\n"
        )
        self._log = (folder / "pcscd.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Pcscd:
        SOCKET.parent.mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX) as other:
            assert other.connect_ex(str(SOCKET)) != 0, "a pcscd of the system runs; stop it: systemctl stop pcscd"
        for left in (SOCKET, SOCKET.with_name("pcscd.pid")):
            left.unlink(missing_ok=True)
        command = ["pcscd", "--foreground", "--config", str(self._config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until = time.monotonic() + 30
        while True:
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex(str(SOCKET)) == 0:
                    return self
            assert self._process.poll() is None, Path(self._log.name).read_text()
            assert time.monotonic() < until, "pcscd does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def close(self) -> None:
        self.kill()
        self._log.close()
        self._lock.close()
