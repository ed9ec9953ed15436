"""The whole agent as a process of its own, fed by a scale on a real pty, with a real broker and the city's stand-in."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_broker import Mosquitto

from edge_agent.control import ControlClient
from hwsim.chaos import ChaosProxy
from hwsim.city import City


class PtyScale:
    """A scale on a pty that weighs without end: each weighing is zero, load, load in the ST,GS dialect.

    Its own end is a raw file descriptor, so that it can stop in the middle of a frame. `link` is a name that moves
    when the pty is replaced, as a by-id link does.
    """

    def __init__(self, link: Path, per_second: float = 200.0) -> None:
        self.link = link
        self._pause = 1.0 / per_second
        self._weighing = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.weighed: list[str] = []
        self._open()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        fresh = self.link.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._far))
        fresh.replace(self.link)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            if not self._weighing.wait(0.05):
                continue
            number += 1
            text = f"{1 + number % 8_000 / 1_000:7.3f}"
            load = f"ST,GS,+{text}kg\r\n".encode()
            with self._lock, contextlib.suppress(OSError):
                os.write(self._near, b"ST,GS,+  0.000kg\r\n" + load + load)
                self.weighed.append(text.strip())
            self._stop.wait(self._pause)

    def go(self) -> None:
        self._weighing.set()

    def rest(self) -> None:
        self._weighing.clear()
        time.sleep(3 * self._pause + 0.1)

    def write(self, data: bytes) -> None:
        with self._lock:
            os.write(self._near, data)

    def unplug(self) -> None:
        with self._lock:
            os.close(self._near)
            os.close(self._far)
            self._near = self._far = -1

    def plug(self) -> None:
        """Come back; the pty has another number, the link has moved."""
        with self._lock:
            self._open()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        for descriptor in (self._near, self._far):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class AgentProcess:
    """`edge-agent run`, with its log in a file."""

    def __init__(self, folder: Path, config: str, **environment: str) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        self.config.write_text(config)
        self.database = folder / "records.db"
        self._environment = {**os.environ, "LANG": "C.UTF-8", **environment}
        self._log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> AgentProcess:
        before = self.count("agent.started")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", "run", "--config", str(self.config)],
                stderr=log,
                cwd=self.folder,
                env=self._environment,
            )
        self.wait(lambda: self.count("agent.started") > before, 30, "the agent starts")
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(20)

    def log(self) -> list[dict[str, Any]]:
        """Every whole line; a line cut by kill -9 was not said."""
        lines = self._log.read_bytes().split(b"\n")[:-1] if self._log.exists() else []
        events = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                events.append(json.loads(line))
        return events

    def count(self, event: str) -> int:
        return self._log.read_bytes().count(f'"event":"{event}"'.encode()) if self._log.exists() else 0

    def kept(self) -> dict[str, int]:
        """Ids and sequences that the log told as kept: their tickets had resolved."""
        return {e["id"]: e["sequence"] for e in self.log() if e["event"] == "record.kept"}

    def status(self) -> dict[str, Any]:
        with ControlClient(Path(f"{self.database}.sock")) as client:
            answer: dict[str, Any] = client.ask(do="status")["status"]
            return answer

    def head(self) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT max(sequence) FROM records").fetchone()[0])

    def wait(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the agent ended with {self._process.returncode}: {self._tail()}")
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self._tail()}"
            time.sleep(0.05)

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3_000:] if self._log.exists() else "(no log)"

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"

[store]
path = "records.db"

[uplink]
host = "127.0.0.1"
port = {port}
tls = false
verdict_timeout = {verdict_timeout}
progress_timeout = {progress_timeout}
connect_timeout = 3
reconnect_max = 1
keepalive = 5

[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"

[[station]]
id = "A12"
mode = "log"
devices = ["scale-1"]
"""


class World:
    """Scale, agent, network, broker, city: the whole way, with a handle on every part."""

    def __init__(
        self, folder: Path, *, reject: tuple[str, ...] = (), silent: float = 0.0, slow_ms: float = 0.0
    ) -> None:
        self.folder = folder
        self.broker = Mosquitto(folder).start()
        self.network = ChaosProxy(("127.0.0.1", self.broker.port)).start()
        self.scale = PtyScale(folder / "scale")
        self.city_file = folder / "city.db"
        self.city = City(
            self.broker.address, store=self.city_file, reject=reject, silent=silent, slow_ms=slow_ms
        ).start()
        self.city.wait_connected()
        self.progress_timeout = 3.0
        self.agent = AgentProcess(
            folder,
            CONFIG.format(
                port=self.network.port,
                scale=self.scale.link,
                verdict_timeout=2,
                progress_timeout=self.progress_timeout,
            ),
        )

    def weigh_until(self, records: int) -> None:
        """Weigh until so many more records are kept."""
        goal = self.agent.count("record.kept") + records
        self.scale.go()
        self.agent.wait(lambda: self.agent.count("record.kept") >= goal, 60, f"{records} more records are kept")

    def everything_arrives(self, extra: float = 0.0) -> None:
        """At rest, everything kept reaches the platform within the watchdog + 30 s, stored once, without a gap."""
        self.scale.rest()
        head = self.agent.head()
        within = self.progress_timeout + 30 + extra
        self.agent.wait(lambda: self.agent.head() == head and self._at_rest(head), within, "all has its verdict")
        stats = self.city.stats
        assert (stats.gaps, stats.chain_ok, stats.malformed) == (0, True, 0), stats
        kept = self.agent.kept()
        with contextlib.closing(sqlite3.connect(self.city_file)) as connection:
            stored = connection.execute("SELECT id, sequence FROM records").fetchall()
            refused = connection.execute("SELECT id, sequence FROM refused").fetchall()
        assert len(stored) == len(dict(stored)), "an id is stored twice"
        assert sorted(sequence for _, sequence in stored + refused) == list(range(1, head + 1))
        missing = kept.items() - set(stored) - set(refused)
        assert not missing, f"{len(missing)} records were told as kept and are not at the platform"
        assert len(kept) > 0

    def _at_rest(self, head: int) -> bool:
        stats = self.city.stats
        return stats.distinct + stats.rejected >= head and self.agent.status()["pending"] == 0

    def close(self) -> None:
        self.scale.close()
        self.agent.stop()
        self.city.stop()
        self.network.stop()
        self.broker.kill()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**settings: Any) -> World:
        made.append(World(tmp_path, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def start_agent(tmp_path: Path) -> Callable[[str], AgentProcess]:
    return lambda config: AgentProcess(tmp_path, config).start()
