"""`devices probe` on real ports: what it prints works as configuration, and it writes only when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.cli.app import run
from edge_agent.preparing import prepare
from edge_agent.registry import Registry, discover
from edge_agent.workshop import prober as prober_module
from edge_agent.workshop.prober import Prober
from hwsim.bench import scale_settings
from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings, random_goods, weighings
from hwsim.ports import open_port
from hwsim.rfid.field import Field, make_tags
from hwsim.rfid.llrp import LlrpReader

ADD_ROSPEC = 20
QUICK = weighings([1_235_000, 2_340_000], every=1.0, hold=0.7)


def as_hwsim_plays(settings: ScaleSettings) -> Any:
    return weighings(random_goods(20, settings=settings, seed=0), every=3.0, hold=1.8)


@pytest.fixture
def plugged() -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(dialect: str, port: str = "pty", *, own_pace: bool = False) -> Device:
        settings = scale_settings(DIALECTS[dialect].build) if own_pace else ScaleSettings()
        script = as_hwsim_plays(settings) if own_pace else QUICK
        scale = Scale(DIALECTS[dialect], Platter(settings), script=script)
        made.append(Device(scale, open_port(port)).start())
        return made[-1]

    yield make
    for device in made:
        device.stop()


def probed(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["devices", "probe", *arguments, "--output", "json"])
    return code, orjson.loads(capsysbinary.readouterr().out)


@pytest.mark.parametrize("port", ["pty", "tcp:0"])
def test_what_it_prints_is_a_configuration_and_nothing_was_written(
    port: str, plugged: Callable[..., Device], tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    device = plugged("st-gs", port)
    code, found = probed(capsysbinary, device.port.name, "--seconds", "2")
    assert (code, found["fits"][0]["driver"], found["fits"][0]["rejected"]) == (0, "st-gs", {})
    assert device.report["bytes_received"] == 0
    config = tmp_path / "agent.toml"
    config.write_text('[gateway]\nid = "b"\nsite = "s"\n' + found["device"])
    read, _ = prepare(config)
    assert (read.device[0].driver, read.device[0].port) == ("st-gs", device.port.name)


@pytest.mark.parametrize("dialect", ["mt-jik-print", "mt-ms204-print"])
def test_what_prints_a_line_or_a_block_for_each_weighing_is_found_at_its_own_pace(
    dialect: str, plugged: Callable[..., Device], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The first seconds bring one block at most, and its lines look like those of a plain scale."""
    code, found = probed(capsysbinary, plugged(dialect, own_pace=True).port.name)
    assert (code, found["fits"][0]["driver"], found["fits"][0]["share"]) == (0, dialect, 1.0)


