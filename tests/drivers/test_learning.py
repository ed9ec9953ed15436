"""Dialects that nobody named are learned from three weights at rest and one in motion, and nothing else is believed."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.checksum import total_hex, xor_hex
from drivers.learning import NotLearned, learn
from drivers.tables import load_table
from drivers.vectors import describe, play
from edge_agent.driver import DriverSpec, Lesson
from edge_agent.model import Reading

Writer = Callable[[str, bool], bytes]
WEIGHTS = ("1.235", "0.820", "12.345")


def pointed(text: str, moving: bool) -> bytes:
    return b"<%b W=%8bkg>\r\n" % (b"M" if moving else b"S", text.encode())


def starred(text: str, moving: bool) -> bytes:
    digits = text.replace(".", "").replace("-", "").rjust(6, "0").encode()
    body = b"%c%b%b" % (b"-" if text.startswith("-") else b"+", digits, b"1" if moving else b"0")
    return b"\x02" + body + xor_hex(body) + b"\x03"


def summed(text: str, moving: bool) -> bytes:
    body = b"#01,%b,%9b g" % (b"US" if moving else b"ST", text.encode())
    return body + total_hex(body) + b"\n"


def bare(text: str, moving: bool) -> bytes:
    return text.encode() + b"\r"


def mirrored(text: str, moving: bool) -> bytes:
    return b"@" + text.rjust(7, "0")[::-1].encode() + b"\r\n"


def netted(text: str, moving: bool) -> bytes:
    return b"G%9b T    0.000 N%9b kg%b\r\n" % (text.encode(), text.encode(), b"?" if moving else b" ")


def comma(text: str, moving: bool) -> bytes:
    return b"W:%9b kg %b\r\n" % (text.replace(".", ",").encode(), b"M" if moving else b"S")


def behind(text: str, moving: bool) -> bytes:
    return b"A%8b%bkg\r\n" % (text.lstrip("-").encode(), b"-" if text.startswith("-") else b"+")


def worded(text: str, moving: bool) -> bytes:
    return b"%b %8b kg\r\n" % (b"MOVING!" if moving else b"STABLE", text.encode())


def sentence(text: str, moving: bool) -> bytes:
    return b"Weight=%b kg; %b\n" % (text.encode(), b"unstable" if moving else b"stable")


def twofold(text: str, moving: bool) -> bytes:
    return b"G%8b N%8b kg %b\r\n" % (text.encode(), text.encode(), b"U" if moving else b"S")


def tied(text: str, moving: bool) -> bytes:
    return b"+%bkg%b\r" % (text.rjust(8, "0").encode(), b"D" if moving else b"S")


WRITERS: dict[str, tuple[Writer, str | None]] = {
    "pointed": (pointed, "kg"),
    "starred": (starred, "kg"),
    "summed": (summed, "g"),
    "bare": (bare, "kg"),
    "mirrored": (mirrored, "kg"),
    "netted": (netted, "kg"),
    "comma": (comma, "kg"),
    "behind": (behind, "kg"),
    "worded": (worded, "kg"),
    "sentence": (sentence, "kg"),
    "twofold": (twofold, "kg"),
    "tied": (tied, "kg"),
}


def lessons(write: Writer, unit: str | None, weights: tuple[str, ...] = WEIGHTS) -> list[Lesson]:
    chance = random.Random(1)
    taught = []
    for weight in weights:
        stream = b"".join(write(weight, False) for _ in range(12))
        taught.append(Lesson(data=stream[chance.randrange(9) :], weight=weight, unit=unit))
    path = [f"{n * 0.837:.3f}" for n in range(30)]
    moving = b"".join(write(text, True) for text in path) + write("4.110", False) * 3
    return [*taught, Lesson(data=moving, weight=None, unit=unit)]


def learned(name: str, tmp_path: Path) -> tuple[DriverSpec, str]:
    write, unit = WRITERS[name]
    text = learn(lessons(write, unit), head={"id": "made-up", "title": "t", "source": "s"}, line={"baud": 2400})
    (tmp_path / "made-up.toml").write_text(text)
    return load_table(tmp_path / "made-up.toml"), text


def told(spec: DriverSpec, *frames: bytes) -> list[str]:
    return [describe(event) for event in play(spec.make({}), [b"".join(frames)])]


@pytest.mark.parametrize("name", WRITERS)
def test_a_made_up_dialect_is_learned_and_reads_other_weights(name: str, tmp_path: Path) -> None:
    write, _ = WRITERS[name]
    spec, text = learned(name, tmp_path)
    assert spec.line == {"baud": "2400"}
    chance = random.Random(2)
    for _ in range(200):
        weight = f"{chance.randrange(1, 30_000) / 1000:.3f}"
        first, second = told(spec, write("0.005", False), write(weight, False))
        assert second.split()[0] == weight, text
        if name != "bare":
            assert first.split()[0] == "0.005"


def test_stability_unit_and_checksum_are_found(tmp_path: Path) -> None:
    spec, _ = learned("pointed", tmp_path)
    assert told(spec, pointed("3.210", True), pointed("3.210", False)) == ["3.210 kg moving -", "3.210 kg stable -"]
    assert told(spec, pointed("3.210", False).replace(b"kg", b"lb")) == ["rejected malformed"]
    assert told(spec, pointed("3.210", False).replace(b"S", b"O")) == ["rejected malformed"]
    spec, text = learned("starred", tmp_path)
    assert "checksum" in spec.tells, text
    assert told(spec, starred("-2.220", False)) == ["-2.220 - stable -"]
    assert told(spec, starred("2.220", False).replace(b"2220", b"2320")) == ["rejected checksum"]
    spec, text = learned("summed", tmp_path)
    assert {"unit", "checksum", "stability"} <= set(spec.tells), text


@pytest.mark.parametrize("name", WRITERS)
def test_no_cut_or_damaged_frame_is_another_weight(name: str, tmp_path: Path) -> None:
    """Without a checksum a digit may turn into another unseen; a byte lost or a frame cut must not."""
    write, _ = WRITERS[name]
    spec, _ = learned(name, tmp_path)
    before, after = write("7.654", False), write("3.210", False)
    for weight in ("1.235", "12.345"):
        frame = write(weight, False)
        for at in range(len(frame) - (2 if name != "bare" else 1)):
            for damaged in (frame[:at] + frame[at + 1 :], frame[at + 1 :], frame[:at]):
                good = {"7.654", "3.210", weight}
                seen = {t.split()[0] for t in told(spec, before, damaged, after) if not t.startswith("rejected")}
                if name == "bare" and damaged not in (b"", frame):
                    continue  # digits and an end are all it has: the station's rule of two readings is what is left
                if name == "sentence" and frame[at : at + 1].isdigit():
                    continue  # no column is fixed: a digit that is lost is seen by nobody but the same rule
                assert seen <= good, (damaged, seen)


@pytest.mark.parametrize("name", ["comma", "worded", "sentence", "twofold", "tied"])
def test_words_and_letters_tell_motion_and_nothing_else_does(name: str, tmp_path: Path) -> None:
    """The tens of a second weight, that were never 2 at rest, once passed for the sign of motion."""
    write, _ = WRITERS[name]
    spec, text = learned(name, tmp_path)
    assert ("unit" in spec.tells, "stability" in spec.tells) == (True, True), text
    for weight in ("3.210", "14.040", "29.995"):
        frames = (write("1.000", False), write(weight, True), write(weight, False))
        assert told(spec, *frames)[-2:] == [f"{weight} kg moving -", f"{weight} kg stable -"], text


def test_a_sign_behind_the_digits_is_read(tmp_path: Path) -> None:
    spec, _ = learned("behind", tmp_path)
    assert told(spec, behind("-0.500", False), behind("0.500", False)) == ["-0.500 kg unknown -", "0.500 kg unknown -"]


def test_a_mark_within_lines_does_not_end_a_frame(tmp_path: Path) -> None:
    """Cut at the semicolon, the word behind it would be said of the next line's weight."""
    _, text = learned("sentence", tmp_path)
    assert tomllib.loads(text)["framing"]["end"] == "0a"


