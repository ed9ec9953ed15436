"""A dialect table from lessons: bytes of an unknown text protocol, and what the display showed meanwhile; sans-I/O.

Three weights at rest and one in motion are enough where a frame is text of a fixed shape: where the digits stand is
what agrees with the display in every lesson; what never changes is written down as it is; a letter that changes with
motion is the stability; a check at the end is tried against the checksums that are known.

What the lessons do not show is rejected later, not guessed: another unit, another letter, more digits than there was
reason to expect. A table that does not read every lesson back as the display showed it is not written.

Source: docs/how-to/add-a-scale.md (the form of a table).
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from drivers.checksum import CHECKSUMS
from drivers.tables import read_table
from drivers.vectors import describe, play
from edge_agent.driver import DriverSpec, Lesson
from edge_agent.model import Reading

LEAST_WEIGHTS: Final = 3
LEAST_FRAMES: Final = 3
_MOST_FRAME: Final = 120
_UNIT_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "kg": ("kg", "KG", "Kg"),
    "g": ("g", "G"),
    "t": ("t", "T"),
    "lb": ("lbs", "lb", "LB"),
    "oz": ("oz", "OZ"),
    "mg": ("mg", "MG"),
    "ct": ("ct", "CT"),
}


@dataclass(frozen=True)
class _Cutting:
    """One way in which a stream might fall into frames."""

    start: bytes
    end: bytes

    def frames(self, stream: bytes) -> list[bytes]:
        """The bodies of the whole frames: what stands before the first end mark and behind the last is no frame."""
        parts = stream.split(self.end)[1:-1]
        if self.start:
            parts = [part.rpartition(self.start)[2] for part in parts if self.start in part]
        elif self.end not in _LINE_ENDS:  # a mark within lines: what follows it would be the next line's beginning
            parts = [part for part in parts if not {*part} & {*b"\r\n"}]
        return [part for part in parts if part and len(part) <= _MOST_FRAME]

    @property
    def rows(self) -> list[str]:
        """The framing as rows of a table."""
        if self.start:
            return ['kind = "marks"', f'start = "{self.start.hex(" ")}"', f'end = "{self.end.hex(" ")}"', "limit = 128"]
        return ['kind = "lines"', f'end = "{self.end.hex(" ")}"', "limit = 128"]


_LINE_ENDS: Final = (b"\r\n", b"\n", b"\r")
_CUTTINGS: Final = (
    *(_Cutting(start, end) for start in (b"\x02", b"\x01") for end in (b"\x03", b"\r\n", b"\r")),
    *(_Cutting(b"", end) for end in (*_LINE_ENDS, b"\x03", b"\x04", b";", b"#", b"~", b"!", b"\t", b"=")),
)


@dataclass(frozen=True)
class _Place:
    """Where a weight stands: `left` columns before it, `right` behind it; `padded` with blanks behind its digits."""

    left: int
    right: int
    point: bool
    backwards: bool
    padded: bool


@dataclass(frozen=True)
class _Taught:
    """A lesson and its frames."""

    lesson: Lesson
    frames: list[bytes]


@dataclass(frozen=True)
class _Words:
    """What stands before or behind the weight while it moves, where words of any length tell it from rest.

    `length` is that of the whole frame where all of them have one.
    """

    text: bytes
    before: bool
    length: int | None


@dataclass(frozen=True)
class _Check:
    """A check of `size` bytes at the end, over the body from `start` on."""

    name: str
    size: int
    start: int


_NUMBER: Final = re.compile(rb"[ +-]*[0-9]+(?:[.,][0-9]+)? *")


class NotLearned(ValueError):
    """The lessons do not make a dialect; the text says what would help."""


def learn(
    lessons: Sequence[Lesson],
    *,
    head: Mapping[str, object],
    line: Mapping[str, object] = MappingProxyType({}),
    poll: Mapping[str, object] = MappingProxyType({}),
    digits: int = 0,
) -> str:
    """A dialect as TOML text, table and vectors.

    `head` holds id, title, source and the like, `line` the settings of the line, `poll` what was written to be
    answered. `digits` is how many digits a weight may have; 0: one more than any lesson showed. Raises `NotLearned`.
    """
    _enough(lessons)
    problems = []
    for cutting in _CUTTINGS:
        taught = [_Taught(lesson, cutting.frames(lesson.data)) for lesson in lessons]
        if all(len(each.frames) >= LEAST_FRAMES for each in taught):
            try:
                rows = _Table(cutting, taught, digits).rows()
                text = "\n".join([*_keys(head), *rows.pop("top"), *_section("line", line), *_section("poll", poll)])
                text = "\n".join([text, *rows["rest"]]) + "\n"
                return text + _proved(text, cutting, taught)
            except NotLearned as problem:
                problems.append(str(problem))
    raise NotLearned(
        problems[0]
        if problems
        else f"nothing ends the frames: {LEAST_FRAMES} frames of text in each listening would be right"
    )


def _enough(lessons: Sequence[Lesson]) -> None:
    resting = [lesson.weight for lesson in lessons if lesson.weight is not None]
    if len({Decimal(weight) for weight in resting} - {Decimal(0)}) < LEAST_WEIGHTS:
        raise NotLearned(f"{LEAST_WEIGHTS} different weights above zero are needed")
    if len(resting) == len(lessons):
        raise NotLearned("one listening while the weight moves is needed")
    if len({len(weight.partition(".")[2]) for weight in resting}) != 1:
        raise NotLearned("the display showed weights with different decimals: use weights of one range")
    plain = [weight.replace(".", "").strip("0") for weight in resting]
    if sum(text != text[::-1] for text in plain) < 2:
        raise NotLearned(
            "the weights read the same from both ends: use such as 1.235 and 0.82, so that the direction shows"
        )


class _Table:
    """The table of one way of cutting. Raises `NotLearned` where the lessons do not agree on one."""

    def __init__(self, cutting: _Cutting, taught: Sequence[_Taught], digits: int) -> None:
        resting = [each for each in taught if each.lesson.weight is not None]
        self._cutting = cutting
        self._place, others = _common_places(resting)
        self._shown = [each.lesson.weight or "" for each in resting]
        self._unit = resting[0].lesson.unit
        self._rest = [f for each in resting for f in each.frames if self._place in _places(f, each.lesson.weight or "")]
        moving = [f for each in taught if each.lesson.weight is None for f in each.frames]
        self._move = self._alike(moving)
        others_moving = [frame for frame in moving if frame not in self._move]
        self._words = self._worded(others_moving) if not self._move or self._as_at_rest(self._move) else None
        if not self._move and self._words is None:
            raise NotLearned("what came while the weight moved is not of the same shape as at rest")
        self._most = digits or 1 + max(len(text.replace(".", "").lstrip("0")) for text in self._shown)
        self._every = [*self._rest, *self._move]
        self._fixed = len({len(frame) for frame in self._every}) == 1
        self._twins = self._same_weight(others) if self._fixed else []

    def _same_weight(self, others: Iterable[_Place]) -> list[range]:
        """Columns of further weights that are the same text in every frame: gross and net without a tare.

        Which of them the display shows cannot be told, so a frame where they differ must not be read.
        """
        place, size = self._place, len(self._rest[0])
        twins = []
        for other in others:
            columns = range(other.left, size - other.right)
            apart = columns.start >= size - place.right or columns.stop <= place.left
            same = all(
                frame[columns.start : columns.stop] == frame[place.left : size - place.right] for frame in self._every
            )
            if apart and same and len(columns) == size - place.left - place.right:
                twins.append(columns)
        return twins

    def _alike(self, frames: Iterable[bytes]) -> list[bytes]:
        """The frames in motion that are of the same shape: most of what never changes at rest is there."""
        place = self._place
        lengths = {len(frame) for frame in self._rest}
        columns = [*range(place.left), *range(-place.right, 0)]
        constant = [c for c in columns if len({frame[c] for frame in self._rest}) == 1]
        found = []
        for frame in frames:
            if len(frame) <= place.left + place.right or (len(lengths) == 1 and len(frame) not in lengths):
                continue
            area = frame[place.left : len(frame) - place.right]
            if not _NUMBER.fullmatch(area[::-1] if place.backwards else area):
                continue
            others = sum(frame[c] != self._rest[0][c] for c in constant)
            if others <= max(2, len(constant) * 2 // 5):
                found.append(frame)
        return found

    def _as_at_rest(self, frames: Sequence[bytes]) -> bool:
        """Whether all of these frames, and all at rest, have the same bytes around the weight."""
        place = self._place
        return len({(f[: place.left], f[len(f) - place.right :]) for f in [*self._rest, *frames]}) == 1

    def _worded(self, frames: Sequence[bytes]) -> _Words | None:
        """The words of motion, where nothing else differs from the frames at rest."""
        place, first = self._place, self._rest[0]
        before, behind = first[: place.left], first[len(first) - place.right :]
        steady = self._as_at_rest(())
        number = rb"[ +-]*[0-9]+(?:[.,][0-9]+)?" + (rb" *" if place.padded else b"")
        found: dict[tuple[bytes, bool], list[tuple[bytes, bytes]]] = {}
        for frame in frames if steady and not place.backwards else ():
            ahead = re.fullmatch(rb"(|.*?[^ 0-9.,+-])(%b)%b" % (number, re.escape(behind)), frame, re.DOTALL)
            after = re.fullmatch(rb"%b(%b)(|[^0-9.,].*)" % (re.escape(before), number), frame, re.DOTALL)
            if ahead and ahead[1] != before:
                found.setdefault((ahead[1], True), []).append((frame, ahead[2]))
            if after and after[2] != behind:
                found.setdefault((after[2], False), []).append((frame, after[1]))
        for (text, side), said in sorted(found.items(), key=lambda item: -len(item[1])):
            lengths = {len(frame) for frame, _ in said}
            moved = len({weight.strip() for _, weight in said}) > 1
            if len(said) >= LEAST_FRAMES and moved and not any(0x30 <= byte <= 0x39 for byte in text):
                alike = len(lengths) == 1 and len({len(frame) for frame in self._rest}) == 1
                return _Words(text=text, before=side, length=lengths.pop() if alike else None)
        return None

    def rows(self) -> dict[str, list[str]]:
        """The rows of the file, without head and line: those before the first section, and the rest."""
        place = self._place
        check = self._checksum()
        left = list(range(place.left))
        right = list(range(-place.right, 0))
        covered = right[: len(right) - check.size] if check else right
        motion = self._motion([*left, *covered])
        unit = self._unit_columns(left, covered, motion)
        if self._words is not None and not self._kept(unit, self._words):
            unit = ()
        top = []
        if any(b"," in frame[place.left : len(frame) - place.right] for frame in self._every) and place.point:
            top.append('decimal_marks = ".,"')
        if not place.point:
            top.append(f"decimals = {len(self._shown[0].partition('.')[2])}")
        if self._signed_behind():
            covered = covered[1:]
        pattern = self._rendered(left, motion, unit) + self._weight() + self._rendered(covered, motion, unit)
        if check:
            top.append(f'checksum = "{check.name}"')
            skipped = self._rendered(left[: check.start], (), ())
            inner = self._rendered(left[check.start :], motion, unit) + self._weight()
            inner += self._rendered(covered, motion, unit)
            pattern = f"{skipped}(?P<checked>{inner})(?P<check>{'.' * check.size})"
        if self._fixed:
            pattern = f"(?=.{{{len(self._rest[0])}}}\\Z){pattern}"
        rest = ["", "[framing]", *self._cutting.rows, "", "[[forms]]", f"pattern = '{pattern}'"]
        if place.backwards:
            rest.append("backwards = true")
        if not self._cutting.start and not self._fixed and not self._begins_apart():
            rest.append("only_after_end = true")
        if self._words is not None:
            rest += ['stability = "stable"', "", "[[forms]]", *self._moving_form(self._words, left, covered, unit)]
        if motion:
            words = dict.fromkeys(self._texts(self._move, motion), "moving")
            words |= dict.fromkeys(self._texts(self._rest, motion), "stable")
            rest += _section("stability", dict(sorted(words.items())))
        if unit:
            rest += _section("units", {self._texts(self._rest, unit)[0]: self._unit})
        return {"top": top, "rest": rest}

    def _moving_form(
        self, words: _Words, left: Sequence[int], right: Sequence[int], unit: Sequence[int]
    ) -> Iterator[str]:
        """The rows of a second form, of what comes while the weight moves."""
        if words.before:
            pattern = _literal(words.text) + self._weight() + self._rendered(right, (), unit)
        else:
            shared = right[: self._shared(words)]
            pattern = self._rendered(left, (), unit) + self._weight() + self._rendered(shared, (), unit)
            pattern += _literal(words.text[len(shared) :])
        if words.length is not None:
            pattern = f"(?=.{{{words.length}}}\\Z){pattern}"
        yield f"pattern = '{pattern}'"
        yield 'stability = "moving"'
        first = words.text[:1] if words.before else self._rest[0][: self._place.left][:1]
        if not self._cutting.start and words.length is None and (not first or first in b" 0123456789.,+-"):
            yield "only_after_end = true"

    def _shared(self, words: _Words) -> int:
        """How many columns behind the weight are the same at rest and in motion."""
        frame = self._rest[0]
        behind = frame[len(frame) - self._place.right :]
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(behind, words.text, strict=False))
        return sum(1 for _ in same)

    def _kept(self, unit: Sequence[int], words: _Words) -> bool:
        """Whether the unit stands where the words of motion leave it."""
        if words.before:
            return all(column < 0 for column in unit)
        return all(column >= 0 or column + self._place.right < self._shared(words) for column in unit)

    def _begins_apart(self) -> bool:
        """Whether a frame begins with something that no weight could be."""
        return any(
            self._constant(c) and chr(self._rest[0][c]) not in " 0123456789.,+-" for c in range(self._place.left)
        )

    def _constant(self, column: int) -> bool:
        return len({frame[column] for frame in self._every}) == 1

    def _motion(self, columns: Sequence[int]) -> tuple[int, ...]:
        """The columns whose letters are others in motion than at rest, where they stand together."""

        numbers = self._numbers(columns)

        def tells(column: int) -> bool:
            if column in numbers:
                return False
            resting = {frame[column] for frame in self._rest}
            fresh = {frame[column] for frame in self._move} - resting
            return bool(fresh) and len(resting) <= 2 and len(fresh) <= 3

        return _first_run(columns, tells)

    def _numbers(self, columns: Sequence[int]) -> set[int]:
        """Columns of other numbers (an amount, a count, the weight again): their digits say nothing of motion."""
        found: set[int] = set()
        run: list[int] = []
        for column in [*columns, None]:
            seen = {frame[column] for frame in self._every} if column is not None else set()
            if column is not None and seen <= set(b" 0123456789.,+-") and (not run or column == run[-1] + 1):
                run.append(column)
                continue
            digits = any(frame[c] in b"0123456789" for frame in self._every for c in run)
            if len(run) > 1 and digits and any(len({frame[c] for frame in self._rest}) > 1 for c in run):
                found |= set(run)
            run = [column] if column is not None and seen <= set(b" 0123456789.,+-") else []
        return found

    def _unit_columns(self, left: Sequence[int], right: Sequence[int], motion: Sequence[int]) -> tuple[int, ...]:
        """The columns that hold the unit which the display showed, set apart from other letters."""
        for side in (right, left):
            for text in _UNIT_TEXTS.get(self._unit or "", ()):
                for at in range(len(side) - len(text) + 1):
                    columns = tuple(side[at : at + len(text)])
                    around = [*side[max(0, at - 1) : at], *side[at + len(text) : at + len(text) + 1]]
                    if all(self._constant(c) for c in columns) and all(
                        c in motion or not chr(self._rest[0][c]).isalpha() for c in around
                    ):
                        found = bytes(self._rest[0][c] for c in columns)
                        if found == text.encode():
                            return columns
        return ()

    def _texts(self, frames: Sequence[bytes], columns: Sequence[int]) -> list[str]:
        return sorted({bytes(frame[c] for c in columns).decode("latin-1") for frame in frames})

    def _rendered(self, columns: Sequence[int], motion: Sequence[int], unit: Sequence[int]) -> str:
        parts = []
        for column in columns:
            if motion and column == motion[0]:
                texts = {*self._texts(self._rest, motion), *self._texts(self._move, motion)}
                parts.append(f"(?P<stability>{'|'.join(_literal(t.encode('latin-1')) for t in sorted(texts))})")
            elif unit and column == unit[0]:
                parts.append(f"(?P<unit>{_literal(self._texts(self._rest, unit)[0].encode('latin-1'))})")
            elif (twin := self._twin_of(column)) is not None:
                if column in (twin.start, twin.start - len(self._rest[0])):
                    parts.append("(?P=weight)" if self._place.backwards else "(?P=sign)(?P=weight)")
            elif column not in motion and column not in unit:
                parts.append(_any_of({frame[column] for frame in self._every}))
        return "".join(parts)

    def _twin_of(self, column: int) -> range | None:
        at = column if column >= 0 else column + len(self._rest[0])
        return next((twin for twin in self._twins if at in twin), None)

    def _weight(self) -> str:
        """The columns of the weight. A sign may come where blanks or a plus stand, and in no digit's place."""
        place = self._place
        decimals = len(self._shown[0].partition(".")[2])
        whole = max(1, self._most - decimals)
        areas = [frame[place.left : len(frame) - place.right] for frame in self._every]
        mark = "[.,]" if any(b"," in area for area in areas) else r"\."
        plus = any(b"+" in area for area in areas)
        if place.backwards:
            digits = f"[0-9]{{{decimals}}}{mark}[0-9]{{1,{whole}}}" if place.point else f"[0-9]{{1,{self._most}}}"
            return f"(?P<weight>{digits}[ 0]*)"
        if place.point:
            digits = f"[0-9]{{1,{whole}}}" + (f"{mark}[0-9]{{{decimals}}}" if decimals else "")
        else:
            digits = f"[0-9]{{{min(decimals + 1, self._most)},{self._most}}}"
        tail = " *" if place.padded else ""
        if self._signed_behind():
            return f" *(?P<weight>[ 0]*{digits})(?P<sign>[-+])"
        if plus:
            return f" *(?P<sign>[-+])(?P<weight>[ 0]*{digits}){tail}"
        return f"(?P<sign> *-?)(?P<weight>[ 0]*{digits}){tail}"

    def _signed_behind(self) -> bool:
        """Whether the sign stands behind the digits: there is a plus in every frame."""
        place = self._place
        return place.right > 0 and not place.backwards and all(frame[-place.right] == 0x2B for frame in self._every)

    def _checksum(self) -> _Check | None:
        """A check at the frame's end that holds for every frame and changes among them."""
        full = [self._cutting.start + frame for frame in self._every]
        for name, compute in CHECKSUMS.items():
            size = len(compute(b""))
            tails = {frame[-size:] for frame in self._every}
            if len(tails) < LEAST_WEIGHTS or size > self._place.right:
                continue
            for start in range(-len(self._cutting.start), self._place.left + 1):
                begin = start + len(self._cutting.start)
                if all(compute(frame[begin:-size]) == frame[-size:] for frame in full):
                    # A check over the start mark too cannot be written as a group: the mark is no part of the body.
                    return _Check(name, size, start) if start >= 0 else None
        return None


