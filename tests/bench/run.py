"""`make bench`: every figure beside its baseline, as a table and as JSON.

    python tests/bench/run.py --to bench.json

Log level warning. Ratios hold from one machine to another, absolute figures do not. Each baseline runs in the same
process run as what it is compared with.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent import clock
from edge_agent.control import ControlClient
from edge_agent.records import envelope
from edge_agent.store import Store
from hwsim.city import City

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import peers
from door import door
from floor import measure as floor
from peers import cpu_seconds
from real_broker import Mosquitto

GOALS = {
    "ingest_1_vs_fdatasync": ("at least", 0.8),
    "ingest_group_per_s": ("at least", 40_000),
    "ingest_group_vs_executemany": ("or at least", 0.35),
    "drain_per_s": ("at least", 100_000),
    "drain_vs_plain_paho": ("or at least", 6),
    "latency_p50_vs_fdatasync": ("at most", 3),
    "rss_mb_0_pending": ("under", 64),
    "rss_mb_1m_pending": ("under", 64),
    "rss_mb_page": ("under", 96),
    "rss_growth": ("under", 1.10),
    "split_weighing_total_us": ("at most", 25),
    "floor_cpu_percent": ("under", 10),
    "floor_latency_p99_ms": ("under", 5),
    "floor_latency_p99_vs_bare": ("or at most", 1.5),
}

CONFIG = """\
[gateway]
id = "box-1"
site = "bench"
[store]
path = "{folder}/agent.db"
[uplink]
host = "127.0.0.1"
port = {port}
tls = false
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[station]]
id = "A12"
mode = "log"
devices = ["scale-1"]
{web}
"""


def main() -> int:
    """Measure everything and write it down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path, default=Path("bench.json"))
    parser.add_argument("--pending", type=int, default=1_000_000, help="records pending for the memory figure")
    parser.add_argument("--records", type=int, default=100_000, help="records for ingest and drain")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"log_level": "warning"}
    with tempfile.TemporaryDirectory(prefix="trace-bench-") as name:
        folder = Path(name)
        figures |= edge_agent("ingest", "--folder", name, "--records", str(arguments.records))
        figures |= edge_agent("split", "--folder", name)
        figures |= edge_agent("latency", "--folder", name)
        with mosquitto(folder) as port:
            figures |= edge_agent("drain", "--folder", name, "--broker", f"127.0.0.1:{port}")
            figures |= cpu(folder, port)
        say("floor …")
        figures |= floor()
        say("door …")
        figures |= door(folder)
        figures |= peers.measure(folder / "peers", say)
        figures |= memory(folder, arguments.pending)
    arguments.to.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    return report(figures)


