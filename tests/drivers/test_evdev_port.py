"""Keyboards of a faked kernel (umockdev): found by identity, grabbed, read from first key to last, lost and told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from drivers.transports.evdev import SPEC
from edge_agent.driver import PortUrl
from hwsim.hid import KeyboardSettings, evemu, keyboard_reports

KEYS_OF_A_KEYBOARD = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe"
KEYS_OF_A_VOLUME_KNOB = "3800000000 0"

READER = """
import json, sys, time
from drivers.scanners.hid_keyboard import SPEC as WEDGE
from drivers.session import DeviceSession
from drivers.transports.evdev import SPEC
from drivers.vectors import describe
from edge_agent.driver import PortUrl, TransportError

url, want, seconds = PortUrl.parse(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
session = DeviceSession(SPEC.make(url, {}), WEDGE.make({"gap_ms": 5000}))  # the writer of keys may be held up
said = []
try:
    session.open()
    until = time.monotonic() + seconds
    while len(said) < want and time.monotonic() < until:
        said += map(describe, session.read(0.2))
except TransportError as problem:
    said.append(f"{type(problem).__name__}: {problem}")
session.close()
print(json.dumps(said))
"""


def description(event: int, *, name: str, ids: str, phys: str, uniq: str = "", keys: str = KEYS_OF_A_KEYBOARD) -> str:
    """One input device as umockdev-record writes it."""
    vendor, product = ids.split(":")
    path = f"/devices/pci0000:00/0000:00:14.0/usb1/1-{event}/input/input{event}"
    attributes = {"name": name, "phys": phys, "uniq": uniq, "capabilities/key": keys}
    attributes |= {"id/vendor": vendor, "id/product": product, "id/bustype": "0003"}
    lines = [f"P: {path}", "E: SUBSYSTEM=input", f'E: NAME="{name}"']
    lines += [f"A: {key}={value}\\n" for key, value in attributes.items()]
    lines += ["", f"P: {path}/event{event}", f"N: input/event{event}", f"E: DEVNAME=/dev/input/event{event}"]
    lines += ["E: SUBSYSTEM=input", f"L: device=../../input{event}"]
    return "\n".join(lines) + "\n"


Read = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Opens a port among faked devices and returns what its wedge codec says."""

    def run(
        port: str, devices: Sequence[str], typed: dict[int, str], *, want: int = 1, seconds: float = 60.0
    ) -> list[str]:
        command = ["umockdev-run"]
        for number, text in enumerate(devices):
            file = tmp_path / f"{number}.umockdev"
            file.write_text(text)
            command += ["--device", str(file)]
        for event, text in typed.items():
            file = tmp_path / f"event{event}.events"
            file.write_text(text)
            command += ["--evemu-events", f"/dev/input/event{event}={file}"]
        command += ["--", sys.executable, "-c", READER, port, str(want), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stderr
        said: list[str] = json.loads(done.stdout)
        return said

    return run


def scan(*texts: str) -> str:
    """What the kernel says of these scans."""
    typed = [keyboard_reports(text, KeyboardSettings()) for text in texts]
    return "".join(evemu(reports, start=number * 0.5) for number, reports in enumerate(typed))


GUN = description(5, name="Newland HR22", ids="1eab:8203", phys="usb-0000:00:14.0-2/input0")
TWIN = description(6, name="Newland HR22", ids="1eab:8203", phys="usb-0000:00:14.0-3/input0")
KNOB = description(
    7, name="Newland HR22", ids="1eab:8203", phys="usb-0000:00:14.0-2/input1", keys=KEYS_OF_A_VOLUME_KNOB
)
NUMBERED = description(8, name="Honeywell 1950", ids="0c2e:0b81", phys="usb-0000:00:14.0-4/input0", uniq="A123456")


@pytest.mark.parametrize(
    "port", ["evdev:Newland HR22", "evdev:1eab:8203", "evdev:1EAB:8203", "evdev:/dev/input/event5"]
)
def test_a_scanner_is_found_by_each_of_its_names(read: Read, port: str) -> None:
    said = read(port, [GUN, KNOB, NUMBERED], {5: scan("6901028225168", "]C10106901234567892")}, want=2)
    assert said == ["scan - 6901028225168", "scan ]C1 0106901234567892"]


def test_a_serial_number_tells_which(read: Read) -> None:
    other = description(9, name="Honeywell 1950", ids="0c2e:0b81", phys="usb-0000:00:14.0-5/input0", uniq="B9")
    devices, typed = [NUMBERED, other], {8: scan("8"), 9: scan("9")}
    assert read("evdev:0c2e:0b81:A123456", devices, typed) == ["scan - 8"]
    assert read("evdev:0c2e:0b81:B9", devices, typed) == ["scan - 9"]


def test_equal_scanners_are_told_apart_by_their_sockets_and_never_guessed(read: Read) -> None:
    devices, typed = [GUN, TWIN], {5: scan("111"), 6: scan("222")}
    assert read("evdev:1eab:8203?phys=usb-0000:00:14.0-2", devices, typed) == ["scan - 111"]
    assert read("evdev:1eab:8203?phys=usb-0000:00:14.0-3", devices, typed) == ["scan - 222"]
    (told,) = read("evdev:1eab:8203", devices, typed)
    assert told.startswith("BadSettings")
    assert "?phys=usb-0000:00:14.0-2, ?phys=usb-0000:00:14.0-3" in told


def test_what_is_not_there_is_said_with_what_is(read: Read) -> None:
    (told,) = read("evdev:1eab:9999", [GUN], {5: scan("111")})
    assert told.startswith("Disconnected")
    assert "'Newland HR22' (1eab:8203, phys=usb-0000:00:14.0-2)" in told


def test_keys_that_the_kernel_lost_spoil_their_scan_and_no_other(read: Read) -> None:
    text = scan("6901028225168", "6921168509256")
    lines = text.splitlines(keepends=True)
    lost = "E: 0.010000 0000 0003 0\n"
    assert lines[29].split()[2:4] == ["0000", "0000"], "the loss has to stand between two reports"
    hurt = "".join([*lines[:30], lost, *lines[33:]])
    assert read("evdev:1eab:8203", [GUN], {5: hurt}, want=2) == ["rejected dropped", "scan - 6921168509256"]


@pytest.mark.parametrize("port", ["evdev:x?grab=no", "evdev:1eab:8203?port=2"])
def test_settings_that_do_not_exist_are_refused(port: str) -> None:
    with pytest.raises(ValueError, match="its settings are phys"):
        SPEC.check(PortUrl.parse(port), {})


AGENT = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
[[device]]
id = "gun"
driver = "hid-keyboard"
port = "evdev:1eab:8203"
options = {{ gap_ms = 500 }}
[[station]]
id = "A12"
mode = "log"
devices = ["gun"]
"""


def test_the_agent_keeps_what_is_typed_flags_a_lost_separator_and_asks_for_a_suffix(tmp_path: Path) -> None:
    """The whole agent on a faked device: a code without an end, a whole one, and one whose GS never came."""
    code = "010690123456789210AB12\x1d3103000500"
    unended = evemu(keyboard_reports("12345", KeyboardSettings(suffix="none")))
    whole = evemu(keyboard_reports("]C1" + code, KeyboardSettings(separator="alt")), start=7.0)
    lost = evemu(keyboard_reports("]C1" + code, KeyboardSettings(separator="none")), start=8.0)
    (tmp_path / "agent.toml").write_text(AGENT.format(folder=tmp_path))
    (tmp_path / "gun.umockdev").write_text(GUN)
    (tmp_path / "typed.events").write_text(unended + whole + lost)
    agent = Path(sys.executable).with_name("edge-agent")
    command = ["umockdev-run", "--device", str(tmp_path / "gun.umockdev")]
    command += ["--evemu-events", f"/dev/input/event5={tmp_path}/typed.events", "--"]
    command += ["sh", "-c", 'echo $$ >&2; exec "$@"', "sh"]
    command += [str(agent), "run", "--config", str(tmp_path / "agent.toml")]
    kept, told = 0, []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        number = int(process.stderr.readline())
        late = threading.Timer(180.0, os.kill, (number, signal.SIGTERM))
        late.start()
        for line in process.stderr:
            told += [json.loads(line)["reason"]] if '"bad-data"' in line else []
            kept += '"record.kept"' in line and '"trace.scan.v1"' in line
            if kept == 2:
                os.kill(number, signal.SIGTERM)
                kept += 1
    late.cancel()
    assert process.returncode == 0
    assert len(told) == 1
    assert "suffix to Enter" in told[0]
    show = [str(agent), "records", "export", "--format", "jsonl", "--config", str(tmp_path / "agent.toml")]
    lines = subprocess.run(show, capture_output=True, text=True, check=True).stdout.splitlines()
    scans = [json.loads(line)["data"] for line in lines if '"trace.scan.v1"' in line]
    assert [scan["fields"].get("3103") for scan in scans] == ["000500", None]
    assert ["wedge_suspect" in scan["flags"] for scan in scans] == [False, True]
    assert scans[0]["text"] == code
