"""Framings: bounded, splitting-proof, resynchronising; and proof that the property would catch a broken one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.checksum import xor
from drivers.framing import (
    NOISE_LIMIT,
    Cut,
    Fixed,
    Frame,
    FrameBuffer,
    Framing,
    GapBuffer,
    LengthPrefixed,
    Lines,
    Marked,
)
from edge_agent.model import Rejected

MARKED = Marked(start=b"\x02", end=b"\x03", limit=16)
PAIRED = Marked(start=b"\x01\x02", end=b"\x03\x04", limit=16, singles=b"\x06\x15")
LINES = Lines(limit=32)
HEADED = Lines(limit=32, start=re.compile(rb"ST,|US,"))
FIXED = Fixed(start=b"\xaa\x55", length=8, check=lambda raw: xor(raw[:-1]) == raw[-1:])
STARTS = Fixed(start=(b"ST,", b"US,"), length=9, check=lambda raw: raw.endswith(b"\r\n"), reason="malformed")
FOLLOWED = Fixed(start=b"\xaa", length=4, check=lambda raw: raw[1:].isdigit(), followed=True)
PREFIXED = LengthPrefixed(
    start=b"\xbb", header=2, total=lambda header: header[1] + 3, check=lambda raw: xor(raw[:-1]) == raw[-1:], limit=40
)
ALL = [MARKED, PAIRED, LINES, HEADED, FIXED, STARTS, FOLLOWED, PREFIXED]


def pieces(framing: Framing, *chunks: bytes) -> list[Frame | Rejected]:
    buffer = FrameBuffer(framing)
    out = [piece for chunk in chunks for piece in buffer.feed(chunk)]
    return out + buffer.finish()


def bodies(framing: Framing, *chunks: bytes) -> list[bytes]:
    return [piece.body for piece in pieces(framing, *chunks) if isinstance(piece, Frame)]


ALPHABET = st.sampled_from(list(b"\x01\x02\x03\x04\x06\x15\r\n\xaa\x55\xbb\x00S,TU0189"))
STREAMS = st.lists(ALPHABET, max_size=120).map(bytes)


@pytest.mark.parametrize("framing", ALL, ids=lambda framing: type(framing).__name__)
@settings(max_examples=150, deadline=None)
@given(stream=STREAMS, cuts=st.lists(st.integers(0, 120), max_size=6))
def test_any_splitting_gives_the_same_pieces_and_no_byte_is_lost(
    framing: Framing, stream: bytes, cuts: list[int]
) -> None:
    whole = pieces(framing, stream)
    assert b"".join(piece.raw for piece in whole) == stream
    assert all(piece.raw for piece in whole)
    places = sorted(min(cut, len(stream)) for cut in cuts)
    chunks = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    assert pieces(framing, *chunks) == whole
    assert pieces(framing, *(stream[i : i + 1] for i in range(len(stream)))) == whole


@pytest.mark.parametrize("framing", ALL, ids=lambda framing: type(framing).__name__)
@pytest.mark.parametrize("flood", [b"\x00", b"\x02", b"\x01", b"\r", b"\n", b"S", b"\xaa", b"\xbb", b"\xbb\x20"])
def test_a_flood_is_held_to_the_limit(framing: Framing, flood: bytes) -> None:
    buffer = FrameBuffer(framing)
    for _ in range(50):
        buffer.feed(flood * 200)
        assert buffer.held <= NOISE_LIMIT


SENT = st.lists(st.text("0123456789", min_size=1, max_size=8).map(str.encode), max_size=5)
NOISE = st.lists(st.sampled_from(list(b"0189+\x03\xff")), max_size=20).map(bytes)


def marked(body: bytes) -> bytes:
    return b"\x02" + body + b"\x03"


def resynchronises(framing: Framing, examples: int = 200) -> Callable[[], None]:
    """Frames between noise, the first begun before we listened and one cut in the middle: the others, and only they."""

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, report_multiple_bugs=False)
    @given(
        before=SENT, after=SENT, cut_one=st.binary(min_size=1, max_size=6).map(lambda b: b.hex().encode()), noise=NOISE
    )
    def holds(before: list[bytes], after: list[bytes], cut_one: bytes, noise: bytes) -> None:
        tail_of_the_first = cut_one[1:] + b"\x03"
        stream = tail_of_the_first + b"".join(marked(b) + noise for b in before)
        stream += b"\x02" + cut_one[:-1] + b"".join(marked(b) for b in after)
        if after:
            assert bodies(framing, stream) == before + after
        else:
            assert bodies(framing, stream)[: len(before)] == before

    return holds


def test_it_resynchronises() -> None:
    resynchronises(MARKED)()


class GluesFrames(Marked):
    """Planted bug: a start mark inside a frame is taken for data, so a cut frame swallows the next one."""

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        end = data.find(self.end, at)
        if data[at : at + 1] == self.start and end >= 0:
            return Cut(size=end + 1 - at, body=data[at + 1 : end].replace(self.start, b""))
        return super().scan(data, at, final=final, lost=lost)


class TrustsTails(Marked):
    """Planted bug: what stands before an end mark is a frame, wherever it began."""

    def scan(self, data: bytes, at: int, *, final: bool, lost: bool) -> Cut | None:
        end = data.find(self.end, at)
        if data[at : at + 1] != self.start and end >= 0 and self.start not in data[at:end]:
            return Cut(size=end + 1 - at, body=data[at:end])
        return super().scan(data, at, final=final, lost=lost)


@pytest.mark.parametrize("broken", [GluesFrames, TrustsTails])
def test_the_property_catches_a_planted_resynchronisation_bug(broken: type[Marked]) -> None:
    with pytest.raises(AssertionError):
        resynchronises(broken(start=b"\x02", end=b"\x03", limit=16))()


def test_a_start_mark_inside_a_frame_begins_a_new_one() -> None:
    assert pieces(MARKED, b"\x02123\x02456\x03") == [
        Rejected(reason="truncated", raw=b"\x02123"),
        Frame(raw=b"\x02456\x03", body=b"456", opened="lost"),
    ]


def test_a_frame_says_what_stood_before_it_and_what_ended_it() -> None:
    told = [(p.opened, p.closed) for p in pieces(HEADED, b"ST,1ST,2\r\nabc") if isinstance(p, Frame)]
    assert told == [("stream", "start"), ("start", "mark"), ("end", "stream")]


def test_line_ends_may_be_mixed_and_empty_lines_belong_to_the_next() -> None:
    assert bodies(LINES, b"a\r\nb\rc\n\r\nd\r", b"\n") == [b"a", b"b", b"c", b"d"]


def test_what_follows_an_overlong_line_is_refused_up_to_its_end() -> None:
    told = pieces(LINES, b"x" * 40 + b"12.5\r\n7\r\n")
    assert [getattr(p, "reason", p.raw) for p in told] == ["too-long", "noise", b"7\r\n"]


def test_a_bad_checksum_is_given_up_only_to_the_next_start() -> None:
    inner = b"\xaa\x55\x11\x02\x73\x04\x05"
    good = inner + xor(inner)
    assert bodies(FIXED, b"\xaa\x55\x00" + good) == [good]
    assert bodies(FIXED, good[:-1] + b"\x00" + good) == [good]


def test_a_length_that_cannot_be_is_refused() -> None:
    head = b"\xbb\x01\x07"
    good = head + xor(head)
    assert bodies(PREFIXED, b"\xbb\xff" + good) == [good]


def test_silence_ends_a_message() -> None:
    buffer = GapBuffer(gap=0.03, limit=8)
    assert buffer.deadline is None
    assert buffer.feed(b"ab", 1.0) == []
    assert buffer.feed(b"cd", 1.02) == []
    assert buffer.deadline == pytest.approx(1.05)
    assert buffer.tick(1.049) == []
    assert [p.raw for p in buffer.tick(1.051)] == [b"abcd"]
    assert buffer.feed(b"e", 2.0) == []
    assert [p.raw for p in buffer.feed(b"f", 2.03)] == [b"e"]
    assert [p.raw for p in buffer.finish()] == [b"f"]


def test_a_message_over_the_limit_is_refused_whole() -> None:
    buffer = GapBuffer(gap=0.03, limit=8)
    told = buffer.feed(b"x" * 20, 1.0) + buffer.tick(2.0)
    assert [type(piece) for piece in told] == [Rejected] * 3
    assert b"".join(piece.raw for piece in told) == b"x" * 20
    assert buffer.deadline is None


def test_marks_must_be_given() -> None:
    for wrong in (
        lambda: Marked(start=b"", end=b"\x03"),
        lambda: Lines(end=b""),
        lambda: Fixed(start=b"", length=3, check=bool),
        lambda: LengthPrefixed(start=b"\xbb\x00", header=1, total=len, check=bool),
    ):
        with pytest.raises(ValueError, match=r"mark|end"):
            wrong()


def test_a_fixed_frame_may_begin_in_several_ways() -> None:
    assert bodies(STARTS, b"ST,01\r\nUS,0123\r\nxxST,4567\r\n") == [b"US,0123\r\n", b"ST,4567\r\n"]


def test_a_frame_with_something_else_behind_it_is_refused() -> None:
    assert bodies(FOLLOWED, b"\xaa123\xaa456") == [b"\xaa123", b"\xaa456"]
    assert bodies(FOLLOWED, b"\xaa1234\xaa456") == [b"\xaa456"]
