"""A Mosquitto of one's own, for every test that needs a broker."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

MOSQUITTO = "/usr/sbin/mosquitto"


class Mosquitto:
    """A broker on a free port of loopback, without persistence unless `lines` say so.

    `kill` is kill -9; `start` brings it back empty. `lines` stand before the listener in its configuration, `listener`
    behind it.
    """

    def __init__(self, folder: Path, lines: Sequence[str] = (), listener: Sequence[str] = ()) -> None:
        if not Path(MOSQUITTO).exists():
            raise RuntimeError("mosquitto is missing: apt-get install mosquitto")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._log = folder / "mosquitto.log"
        self._config = folder / f"mosquitto-{self.port}.conf"
        settings = [
            *lines,
            f"listener {self.port} 127.0.0.1",
            *listener,
            *([] if "allow_anonymous false" in lines else ["allow_anonymous true"]),
            *([] if any(line.startswith("persistence ") for line in lines) else ["persistence false"]),
            "user root",  # else it gives up root's rights, and with them our files
        ]
        self._config.write_text("\n".join(settings) + "\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> Mosquitto:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert time.monotonic() < deadline, f"mosquitto does not listen: {self._log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
            self.kills += 1
