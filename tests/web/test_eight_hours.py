"""A market day of eight hours at ten sales a minute with five open streams, pressed together: the agent as a process of
its own, a scale on a pty, a real broker, the platform. Memory stays flat and low, and no stream misses an event."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_broker import Mosquitto
from stall_web import Client, Stream

SALES_A_MINUTE = 10
HOURS = 8
STREAMS = 5
MOST_MB = 96.0
MOST_GROWTH_MB = 2.0
"""Over the second half of the day. In the first half what is bounded fills its bounds: the books remember the newest
2,000 sales, a stream can go on from the newest 2,000 events."""

CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
[uplink]
host = "127.0.0.1"
port = {broker}
tls = false
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[station]]
id = "A12"
mode = "sale"
party = "1234567890123"
devices = ["scale-1"]
rules = {{ stable_ms = 50 }}
[web]
listen = "127.0.0.1:{port}"
"""


class Memory:
    """What a process holds, in megabytes, from the kernel."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/smaps_rollup")

    def rss_mb(self) -> float:
        line = next(line for line in self._file.read_text().splitlines() if line.startswith("Rss:"))
        return int(line.split()[1]) / 1024


class Follower:
    """A screen that is open all day and loses its connection now and then; it keeps only what a page keeps."""

    def __init__(self, client: Client, every: int) -> None:
        self._client = client
        self._every = every
        self._stream = Stream(client)
        self.seen: list[int] = []
        self.delivered: set[int] = set()
        self.snapshots = 0
        self.reconnects = 0

    def take(self) -> None:
        """Take in what has come."""
        for name, _, data in self._stream.drain():
            if name == "record":
                self.seen.append(data["sequence"])
            elif name == "marks":
                self.delivered |= {each["sequence"] for each in data if each["mark"] == "delivered"}
            elif name == "snapshot":
                self.snapshots += 1

    def maybe_lose(self, sale: int) -> None:
        """Lose the connection, and come back with the last id."""
        if self._every and sale % self._every == self._every - 1:
            self._stream.close()
            self.take()
            self.reconnects += 1
            self._stream = Stream(self._client, last=self._stream.newest_id)

    def close(self) -> None:
        self._stream.close()


def market_day(folder: Path, port: int, sales: int) -> dict[str, Any]:
    near, far = os.openpty()
    tty.setraw(far)
    config = folder / "agent.toml"
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, near)
        undo.callback(os.close, far)
        broker = Mosquitto(folder).start()
        undo.callback(broker.kill)
        binaries = Path(sys.executable).parent
        city = subprocess.Popen(
            [str(binaries / "hwsim"), "city", "--broker", broker.address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        undo.callback(city.wait, 20)
        undo.callback(city.kill)
        config.write_text(CONFIG.format(folder=folder, broker=broker.port, scale=os.ttyname(far), port=port))
        log = undo.enter_context((folder / "agent.log").open("wb"))
        agent = subprocess.Popen(
            [str(binaries / "edge-agent"), "--log-level", "warning", "run", "--config", str(config)],
            stdout=log,
            stderr=log,
        )
        undo.callback(agent.wait, 20)
        undo.callback(agent.send_signal, signal.SIGTERM)
        _until(lambda: _listens(port), "the page is not served")
        client = Client("127.0.0.1", port)
        client.get("/api/session")
        followers = [Follower(client, every) for every in (0, 0, 37, 61, 101)]
        assert len(followers) == STREAMS
        memory = Memory(agent.pid)
        kept: list[int] = []
        measured: list[float] = []
        for sale in range(sales):
            kept.append(_sell(client, near, sale))
            for follower in followers:
                follower.maybe_lose(sale)
                follower.take()
            if sale % max(1, sales // 20) == 0:
                measured.append(memory.rss_mb())
        measured.append(memory.rss_mb())

        def all_told() -> bool:
            for follower in followers:
                follower.take()
            return all(follower.seen and follower.seen[-1] == kept[-1] for follower in followers) and all(
                kept[-1] in follower.delivered for follower in followers
            )

        _until(all_told, "the last sale was not told, or not told to be delivered")
        figures = client.get("/api/figures?days=2")[1]["days"]
        for follower in followers:
            follower.close()
    return {
        "kept": kept,
        "measured": measured,
        "followers": followers,
        "figures": figures,
        "log": (folder / "agent.log").read_text(errors="replace"),
    }


def _sell(client: Client, scale: int, number: int) -> int:
    """One weigh cycle, one sale; its sequence."""
    weight = f"{1 + number % 400 / 100:.3f}"

    def show(text: str, frames: int) -> None:
        for _ in range(frames):
            os.write(scale, f"ST,GS,+{text:>7}kg\r\n".encode())
            time.sleep(0.004)

    deadline = time.monotonic() + 60
    show("0.000", 3)
    client.do("goods", code="6901028225168", name="大白菜", price_fen=300)
    while True:
        show(weight, 3)
        status, answer = client.do("confirm")
        if status == 200:
            return int(answer["kept"][0]["sequence"])
        # Not stable yet, or the last load still counts: the scale goes on showing what lies on it.
        assert answer["refused"] in ("not-stable", "no-load", "already-sold", "waiting", "loaded-at-start"), answer
        assert time.monotonic() < deadline, answer
        if answer["refused"] in ("already-sold", "loaded-at-start"):
            show("0.000", 3)
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def judge(day: dict[str, Any], sales: int) -> float:
    kept, measured = day["kept"], day["measured"]
    assert len(kept) == len(set(kept)) == sales
    for follower in day["followers"]:
        shown = [sequence for sequence in follower.seen if sequence >= kept[0]]
        assert shown == list(range(kept[0], kept[-1] + 1)), "a stream missed a record or told one twice"
        assert follower.snapshots == 1, "a stream that came back in time needed the whole state"
    assert sum(follower.reconnects for follower in day["followers"]) > 0, "no connection was lost: nothing was tried"
    assert sum(each["sales"] for each in day["figures"]) == sales
    assert "page.failed" not in day["log"], day["log"]
    assert "resync" not in day["log"], day["log"]
    assert max(measured) < MOST_MB, f"{max(measured):.1f} MB"
    return float(max(measured))


def test_the_beginning_of_the_day(tmp_path: Path, free_port: Callable[[], int], record_property: Any) -> None:
    sales = 120
    most = judge(market_day(tmp_path, free_port(), sales), sales)
    record_property("rss_mb", f"{most:.1f}")


@pytest.mark.soak("a market day of 8 h at 10 sales a minute with 5 open pages: memory flat, no event missed")
@pytest.mark.timeout(3600)
def test_eight_hours(tmp_path: Path, free_port: Callable[[], int], record_property: Any) -> None:
    sales = HOURS * 60 * SALES_A_MINUTE
    day = market_day(tmp_path, free_port(), sales)
    most = judge(day, sales)
    measured = day["measured"]
    growth = measured[-1] - measured[len(measured) // 2]
    record_property("count", f"{sales} sales, RSS {measured[0]:.1f} to {measured[-1]:.1f} MB, at most {most:.1f}")
    assert growth < MOST_GROWTH_MB, f"{growth:.1f} MB more since noon: {measured}"