def _common_places(resting: Sequence[_Taught]) -> tuple[_Place, list[_Place]]:
    """Where the weight stands in most frames of every lesson: likeliest first. Raises `NotLearned`."""
    common: set[_Place] | None = None
    for each in resting:
        counted = Counter(place for frame in each.frames for place in _places(frame, each.lesson.weight or ""))
        often = {place for place, times in counted.items() if times >= LEAST_FRAMES}
        common = often if common is None else common & often
    if not common:
        raise NotLearned(
            "no place in the frames holds what the display showed, in every lesson: check what was typed, and that the "
            "weight was at rest"
        )
    best, *others = sorted(common, key=lambda place: (not place.point, place.backwards, place.padded, place.left))
    return best, others


def _places(frame: bytes, shown: str) -> set[_Place]:
    """Where a frame holds this weight."""
    found = set()
    for backwards in (False, True):
        text = frame[::-1] if backwards else frame
        for begin, end, point in _spans(text, shown):
            start = _widened(text, begin)
            ends = {end, end + len(text[end:]) - len(text[end:].lstrip(b" "))} if not backwards else {end}
            for stop in ends:
                left, right = (len(text) - stop, start) if backwards else (start, len(text) - stop)
                found.add(_Place(left=left, right=right, point=point, backwards=backwards, padded=stop != end))
    return found


