"""The command as its users run it: processes, JSON lines, signals, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hwsim.bench import Bench, packaged, packaged_names

RUN = [sys.executable, "-c", "from hwsim.cli import main; main(prog_name='hwsim')"]


class Command:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*RUN, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def tell(self, text: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> tuple[int, list[dict[str, Any]]]:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=15)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: str) -> Command:
        started.append(Command(*arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def test_a_scale_prints_its_port_and_streams_to_it(command: Any, terminal: Any, tmp_path: Path) -> None:
    link = tmp_path / "scale-1"
    scale = command("scale", "xk3190-continuous", "--link", str(link), "--fault", "split:0.5:0.001")
    assert scale.line() == {"device": "xk3190-continuous", "port": f"serial:{link}"}
    host = terminal(str(link))
    assert b"\x02+" in host.read_until(lambda got: got.count(b"\x03") >= 3)
    code, lines = scale.end()
    assert code == 0
    assert lines[-1]["played"]["bytes_sent"] > 24
    assert not link.is_symlink()


def test_a_scanner_and_a_replay_play_what_they_are_given(command: Any, terminal: Any, tmp_path: Path) -> None:
    scanner = command("scanner", "serial-scanner", "--code", "]C10106901028225168", "--every", "0.1", "--suffix", "LF")
    host = terminal(scanner.line()["port"])
    assert b"]C10106901028225168\n" in host.read_until(lambda got: got.count(b"\n") >= 2)
    capture = tmp_path / "capture.jsonl"
    capture.write_text('{"driver":"st-gs"}\n{"t":0.4,"dir":"rx","hex":"4142"}\n{"t":0.5,"dir":"rx","hex":"43"}\n')
    player = command("replay", str(capture), "--repeat")
    host = terminal(player.line()["port"])
    assert b"ABC" in host.read_until(lambda got: b"ABC" in got)


def test_a_dialect_without_a_simulator_is_replayed_from_its_vectors(
    command: Any, terminal: Any, tmp_path: Path
) -> None:
    (tmp_path / "new.jsonl").write_text('{"driver":"new-make","hex":"53542c"}\n')
    scale = command("scale", "new-make", "--vectors", str(tmp_path))
    assert b"ST," in terminal(scale.line()["port"]).read_until(lambda got: b"ST," in got)


def test_city_and_chaos_work_as_processes(command: Any, mosquitto: Any, tmp_path: Path) -> None:
    chaos = command("chaos", "--listen", "0", "--to", mosquitto.address)
    address = chaos.line()["listen"]
    city = command("city", "--broker", address, "--store", f"sqlite:{tmp_path}/city.db", "--slow", "1")
    while not (stats := city.line())["connected"]:
        pass
    assert {"received", "distinct", "duplicates", "gaps", "rejected", "chain_ok"} <= set(stats)
    assert chaos.tell("block")["counters"]["block"] == 1
    while city.line()["connected"]:
        pass
    assert chaos.tell("unblock")["mode"] == "normal"
    while not city.line()["connected"]:
        pass
    assert chaos.tell("cut")["counters"]["cut"] == 1
    assert city.end()[0] == 0
    code, lines = chaos.end()
    assert code == 0
    assert lines[-1]["unhit"] == []


def test_a_broker_process_serves_on_loopback(command: Any) -> None:
    broker = command("broker", "--listen", "0")
    host, port = broker.line()["broker"].split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    assert broker.end()[0] == 0


def test_the_packaged_stall_plays_on_three_ports(command: Any, terminal: Any, tmp_path: Path) -> None:
    bench = command("bench", "stall", "--links", str(tmp_path), "--seconds", "3.4")
    ports = bench.line()["ports"]
    assert set(ports) == {"scale-1", "scale-2", "scanner-1"}
    assert ports["scale-1"] == f"serial:{tmp_path}/scale-1"
    hosts = {name: terminal(port) for name, port in ports.items()}
    hosts["scale-1"].read_until(lambda got: b"\x02+" in got)
    hosts["scale-2"].write(b"\x05")
    hosts["scale-2"].read_until(lambda got: got == b"\x06")
    hosts["scanner-1"].read_until(lambda got: got.startswith(b"]E0") and got.endswith(b"\r"))
    bench.process.wait(15)
    played = bench.line()["played"]
    assert played["scale-1"]["weighings"] == played["scale-2"]["weighings"] == 2


def test_list_names_what_there_is(command: Any) -> None:
    lines = [json.loads(line) for line in command("list").process.communicate(timeout=15)[0].splitlines()]
    names = {(line["kind"], line["name"]) for line in lines}
    assert {("scale", "mt-sics"), ("scanner", "serial-scanner"), ("fault", "unplug"), ("scenario", "stall")} <= names


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["scale", "abacus"], 2, "simulated are xk3190-continuous"),
        (["scale", "st-gs", "--port", "com1"], 2, "tcp:PORT"),
        (["scale", "st-gs", "--fault", "melt"], 2, "split"),
        (["scale", "st-gs", "--division", "3.3 g", "--decimals", "3"], 2, "decimals"),
        (["scale", "st-gs", "--script", "/nowhere.toml"], 74, "nowhere.toml"),
        (["scanner", "crystal-ball"], 2, "serial-scanner"),
        (["replay", os.devnull], 65, "nothing to play"),
        (["bench", "moon"], 2, "stall"),
        (["city", "--broker", "nowhere"], 2, "HOST:PORT"),
        (["city", "--broker", "1", "--store", "postgresql://db"], 2, "not available"),
        (["city", "--broker", "1", "--store", "sqlite:/nowhere/city.db"], 73, "/nowhere/city.db"),
        (["city", "--broker", "1", "--reject", "colour=red"], 2, "the field is"),
        (["chaos", "--listen", "0", "--to", "x:1", "--eat-pubacks", "30"], 2, "0 to 1"),
    ],
)
def test_wrong_use_says_what_would_be_right(arguments: list[str], code: int, words: str) -> None:
    returned, message = refused(*arguments)
    assert (returned, words in message) == (code, True), message


def test_codes_of_the_packaged_scenarios_have_right_check_digits() -> None:
    checked = 0
    for name in packaged_names():
        bench = Bench.read(packaged(name))
        bench.stop()
        for line in packaged(name).read_text().splitlines():
            text = line.partition('text = "')[2].rstrip('"')
            for start in (0, 2):
                gtin = text[start : start + (13 if start == 0 else 14)]
                if gtin.isdigit() and (start == 0 or text.startswith("01")) and not (start == 0 and len(text) > 13):
                    weights = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(gtin[:-1])))
                    assert (10 - weights % 10) % 10 == int(gtin[-1]), gtin
                    checked += 1
    assert checked >= 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no .*device"),
        ('[[device]]\nkind = "scale"', "id of its own"),
        ('[[device]]\nid = "a"\nkind = "ghost"', "device a: kind"),
        ('[[device]]\nid = "a"\ndialect = "abacus"', "device a: dialect"),
        ('[[device]]\nid = "a"\ndialect = "st-gs"\ncolour = 1', "colour is not known"),
        ('[[device]]\nid = "a"\ndialect = "st-gs"\nhold = 9', "hold"),
        ('[[device]]\nid = "a"\nkind = "scanner"', "at least one"),
        ("[[device", "TOML|table|Expected"),
    ],
)
def test_a_broken_scenario_names_file_and_device(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "stall.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as problem:
        Bench.read(file)
    assert "stall.toml" in str(problem.value)