def edge_agent(*arguments: str) -> dict[str, Any]:
    """One `edge-agent bench` command."""
    say(f"bench {arguments[0]} …")
    command = [sys.executable, "-m", "edge_agent", "--log-level", "warning", "bench", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=1_200, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()[-2_000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """A broker on a port of its own."""
    broker = Mosquitto(folder, ["max_queued_messages 100000"]).start()
    try:
        yield broker.port
    finally:
        broker.kill()


@contextlib.contextmanager
def agent(folder: Path, port: int, web: str = "") -> Iterator[tuple[int, int]]:
    """A running agent with a scale on a pty; yields its pid and the pty's other end."""
    near, far = os.openpty()
    tty.setraw(far)
    (folder / "agent.toml").write_text(CONFIG.format(folder=folder, port=port, scale=os.ttyname(far), web=web))
    command = [sys.executable, "-m", "edge_agent", "--log-level", "warning", "run", "--config", "agent.toml"]
    process = subprocess.Popen(command, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(ConnectionError), ControlClient(folder / "agent.db.sock") as client:
                if client.ask(do="status")["status"]["devices"]:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the agent does not start")
            time.sleep(0.1)
        yield process.pid, near
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        os.close(near)
        os.close(far)


def cpu(folder: Path, port: int, records: int = 10_000, per_second: int = 500) -> dict[str, Any]:
    """CPU of the whole way, from bytes on a pty to the platform's verdict, for 10,000 weighings."""
    say("cpu …")
    with City(f"127.0.0.1:{port}") as city, agent(folder, port) as (pid, near):
        city.wait_connected()
        drain = threading.Thread(target=_discard, args=(near,), daemon=True)
        drain.start()
        before = cpu_seconds(pid)
        for number in range(records):
            load = b"ST,GS,+%7.3fkg\r\n" % (1 + number % 900 / 1000)
            os.write(near, b"ST,GS,+  0.000kg\r\n" + load + load)
            time.sleep(1 / per_second)
        city.wait(lambda stats: stats.distinct >= records, 120)
        time.sleep(1)
        used = cpu_seconds(pid) - before
        with ControlClient(folder / "agent.db.sock") as client:
            kept = client.ask(do="status")["status"]["kept"]
    return {"cpu_s_per_10k": round(used * 10_000 / kept, 2), "cpu_us_per_record": round(used * 1e6 / kept, 1)}


def _discard(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):
            pass


def memory(folder: Path, pending: int) -> dict[str, Any]:
    """Resident memory of the agent with nothing and with `pending` records waiting; and with its page on."""
    web = '[web]\nlisten = "127.0.0.1:0"'
    (folder / "agent.db").unlink(missing_ok=True)
    for leftover in folder.glob("agent.db*"):
        leftover.unlink()
    say("memory with nothing pending …")
    with agent(folder, 9, web) as (pid, _):  # port 9 refuses: nothing is ever delivered
        time.sleep(8)
        page = rss_mb(pid)
    with agent(folder, 9) as (pid, _):  # the second start, as every one of a box but its first
        time.sleep(8)
        empty = rss_mb(pid)
    say(f"memory with {pending} pending …")
    fill(folder / "agent.db", pending)
    with agent(folder, 9) as (pid, _):
        time.sleep(8)
        full = rss_mb(pid)
    return {
        "rss_mb_0_pending": round(empty, 1),
        "rss_mb_1m_pending": round(full, 1),
        "rss_mb_page": round(page, 1),
        "rss_growth": round(full / empty, 3),
        "rss_pending": pending,
    }


def fill(path: Path, records: int) -> None:
    """Keep so many weighings that nobody has delivered."""
    store = Store.open(path, source="/bench/box-1", zone=ZoneInfo("UTC"))
    data = {
        "device": "scale-1",
        "net_mg": 1_236_000,
        "indication": "1.236",
        "unit": "kg",
        "raw": "53542c47532c2b",
        "flags": [],
    }
    zone = ZoneInfo("UTC")
    ticket = None
    for _ in range(records):
        ticket = store.submit(
            envelope.draft(type="trace.weighing.v1", subject="A12", at=clock.now(), zone=zone, data=data), timeout=60
        )
    if ticket is not None:
        ticket.wait(120)
    store.stop(60)


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def report(figures: dict[str, Any]) -> int:
    """The table; 1 when a goal was missed."""
    missed = 0
    print(f"{'figure':34} {'measured':>14}  goal")
    for name, value in sorted(figures.items()):
        if isinstance(value, dict):
            continue
        goal = GOALS.get(name)
        words = f"{goal[0]} {goal[1]}" if goal else ""
        print(f"{name:34} {value!s:>14}  {words}")
    for peer, measured in sorted(figures["peers"].items()):
        for name, value in sorted(measured.items()):
            print(f"{peer + ' ' + name:48} {value!s:>14}")
    for names in (
        ("ingest_1_vs_fdatasync",),
        ("ingest_group_per_s", "ingest_group_vs_executemany"),
        ("drain_per_s", "drain_vs_plain_paho"),
        ("latency_p50_vs_fdatasync",),
        ("rss_mb_0_pending",),
        ("rss_mb_1m_pending",),
        ("rss_growth",),
        ("split_weighing_total_us",),
        ("floor_cpu_percent",),
        ("floor_latency_p99_ms", "floor_latency_p99_vs_bare"),
    ):
        if not any(reached(figures[name], *GOALS[name]) for name in names):
            print(f"missed: {' or '.join(names)}")
            missed += 1
    return 1 if missed else 0


def reached(value: float, words: str, goal: float) -> bool:
    """Whether a figure reaches its goal."""
    return value >= goal if "least" in words else value <= goal


def say(text: str) -> None:
    """Tell what is being done."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
