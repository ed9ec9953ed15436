"""Probing finds every serial driver from what its simulator sends, and says what is wrong with a line."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_agent.driver import CodecOutput, DriverSpec, Send
from edge_agent.workshop.probing import Fit, Heard, Line, Report, judge, line_of, lines
from hwsim.bench import scale_settings
from hwsim.instruments import DIALECTS, Instrument, Scale
from hwsim.load import Platter, random_goods, weighings
from hwsim.replay import Player, read_capture

VECTORS = Path(__file__).parents[1] / "vectors"


def heard(instrument: Instrument, seconds: float = 12.0, asking: DriverSpec | None = None) -> Heard:
    """What a simulated instrument sends in told time; `asking` polls it as it would on a port."""
    pieces = [(0.0, data) for data in instrument.power_on(0.0)]
    codec = asking.make({option.name: option.default for option in asking.options}) if asking else None
    for step in range(round(seconds * 100)):
        now = step / 100
        sent = list(instrument.tick(now))
        outputs: list[CodecOutput] = []
        if codec is not None:
            due = codec.deadline
            outputs = list(codec.tick(now)) if due is not None and due <= now else []
        while sent or outputs:
            pieces += [(now, data) for data in sent]
            if codec is not None:
                outputs += [output for data in sent for output in codec.feed(data, now)]
            sent = [d for o in outputs if isinstance(o, Send) for d in instrument.receive(o.data, now)]
            outputs = []
    return Heard(line=None, pieces=tuple(pieces))


def simulator(driver: str) -> Instrument:
    if driver in DIALECTS:
        settings = scale_settings(DIALECTS[driver].build)
        script = weighings(random_goods(20, settings=settings, seed=1), every=3.0, hold=1.8)  # as `hwsim scale` does
        return Scale(DIALECTS[driver], Platter(settings), script=script)
    (file,) = [f for f in VECTORS.glob("*/*.toml") if tomllib.loads(f.read_text())["driver"] == driver]
    return Player(read_capture(file, driver=driver, good_only=True).chunks, repeat=True)


def words(fit: Fit) -> list[str]:
    return [said.split()[0] for said in fit.said]


def test_every_serial_drivers_simulator_is_found(spec: DriverSpec, specs: Mapping[str, DriverSpec]) -> None:
    if "serial" not in spec.interfaces or spec.kind not in ("scale", "scanner"):
        return
    listened = heard(simulator(spec.id), asking=spec if spec.dialogue.polls else None)
    assert listened.size
    report = judge([listened], specs.values())
    found = {fit.driver: fit for fit in report.fits}
    assert spec.id in found, [fit.driver for fit in report.fits]
    best = report.fits[0]
    if best.driver != spec.id:  # then nobody could tell them apart: they say the same of the same bytes
        assert words(best) == words(found[spec.id])
        (equal,) = [warned.facts["drivers"] for warned in report.warnings if warned.word == "equal"]
        assert spec.id in equal
    assert found[spec.id].options == {}


def scale_stream(seconds: float = 5.0) -> Heard:
    return heard(simulator("st-gs"), seconds)


def with_parity(listened: Heard, odd: int) -> Heard:
    """The bytes of a seven-bit line as a line of eight bits without parity reads them."""
    table = bytes(byte | ((byte.bit_count() + odd) % 2) << 7 if byte < 128 else byte for byte in range(256))
    return Heard(line=Line(), pieces=tuple((at, data.translate(table)) for at, data in listened.pieces))


@pytest.mark.parametrize(("odd", "form"), [(0, "7E1"), (1, "7O1")])
def test_seven_bits_with_parity_read_as_eight_are_recognised(
    odd: int, form: str, specs: Mapping[str, DriverSpec]
) -> None:
    report = judge([with_parity(scale_stream(), odd)], specs.values())
    best = report.fits[0]
    assert (best.driver, str(best.line), str(best.heard_as)) == ("st-gs", f"9600 {form}", "9600 8N1")
    assert ("parity", {"is": form, "read_as": "8N1"}) in [(w.word, dict(w.facts)) for w in report.warnings]
    assert not best.decisive


def test_a_line_that_fits_is_preferred_to_one_that_had_to_be_guessed(specs: Mapping[str, DriverSpec]) -> None:
    right = Heard(line=Line(bytesize=7, parity="E"), pieces=scale_stream().pieces)
    report = judge([with_parity(scale_stream(), 0), right], specs.values())
    assert (report.fits[0].driver, report.fits[0].heard_as) == ("st-gs", None)
    assert report.fits[0].decisive


def test_garbage_of_a_wrong_baud_rate_fits_nothing_and_is_named(specs: Mapping[str, DriverSpec]) -> None:
    chance = random.Random(1)
    noise = tuple((n / 10, bytes(chance.choice(b"\x00\x80\xf8\xfe\xff\x78\x9c") for _ in range(16))) for n in range(40))
    report = judge([Heard(line=Line(), pieces=noise)], specs.values())
    assert ([fit.driver for fit in report.fits if fit.kind == "scale"], report.warnings[0].word) == ([], "baud")


def test_silence_and_unknown_text_are_told_apart(specs: Mapping[str, DriverSpec]) -> None:
    assert [w.word for w in judge([Heard(line=None, pieces=())], specs.values()).warnings] == ["silent"]
    unknown = Heard(line=None, pieces=tuple((n / 10, b"<weight:%d>~" % n) for n in range(40)))
    report = judge([unknown], [spec for spec in specs.values() if spec.kind == "scale"])
    assert ([fit.driver for fit in report.fits], [w.word for w in report.warnings]) == ([], ["unknown"])


def test_broken_frames_are_counted_against_a_fit(specs: Mapping[str, DriverSpec]) -> None:
    stream = heard(simulator("xk3190-continuous"))
    chance = random.Random(2)

    def damaged(data: bytes) -> bytes:
        bad = bytearray(data)
        if chance.random() < 0.1:
            bad[chance.randrange(2, 9)] ^= 1
        return bytes(bad)

    report = judge([Heard(line=None, pieces=tuple((t, damaged(d)) for t, d in stream.pieces))], specs.values())
    best = report.fits[0]
    assert (best.driver, best.checksummed) == ("xk3190-continuous", True)
    assert 0.8 < best.share < 1
    assert sum(best.rejected.values()) >= 3
    assert "checksum" in best.rejected


def test_reversed_digits_speak_against_a_direction(specs: Mapping[str, DriverSpec]) -> None:
    frames = [b"=%b" % text[::-1].encode() for text in ("0003.250", "0012.345", "0000.815", "0007.130")] * 5
    report: Report = judge([Heard(line=None, pieces=tuple((n / 10, f) for n, f in enumerate(frames)))], specs.values())
    assert report.fits[0].driver == "xk3190-eq-reversed"
    assert "direction" in [warned.word for warned in report.warnings]


def test_settings_to_try_are_each_drivers_and_the_likeliest_come_first(specs: Mapping[str, DriverSpec]) -> None:
    tried = lines(specs.values())
    assert tried[0] == Line()
    assert len(tried) == len(set(tried))
    assert {line_of(spec) for spec in specs.values() if spec.line} <= set(tried)
    assert len(tried) < 40
