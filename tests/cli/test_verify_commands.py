"""`records verify`, `records prove`, `keys` and `evidence export`, as processes, on a store and on files alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent import clock
from edge_agent.cli import app
from edge_agent.model import Instant
from edge_agent.proof.lines import stub_of
from edge_agent.records import canonical
from edge_agent.records.envelope import draft, hash_of
from edge_agent.store import Reader, Store, key_path
from edge_agent.store.attestor import DayRoots

ZONE = ZoneInfo("Asia/Shanghai")
NOON = int(datetime(2026, 11, 23, 4, tzinfo=UTC).timestamp() * 1000)
DAY = 86_400_000
CONFIG = '[gateway]\nid = "box-1"\nsite = "dongmen"\n[store]\npath = "{path}"\n'


class Box:
    """A folder with a configuration and a store of three days, of which two have ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "records.db"
        self.config = folder / "agent.toml"
        self.config.write_text(CONFIG.format(path=self.database))
        store = Store.open(self.database, source="/dongmen/box-1", zone=ZONE)
        self.key = str(store.attestor.signer.public)
        for number in range(30):
            at = Instant(wall_ms=NOON + number // 10 * DAY + number * 1000, mono_ms=1, boot="0" * 36, synced=True)
            data = {"net_mg": number, "goods_name": "白菜", "flags": []}
            store.keep(draft(type="trace.weighing.v1", subject="A12", at=at, zone=ZONE, data=data))
        deadline = clock.monotonic() + 20
        while store._days.passed < store.head.sequence:
            assert clock.monotonic() < deadline
        store.checkpoint()
        store.stop(20)

    def run(self, *arguments: str) -> int:
        return app.run(["--lang", "en", *arguments])

    def verify(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = self.run("records", "verify", *arguments, "--output", "json", "--config", str(self.config))
        facts: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert facts["ok"] == (code == 0)
        return code, facts


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Box:
    before, DayRoots.BEHIND = DayRoots.BEHIND, 1  # the days here are not today
    try:
        return Box(tmp_path_factory.mktemp("box"))
    finally:
        DayRoots.BEHIND = before


@pytest.fixture
def box(made: Box, tmp_path: Path) -> Box:
    """A copy of it, to be spoilt."""
    copy = Box.__new__(Box)
    copy.folder, copy.database, copy.config, copy.key = (
        tmp_path,
        tmp_path / "records.db",
        tmp_path / "agent.toml",
        made.key,
    )
    shutil.copy(made.database, copy.database)
    shutil.copy(key_path(made.database), key_path(copy.database))
    copy.config.write_text(CONFIG.format(path=copy.database))
    return copy


def export(box: Box, name: str = "out.jsonl") -> Path:
    file = box.folder / name
    assert box.run("records", "export", "--to", str(file), "--config", str(box.config)) == 0
    return file


def test_a_whole_store_and_a_broken_one(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = box.verify(capsys, "--key", box.key)
    assert (code, facts["records"], facts["signed_to"], facts["keys_pinned"]) == (0, 31, 31, True)
    assert facts["days"] >= 2
    with sqlite3.connect(box.database) as connection:
        connection.execute("DELETE FROM records WHERE sequence = 7")
    code, facts = box.verify(capsys)
    assert code == 1
    assert [(each["fault"], each["where"], each["sequence"]) for each in facts["findings"]] == [("missing", "row 8", 7)]
    assert box.run("records", "verify", "--config", str(box.config)) == 1
    said = capsys.readouterr().out
    assert "✗ row 8: missing: record 7 is missing" in said
    assert "1 findings" in said
    assert box.run("records", "verify", str(box.database)) == 1  # a database file by its name, without a configuration


def test_another_key_is_told(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    other = "A" * 43 + "="
    code, facts = box.verify(capsys, "--key", other)
    assert code == 1
    assert {each["fault"] for each in facts["findings"]} == {"signature"}
    assert box.run("records", "verify", "--key", "nonsense", "--config", str(box.config)) == 2


def mutated(name: str, lines: list[bytes]) -> list[bytes]:
    event = orjson.loads(lines[11])
    match name:
        case "changed":
            lines[11] = canonical.dumps({**event, "data": {**event["data"], "net_mg": 1}}) + b"\n"
        case "forged":
            other = {**event, "data": {**event["data"], "net_mg": 1}}
            lines[11] = canonical.dumps(other | {"hash": hash_of(other)}) + b"\n"
        case "removed":
            del lines[11]
        case "head removed":
            del lines[0]
        case "tail removed":
            del lines[-1]
        case "inserted":
            other = {**event, "id": event["id"][:-1] + "0"}
            lines.insert(12, canonical.dumps(other | {"hash": hash_of(other)}) + b"\n")
        case "reordered":
            lines[11], lines[12] = lines[12], lines[11]
        case "repeated":
            lines.insert(20, lines[11])
        case "cut":
            lines[-1] = lines[-1][:-5]
    return lines


@pytest.mark.parametrize(
    "name",
    ["changed", "forged", "removed", "head removed", "tail removed", "inserted", "reordered", "repeated", "cut"],
)
def test_an_exported_file_without_configuration_or_network(
    box: Box, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = export(box)
    assert (file.with_name(file.name + ".proof")).exists()
    moved = box.folder / "elsewhere"
    moved.mkdir()
    for each in (file, file.with_name(file.name + ".proof")):
        shutil.move(each, moved / each.name)
    file = moved / file.name
    assert app.run(["--lang", "en", "records", "verify", str(file), "--key", box.key]) == 0
    assert "whole" in capsys.readouterr().out
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(mutated(name, list(lines))))
    assert app.run(["records", "verify", str(file)]) == 1
    said = capsys.readouterr().out
    assert "line" in said or "proof line" in said


def test_a_purged_store_and_its_export(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(box.database, source="/dongmen/box-1", zone=ZONE)
    with Reader.open(box.database) as reader:
        place = orjson.loads(reader.read(12, limit=1)[0].body)["hash"]
    store.stop(20)
    connection = sqlite3.connect(box.database, isolation_level=None)
    from edge_agent.store.values import Head

    store.attestor.purged(connection, Head(12, place))
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('anchor', ?)", (f"12 {place}",))
    connection.execute("DELETE FROM records WHERE sequence <= 12")
    connection.execute("UPDATE outbox SET watermark = 12")
    connection.close()
    code, facts = box.verify(capsys)
    assert (code, facts["purged_to"], facts["records"]) == (0, 12, 19)
    file = export(box)
    code, facts = box.verify(capsys, str(file))
    assert (code, facts["purged_to"]) == (0, 12)
    file.with_name(file.name + ".proof").unlink()
    assert box.verify(capsys, str(file))[0] == 1  # without the signed word on the purge the beginning is missing


def test_a_filtered_stream_with_stubs(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    file = export(box)
    lines = file.read_bytes().splitlines()
    stubs = [stub_of(orjson.loads(line)) if number % 2 else line for number, line in enumerate(lines)]
    file.write_bytes(b"".join(line + b"\n" for line in stubs))
    code, facts = box.verify(capsys, str(file))
    assert (code, facts["stubs"], facts["records"], facts["signed_to"]) == (0, 15, 16, 31)
    random.Random(1).shuffle(stubs)
    file.write_bytes(b"".join(line + b"\n" for line in stubs))
    assert box.verify(capsys, str(file))[0] == 1
    assert box.verify(capsys, str(file), "--any-order")[0] == 0


def test_one_receipt_is_proved_without_the_others(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    file = box.folder / "receipt.jsonl"
    assert box.run("records", "prove", "5", "--to", str(file), "--config", str(box.config)) == 0
    with Reader.open(box.database) as reader:
        others = [orjson.loads(row.body)["id"].encode() for row in reader.read(1, limit=100) if row.sequence != 5]
    assert not any(other in file.read_bytes() for other in others)
    code, facts = box.verify(capsys, str(file), "--key", box.key)
    assert (code, facts["sequence"], facts["day"]) == (0, 5, "2026-11-23")
    good = file.read_bytes()
    file.write_bytes(good.replace(b'"net_mg":3', b'"net_mg":4'))
    assert file.read_bytes() != good
    assert box.verify(capsys, str(file))[0] == 1
    assert box.run("records", "prove", "31", "--config", str(box.config)) == 1
    assert "not signed yet" in capsys.readouterr().err


def evidence(box: Box, day: str) -> Path:
    file = box.folder / f"{day}.zip"
    assert box.run("evidence", "export", "--day", day, "--to", str(file), "--config", str(box.config)) == 0
    return file


@pytest.mark.parametrize(("day", "records", "days"), [("2026-11-24", 10, 1), ("2026-11-25", 10, 0)])
def test_the_evidence_of_a_day_is_checked_on_another_machine(
    box: Box,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    day: str,
    records: int,
    days: int,
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "day.zip"
    shutil.move(evidence(box, day), elsewhere)
    command = [
        sys.executable,
        "-m",
        "edge_agent",
        "records",
        "verify",
        str(elsewhere),
        "--key",
        box.key,
        "--output",
        "json",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        cwd=elsewhere.parent,
        timeout=60,
        env={**os.environ, "LANG": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done
    facts = json.loads(done.stdout)
    assert (facts["records"], facts["days"], facts["signed"], facts["day"]) == (records, days, True, day)
    assert facts["signed_to"] == facts["last"]
    with zipfile.ZipFile(elsewhere) as archive:
        checks = json.loads(archive.read("checks.json"))
        assert checks["findings"] == []
        assert checks["report"]["last"] == 31


def repacked(file: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The archive with other parts, every digest in its manifest right: what a forger without the key can do."""
    import hashlib
    import io

    from edge_agent.cli.evidence_cmd import MANIFEST, PARTS, pack

    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    manifest = orjson.loads(parts[MANIFEST])
    manifest["parts"] = {name: hashlib.sha256(parts[name]).hexdigest() for name in PARTS}
    parts[MANIFEST] = canonical.dumps(manifest)
    out = io.BytesIO()
    pack(out, parts, {})
    file.write_bytes(out.getvalue())


def test_a_forged_archive_is_found_by_its_signature(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    file = evidence(box, "2026-11-24")
    good = file.read_bytes()

    def fewer(parts: dict[str, bytes]) -> None:
        parts["records.jsonl"] = b"".join(parts["records.jsonl"].splitlines(keepends=True)[:-1])

    def otherwise(parts: dict[str, bytes]) -> None:
        parts["checks.json"] = b"{}"

    def other_device(parts: dict[str, bytes]) -> None:
        parts["devices.jsonl"] = b"{}\n"

    for spoil in (fewer, otherwise, other_device):
        repacked(file, spoil)
        code, facts = box.verify(capsys, str(file))
        assert code == 1
        assert "not-as-signed" in {each["fault"] for each in facts["findings"]}
        file.write_bytes(good)

    def unsigned(parts: dict[str, bytes]) -> None:
        del parts["manifest.sig.json"]

    repacked(file, unsigned)
    assert box.verify(capsys, str(file))[0] == 1


def mutate_archive(box: Box, count: int, seed: int) -> None:
    """Every change of a byte of an archive is found, wherever it is."""
    file = evidence(box, "2026-11-24")
    good = file.read_bytes()
    rng = random.Random(seed)
    missed = []
    for number in range(count):
        at = rng.randrange(len(good))
        match rng.randrange(3):
            case 0:
                bad = good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1 :]
            case 1:
                bad = good[:at] + good[at + rng.randint(1, 40) :]
            case _:
                bad = good[:at] + rng.randbytes(rng.randint(1, 8)) + good[at:]
        file.write_bytes(bad)
        if app.run(["records", "verify", str(file), "--key", box.key, "--output", "jsonl"]) != 1:
            missed.append((number, at))
    assert missed == []


def test_150_mutations_of_an_archive_are_found(box: Box) -> None:
    mutate_archive(box, 150, seed=3)


@pytest.mark.soak("archives of a day's evidence tampered with")
def test_5000_mutations_of_an_archive_are_found(box: Box, record_property: Callable[[str, object], None]) -> None:
    mutate_archive(box, 5_000, seed=4)
    record_property("count", "5,000 changes")


def test_the_signing_key_is_shown_and_changed(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    config = ("--config", str(box.config))
    assert box.run("keys", "show", "--output", "json", *config) == 0
    assert [each["public"] for each in json.loads(capsys.readouterr().out)] == [box.key]
    assert box.run("keys", "rotate", "--reason", "yearly", *config) == 0
    capsys.readouterr()
    assert box.run("keys", "show", "--output", "json", *config) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    code, facts = box.verify(capsys, "--key", box.key)  # what the old key signed, by the old key alone
    assert (code, facts["signed_to"]) == (0, 31)
    key_path(box.database).write_bytes(b"nothing")
    assert box.run("keys", "accept", *config) == 78
    assert "is not an Ed25519" in capsys.readouterr().err
    key_path(box.database).unlink()
    assert box.run("keys", "accept", *config) == 0
    assert "signing goes on" in capsys.readouterr().out
    assert box.run("keys", "accept", *config) == 0
    assert "was not blocked" in capsys.readouterr().out


def test_what_is_no_file_or_no_day_is_told(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    config = ("--config", str(box.config))
    assert box.run("records", "verify", str(box.folder / "absent")) == 2
    assert box.run("evidence", "export", "--day", "yesterday", *config) == 2
    assert box.run("evidence", "export", "--day", "1999-01-01", *config) == 1
    assert "no record of 1999-01-01" in capsys.readouterr().err
    (box.folder / "zip").write_bytes(b"PK nonsense")
    assert box.run("records", "verify", str(box.folder / "zip")) == 1