def _spans(text: bytes, shown: str) -> Iterator[tuple[int, int, bool]]:
    """Spans of digits that are this weight, and whether they hold a point."""
    weight = Decimal(shown)
    decimals = len(shown.partition(".")[2])
    for match in re.finditer(rb"[0-9]+(?:[.,][0-9]+)?", text):
        number = match[0].replace(b",", b".").decode()
        if Decimal(number) == weight and len(number.partition(".")[2]) == decimals:
            yield match.start(), match.end(), True
    digits = shown.replace(".", "").lstrip("0").encode()
    at = text.find(digits) if decimals and digits else -1
    while at >= 0:
        if text[at + len(digits) : at + len(digits) + 1] not in (b".", b",") and text[at - 1 : at] not in (b".", b","):
            yield at, at + len(digits), False
        at = text.find(digits, at + 1)


def _widened(text: bytes, begin: int) -> int:
    """The begin of a weight with its leading zeros, blanks and sign."""
    while begin and text[begin - 1] in b" 0":
        begin -= 1
    if begin and text[begin - 1] in b"+-":
        begin -= 1
        while begin and text[begin - 1] == 0x20:
            begin -= 1
    return begin


def _first_run(columns: Sequence[int], holds: Callable[[int], bool]) -> tuple[int, ...]:
    run: list[int] = []
    for column in columns:
        if holds(column) and (not run or column == run[-1] + 1):
            run.append(column)
        elif run:
            break
    return tuple(run)


