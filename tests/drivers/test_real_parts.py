"""Parts that others wrote between or before our drivers: ser2net, socat, and simulators from the package index."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers import bundle
from drivers.session import DeviceSession
from edge_agent.driver import Disconnected, DriverSpec, PortUrl
from edge_agent.model import DeviceEvent, Reading
from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings
from hwsim.ports import open_port

WITHIN = 30.0
TRANSPORTS = {spec.scheme: spec for spec in bundle().transports}


def part(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise RuntimeError(f"{name} is missing: apt-get install {name}")
    return path


@contextmanager
def running(*command: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, start_new_session=True, **settings)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(WITHIN)


def session(text: str, spec: DriverSpec, options: Mapping[str, Any] | None = None) -> DeviceSession:
    url = PortUrl.parse(text)
    known = {option.name: option.default for option in spec.options}
    TRANSPORTS[url.scheme].check(url, spec.line)
    return DeviceSession(TRANSPORTS[url.scheme].make(url, spec.line), spec.make({**known, **(options or {})}))


@contextmanager
def opened(text: str, spec: DriverSpec, options: Mapping[str, Any] | None = None) -> Iterator[DeviceSession]:
    """A session on a port that may still be coming up."""
    made = session(text, spec, options)
    until = time.monotonic() + WITHIN
    while True:
        try:
            made.open()
            break
        except Disconnected:
            assert time.monotonic() < until
            time.sleep(0.1)
    try:
        yield made
    finally:
        made.close()


def read_until(made: DeviceSession, holds: Callable[[DeviceEvent], bool]) -> DeviceEvent:
    until = time.monotonic() + WITHIN
    seen: list[DeviceEvent] = []
    while time.monotonic() < until:
        for event in made.read(0.2):
            seen.append(event)
            if holds(event):
                return event
    raise AssertionError(f"not among {seen[-3:]}")


def weighs(text: str, unit: str = "kg") -> Callable[[DeviceEvent], bool]:
    return lambda event: isinstance(event, Reading) and (event.weight, event.unit) == (text, unit)


@pytest.fixture
def scale() -> Iterator[tuple[Platter, Device]]:
    platter = Platter(ScaleSettings())
    with Device(Scale(DIALECTS["mt-sics"], platter), open_port("pty")) as device:
        yield platter, device


@pytest.mark.parametrize(
    ("scheme", "accepter"), [("rfc2217", "telnet(rfc2217),tcp,127.0.0.1"), ("tcp", "tcp,127.0.0.1")]
)
def test_a_scale_behind_ser2net(
    scheme: str,
    accepter: str,
    scale: tuple[Platter, Device],
    specs: Mapping[str, DriverSpec],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    platter, device = scale
    port = free_port()
    config = tmp_path / "ser2net.yaml"
    path = device.port.name.removeprefix("serial:")
    config.write_text(
        f"connection: &scale\n  accepter: {accepter},{port}\n  connector: serialdev,{path},9600n81,local\n"
        "  options:\n    kickolduser: true\n"
    )
    command = [part("ser2net"), "-n", "-c", str(config), "-P", str(tmp_path / "pid")]
    with running(*command) as server, opened(f"{scheme}:127.0.0.1:{port}", specs["mt-sics"]) as made:
        assert read_until(made, weighs("0.000"))
        device.order(lambda now: platter.set_load(2_345_000, now))
        assert read_until(made, weighs("2.345"))
        made.command("tare")
        assert read_until(made, weighs("0.000"))
        server.send_signal(signal.SIGKILL)
        with pytest.raises(Disconnected):
            read_until(made, lambda event: False)


def test_a_scale_behind_a_pair_of_socat_terminals(
    scale: tuple[Platter, Device], specs: Mapping[str, DriverSpec], tmp_path: Path
) -> None:
    platter, device = scale
    path = device.port.name.removeprefix("serial:")
    link = tmp_path / "scale"
    command = [part("socat"), f"pty,raw,echo=0,link={link}", f"{path},raw,echo=0"]
    with running(*command) as pair, opened(f"serial:{link}", specs["mt-sics"]) as made:
        device.order(lambda now: platter.set_load(1_230_000, now))
        assert read_until(made, weighs("1.230"))
        pair.send_signal(signal.SIGKILL)
        with pytest.raises(Disconnected):
            read_until(made, lambda event: False)


@pytest.mark.parametrize(
    ("profile", "unit", "weight"),
    [("ohaus-defender5000", "kg", "12.35"), ("ohaus-scout", "g", "1234.5"), ("mt-xs204", "g", "123.4567")],
)
def test_an_mt_sics_scale_that_others_wrote(
    profile: str, unit: str, weight: str, specs: Mapping[str, DriverSpec], free_port: Callable[[], int]
) -> None:
    """mt-sics-emulator of the package index, over TCP, its weight settling as goods do."""
    port, control = free_port(), free_port()
    command = [sys.executable, "-c", EMULATOR, profile, str(port), str(control)]
    with running(*command), opened(f"tcp:127.0.0.1:{port}", specs["mt-sics"]) as made:
        read_until(made, lambda event: isinstance(event, Reading))
        with socket.create_connection(("127.0.0.1", control), WITHIN) as line:
            line.sendall(weight.encode() + b"\n")
        reading = read_until(made, weighs(weight, unit))
        while not (isinstance(reading, Reading) and reading.stability == "stable"):
            reading = read_until(made, weighs(weight, unit))


EMULATOR = """
import asyncio, sys
from mtsics.core.simulator import WeightSimulator
from mtsics.core.state import ScaleState
from mtsics.profiles import load
from mtsics.protocol.engine import MTSICSEngine
from mtsics.transport.tcp import TCPConfig, TCPTransport

async def main(profile, port, control):
    state = ScaleState(config=load(profile))
    simulator = WeightSimulator(state)
    transport = TCPTransport(MTSICSEngine(state), simulator=simulator, cfg=TCPConfig(host="127.0.0.1", port=port))
    async def put(reader, writer):
        simulator.set_target(float(await reader.readline()))
        writer.close()
    await asyncio.start_server(put, "127.0.0.1", control)
    await transport.start()
    await transport.serve_forever()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def test_a_weighbridge_that_others_wrote(specs: Mapping[str, DriverSpec], tmp_path: Path) -> None:
    """weighbridge-simulator of the package index: `=` frames of seven characters, from low to high, the mark behind."""
    data = tmp_path / "weights.txt"
    data.write_text("012.345\n012.345\n000.820\n")
    command = [sys.executable, "-m", "weighbridge_simulator", "-d", str(data), "-l", "0", "-i", "0.05"]
    with running(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said = b""
        while (match := re.search(rb"Created PTY: (/dev/pts/\d+)", said)) is None:
            chunk = os.read(process.stdout.fileno(), 1024)
            assert chunk, said
            said += chunk
        threading.Thread(target=drain, args=(process.stdout.fileno(),), daemon=True).start()
        options = {"width": 7}
        with opened(f"serial:{match[1].decode()}", specs["xk3190-eq-reversed"], options) as made:
            seen = set()
            until = time.monotonic() + WITHIN
            while seen != {"12.345", "0.820"} and time.monotonic() < until:
                seen |= {event.weight for event in made.read(0.2) if isinstance(event, Reading)}
            assert seen == {"12.345", "0.820"}


def drain(descriptor: int) -> None:
    while os.read(descriptor, 4096):
        pass
