"""Tickets that nobody has paid outlive the agent: a process of its own, asked over HTTP, killed with -9."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from stall_web import PATIENCE, Client

from edge_agent.station import Tickets
from edge_agent.store.reading import Reader

CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
[[device]]
id = "scale-1"
driver = "st-gs"
port = "tcp:127.0.0.1:9"
[[station]]
id = "A12"
mode = "sale"
party = "3706025690012"
devices = ["scale-1"]
[[station]]
id = "B7"
mode = "sale"
party = "3706025690012"
devices = ["scale-1"]
[web]
listen = "127.0.0.1:{port}"
"""


class Agent:
    """`edge-agent run`, and a browser that asks it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.kills = 0
        (folder / "agent.toml").write_text(CONFIG.format(folder=folder, port=port), encoding="utf-8")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "edge_agent", "run", "--config", str(self.folder / "agent.toml")]
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            assert self.process.poll() is None, (self.folder / "agent.log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "the page is not served"
            time.sleep(0.02)
        self.client = Client("127.0.0.1", self.port)

    def kill(self) -> None:
        """The power goes, and comes back."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(PATIENCE) == -signal.SIGKILL
        self.kills += 1
        self.start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def do(self, command: str, station: str = "A12", **arguments: Any) -> None:
        status, answer = self.client.do(command, station, **arguments)
        assert (status, answer["refused"]) == (200, None), answer

    def sell(self, qty: int, station: str = "A12") -> None:
        self.do("sell", station, code="31010001", name="鸡蛋", price_fen=120, price_per="each", qty=qty)

    def detail(self, station: str = "A12") -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while True:
            views = self.client.get("/api/state")[1]["stations"]
            if station in views:
                return dict(views[station]["detail"])
            assert time.monotonic() < deadline, "the station does not show itself"
            time.sleep(0.05)

    def kept(self, kind: str) -> list[dict[str, Any]]:
        with contextlib.closing(Reader(self.folder / "records.db")) as reader:
            events = [orjson.loads(row.body) for row in reader.read(1, limit=10_000)]
        return [event["data"] for event in events if event["type"] == f"trace.{kind}.v1"]


@pytest.fixture
def agent(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Agent]:
    running = Agent(tmp_path, free_port())
    yield running
    running.end()
    assert running.kills > 0, "nothing was killed"


def test_a_ticket_on_hold_and_an_open_one_outlive_kill_9(agent: Agent) -> None:
    agent.do("ticket")
    agent.sell(2)
    agent.sell(3)
    first = agent.detail()["ticket"]
    agent.do("ticket", hold=True)
    agent.kill()  # nothing was recorded since: only the answer says that it is on hold
    assert agent.detail()["held"] == [{"ticket": first, "lines": 2, "fen": 600, "goods": ["鸡蛋"]}]
    assert agent.detail()["ticket"] is None

    agent.do("ticket")
    agent.kill()
    second = agent.detail()["ticket"]
    assert second not in (None, first)
    agent.sell(1)
    agent.kill()
    detail = agent.detail()
    assert (detail["ticket"], detail["ticket_fen"], len(detail["lines"])) == (second, 120, 1)
    agent.sell(4)
    assert [sale["line"] for sale in agent.kept("sale") if sale["ticket"] == second] == [1, 2]

    # The customer of the first comes back, buys one more, and pays.
    agent.do("ticket", ticket=first)
    agent.sell(1)
    agent.do("settle", pay_method="cash")
    agent.kill()
    detail = agent.detail()
    assert detail["ticket"] is None
    assert detail["held"] == [{"ticket": second, "lines": 2, "fen": 600, "goods": ["鸡蛋"]}]
    paid = agent.kept("settlement")[-1]
    assert (paid["ticket"], paid["total_fen"], len(paid["lines"])) == (first, 720, 3)
    agent.do("ticket", ticket=second)
    agent.do("settle", pay_method="wechat")
    agent.kill()
    assert (agent.detail()["ticket"], agent.detail()["held"]) == (None, [])
    assert sorted(each["total_fen"] for each in agent.kept("settlement")) == [600, 720]


def test_tickets_are_each_counters_own_and_what_was_answered_holds(agent: Agent) -> None:
    """Killed in the moment of the answer, three times over, while the other counter sells."""
    agent.do("ticket", "B7")
    agent.sell(1, "B7")
    other = agent.detail("B7")["ticket"]
    held: list[str] = []
    for _ in range(3):
        agent.do("ticket")
        agent.sell(1)
        held.append(agent.detail()["ticket"])
        agent.do("ticket", hold=True)
        agent.kill()
        assert [each["ticket"] for each in agent.detail()["held"]] == held
    assert (agent.detail("B7")["ticket"], agent.detail("B7")["held"]) == (other, [])


def test_what_is_noted_of_a_moment_between_two_states_loses_nothing() -> None:
    tickets = Tickets(open="t2", held=("t1",))
    tickets.held = ("t1", "t2")  # about to be put aside: noted before it is no longer the open one
    assert Tickets.of(tickets.facts()) == Tickets(open="t2", held=("t1",))
