"""`edge-agent catalogue` as its users call it: with the agent running, through its socket, and stopped."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from edge_agent.agent import Agent
from edge_agent.cli.app import run
from edge_agent.control import MOST_UPLOAD, ControlClient
from edge_agent.preparing import prepare

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
id = "A12"
mode = "sale"
devices = ["s"]
"""
GOODS = "编码,名称,PLU,单价,单位\r\n01210101,大白菜,12,2.80,斤\r\n69,=1+1,13,3,件\r\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.format(folder=tmp_path))
    return file


@pytest.fixture(params=["running", "stopped"])
def agent(request: pytest.FixtureRequest, config: Path) -> Iterator[Agent | None]:
    agent = Agent(*prepare(config))
    agent.start()
    if request.param == "stopped":
        agent.stop()
        yield None
        return
    yield agent
    agent.stop()


def test_a_file_goes_in_and_comes_out_the_same(
    agent: Agent | None, config: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    more = ["--config", str(config)]
    (tmp_path / "goods.csv").write_bytes(GOODS.encode("gbk"))
    assert run(["catalogue", "import", *more, str(tmp_path / "goods.csv")]) == 0
    if agent is not None:
        assert agent.catalogue()["goods"][0]["initials"] == "dbc"
    capsysbinary.readouterr()
    assert run(["catalogue", "show", *more, "goods", "--output", "jsonl"]) == 0
    rows = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert rows[0] == {
        "code": "01210101",
        "name": "大白菜",
        "plu": "12",
        "price_fen": 280,
        "price_per": "500g",
        "initials": "dbc",
    }
    for form in ("csv", "json"):
        target = tmp_path / f"out.{form}"
        assert run(["catalogue", "export", *more, "goods", "--format", form, "--to", str(target)]) == 0
        assert run(["catalogue", "import", *more, "--kind", "goods", str(target)]) == 0
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfcode,name,")
    assert b'\r\n"=""01210101""",\xe5\xa4\xa7' in (tmp_path / "out.csv").read_bytes()
    assert b"'=1+1" in (tmp_path / "out.csv").read_bytes()  # text, not a formula, in Excel
    capsysbinary.readouterr()
    assert run(["catalogue", "list", *more, "--output", "json"]) == 0
    listed = orjson.loads(capsysbinary.readouterr().out)
    assert [(each["kind"], each["version"], each["rows"]) for each in listed] == [("goods", 1, 2)]


def test_faults_are_listed_with_file_and_line_and_nothing_is_imported(
    agent: Agent | None, config: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "goods.csv"
    file.write_text("code,name,plu\na,,1\nb,b,x\n")
    assert run(["catalogue", "import", "--config", str(config), "--output", "jsonl", str(file)]) == 65
    faults = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [(f["file"], f["line"], f["column"]) for f in faults] == [(str(file), 2, "name"), (str(file), 3, "plu")]
    assert run(["catalogue", "show", "--config", str(config), "goods"]) == 1
    assert run(["catalogue", "import", "--config", str(config), str(tmp_path / "none.csv")]) == 65
    if agent is not None:
        assert agent.catalogue()["goods"] == []


def test_rows_can_be_added(agent: Agent | None, config: Path, tmp_path: Path) -> None:
    more = ["--config", str(config)]
    (tmp_path / "goods.csv").write_text(GOODS)
    (tmp_path / "more.csv").write_text("code,name,plu\nkale,kale,14\n")
    (tmp_path / "clash.csv").write_text("code,name,plu\nkohl,kohl,13\n")
    assert run(["catalogue", "import", *more, str(tmp_path / "goods.csv")]) == 0
    assert run(["catalogue", "import", *more, "--add", str(tmp_path / "more.csv")]) == 0
    assert run(["catalogue", "import", *more, "--add", str(tmp_path / "clash.csv")]) == 65
    if agent is not None:
        assert [item["code"] for item in agent.catalogue()["goods"]] == ["01210101", "69", "kale"]


def test_the_agent_checks_what_comes_through_its_socket(config: Path) -> None:
    agent = Agent(*prepare(config))
    agent.start()
    socket = Path(f"{config.parent}/records.db.sock")
    with ControlClient(socket) as client, ControlClient(socket) as second:
        client.send(b"code,name,plu\na,,1\n")
        busy = second.ask(do="piece", data=base64.b64encode(b"x").decode())
        assert (busy["ok"], "another file" in busy["reason"]) == (False, True)
        answers = [next(client.stream(do="catalogue", source="t"))]
        assert (answers[0]["ok"], answers[0]["line"], answers[0]["column"]) == (False, 2, "name")
    with ControlClient(socket) as client:
        for _ in range(MOST_UPLOAD // 45_000):
            client.send(b"x" * 45_000)
        with pytest.raises(ConnectionError, match="longer than"):
            client.send(b"x" * 45_000)
    agent.stop()
