"""`records export` on a real store: formats, bounds, whole files, little memory."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import every_record
import orjson
import pytest

from edge_agent.cli.app import run
from edge_agent.model import Instant
from edge_agent.records.bodies import BODIES, Party, Sale
from edge_agent.records.corrections import Occasion, void
from edge_agent.records.envelope import draft
from edge_agent.store import Store

CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
market_code = "370602001"
[store]
path = "{path}"
"""
DAY_MS = 86_400_000


def at(n: int) -> Instant:
    return Instant(wall_ms=every_record.OPENS_MS + n, mono_ms=n, boot="b", synced=True)


def keep(store: Store, kind: Any, subject: str, n: int, **fields: Any) -> dict[str, Any]:
    import random

    data = every_record.body(kind, random.Random(n), fill=0.0) | fields
    made = draft(type=kind.TYPE, subject=subject, at=at(n), zone=every_record.SHANGHAI, data=data)
    row = store.find(str(store.keep(made, 30).sequence))
    assert row is not None
    event: dict[str, Any] = orjson.loads(row.body)
    return event


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A store with sales of two days at two stalls; the second sale was made void on the second day."""
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.format(path=tmp_path / "records.db"))
    store = Store.open(tmp_path / "records.db", source="/market-1/gw-1", zone=every_record.SHANGHAI)
    keep(store, Party, "gw-1", 0, code="P-1", name="王记")
    sold = {"mode": "weight", "net_mg": 1_000_000, "indication": "1", "unit": "kg", "amount_fen": 500, "seller": "P-1"}
    sold |= {
        "amount_raw_fen": 500,
        "amount_source": "agent",
        "goods_name": "白菜",
        "trace_code": "1",
        "raw": "ab" * 10_000,
    }
    sales = [keep(store, Sale, f"stall-{n % 2}", n * DAY_MS // 4, **sold) for n in range(8)]
    occasion = Occasion(at=at(DAY_MS), zone=every_record.SHANGHAI, reason="错")
    store.keep(void(sales[1], [], occasion), 30)
    store.stop()
    return file


def exported(config: Path, capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> bytes:
    capsysbinary.readouterr()
    assert run(["--lang", "en", "records", "export", "--config", str(config), *arguments]) == 0
    return capsysbinary.readouterr().out


def test_bounds(config: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    def count(*arguments: str) -> int:
        return len(exported(config, capsysbinary, *arguments).splitlines())

    whole = count()
    assert count("--type", "sale") == 8
    assert count("--type", "trace.sale.v1", "--type", "void") == 9
    assert count("--type", "sale", "--station", "stall-1") == 4
    assert count("--type", "sale", "--day", "2026-11-23") == 3  # 06:00, 12:00, 18:00
    assert count("--type", "sale", "--day", "2026-11-24") == 4
    assert count("--type", "sale", "--since", "2026-11-24T12:00:00", "--until", "2026-11-24T12:00:00.001+08:00") == 1
    assert count("--until", "2026-11-24", "--since", "2026-11-23") + count("--since", "2026-11-24") == whole


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--type", "sail"], b"--type sail: 'sail' is no type of record; known: amend,"),
        (["--day", "23.11.2026"], b"--day 23.11.2026"),
        (["--day", "2026-11-23", "--since", "2026-11-23"], b"--day goes without --since"),
        (["--until", "noon"], b"--until noon"),
        (["--format", "pdf"], b"pdf"),
    ],
)
def test_bad_bounds_are_told(
    config: Path, capsysbinary: pytest.CaptureFixture[bytes], arguments: list[str], words: bytes
) -> None:
    assert run(["records", "export", "--config", str(config), *arguments]) == 2
    assert words in capsysbinary.readouterr().err


def test_jsonl_is_what_is_stored(config: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = exported(config, capsysbinary).splitlines()
    with_store = Store.open(config.parent / "records.db", source="/market-1/gw-1", zone=every_record.SHANGHAI)
    try:
        assert lines == [row.body for row in with_store.read(1, limit=100)]
    finally:
        with_store.stop()


def test_each_format_knows_of_the_void(
    config: Path, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path, epcis2js: Any
) -> None:
    table = list(csv.DictReader(io.StringIO(exported(config, capsysbinary, "--format", "csv").decode("utf-8-sig"))))
    assert sum(float(row["counts: amount (yuan)"] or 0) for row in table) == 35.0
    day = exported(config, capsysbinary, "--format", "xml", "--day", "2026-11-23")
    tags = [element.tag for element in ElementTree.fromstring(day)]
    assert tags == ["retail_market_tran_info_summ", "withdrawn", "retail_market_tran_info_summ"]
    file = tmp_path / "all.jsonld"
    exported(config, capsysbinary, "--format", "epcis", "--to", str(file))
    assert epcis2js(file)["problems"] == []
    events = orjson.loads(file.read_bytes())["epcisBody"]["eventList"]
    assert sum("errorDeclaration" in event for event in events) == 1
    assert {event["trace:recordType"] for event in events} <= set(BODIES)


def test_a_profile_of_the_site_comes_before_that_of_the_agent(
    config: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = config.parent / "profiles.d"
    folder.mkdir()
    own = 'name = "ours"\nroot = "r"\nwithdrawn = "w"\n[[messages]]\nelement = "m"\ntypes = ["sale"]\n'
    (folder / "ours.toml").write_text(f'{own}[messages.fields]\nwho = "name-of:seller"\nwhere = "place:market_id"\n')
    root = ElementTree.fromstring(exported(config, capsysbinary, "--format", "xml", "--profile", "ours"))
    assert (root.tag, root[0][0].text, root[0][1].text) == ("r", "王记", "370602001")
    (folder / "ours.toml").write_text(own)
    assert run(["records", "export", "--config", str(config), "--format", "xml", "--profile", "ours"]) == 78
    assert run(["records", "export", "--config", str(config), "--format", "xml", "--profile", "none"]) == 78
    assert b"there is no profile 'none'; one of meat-vegetables" in capsysbinary.readouterr().err


def test_a_file_is_whole_or_not_there(config: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    target = config.parent / "out.csv"
    exported(config, capsysbinary, "--format", "csv", "--to", str(target))
    before = target.read_bytes()
    assert run(["records", "export", "--config", str(config), "--format", "csv", "--to", str(target)]) == 73
    assert target.read_bytes() == before
    assert run(["records", "export", "--config", str(config), "--to", str(config.parent / "no" / "x")]) == 73
    assert not [each for each in config.parent.iterdir() if each.name.endswith(".part")]


def test_a_full_disk_leaves_no_half_file(config: Path) -> None:
    """The process may write no file of more than 100 KiB: the kernel refuses, as a full stick does."""
    target = config.parent / "out.jsonl"
    command = f"ulimit -f 100; exec {sys.executable} -m edge_agent records export --config {config} --to {target}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, env=os.environ)
    assert done.returncode == 74, done.stderr
    assert b"nothing was written" in done.stderr
    assert not target.exists()
    assert not [each for each in config.parent.iterdir() if each.name.endswith(".part")]
