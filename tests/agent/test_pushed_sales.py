"""Sales that scales push, through the whole agent: each recorded once, as the scale told it, whatever is killed."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.transports import folder
from edge_agent.driver import PortUrl
from hwsim.push import LabelScale, Sold, file_line, label_line, sales, write_file

AGENT = str(Path(sys.executable).with_name("edge-agent"))
PATIENCE = 60.0
CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
[[device]]
id = "front"
driver = "{driver}"
port = "{port}"
{options}
[[station]]
id = "A12"
mode = "{mode}"
party = "1101010000009"
devices = ["front"]
"""


class Box:
    """An agent that can be started, killed, and asked what it kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, driver: str, port: str, mode: str = "log", options: str = "") -> None:
        text = CONFIG.format(folder=self.folder, driver=driver, port=port, mode=mode, options=options)
        self.config.write_text(text)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([AGENT, "run", "--config", str(self.config)], stderr=log)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def sales(self) -> list[dict[str, Any]]:
        command = [AGENT, "records", "export", "--format", "jsonl", "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return [record["data"] for record in records if record["type"] == "trace.sale.v1"]

    def command(self, station: str, name: str, arguments: dict[str, Any]) -> None:
        """Have a station do something, as a program would."""
        request = {"do": "command", "station": station, "name": name, "arguments": arguments}
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(PATIENCE)
            door.connect(str(self.folder / "records.db.sock"))
            door.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(door.makefile().readline())
        assert answer["ok"], answer
        assert not answer.get("refused"), answer

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop(signal.SIGKILL)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def some(count: int, seed: int = 1) -> list[Sold]:
    stream = sales(seed, datetime(2026, 11, 23, 9, 0, 0))
    return [next(stream) for _ in range(count)]


def until(what: str, holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.mark.parametrize("mode", ["log", "sale"])
def test_a_file_of_sales_becomes_records_as_the_scale_told_them(box: Box, inbox: Path, mode: str) -> None:
    box.configure("sale-files", f"folder:{inbox}?settle=0", mode)
    sold = some(3)
    bad = file_line(sold[0]).replace(sold[0].number, "X1").replace(f"\t{sold[0].grams}\t", "\t1,5\t")
    lines = [file_line(sold[0]), bad, file_line(sold[1]), file_line(sold[0]), file_line(sold[2])]
    write_file(inbox, "day.txt", "".join(lines))
    box.start()
    until("the file is not put away", (inbox / "done" / "day.txt").exists)
    assert box.stop() == 0
    kept = box.sales()
    assert [(d["device_record"], d["amount_raw_fen"], d["amount_fen"]) for d in kept] == [
        (one.number, one.raw_fen, one.paid_fen) for one in sold
    ]
    first = kept[0]
    assert (first["captured_by"], first["amount_source"]) == ("device", "device")
    assert first["device_time"] == "2026-11-23T09:00:30.000+08:00"
    assert (first["net_mg"], first["indication"], first["unit"]) == (sold[0].grams * 1000, str(sold[0].grams), "g")
    assert (first["seller"], first["batch"], first["trace_code"]) == (
        "1101010000001",
        "11010100000020000003",
        sold[0].number,
    )
    assert "no_upstream" in first["flags"]
    assert bytes.fromhex(first["raw"]).decode() == lines[0]
    assert (inbox / "bad" / "day.txt").read_text() == f"day.txt:2 bad-grams\t{bad[:-2]}\n"


def test_the_same_sale_again_is_no_sale_in_another_file_and_after_a_restart_too(box: Box, inbox: Path) -> None:
    box.configure("sale-files", f"folder:{inbox}?settle=0")
    one, two = some(2)
    write_file(inbox, "1.txt", file_line(one))
    box.start()
    until("1", (inbox / "done" / "1.txt").exists)
    box.stop()
    write_file(inbox, "2.txt", file_line(one) + file_line(two))
    box.start()
    until("2", (inbox / "done" / "2.txt").exists)
    write_file(inbox, "2.txt", file_line(one) + file_line(two))
    until("the same file again", (inbox / "done" / "2.txt.2").exists)
    box.stop()
    assert [data["device_record"] for data in box.sales()] == [one.number, two.number]


def test_a_file_that_is_being_written_is_not_taken(box: Box, inbox: Path) -> None:
    box.configure("sale-files", f"folder:{inbox}?settle=1")
    sold = some(12)
    box.start()
    until("the agent does not run", (inbox / "done").exists)
    (inbox / "other.txt.part").write_text(file_line(some(1, seed=9)[0]))
    write_file(inbox, "slow.txt", "".join(map(file_line, sold)), slowly=0.1)
    assert not list((inbox / "done").iterdir())
    until("slow.txt", (inbox / "done" / "slow.txt").exists)
    box.stop()
    assert [data["device_record"] for data in box.sales()] == [one.number for one in sold]
    assert not (inbox / "bad" / "slow.txt").exists()
    assert (inbox / "other.txt.part").exists()


def test_a_writer_that_pauses_for_longer_than_the_agent_waits_loses_nothing(box: Box, inbox: Path) -> None:
    """It holds the file open, stops in the middle of a line and after one, and goes on when the file is put away."""
    box.configure("sale-files", f"folder:{inbox}?settle=0.2")
    sold = some(7)
    lines = [file_line(one) for one in sold]
    box.start()
    until("the agent does not run", (inbox / "done").exists)
    away = inbox / "done" / "slow.txt"

    def kept(count: int) -> Callable[[], bool]:
        return lambda: box.log().count('"trace.sale.v1"') >= count

    with (inbox / "slow.txt").open("wb", buffering=0) as file:
        file.write(lines[0].encode() + lines[1][:-9].encode())
        time.sleep(2.0)  # ten times what a whole file is waited for; too soon would be seen below
        assert not away.exists(), "a line was taken that is not whole"
        file.write(lines[1][-9:].encode() + lines[2].encode())
        until("what stands there is not put away", away.exists)
        file.write(lines[3].encode())
        until("the line behind the end was not read", kept(4))
        file.write("".join(lines[4:]).encode())
        until("the last lines were not read", kept(7))
    until("it is not put away again", away.exists)
    box.stop()
    assert [data["device_record"] for data in box.sales()] == [one.number for one in sold]
    assert not (inbox / "bad" / "slow.txt").exists()
    assert away.read_bytes().decode() == "".join(lines)


class Reading:
    """A folder read as a port, without an agent."""

    def __init__(self, inbox: Path) -> None:
        self.port = folder.SPEC.make(PortUrl.parse(f"folder:{inbox}?settle=0"), {})
        self.port.open()

    def next_file(self) -> bytes:
        read, end = b"", time.monotonic() + PATIENCE
        while not read.endswith(b"END\n"):
            assert time.monotonic() < end
            read += self.port.read(0.1)
        return read

    def done(self) -> None:
        self.port.write(b"DONE x\n", 1.0)


def test_a_file_that_grows_while_it_is_read_stays_and_is_read_again(inbox: Path) -> None:
    reading = Reading(inbox)
    (inbox / "day.txt").write_text("one\n")
    assert b"one" in reading.next_file()
    with (inbox / "day.txt").open("a") as file:
        file.write("two\n")
    reading.done()
    assert not (inbox / "done" / "day.txt").exists(), "a crash would now lose the second line"
    assert b"one\ntwo\n" in reading.next_file()
    reading.done()
    assert (inbox / "done" / "day.txt").exists()
    reading.port.close()


def test_a_last_line_without_an_end_is_taken_in_the_end(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some makers write none: it only takes longer, and other files are not held up."""
    monkeypatch.setattr(folder, "_UNENDED", 3.0)
    reading = Reading(inbox)
    (inbox / "a.txt").write_text("no end")
    (inbox / "b.txt").write_text("an end\n")
    began = time.monotonic()
    assert b"an end" in reading.next_file()
    reading.done()
    assert b"no end" in reading.next_file()
    assert time.monotonic() - began >= 3.0
    reading.done()
    reading.port.close()
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["a.txt", "b.txt"]


