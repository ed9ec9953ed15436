"""Dialects as TOML files: they read like the built-in ones, and a file that does not hold is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers import bundle
from drivers.tables import load_table
from drivers.vectors import describe, play

TABLE = r"""
id = "stall-scale"
title = "Scale of stall 7"
source = "manual p. 12"
models = ["X-1"]
stale_after = 3
checksum = "xor-hex"

[line]
baud = 2400
parity = "E"

[framing]
kind = "marks"
start = "02"
end = "03"
limit = 16

[[forms]]
pattern = '(?P<checked>(?P<stability>[SU])(?P<sign>[+-])(?P<weight>[0-9]{2}\.[0-9]{3})(?P<unit>kg|g))(?P<check>..)'
basis = "gross"

[[states]]
pattern = 'OL'
means = "overload"

[stability]
S = "stable"
U = "moving"

[units]
kg = "kg"
g = "g"

[poll]
send = "57 0D"
after_ms = 300

[commands]
zero = "5A 0D"

[[vectors]]
hex = "02 53 2B 30 31 2E 32 33 36 6B 67 36 43 03"
events = ["1.236 kg stable gross"]
origin = "capture"

[[vectors]]
hex = "02 4F 4C 03"
events = ["overload"]
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "stall-scale.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_table_makes_a_driver(written) -> None:
    spec = load_table(written(TABLE))
    assert (spec.id, spec.kind, spec.stale_after) == ("stall-scale", "scale", 3)
    assert spec.line == {"baud": "2400", "parity": "E"}
    assert spec.dialogue.polls
    assert spec.dialogue.commands == ("zero",)
    assert set(spec.tells) == {"unit", "stability", "basis", "overload", "checksum"}
    frame = b"\x02U-01.236g4E\x03"
    assert [describe(event) for event in play(spec.make({}), [frame])] == ["rejected checksum"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1.236 kg stable", "1.237 kg stable", r"vectors\[0\]\.events: .*1\.237.* does not hold: .*1\.236"),
        ('checksum = "xor-hex"', 'checksum = "crc"', "checksum: 'crc' is not possible; one of xor, xor-hex"),
        ('title = "Scale of stall 7"', "", "title: is missing; a text"),
        ('kind = "marks"', 'kind = "mark"', "framing.kind: 'mark' is not possible; one of lines, marks"),
        ('start = "02"', 'start = "0G"', "framing.start: '0G' is not hexadecimal"),
        ("limit = 16", "limit = 0", "framing.limit: 0 is not possible; 1 to 1024"),
        ("limit = 16", "limit = true", "framing.limit: True is not possible; a whole number"),
        ('kg = "kg"', 'kg = "kilo"', "units.kg: 'kilo' is not possible; one of"),
        ('S = "stable"', 'S = "still"', "stability.S: 'still'"),
        ("(?P<weight>", "(?P<mass>", r"forms\[0\]\.pattern: has no group weight"),
        ("(?P<unit>", "(?P<units>", r"forms\[0\]\.pattern: group units has no meaning"),
        ("(?P<check>..)", "..", r"forms\[0\]\.pattern: a checksum needs the groups"),
        ("(?P<check>..)", "(?P<check>..", r"forms\[0\]\.pattern: .* is no regular expression"),
        ("after_ms = 300", "after_ms = 3", "poll.after_ms: 3 is not possible; 20 to 60000"),
        ('id = "stall-scale"', 'id = "Stall Scale"', "id: 'Stall Scale' is not possible; small letters"),
        ("stale_after = 3", "stale = 3", "stale: is not a key of a dialect here"),
        ("[line]", "[line", "is not TOML"),
    ],
)
def test_a_table_that_does_not_hold_is_refused(written, old: str, new: str, says: str) -> None:
    assert old in TABLE
    with pytest.raises(ValueError, match=r"stall-scale\.toml: .*" + says):
        load_table(written(TABLE.replace(old, new, 1)))


TURNED = r"""
id = "turned"
title = "Digits from low to high, price in hundredths"
source = "manual p. 3"
price_decimals = 2
gross_apart = 1
ignored = "/"
settle = 0.05

[framing]
kind = "lines"
start = '='

[[forms]]
pattern = '=(?P<weight>[0-9/]{7})(?:;(?P<price>[0-9]{4});(?P<tare>[0-9]{3});(?P<gross>[0-9]{5}))?'
decimals = 3
whole = true
backwards = true
unit = "kg"

[[vectors]]
hex = "3D 35 2F 34 33 32 31 30"
events = ["12.345 kg unknown -"]

[[vectors]]
hex = "3D 35 2F 34 33 32 31 30 3B 30 39 39 39 3B 30 30 31 3B 31 32 33 34 37 3D"
events = ["12.345 kg unknown - tare=0.001 price=9.99", "rejected truncated"]
"""


def test_a_table_can_turn_digits_and_place_points(written) -> None:
    spec = load_table(written(TURNED))
    codec = spec.make({})
    assert codec.feed(b"=5/43210", 1.0) == []
    assert [describe(event) for event in codec.tick(1.06)] == ["12.345 kg unknown -"]
    with pytest.raises(ValueError, match=r"does not hold: .*rejected inconsistent"):
        load_table(written(TURNED.replace("gross_apart = 1\n", "")))


def test_a_table_without_vectors_is_refused(written) -> None:
    with pytest.raises(ValueError, match="vectors: is missing"):
        load_table(written(TABLE[: TABLE.index("[[vectors]]")]))


def test_a_missing_file_is_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml: cannot be read"):
        load_table(tmp_path / "none.toml")


def test_the_bundle_offers_it(written) -> None:
    load = bundle().load_table
    assert load is not None
    assert load(written(TABLE)).id == "stall-scale"


def test_the_example_in_the_how_to_loads(written) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "add-a-scale.md").read_text(encoding="utf-8")
    example = page.split("```toml\n", 1)[1].split("```", 1)[0]
    spec = load_table(written(example))
    assert spec.kind == "scale"