def test_an_instrument_that_must_be_asked_is_found_with_active_only(
    plugged: Callable[..., Device], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    device = plugged("cas-poll")
    code, found = probed(capsysbinary, device.port.name, "--seconds", "1")
    assert (code, found["fits"], found["warnings"][0]["warning"]) == (1, [], "silent")
    assert device.report["bytes_received"] == 0
    code, found = probed(capsysbinary, device.port.name, "--seconds", "0.5", "--active")
    assert (code, found["fits"][0]["driver"], found["fits"][0]["checksummed"]) == (0, "cas-poll", True)
    assert device.report["bytes_received"] > 0


@pytest.mark.parametrize(
    ("dialect", "others"),
    [
        ("and-standard", {"mt-sics"}),  # its own poll is one a second: too few answers to judge by
        ("mt-sics", {"and-standard", "toledo-8217", "sma"}),  # `W` without an end spoils the first `SIR`
    ],
)
def test_asking_gets_enough_answers_and_stops_when_it_knows(
    dialect: str, others: set[str], plugged: Callable[..., Device]
) -> None:
    device = plugged(dialect)
    registry = discover()
    for name in set(registry.drivers) - others - {dialect, "serial-scanner"}:
        del registry.drivers[name]
    asked: list[str] = []
    prober = Prober(registry, tell=lambda word, facts: asked.append(facts.get("driver", "")))
    report = prober.probe(prober.port(device.port.name), seconds=0.3, active=True)
    best = report.fits[0]
    assert (best.driver, best.frames >= 5, best.share) == (dialect, True, 1.0)
    assert dialect in asked
    assert not best.decisive or asked[-1] == dialect


def test_a_network_reader_that_hangs_up_on_other_languages_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it greets with says whom to ask first; that it closes on others does not end the asking."""
    asked = ("llrp", "mercury", "uhf-m100", "pn532")
    known = discover()
    drivers = {name: spec for name, spec in known.drivers.items() if name in asked}
    monkeypatch.setattr(prober_module, "_ASKING", 6.0)  # a slow machine
    monkeypatch.setattr(prober_module, "_BACK_WITHIN", 20.0)
    order: list[str] = []
    prober = Prober(
        Registry(drivers=drivers, transports=known.transports),
        tell=lambda word, facts: order.append(facts["driver"]) if word == "asking" else None,
    )
    with LlrpReader(Field(make_tags(3))) as reader:
        report = prober.probe(prober.port(reader.name), seconds=1.0, active=True)
        assert reader.messages[ADD_ROSPEC] == 1
        assert "no message of version 1" in reader.wrong, "it has hung up on nobody: nothing was tried"
    assert order[0] == "llrp"
    assert [fit.driver for fit in report.fits] == ["llrp"]
    assert len(report.fits[0].said) == 3


def test_what_no_byte_tells_is_left_open_in_a_block_that_loads(plugged: Callable[..., Device], tmp_path: Path) -> None:
    """Modbus says that somebody answers, and not where the weight stands."""
    device = plugged("modbus-rtu")
    registry = discover()
    for name in set(registry.drivers) - {"modbus-rtu"}:
        del registry.drivers[name]
    prober = Prober(registry)
    url = prober.port(device.port.name)
    (fit,) = prober.probe(url, seconds=0.3, active=True).fits
    block = prober.block(fit, url, "note")
    assert "# register is missing" in block
    config = tmp_path / "agent.toml"
    config.write_text(f'[gateway]\nid = "b"\nsite = "s"\n[store]\npath = "{tmp_path}/r.db"\n{block}')
    assert run(["config", "check", str(config)]) == 0


class SevenBits:
    """A scale of seven bits and even parity behind a device server that passes eight on."""

    def __init__(self) -> None:
        self._scale = Scale(DIALECTS["st-gs"], Platter(ScaleSettings()), script=weighings([1_235_000], every=9, hold=8))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scale, name)

    def tick(self, now: float) -> list[bytes]:
        return [bytes(b | (b.bit_count() & 1) << 7 for b in data) for data in self._scale.tick(now)]


def test_parity_that_a_device_server_passes_on_is_told_and_what_is_printed_reads_it(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    device = Device(SevenBits(), open_port("tcp:0")).start()
    try:
        code, found = probed(capsysbinary, device.port.name, "--seconds", "2")
        assert (code, found["warnings"][0]["warning"]) == (0, "parity")
        config = tmp_path / "agent.toml"
        config.write_text(f'[gateway]\nid = "b"\nsite = "s"\n[store]\npath = "{tmp_path}/r.db"\n' + found["device"])
        assert run(["config", "check", str(config)]) == 0
        capsysbinary.readouterr()
        assert run(["devices", "watch", "scale-1", "--config", str(config), "--seconds", "2"]) == 0
        events = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
        assert {"reading"} == {event["event"] for event in events[1:]}, events
    finally:
        device.stop()


def test_both_languages_and_the_table(
    plugged: Callable[..., Device], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    name = plugged("xk3190-continuous").port.name
    for language, words in (("zh", ("驱动", "请照秤面填写")), ("en", ("driver", "write what the display shows"))):
        assert run(["--lang", language, "devices", "probe", name, "--seconds", "1.5"]) == 0
        printed = capsysbinary.readouterr().out.decode()
        assert "xk3190-continuous" in printed
        assert all(word in printed for word in words), printed


@pytest.mark.parametrize(
    ("port", "code"), [("serial:/dev/does-not-exist", 69), ("nonsense", 2), ("smoke:signal", 2), ("tcp:x", 2)]
)
def test_ports_that_cannot_be_are_told(port: str, code: int) -> None:
    assert run(["devices", "probe", port, "--seconds", "0.2"]) == code