def test_nothing_is_lost_or_doubled_when_the_agent_is_killed_while_it_reads(box: Box, inbox: Path) -> None:
    """kill -9 at random moments between the first byte of a file and its putting away."""
    box.configure("sale-files", f"folder:{inbox}?settle=0")
    chance = random.Random(7)
    sold = some(600)
    for number in range(6):
        write_file(inbox, f"{number}.txt", "".join(map(file_line, sold[number * 100 : number * 100 + 100])))
    amidst = 0
    for _ in range(5):
        before = box.log().count("trace.sale.v1") if (box.folder / "log").exists() else 0
        box.start()
        until("nothing is kept", lambda before=before: box.log().count("trace.sale.v1") > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.1))
        box.stop(signal.SIGKILL)
        amidst += any(inbox.glob("*.txt"))
        if not any(inbox.glob("*.txt")):
            break
    assert amidst, "every kill came too late: nothing was tried"
    box.start()
    until("not all is put away", lambda: len(list((inbox / "done").glob("*.txt"))) == 6)
    assert box.stop() == 0
    numbers = [data["device_record"] for data in box.sales()]
    assert sorted(numbers) == sorted(one.number for one in sold)


def test_a_label_scale_hears_ok_only_for_what_is_kept(box: Box, free_port: Callable[[], int]) -> None:
    port = free_port()
    box.configure("dp-401-push", f"tcp-listen:127.0.0.1:{port}", options='options = { division = "1g" }')
    box.start()
    scale = LabelScale("127.0.0.1", port)
    sold = some(6, seed=4)
    for number, one in enumerate(sold):
        assert scale.push(one, tries=300)
        if number == 2:
            box.stop(signal.SIGKILL)
            kept = box.sales()
            assert len(kept) == 3, "it was told OK for what is not kept"
            box.start()
        if number == 4:
            scale.close()  # the scale loses its power
    assert scale.push(sold[0], tries=300)
    scale.close()
    assert box.stop() == 0
    kept = box.sales()
    assert [data["net_mg"] for data in kept] == [one.grams * 1000 for one in sold]
    assert [data["tare_mg"] for data in kept] == [120_000] * 6
    assert kept[0]["goods_name"] == "BONFILE"
    assert kept[0]["device_time"].startswith("2026-11-23T09:00:30")
    assert kept[0]["amount_fen"] is None
    assert scale.repeated, "no push was cut off: nothing was tried"
    assert label_line(sold[0]).decode("cp1254") == bytes.fromhex(kept[0]["raw"]).decode("cp1254")


