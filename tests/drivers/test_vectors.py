"""Every vector, however its bytes are cut, gives its events; every byte is in exactly one of them."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.vectors import describe, play
from edge_agent.driver import Codec, DriverSpec
from edge_agent.model import Reading, TagRead

VECTORS = Path(__file__).parents[1] / "vectors"
ALL_CUTS = 60
"""Up to so many bytes a vector is cut in two at every place; a longer one at so many."""

TAIL_IS_A_FORMAT = {"sartorius-sbi", "digi-ds425"}
"""Whose longer format ends with all of the shorter one: there a tail may give the same weight, and no other."""

ORIGINS = {"capture", "manual", "test", "derived"}


def test_whole(vector: Any, listening: Callable[[Any], Codec]) -> None:
    events = play(listening(vector), [vector.data])
    assert [describe(event) for event in events] == vector.events
    assert b"".join(event.raw for event in events) == vector.data
    assert vector.origin in ORIGINS


def test_any_splitting_gives_the_same_events(vector: Any, listening: Callable[[Any], Codec]) -> None:
    whole = play(listening(vector), [vector.data])
    data = vector.data
    assert play(listening(vector), [data[i : i + 1] for i in range(len(data))]) == whole
    chance = random.Random(vector.id)
    places = range(1, len(data))
    for at in places if len(data) <= ALL_CUTS else chance.sample(places, ALL_CUTS):
        assert play(listening(vector), [data[:at], data[at:]]) == whole
    for _ in range(20):
        cuts = sorted(chance.sample(range(len(data) + 1), min(len(data), chance.randint(1, 9))))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert play(listening(vector), pieces) == whole


def test_every_file_names_a_driver_and_no_vector_is_lost(specs: Mapping[str, DriverSpec]) -> None:
    files = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in VECTORS.glob("*/*.toml")}
    assert all(content["driver"] == name and content["vectors"] for name, content in files.items())
    assert set(specs) <= set(files), "a driver without vectors"


def test_a_stream_that_begins_within_a_frame_gives_no_weight_from_it(
    weight_frame: Any, listening: Callable[[Any], Codec]
) -> None:
    for at in range(1, len(weight_frame.data)):
        tail = weight_frame.data[at:]
        weights = [e for e in play(listening(weight_frame), [tail]) if isinstance(e, Reading) and e.weight]
        if weight_frame.driver in TAIL_IS_A_FORMAT:
            (whole,) = play(listening(weight_frame), [weight_frame.data])
            weights = [e for e in weights if (e.weight, e.unit) != (whole.weight, whole.unit)]
        assert not weights, (tail, weights)


def test_a_stream_that_ends_within_a_frame_gives_its_weight_or_none(
    weight_frame: Any, listening: Callable[[Any], Codec]
) -> None:
    (whole,) = play(listening(weight_frame), [weight_frame.data])
    assert isinstance(whole, Reading)
    for at in range(1, len(weight_frame.data)):
        for event in play(listening(weight_frame), [weight_frame.data[:at]]):
            if isinstance(event, Reading):
                assert (event.weight, event.unit, event.condition) == (whole.weight, whole.unit, whole.condition)


def test_a_stream_that_begins_or_ends_within_a_frame_gives_no_other_tag(
    tag_frame: Any, listening: Callable[[Any], Codec]
) -> None:
    """Not even one that the frame behind would complete."""
    whole = play(listening(tag_frame), [tag_frame.data])
    (sent,) = [event.tag_id for event in whole if isinstance(event, TagRead)]
    for at in range(1, len(tag_frame.data)):
        for stream in (tag_frame.data[at:], tag_frame.data[:at]):
            assert not [e for e in play(listening(tag_frame), [stream]) if isinstance(e, TagRead)], stream
        stream = tag_frame.data[at:] + tag_frame.data
        told = [e.tag_id for e in play(listening(tag_frame), [stream]) if isinstance(e, TagRead)]
        assert told == ([] if tag_frame.driver == "wiegand" and at < 4 else [sent]), stream


@pytest.mark.parametrize(
    "driver", ["xk3190-continuous", "cas-poll", "toledo-continuous", "xk3190-command", "xk3190-a12e", "tisa"]
)
def test_no_single_flipped_bit_changes_a_weight(
    driver: str, vectors_of: Callable[[str], list[Any]], listening: Callable[[Any], Codec]
) -> None:
    for vector in vectors_of(driver):
        whole = play(listening(vector), [vector.data])
        bare = driver == "toledo-continuous" and len(vector.data) == 17
        if len(whole) != 1 or not isinstance(whole[0], Reading) or whole[0].weight is None or bare:
            continue
        for bit in range(8 * len(vector.data)):
            flipped = bytearray(vector.data)
            flipped[bit // 8] ^= 1 << bit % 8
            for event in play(listening(vector), [bytes(flipped)]):
                told = (event.weight, event.unit, event.stability, event.basis) if isinstance(event, Reading) else None
                assert told in (None, (whole[0].weight, whole[0].unit, whole[0].stability, whole[0].basis))


def test_bytes_lost_between_two_frames_never_make_a_third_weight(
    line_scale: DriverSpec, vectors_of: Callable[[str], list[Any]], listening: Callable[[Any], Codec]
) -> None:
    """The head of one frame runs into a later place of the next, as when a buffer overflows."""
    frames = [
        v
        for v in vectors_of(line_scale.id)
        if not v.options
        and len(v.events) == 1
        and isinstance(play(listening(v), [v.data])[0], Reading)
        and len(v.data) < 40
    ]
    for first in frames:
        for second in frames[:6]:
            legal = {told.weight for v in (first, second) for told in play(listening(v), [v.data])}
            for cut in range(1, len(first.data)):
                stream = first.data[:cut] + second.data + second.data
                told = [e.weight for e in play(listening(second), [stream]) if isinstance(e, Reading) and e.weight]
                assert set(told) <= legal
                assert not second.data.endswith((b"\n", b"\x03", b"\x04")) or told.count(
                    play(listening(second), [second.data])[0].weight
                ) >= (play(listening(second), [second.data])[0].weight is not None)
