"""Every scale driver against the simulator of its dialect: what the display shows is what is read, digit by digit.

The simulators were written from the makers' pages and share no code with the drivers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from drivers import bundle
from edge_agent.driver import Codec, DriverSpec, Send
from edge_agent.model import DeviceEvent, Reading, Rejected
from hwsim.bench import scale_settings
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter

OTHER_KINDS = {
    "hid-pos-scale": "reports of a USB device, no stream",
    "dp-401": "events of sales, not of a platter",
}
"""Scale drivers that read no stream of a platter, and why there is none to play here."""

SCALES = [spec for spec in bundle().drivers if spec.kind == "scale" and spec.id not in OTHER_KINDS]
OPTIONS = {"erte": {"decimals": 0}, "dollar-6": {"decimals": 0}, "modbus-rtu": {"preset": "id550", "decimals": 3}}
STEP = 0.05


def test_every_scale_has_a_simulator_of_its_own() -> None:
    assert [spec.id for spec in SCALES if spec.id not in DIALECTS] == []


class Counter:
    """A scale at a codec, moment by moment."""

    def __init__(self, spec: DriverSpec) -> None:
        dialect = DIALECTS[spec.id]
        self.settings = scale_settings(dialect.build)
        self.platter = Platter(self.settings, seed=3)
        self.scale = Scale(dialect, self.platter)
        self.codec: Codec = spec.make(OPTIONS.get(spec.id, {}))
        self.now = 100.0
        self.events: list[DeviceEvent] = []
        self.written: set[bytes] = set()
        self._take(self.scale.power_on(self.now))

    def _take(self, chunks: object) -> None:
        for chunk in chunks if isinstance(chunks, list | tuple) else ():
            for output in self.codec.feed(chunk, self.now):
                self._carry_out(output)

    def _carry_out(self, output: object) -> None:
        if isinstance(output, Send):
            self.written.add(output.data)
            self._take(self.scale.receive(output.data, self.now))
        elif isinstance(output, DeviceEvent):
            self.events.append(output)

    def run(self, seconds: float) -> list[DeviceEvent]:
        """What is said in so many seconds."""
        self.events = []
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self._take(self.scale.tick(self.now))
            deadline = self.codec.deadline
            if deadline is not None and deadline <= self.now:
                for output in self.codec.tick(self.now):
                    self._carry_out(output)
        return self.events


def loads(counter: Counter) -> Iterator[int]:
    """Masses from nothing to nearly full, in whole divisions."""
    chance = random.Random(5)
    division, most = counter.settings.division_mg, counter.settings.capacity_mg
    for share in (0.01, 0.1, 0.5, 0.9):
        yield round(most * share * chance.uniform(0.5, 1.0)) // division * division


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.id)
def test_what_the_display_shows_is_what_is_read(scale: DriverSpec) -> None:
    counter = Counter(scale)
    counter.run(2.0)
    for mass in loads(counter):
        counter.platter.set_load(mass, counter.now)
        counter.run(2.0)
        events = counter.run(4.0)
        shown = counter.platter.indication(counter.now)
        readings = [event for event in events if isinstance(event, Reading)]
        assert readings, events[:3]
        assert {reading.weight for reading in readings} <= {shown.text, shown.text.lstrip("0") or "0"}
        assert {reading.unit for reading in readings} <= {shown.unit, None}
        assert {reading.stability for reading in readings} <= {"stable", "unknown"}
        assert {reading.basis for reading in readings} <= {"gross", "net", None}
        assert not [event for event in events if isinstance(event, Rejected)], events[:3]


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.id)
def test_nothing_else_is_ever_read_while_goods_come_and_go(scale: DriverSpec) -> None:
    """Whatever is read was on the display at that time, or a moment before: no digit comes from nowhere."""
    counter = Counter(scale)
    seen: set[str] = set()
    chance = random.Random(11)
    for _ in range(40):
        if chance.random() < 0.5:
            counter.platter.set_load(chance.choice((0, *loads(counter))), counter.now)
        moments = []
        for _ in range(6):
            shown = counter.platter.indication(counter.now + STEP)
            moments.append(shown.text if shown.condition == "ok" else None)
            said = counter.run(STEP)
            seen.update(str(moment) for moment in moments)
            for event in said:
                if isinstance(event, Reading) and event.weight is not None:
                    assert event.weight in seen or any(event.weight == text.lstrip("0") for text in seen), event


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.id)
def test_out_of_range_is_never_a_weight(scale: DriverSpec) -> None:
    counter = Counter(scale)
    counter.platter.set_load(counter.settings.capacity_mg * 2, counter.now)
    counter.run(2.0)
    told = [event for event in counter.run(3.0) if isinstance(event, Reading)]
    assert all(reading.weight is None and reading.condition == "overload" for reading in told)
    if "overload" in scale.tells and scale.id not in ("tscale-nhb", "tscale-qhw"):
        assert told


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.id)
def test_neither_zero_nor_tare_is_ever_written_unasked(scale: DriverSpec) -> None:
    """Loaded, moving, overloaded and silent: what goes to the instrument is its question and nothing else."""
    counter = Counter(scale)
    for load in (0, counter.settings.capacity_mg // 2, 2 * counter.settings.capacity_mg, 0):
        counter.platter.set_load(load, counter.now)
        counter.run(4.0)
    counter._take([b"\xff\x00noise\r\n"])
    counter.scale = Scale(DIALECTS["st-gs"], Platter(counter.settings))  # another instrument at the same cable
    counter.run(10.0)
    commands = {
        output.data
        for name in scale.dialogue.commands
        for output in scale.make(OPTIONS.get(scale.id, {})).command(name, 0.0)
        if isinstance(output, Send)
    }
    assert not counter.written & commands
    assert bool(counter.written) == scale.dialogue.polls
