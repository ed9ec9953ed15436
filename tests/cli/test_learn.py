"""A scale that nobody named, from a simulator alone: learned at its port, then read by an agent with only the file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from edge_agent.control import ControlClient
from hwsim.device import Device
from hwsim.instruments import Continuous, Dialect, Scale
from hwsim.load import Platter, ScaleSettings
from hwsim.ports import open_port

CONFIG = """\
[gateway]
id = "box-1"
site = "m"
[store]
path = "{folder}/records.db"
[[device]]
id = "scale-1"
driver = "nobodys-scale"
port = "{port}"
[[station]]
id = "A12"
mode = "log"
devices = ["scale-1"]
"""


def made_up(platter: Platter, now: float) -> bytes:
    """Invented for this test: stability, address, sign, weight, unit, sum."""
    shown = platter.indication(now)
    if shown.condition != "ok":
        return b"*%c*\r\n" % (b"^" if shown.condition == "overload" else b"_")
    body = b"%c/07 %9b %b" % (b"Q" if shown.stable else b"q", shown.text.encode(), shown.unit.encode())
    return body + b"%02X\r\n" % (sum(body) & 0xFF)


@pytest.fixture
def scale() -> Iterator[tuple[Platter, Device]]:
    platter = Platter(ScaleSettings())
    dialect = Dialect(
        name="nobodys", title="t", rate_hz=20.0, make=lambda p: Continuous(p, made_up), source="invented here"
    )
    device = Device(Scale(dialect, platter), open_port("pty")).start()
    yield platter, device
    device.stop()


def put(platter: Platter, device: Device, milligrams: int) -> str:
    device.order(lambda now: platter.set_load(milligrams, now))
    until = time.monotonic() + 20
    while not platter.stable(time.monotonic()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return platter.indication(time.monotonic()).text.strip()


class Person:
    """Answers the questions of a command and does what it says to the scale meanwhile."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "--lang", "en", *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.said = bytearray()
        self._heard = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        while data := os.read(self.process.stderr.fileno(), 4096):
            with self._heard:
                self.said += data
                self._heard.notify_all()

    def hear(self, words: bytes, times: int) -> None:
        with self._heard:
            assert self._heard.wait_for(lambda: self.said.count(words) >= times, 30), self.said.decode()

    def when(self, words: bytes, times: int, answer: str) -> None:
        self.hear(words, times)
        assert self.process.stdin is not None
        self.process.stdin.write(answer.encode() + b"\n")
        self.process.stdin.flush()


def test_an_unknown_scale_is_learned_and_read_by_an_agent(scale: tuple[Platter, Device], tmp_path: Path) -> None:
    platter, device = scale
    command = ["devices", "learn", device.port.name, "--id", "nobodys-scale", "--seconds", "1.5"]
    person = Person(*command, folder=tmp_path)
    for number, mass in enumerate((1_235_000, 820_000, 12_345_000), start=1):
        shown = put(platter, device, mass)
        person.when(b"the display shows: ", number, f"{shown} kg")
        person.hear(b" bytes\n", number)
    stop = threading.Event()
    chance = random.Random(1)

    def press() -> None:
        while not stop.wait(0.05):
            device.order(lambda now: platter.set_load(5_000 * chance.randrange(100, 5_000), now))

    presser = threading.Thread(target=press)
    presser.start()
    try:
        person.when(b"press Enter while it changes", 1, "")
        assert person.process.wait(60) == 0, person.said.decode()
    finally:
        stop.set()
        presser.join()
    assert person.process.stdout is not None
    made = orjson.loads(person.process.stdout.read())
    assert set(made["tells"]) >= {"unit", "stability", "checksum"}
    put(platter, device, 0)
    config = tmp_path / "agent.toml"
    config.write_text(CONFIG.format(folder=tmp_path, port=device.port.name))
    # What an installed box has: the file, and neither this checkout as working directory nor a network.
    agent = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "run", "--config", str(config)], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        records = weigh(platter, device, config, (3_210_000, 750_000))
    finally:
        agent.terminate()
        assert agent.wait(20) == 0
    assert [(r["data"]["indication"], r["data"]["unit"], r["data"]["driver"]) for r in records] == [
        ("3.210", "kg", "nobodys-scale"),
        ("0.750", "kg", "nobodys-scale"),
    ]

    assert all("uncommissioned" in record["data"]["flags"] for record in records)


def weigh(platter: Platter, device: Device, config: Path, masses: tuple[int, ...]) -> list[dict[str, dict[str, str]]]:
    until = time.monotonic() + 60
    records: list[dict[str, dict[str, str]]] = []
    while not (config.parent / "records.db.sock").exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    wait_for_readings(config, 5, until)  # of the empty platter
    for number, mass in enumerate(masses, start=1):
        put(platter, device, mass)
        while len(records) < number:
            assert time.monotonic() < until, records
            time.sleep(0.2)
            command = [sys.executable, "-m", "edge_agent", "records", "tail", "--config", str(config)]
            done = subprocess.run([*command, "--output", "jsonl"], capture_output=True, check=True, timeout=30)
            every = [orjson.loads(line) for line in done.stdout.splitlines()]
            records = [each for each in every if each["type"] == "trace.weighing.v1"]
        put(platter, device, 0)
        wait_for_readings(config, 5, until)
    return records


def wait_for_readings(config: Path, number: int, until: float) -> None:
    """Until so many more readings have gone through the agent."""
    goal: int | None = None
    while True:
        assert time.monotonic() < until
        with ControlClient(config.parent / "records.db.sock") as client:
            counters = client.ask(do="status")["status"]["counters"].get("scale-1", {"readings": 0})
        goal = counters["readings"] + number if goal is None else goal
        if counters["readings"] >= goal:
            return
        time.sleep(0.2)


def test_three_weights_on_the_input_and_the_port_are_enough(scale: tuple[Platter, Device], tmp_path: Path) -> None:
    """No id, no Enter: what needs no answer is not waited for. The other commands know the new dialect."""
    platter, device = scale
    person = Person("devices", "learn", device.port.name, "--seconds", "1.5", folder=tmp_path)
    for number, mass in enumerate((1_235_000, 820_000, 12_345_000), start=1):
        person.when(b"the display shows: ", number, f"{put(platter, device, mass)} kg")
        person.hear(b" bytes\n", number)
    assert person.process.stdin is not None
    person.process.stdin.close()
    assert person.process.wait(60) == 0, person.said.decode()
    assert person.process.stdout is not None
    made = orjson.loads(person.process.stdout.read())
    assert (made["driver"], made["file"]) == ("learned-scale", "dialects.d/learned-scale.toml")
    assert "stability" not in made["tells"], "nothing moved"
    command = [sys.executable, "-m", "edge_agent"]
    beside = ["--config", str(tmp_path / "agent.toml")]
    listed = subprocess.run(
        [*command, "drivers", "list", "--output", "jsonl", *beside], capture_output=True, timeout=60
    )
    assert "learned-scale" in [orjson.loads(line)["driver"] for line in listed.stdout.splitlines()]
    put(platter, device, 3_210_000)
    port = device.port.name
    probed = subprocess.run(
        [*command, "devices", "probe", port, "--seconds", "1.5", "--output", "json", *beside],
        capture_output=True,
        timeout=120,
    )
    assert orjson.loads(probed.stdout)["fits"][0]["driver"] == "learned-scale", probed.stderr.decode()


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("mine")
    command = [sys.executable, "-m", "edge_agent", "devices", "learn", "memory:x", "--id", "x", "--to", "x.toml"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode == 73
    assert (tmp_path / "x.toml").read_text() == "mine"
