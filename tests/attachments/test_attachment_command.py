"""Attachments as a page and the command line use them, with the agent running and stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from edge_agent.agent import Agent
from edge_agent.attachments import NotTaken
from edge_agent.cli.app import run
from edge_agent.preparing import prepare

CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
[store]
path = "{folder}/records.db"
attachment_max_bytes = 1_000_000
[[device]]
id = "s"
driver = "st-gs"
port = "memory:s"
[[station]]
id = "door"
mode = "intake"
devices = ["s"]
party = "3706025690012"
"""
PDF = b"%PDF-1.7\n" + hashlib.shake_256(b"c").digest(200_000)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.format(folder=tmp_path))
    return file


@pytest.fixture(params=["running", "stopped"])
def agent(request: pytest.FixtureRequest, config: Path) -> Iterator[Agent | None]:
    if request.param == "stopped":
        yield None
        return
    agent = Agent(*prepare(config))
    agent.start()
    yield agent
    agent.stop()


def test_a_certificate_is_kept_listed_and_given_back(
    agent: Agent | None, config: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    more = ["--config", str(config)]
    (tmp_path / "c.pdf").write_bytes(PDF)
    (tmp_path / "c.gif").write_bytes(b"GIF89a")
    (tmp_path / "big.jpg").write_bytes(b"\xff\xd8\xff" + bytes(1_000_000))
    assert run(["attachments", "add", *more, str(tmp_path / "c.pdf")]) == 0
    kept = orjson.loads(capsysbinary.readouterr().out)
    name = hashlib.sha256(PDF).hexdigest()
    assert kept == {"sha256": name, "size": len(PDF), "media_type": "application/pdf", "state": "waiting"}
    for wrong in ("c.gif", "big.jpg", "none.jpg"):
        assert run(["attachments", "add", *more, str(tmp_path / wrong)]) == 65
    capsysbinary.readouterr()
    assert run(["attachments", "list", *more, "--output", "json"]) == 0
    assert orjson.loads(capsysbinary.readouterr().out) == [kept]
    assert run(["attachments", "get", *more, name, "--to", str(tmp_path / "back.pdf")]) == 0
    assert (tmp_path / "back.pdf").read_bytes() == PDF
    assert run(["attachments", "get", *more, "0" * 64]) == 1
    assert run(["attachments", "requeue", *more]) == 0
    if agent is not None:
        assert agent.status()["attachments"]["waiting"] == 1


def test_a_picture_that_a_tile_or_the_catalogue_shows_is_kept_when_room_is_made(config: Path) -> None:
    config.write_text(config.read_text().replace("[store]", "[store]\nattachments_max_bytes = 1_000_000"))
    agent = Agent(*prepare(config))
    agent.start()
    on_tile, of_catalogue, other = (agent.attach(PDF + bytes([n]))["sha256"] for n in range(3))
    agent.arrange("door", looks={"01": {"picture": on_tile}})
    agent.import_catalogue(f"code,name,picture\n02,x,{of_catalogue}\n".encode(), kind="goods")
    for name in (on_tile, of_catalogue, other):
        agent._files.delivered(name)
    for n in range(20):
        agent._files.delivered(agent.attach(PDF + bytes([9, n]) * 40_000)["sha256"])
    assert [agent.attachment(name) is not None for name in (on_tile, of_catalogue, other)] == [True, True, False]
    agent.stop()


def test_the_page_attaches_what_a_record_then_names(config: Path) -> None:
    agent = Agent(*prepare(config))
    agent.start()
    name = agent.attach(PDF)["sha256"]
    voucher = {"type": "commitment", "no": "C-1", "attachment": name}
    done = agent.command("door", "confirm", {"goods_code": "x", "qty": 1, "batch": "B", "vouchers": [voucher]})
    row = agent.store.find(done.kept[0]["id"])
    assert row is not None
    assert orjson.loads(row.body)["data"]["vouchers"][0]["attachment"] == name
    assert agent.attachment(name) == (PDF, "application/pdf")
    assert agent.attachment("0" * 64) is None
    with pytest.raises(NotTaken) as refused:
        agent.attach(b"GIF89a")
    assert refused.value.code == "unknown-type"
    assert [each["state"] for each in agent.attachments()] == ["waiting"]
    agent.stop()