def _any_of(seen: set[int]) -> str:
    if len(seen) == 1:
        return _literal(bytes(seen))
    if all(0x30 <= byte <= 0x39 for byte in seen):
        return "[0-9]"
    return "[" + "".join(_literal(bytes((byte,))) for byte in sorted(seen)) + "]" if len(seen) <= 4 else "."


def _literal(data: bytes) -> str:
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 0x80 else f"\\x{byte:02x}" for byte in data)


def _keys(values: Mapping[str, object]) -> list[str]:
    return [f"{_key(name)} = {_toml(value)}" for name, value in values.items()]


def _section(name: str, values: Mapping[str, object]) -> list[str]:
    return ["", f"[{name}]", *_keys(values)] if values else []


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    escaped = "".join(
        c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else "?" for c in str(value)
    )
    return f'"{escaped}"'


def _proved(text: str, cutting: _Cutting, taught: Sequence[_Taught]) -> str:
    """The vectors of a table that reads every lesson as the display showed it. Raises `NotLearned`."""
    try:
        spec = read_table(tomllib.loads(text))
    except ValueError as problem:
        raise NotLearned(f"the lessons make no table: {problem}") from problem
    rows = []
    for each in taught:
        readings = [e for e in play(spec.make({}), [each.lesson.data]) if isinstance(e, Reading) and e.weight]
        shown = each.lesson.weight
        if len(readings) < LEAST_FRAMES:
            raise NotLearned(f"the table reads too little of what came with {shown or 'the moving weight'}")
        if shown is not None and any(Decimal(e.weight or "") != Decimal(shown) for e in readings):
            raise NotLearned(f"frames that came with {shown} say other weights too: was the weight at rest?")
        told = {e.stability for e in readings}
        if shown is not None and "moving" in told:
            raise NotLearned(f"frames that came with {shown} say that it moves: was the weight at rest?")
        chosen = next((e for e in readings if shown is None and e.stability == "moving"), readings[-1])
        rows.append(_vector(spec, chosen.raw + chosen.raw, f"the display showed {shown or 'a moving weight'}"))
        if shown is not None:
            cut = chosen.raw[: -len(cutting.end) - 1] + cutting.end
            rows.append(_vector(spec, cut, "a byte lost", origin="derived"))
    return "".join(rows)


def _vector(spec: DriverSpec, data: bytes, note: str, origin: str = "capture") -> str:
    events = [describe(event) for event in play(spec.make({}), [data])]
    rows = {"hex": data.hex(" "), "events": events, "origin": origin, "note": note}
    return "\n".join(["", "[[vectors]]", *_keys(rows)]) + "\n"
