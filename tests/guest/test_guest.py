"""The agent on real USB devices: a HID keyboard, a HID POS scanner, a HID POS scale and a usb-serial, in a guest."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings, random_goods, weighings
from hwsim.ports import TcpPort

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHECKS = """
    devices permission connected keyboard pos-scanner scales replug after-replug serial-replug syn-dropped
    twin-took-over reattached twins verify
"""


def load(name: str) -> ModuleType:
    """A module beside this one; the tests' folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"guest_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.soak(
    "a guest with real USB: HID keyboard, HID-POS scanner and scale, usb-serial; plugged out and in again"
)
def test_real_usb_devices(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    machine: Any = load("machine")
    assert not machine.missing(), f"apt-get install -y --no-install-recommends {' '.join(machine.missing())}"
    kernel, initramfs = machine.build(ROOT / "build" / "guest")
    settings = ScaleSettings()
    plan = weighings(random_goods(20, settings=settings, seed=3), every=8.0, hold=5.0)
    bench = Scale(DIALECTS["st-gs"], Platter(settings, seed=3), script=plan, rate_hz=5.0)
    port = TcpPort()
    seen: dict[str, list[Any]] = {}
    with (
        Device(bench, port, name="bench"),
        machine.Machine(
            kernel,
            initramfs,
            tmp_path,
            python=Path(sys.executable),
            program=HERE / "inside.py",
            serial=int(port.name.rpartition(":")[2]),
        ) as guest,
    ):
        while (line := guest.line(timeout=600.0)) != "DONE":
            print(line)
            if line == "HOST plug serial":
                guest.plug(driver="usb-serial", chardev="ser", id="s1", bus="xhci.0", **{"always-plugged": True})
            elif line == "HOST unplug serial":
                guest.order("device_del", id="s1")
            elif line.startswith("CHECK "):
                _, name, told = line.split(" ", 2)
                seen.setdefault(name, []).append(json.loads(told))
            assert not line.startswith(("FAILED", "Traceback", "GUEST no")), line
    assert list(seen) == CHECKS.split()
    code = "010690123456789210AB12\x1d3103000500"
    assert seen["keyboard"] == [{"texts": [code], "grabbed": True}]
    assert seen["pos-scanner"][0]["texts"] == ["https://example.org/" + "0123456789" * 14]
    assert {told["device"] for told in seen["replug"]} == {"gun", "pos", "scale"}
    assert seen["after-replug"][0]["texts"] == ["6901028225168", "6921168509256"]
    assert all(seen["scales"][0][device] for device in ("scale", "bench"))
    assert seen["verify"][0]["exit"] == 0
    record_property("count", f"{sum(map(len, seen.values()))} checks")
