"""`devices commission` as a maintainer does it: a simulated scale, a person who reads its display, the ledger."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.cli.app import run
from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
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
driver = "{driver}"
port = "{port}"
{unit}
[[station]]
id = "A12"
mode = "log"
devices = ["scale-1"]
"""


QUESTION = re.compile(rb"the display shows(?: \(Enter alone skips this\))?: ")


class Bench:
    """A scale on a pty, and the person who stands before it."""

    def __init__(self, folder: Path, dialect: str, driver: str | None = None, unit: str | None = None) -> None:
        self.platter = Platter(ScaleSettings(capacity_mg=15_000_000))
        self.device = Device(Scale(DIALECTS[dialect], self.platter), open_port("pty")).start()
        self.config = folder / "agent.toml"
        self.config.write_text(
            CONFIG.format(
                folder=folder,
                driver=driver or dialect,
                port=self.device.port.name,
                unit=f'unit = "{unit}"' if unit else "",
            )
        )

    def put(self, milligrams: int, *, tare: bool = False) -> None:
        def act(now: float) -> None:
            self.platter.preset_tare(0)
            self.platter.set_load(milligrams, now)

        self.device.order(act)
        condition = "overload" if milligrams > 15_000_000 else "ok"
        self._wait(
            lambda now: (
                self.platter.indication(now).condition == condition and (condition != "ok" or self.platter.stable(now))
            )
        )
        if tare:
            self.device.order(lambda now: self.platter.tare(now) and None)
            self._wait(lambda now: self.platter.indication(now).net)

    def _wait(self, holds: Callable[[float], bool]) -> None:
        until = time.monotonic() + 20
        while not holds(time.monotonic()):
            assert time.monotonic() < until
            time.sleep(0.02)

    def display(self) -> str:
        indication = self.platter.indication(time.monotonic())
        return f"{indication.text.strip()} {indication.unit}" if indication.condition == "ok" else "OL"

    def commission(self, **shown: str) -> tuple[int, dict[str, Any], str]:
        """Go through all steps; `shown` is what the person types instead of the true display."""
        command = [sys.executable, "-m", "edge_agent", "--lang", "en", "devices", "commission", "scale-1"]
        command += ["--config", str(self.config), "--mass", "3.25 kg", "--operator", "07"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        said = bytearray()
        heard = threading.Condition()
        descriptor = process.stderr.fileno()

        def listen() -> None:
            while data := os.read(descriptor, 4096):
                with heard:
                    said.extend(data)
                    heard.notify_all()
            with heard:
                said.extend(b"the display shows: " * 9)
                heard.notify_all()

        threading.Thread(target=listen, daemon=True).start()
        steps: list[tuple[str, int, bool]] = [
            ("empty", 0, False),
            ("mass", 3_250_000, False),
            ("tare", 500_000, True),
            ("overload", 40_000_000, False),
            ("removal", 0, False),
        ]
        for number, (step, load, tare) in enumerate(steps, start=1):
            with heard:
                assert heard.wait_for(lambda n=number: len(QUESTION.findall(said)) >= n, 30), said.decode()
            self.put(load, tare=tare)
            process.stdin.write((shown.get(step, self.display()) + "\n").encode())
            process.stdin.flush()
        process.stdin.close()
        code = process.wait(60)
        output = process.stdout.read()
        return code, orjson.loads(output) if output else {}, said.decode()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*arguments: Any, **settings: Any) -> Bench:
        made.append(Bench(tmp_path, *arguments, **settings))
        return made[-1]

    yield make
    for each in made:
        each.device.stop()


def ledger(bench: Bench, capsysbinary: pytest.CaptureFixture[bytes]) -> dict[str, Any]:
    assert run(["ledger", "list", "--config", str(bench.config), "--output", "json"]) == 0
    (asset,) = orjson.loads(capsysbinary.readouterr().out)
    return dict(asset)


def test_a_scale_that_is_read_right_passes_and_is_in_the_ledger(
    bench: Callable[..., Bench], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    scale = bench("st-gs")
    assert ledger(scale, capsysbinary)["flags"] == ["uncommissioned"]
    code, result, said = scale.commission()
    assert (code, result["result"]) == (0, "passed"), said
    steps = {step["step"]: (step["shown"], step["read"], step["result"]) for step in result["steps"]}
    assert steps["mass"] == ("3.250 kg", "3.250 kg gross", "good")
    assert steps["tare"][1:] == ("0.000 kg net", "good")
    assert steps["overload"] == ("OL", "overload", "good")
    asset = ledger(scale, capsysbinary)
    assert (asset["commissioned"], asset["flags"]) == ("st-gs", ["scale_unverified"])
    command = ["ledger", "set", "scale-1", "verified_until=2099-12-31", "seal_ok=true", "--config", str(scale.config)]
    assert run(command) == 0
    capsysbinary.readouterr()
    assert ledger(scale, capsysbinary)["flags"] == []
    assert run(["ledger", "export", "--events", "--format", "jsonl", "--config", str(scale.config)]) == 0
    events = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [event.get("commissioning") for event in events] == ["passed", None]
    assert events[0]["operator"] == "07"
    assert len(events[0]["steps"]) == 5


def test_a_wrong_unit_is_caught_and_stays_uncommissioned(
    bench: Callable[..., Bench], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    scale = bench("xk3190-continuous", unit="g")
    code, result, _ = scale.commission(overload="", tare="")
    assert (code, result["result"]) == (1, "failed")
    assert {step["step"]: step["finding"] for step in result["steps"]}["mass"] == "unit"
    assert ledger(scale, capsysbinary)["flags"] == ["uncommissioned"]


def test_a_wrong_decimal_place_is_caught(bench: Callable[..., Bench]) -> None:
    scale = bench("st-gs")
    code, result, _ = scale.commission(mass="32.50 kg")
    assert (code, {step["step"]: step["finding"] for step in result["steps"]}["mass"]) == (1, "decimal")


def test_reversed_digits_are_caught(bench: Callable[..., Bench]) -> None:
    scale = bench("xk3190-eq-reversed", driver="xk3190-eq-forward", unit="kg")
    code, result, _ = scale.commission(overload="", tare="")
    assert (code, {step["step"]: step["finding"] for step in result["steps"]}["mass"]) == (1, "reversed")


def test_input_that_ends_early_changes_nothing(
    bench: Callable[..., Bench], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    scale = bench("st-gs")
    command = [sys.executable, "-m", "edge_agent", "devices", "commission", "scale-1", "--mass", "1 kg"]
    done = subprocess.run(
        [*command, "--config", str(scale.config)], input=b"0.000 kg\n", capture_output=True, timeout=60
    )
    assert done.returncode == 65
    assert ledger(scale, capsysbinary)["commissioned"] is None
