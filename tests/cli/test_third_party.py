"""Drivers of other people's packages: built and installed as they would be, listed with their origin, harmless."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.control import ControlClient

PACKAGES = Path(__file__).parents[1] / "third_party"
CONFIG = """\
[gateway]
id = "box-1"
site = "m"
[store]
path = "{folder}/records.db"
[[device]]
id = "good"
driver = "acme-100"
port = "serial:{good}"
[[device]]
id = "failing"
driver = "acme-failing"
port = "serial:{failing}"
[[station]]
id = "A12"
mode = "log"
devices = ["good", "failing"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Builds a wheel of each package, installs it into a folder of its own, and gives the environment to run with."""
    wheels = tmp_path_factory.mktemp("wheels")
    folders: dict[str, Path] = {}

    def install(name: str) -> Path:
        if name not in folders:
            source = wheels / name
            shutil.copytree(PACKAGES / name, source)  # a build leaves nothing in the checkout
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
            offline = ["--no-deps", "--no-index"]
            build = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
            subprocess.run(build, check=True, capture_output=True, timeout=120)
            (wheel,) = wheels.glob(f"{name.replace('-', '_')}-*.whl")
            target = wheels / f"{name}-installed"
            subprocess.run([*pip, "install", *offline, "--target", str(target), str(wheel)], check=True, timeout=120)
            folders[name] = target
        return folders[name]

    def environment(*names: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.pathsep.join(str(install(name)) for name in names)}

    return environment


def agent(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edge_agent", "--lang", "en", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60)


def drivers(environment: dict[str, str]) -> tuple[dict[str, dict[str, Any]], str]:
    done = agent(environment, "drivers", "list", "--output", "json")
    assert done.returncode == 0, done.stderr.decode()
    return {row["driver"]: row for row in orjson.loads(done.stdout)}, done.stderr.decode()


def test_a_package_is_listed_with_its_distribution_and_version(installed: Callable[..., dict[str, str]]) -> None:
    listed, faults = drivers(installed("acme-scale"))
    assert listed["acme-100"]["from"] == "acme-scale 1.2.3"
    assert listed["st-gs"]["from"].startswith("trace-edge-agent ")
    assert faults == ""
    done = agent(installed("acme-scale"), "decode", "acme-100", "--hex", b"ACME*   1.25 kg\r\n".hex())
    assert orjson.loads(done.stdout)["weight"] == "1.25"


def test_one_id_of_two_packages_is_refused_with_both_names(installed: Callable[..., dict[str, str]]) -> None:
    listed, faults = drivers(installed("acme-scale", "rival-scale"))
    assert not {"acme-100", "st-gs", "rival-old"} & listed.keys()
    assert {"acme-failing", "mt-sics"} <= listed.keys()
    lines = faults.splitlines()
    (acme,) = [line for line in lines if "driver acme-100" in line]
    assert "acme-scale 1.2.3" in acme
    assert "rival-scale 0.9" in acme
    (ours,) = [line for line in lines if "driver st-gs" in line]
    assert "trace-edge-agent" in ours
    assert "rival-scale 0.9" in ours
    assert any("RuntimeError: a mistake of rival-scale" in line for line in lines)
    assert any("offers str, not a Bundle" in line for line in lines)
    assert any("made for driver API 0" in line for line in lines)


def test_a_device_with_a_refused_driver_is_a_problem_that_names_both(
    installed: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(CONFIG.format(folder=tmp_path, good="/dev/ttyS0", failing="/dev/ttyS1"))
    done = agent(installed("acme-scale", "rival-scale"), "config", "check", str(config))
    assert done.returncode == 78
    said = (done.stdout + done.stderr).decode()
    assert "acme-scale 1.2.3" in said
    assert "rival-scale 0.9" in said


class Stall:
    """An agent with two of another maker's drivers; the far ends of its ports."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._ends = [os.openpty(), os.openpty()]
        for _, far in self._ends:
            tty.setraw(far)
        self.good, self.failing = (near for near, _ in self._ends)
        paths = [os.ttyname(far) for _, far in self._ends]
        config = folder / "agent.toml"
        config.write_text(CONFIG.format(folder=folder, good=paths[0], failing=paths[1]))
        command = [sys.executable, "-m", "edge_agent", "run", "--config", str(config)]
        self._log = folder / "agent.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)

    def lost(self) -> list[str]:
        """Why the failing device was lost, each time. Its state now would not do: it is soon tried again."""
        lines = [orjson.loads(line) for line in self._log.read_bytes().split(b"\n")[:-1] if line.startswith(b"{")]
        states = [line for line in lines if line["event"] == "device.state" and line["device"] == "failing"]
        return [line["reason"] for line in states if line["state"] == "lost"]

    def status(self) -> dict[str, Any]:
        with ControlClient(self.folder / "records.db.sock") as client:
            answer: dict[str, Any] = client.ask(do="status")["status"]
            return answer

    def wait(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until = time.monotonic() + 40
        while True:
            assert self.process.poll() is None
            assert time.monotonic() < until
            try:
                status = self.status()
            except ConnectionError:
                status = {}
            if status and holds(status):
                return status
            time.sleep(0.1)

    def close(self) -> int:
        self.process.terminate()
        code = self.process.wait(20)
        for near, far in self._ends:
            os.close(near)
            os.close(far)
        return code


@pytest.fixture
def stall(installed: Callable[..., dict[str, str]], tmp_path: Path) -> Iterator[Stall]:
    made = Stall(tmp_path, installed("acme-scale"))
    yield made
    assert made.close() == 0


def test_a_driver_that_raises_in_feed_loses_its_own_device_only(stall: Stall) -> None:
    stall.wait(lambda s: {d["state"] for d in s["devices"].values()} == {"connected"} and len(s["devices"]) == 2)
    os.write(stall.failing, b"ACME*   1.25 kg\r\n")
    status = stall.wait(lambda _: bool(stall.lost()))
    assert "driver failed: ZeroDivisionError: a mistake of acme-scale" in stall.lost()[0]
    kept = status["kept"]
    os.write(stall.good, b"ACME*   0.00 kg\r\n" * 3 + b"ACME*   1.25 kg\r\n" * 3)
    stall.wait(lambda s: s["kept"] > kept)
    os.write(stall.failing, b"once more")
    stall.wait(lambda s: s["devices"]["good"]["state"] == "connected" and s["counters"]["good"]["readings"] >= 6)