def test_two_weights_in_one_frame_must_go_on_being_the_same(tmp_path: Path) -> None:
    """Gross and net are the same in every lesson: which of them the display shows is not known."""
    spec, _ = learned("netted", tmp_path)
    tared = netted("3.210", False).replace(b"T    0.000 N    3.210", b"T    0.500 N    2.710")
    assert all(text.startswith("rejected") for text in told(spec, tared))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ls: ls[1:], "3 different weights"),
        (lambda ls: ls[:3], "while the weight moves"),
        (lambda ls: [*ls[:2], Lesson(data=ls[2].data, weight="9.999"), ls[3]], "no place in the frames"),
        (lambda ls: [*ls[:2], Lesson(data=ls[2].data, weight="12.3"), ls[3]], "different decimals"),
        (lambda ls: [Lesson(data=b"\x00\xff" * 50, weight=each.weight) for each in ls], "nothing ends the frames"),
        (lambda ls: [*ls[:3], Lesson(data=b"hello\r\n" * 9, weight=None)], "not of the same shape"),
    ],
)
def test_lessons_that_teach_nothing_say_what_would_help(
    change: Callable[[list[Lesson]], list[Lesson]], words: str
) -> None:
    with pytest.raises(NotLearned, match=words):
        learn(change(lessons(pointed, "kg")), head={"id": "x", "title": "t", "source": "s"})


def test_weights_that_read_the_same_from_both_ends_are_refused() -> None:
    with pytest.raises(NotLearned, match="both ends"):
        learn(lessons(pointed, "kg", ("1.000", "2.000", "5.000")), head={"id": "x", "title": "t", "source": "s"})


def test_the_file_is_plain_toml_with_its_vectors(tmp_path: Path) -> None:
    _, text = learned("summed", tmp_path)
    content = tomllib.loads(text)
    assert content["id"] == "made-up"
    assert [v["origin"] for v in content["vectors"]].count("capture") == 4
    assert any("rejected" in " ".join(v["events"]) for v in content["vectors"])
    assert isinstance(play(load_table(tmp_path / "made-up.toml").make({}), [summed("1.235", False)])[0], Reading)
