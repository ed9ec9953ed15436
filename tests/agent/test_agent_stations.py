"""The whole agent with several stations: what one takes in, another sells, over a restart and with a correction."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import Agent
from edge_agent.preparing import prepare
from edge_agent.supervisor import Supervisor

CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
[store]
path = "{folder}/records.db"
[[device]]
id = "s"
driver = "st-gs"
port = "memory:s"
[[station]]
id = "door"
mode = "intake"
devices = ["s"]
party = "3706025690012"
[[station]]
id = "A12"
mode = "sale"
devices = ["s"]
party = "3706025690012"
rules = {{ trace_first = 100, over_balance = "refuse" }}
"""


def start(folder: Path) -> Agent:
    agent = Agent(*prepare(folder / "agent.toml"))
    agent.start()
    return agent


def sell(agent: Agent, pieces: int) -> Any:
    agent.command("A12", "goods", {"code": "egg", "price_fen": 100, "price_per": "each"})
    return agent.command("A12", "confirm", {"qty": pieces})


def test_what_one_station_takes_in_another_sells(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(CONFIG.format(folder=tmp_path))
    agent = start(tmp_path)
    assert agent.command("door", "confirm", {"goods_code": "egg", "qty": 30, "batch": "B-1"}).refused is None
    sale = sell(agent, 30)
    assert sale.refused is None
    assert sell(agent, 5).refused == "over-balance"
    agent.stop()

    agent = start(tmp_path)
    assert sell(agent, 5).refused == "over-balance"
    voided = agent.correct("void", sale.kept[0]["id"], reason="x", operator=None, details={})
    assert voided.refused is None
    again = agent.command("A12", "confirm", {"qty": 5})
    assert again.refused is None
    rows = [agent.store.find(each.kept[0]["id"]) for each in (sale, again)]
    codes = [row.body.partition(b'"trace_code":"')[2][:20] for row in rows if row is not None]
    assert len(set(codes)) == 2
    agent.stop()


def test_a_port_that_closes_slowly_is_closed_before_the_agent_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel's driver that is given back takes its time; what the rest of the agent does not need goes to that."""
    terminal = os.openpty()
    config_text = CONFIG.format(folder=tmp_path).replace("memory:s", f"serial:{os.ttyname(terminal[1])}")
    (tmp_path / "agent.toml").write_text(config_text)
    config, registry = prepare(tmp_path / "agent.toml")
    given_up, closed = threading.Event(), threading.Event()
    make_session, stop = registry.session, Supervisor.stop

    def slow_session(*parts: Any) -> Any:
        session = make_session(*parts)
        close = session.close

        def close_slowly() -> Any:
            assert given_up.wait(20)
            time.sleep(0.5)
            closed.set()
            return close()

        session.close = close_slowly
        return session

    def stop_soon(supervisor: Supervisor, _timeout: float) -> None:
        stop(supervisor, 0.6)
        given_up.set()

    monkeypatch.setattr(registry, "session", slow_session)
    monkeypatch.setattr(Supervisor, "stop", stop_soon)
    agent = Agent(config, registry)
    agent.start()
    deadline = time.monotonic() + 20
    while "device/s" not in agent.board.latest():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    agent.stop()
    assert closed.is_set()
    for end in terminal:
        os.close(end)
