"""The command line as its users call it: output, exit codes, both languages."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent.cli.app import run
from edge_agent.model import Instant
from edge_agent.records.envelope import draft
from edge_agent.store import Store

CONFIG = '[gateway]\nid = "box-1"\nsite = "m"\n[store]\npath = "{path}"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.format(path=tmp_path / "records.db"))
    return file


@pytest.fixture
def filled(config: Path) -> Path:
    store = Store.open(config.parent / "records.db", source="/m/box-1", zone=ZoneInfo("Asia/Shanghai"))
    for number in range(30):
        at = Instant(wall_ms=1_795_400_000_000 + number, mono_ms=number, boot="b", synced=True)
        data = {"indication": "1.500", "unit": "kg", "goods_code": "69010282251680123456", "text": "=cmd|' /C calc'!A0"}
        store.keep(draft(type="trace.weighing.v1", subject="A12", at=at, zone=ZoneInfo("Asia/Shanghai"), data=data))
    store.stop()
    return config


def out(capsysbinary: pytest.CaptureFixture[bytes]) -> bytes:
    return capsysbinary.readouterr().out


def test_decode_prints_one_object_an_event(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["decode", "xk3190-continuous", "--hex", "022b30303135363030313903ff"]) == 0
    events = [orjson.loads(line) for line in out(capsysbinary).splitlines()]
    assert events[0] == {
        "event": "reading",
        "weight": "1560",
        "unit": None,
        "stability": "unknown",
        "basis": None,
        "condition": "ok",
        "unit_price": None,
        "amount": None,
        "raw": "022b30303135363030313903",
    }
    assert (events[1]["event"], events[1]["raw"]) == ("rejected", "ff")


def test_decode_reads_files_and_standard_input(tmp_path: Path) -> None:
    frame = bytes.fromhex("022b30303135363030313903")
    (tmp_path / "bytes").write_bytes(frame)
    command = [sys.executable, "-m", "edge_agent", "decode", "xk3190-continuous"]
    from_file = subprocess.run(
        [*command, "--file", str(tmp_path / "bytes")], capture_output=True, timeout=60, check=True
    )
    piped = subprocess.run([*command, "-"], input=frame, capture_output=True, timeout=60, check=True)
    assert from_file.stdout == piped.stdout
    assert orjson.loads(piped.stdout)["weight"] == "1560"


def test_decode_batch_answers_line_by_line_whatever_comes() -> None:
    lines = [
        b'{"driver":"xk3190-continuous","hex":"022b30303135363030313903"}',
        b'{"driver":"nonsense","hex":"00"}',
        b'{"driver":"st-gs","hex":"zz"}',
        b'{"driver":"st-gs"}',
        b"not json",
        b"[1]",
        b'{"hex":"00"}',
        b'{"driver":5,"hex":"00"}',
        b'{"driver":"serial-scanner","hex":"39","options":{"suffix":"NO"}}',
        b'{"driver":"serial-scanner","hex":"690a","options":{"suffix":"LF"}}',
    ]
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "decode", "--batch", "-"],
        input=b"\n".join(lines) + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    answers: list[dict[str, Any]] = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    assert [bool(a.get("error")) for a in answers] == [False, *[True] * 8, False]
    assert all(a["events"] == [] for a in answers if a.get("error"))
    assert [a["driver"] for a in answers[4:8]] == [None] * 4


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["decode"], 2),
        (["decode", "nonsense", "--hex", "00"], 2),
        (["decode", "st-gs"], 2),
        (["decode", "st-gs", "--hex", "0g"], 65),
        (["decode", "serial-scanner", "--hex", "00", "--option", "suffix=NO"], 2),
        (["nonsense"], 2),
        (["run", "--config", "/nowhere/agent.toml"], 78),
        (["config", "check", "/nowhere/agent.toml"], 78),
        (["version"], 0),
        (["drivers", "list"], 0),
    ],
)
def test_exit_codes(arguments: list[str], code: int) -> None:
    assert run(arguments) == code


def test_records_tail_show_and_export(filled: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    config = ["--config", str(filled)]
    assert run(["records", "tail", *config, "-n", "3", "--output", "jsonl"]) == 0
    rows = [orjson.loads(line) for line in out(capsysbinary).splitlines()]
    assert [row["sequence"] for row in rows] == [f"{n:016d}" for n in (29, 30, 31)]
    assert run(["records", "show", *config, rows[0]["id"]]) == 0
    assert orjson.loads(out(capsysbinary)) == rows[0]
    assert run(["records", "show", *config, "5"]) == 0
    assert orjson.loads(out(capsysbinary))["sequence"] == f"{5:016d}"
    assert run(["records", "show", *config, "999"]) == 1
    assert run(["records", "export", *config]) == 0
    lines = out(capsysbinary).splitlines()
    assert len(lines) == 31
    assert orjson.loads(lines[0])["type"] == "trace.chain.v1"


def test_buffer_status_without_an_agent(filled: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["buffer", "status", "--config", str(filled), "--output", "json"]) == 0
    facts = orjson.loads(out(capsysbinary))
    assert (facts["kept"], facts["pending"], facts["delivered"], facts["running"]) == (31, 31, 0, False)


def test_buffer_status_counts_what_was_salvaged_and_still_waits(
    filled: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    database = filled.parent / "records.db"
    database.write_bytes(b"\0" * 100 + database.read_bytes()[100:])
    store = Store.open(database, source="/m/box-1", zone=ZoneInfo("Asia/Shanghai"))
    deadline = time.monotonic() + 20
    while store.salvaged.left < 31 and time.monotonic() < deadline:
        time.sleep(0.01)
    store.stop()
    assert run(["buffer", "status", "--config", str(filled), "--output", "json"]) == 0
    facts = orjson.loads(out(capsysbinary))
    assert (facts["kept"], facts["pending"], facts["salvaged"]) == (1, 1, 31)
    for language, line in (("zh", "旧库找回待确认: 31"), ("en", "salvaged, pending: 31")):
        assert run(["--lang", language, "buffer", "status", "--config", str(filled)]) == 0
        assert line in out(capsysbinary).decode()


def test_a_busy_port_is_told_in_both_languages(filled: Path) -> None:
    store = Store.open(filled.parent / "records.db", source="/m/box-1", zone=ZoneInfo("UTC"))
    try:
        for language, word in (("zh", "错误"), ("en", "error")):
            done = subprocess.run(
                [sys.executable, "-m", "edge_agent", "--lang", language, "run", "--config", str(filled)],
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 75
            assert word in done.stderr.decode()
            assert str(os.getpid()) in done.stderr.decode()
    finally:
        store.stop()


def test_config_init_writes_an_example_that_is_good_but_for_its_files(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    target = tmp_path / "agent.toml"
    assert run(["config", "init", "--to", str(target)]) == 0
    assert run(["config", "init", "--to", str(target)]) == 73
    assert run(["config", "check", str(target), "--set", "uplink.tls=false"]) == 0
    out(capsysbinary)
    assert run(["config", "check", str(target), "--output", "json"]) == 78
    assert {row["key"] for row in orjson.loads(out(capsysbinary))} == {
        "uplink.tls.ca",
        "uplink.tls.cert",
        "uplink.tls.key",
    }


def test_config_show_and_schema_are_json(config: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["config", "show", str(config)]) == 0
    assert orjson.loads(out(capsysbinary))["store"]["keep_days"] == 730
    assert run(["config", "schema"]) == 0
    assert orjson.loads(out(capsysbinary))["properties"]["gateway"]


def test_capture_writes_a_recording_with_its_timing(tmp_path: Path) -> None:
    near, far = os.openpty()
    tty.setraw(far)
    target = tmp_path / "recording.jsonl"
    done = threading.Event()

    def weigh() -> None:
        while not done.wait(0.05):
            os.write(near, b"ST,GS,+  1.236kg\r\n")

    scale = threading.Thread(target=weigh)
    scale.start()
    try:
        assert run(["devices", "capture", f"serial:{os.ttyname(far)}", "--to", str(target), "--seconds", "1"]) == 0
    finally:
        done.set()
        scale.join(5)
        os.close(near)
        os.close(far)
    head, *pieces = [orjson.loads(line) for line in target.read_bytes().splitlines()]
    assert head["port"].startswith("serial:/dev/pts/")
    assert b"ST,GS,+  1.236kg\r\n" in b"".join(bytes.fromhex(piece["hex"]) for piece in pieces)
    assert pieces[0]["t"] == 0
    assert {piece["dir"] for piece in pieces} == {"rx"}


def test_uplink_test_says_when_nobody_answers(config: Path) -> None:
    config.write_text(config.read_text() + '[uplink]\nhost = "127.0.0.1"\nport = 9\ntls = false\nconnect_timeout = 1\n')
    assert run(["uplink", "test", "--config", str(config)]) == 69