def test_the_scale_is_given_the_batches_that_its_seller_has_open(box: Box, inbox: Path) -> None:
    """What was taken in stands in the lists; what the scale sold of it is taken off."""
    lists = box.folder / "lists"
    lists.mkdir()
    box.configure("sale-files", f"folder:{inbox}?settle=0")
    box.config.write_text(
        box.config.read_text().replace(
            'mode = "log"',
            f"""mode = "log"
batch_lists = [
  {{ folder = "{lists}", scale = "031" }},
  {{ folder = "{lists}", scale = "031", layout = "traceno", unit = "g", encoding = "utf-8" }},
]""",
        )
        + '[[station]]\nid = "gate"\nmode = "intake"\nparty = "1101010000009"\ndevices = ["front2"]\n'
        + '[[device]]\nid = "front2"\ndriver = "st-gs"\nport = "memory:nobody"\n'
    )
    box.start()
    until("no list", lambda: (lists / "M_JZ_031.txt").exists() and (box.folder / "records.db.sock").exists())
    goods, batch = "2000000000017", "11010100000020000003"
    order = {"goods_code": goods, "goods_name": "猪后腿肉", "batch": batch, "net_mg": 50_000_000}
    order["supplier"] = "1101010000002"
    box.command("gate", "take", order)
    until("not in the list", lambda: batch in (lists / "M_JZ_031.txt").read_text("gb18030"))
    text = (lists / "M_JZ_031.txt").read_bytes().decode("gb18030")
    heading, line, end = text.split("\r\n")
    assert (heading.count("\t"), end) == (4, "")
    assert line.split("\t")[1:] == [batch, "50", goods, "猪后腿肉"]
    sold = file_line(some(1)[0], batch=batch, seller="1101010000009").replace(some(1)[0].goods, goods)
    write_file(inbox, "1.txt", sold)
    left = str(50_000 - some(1)[0].grams)
    until("not taken off", lambda: f"\t{left}\t" in (lists / "M_Traceno_031.txt").read_text("utf-8"))
    assert box.stop() == 0
    assert "no_upstream" not in box.sales()[0]["flags"]


def test_a_pushing_device_wants_a_station_that_records_sales(box: Box, inbox: Path) -> None:
    box.configure("sale-files", f"folder:{inbox}", "inspection")
    done = subprocess.run([AGENT, "config", "check", str(box.config)], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "pushes sales and is at a station of mode inspection" in done.stdout + done.stderr
