"""How a city's tags and cards are read, checked and written, as a data file: the tag profile.

Cities lay out their cards as they like, and neither layouts nor keys are public, so both are data: the layout is this
file, keys are in a file of the operator's own and stand here only by name, as `{key:NAME}`. None is shipped.

    name = "market-card"
    reader = "pcsc"                                    the driver that reads it

    [[read]]                                           steps in their order; `name` keeps the answer
    command = "FF 82 00 00 06 {key:sector1}"           an APDU; its answer must end with `expect` (9000)
    [[read]]
    name = "block4"
    command = "FF B0 00 04 10"
    [[read]]
    name = "user"
    bank = "user"                                      or words of a UHF tag: reserved, epc, tid, user
    word = 0
    words = 6
    password = "{key:access}"                          where the tag wants one: four bytes

    [[field]]
    name = "party"
    from = "block4"                                    an answer, or `number`: the tag's own
    at = 0
    length = 13
    as = "ascii"                                       ascii, gb18030, bcd, hex, number (unsigned, high byte first)
    pattern = "[0-9]{13}"
    class = "party-code"                               what `edge-agent code` must say that it is
    [[field]]
    name = "check"
    from = "block4"
    at = 15
    length = 1
    as = "hex"
    checksum = "xor"                                   or sum, crc16 (ISO 18000-63); over bytes [first, behind the last]
    over = [0, 15]

    [[write]]                                          what is sent to write, with the answers as they shall be
    command = "FF D6 00 04 10 {block4}"

Pure: no port, no file. A file that does not hold raises `BadProfile` with every problem in it.
"""

from __future__ import annotations

import binascii
import functools
import operator
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge_agent.codes import classify, classify_epc

NUMBER: Final = "number"
BANKS: Final[Mapping[str, int]] = {"reserved": 0, "epc": 1, "tid": 2, "user": 3}
Encoding = Literal["ascii", "gb18030", "bcd", "hex", "number"]
_ENCODINGS: Final[Mapping[str, Encoding]] = {
    "ascii": "ascii",
    "gb18030": "gb18030",
    "bcd": "bcd",
    "hex": "hex",
    "number": "number",
}
CHECKSUMS: Final = ("xor", "sum", "crc16")
_MOST_STEPS: Final = 64
_LONGEST: Final = 255
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PLACE: Final = re.compile(r"\{(key:)?([A-Za-z0-9_]{1,32})\}")


class BadProfile(ValueError):
    """A profile does not hold: every problem, each with where it is and what would be right."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unreadable(Exception):
    """A tag is not what the profile says; the text tells which step and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One exchange: a `command` with places to fill in, or `words` of a `bank`. `name` keeps the answer."""

    name: str | None = None
    command: str | None = None
    expect: bytes = b"\x90\x00"
    bank: int | None = None
    word: int = 0
    words: int = 0
    password: str | None = None
    """The name of the key that is the tag's access password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Some bytes of an answer, and what they must be."""

    name: str
    source: str
    at: int
    length: int
    encoding: Encoding
    pattern: str | None = None
    code_class: str | None = None
    checksum: str | None = None
    over: tuple[int, int] = (0, 0)

    def decode(self, answers: Mapping[str, bytes]) -> str | None:
        """The text of the field; None where the bytes are not there or do not hold one."""
        data = answers.get(self.source, b"")[self.at : self.at + self.length]
        if len(data) != self.length:
            return None
        match self.encoding:
            case "hex":
                return data.hex().upper()
            case "number":
                return str(int.from_bytes(data, "big"))
            case "bcd":
                text = data.hex()
                return text if text.isdigit() else None
        try:
            text = data.decode(self.encoding).rstrip("\x00 ")
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None

    def encode(self, text: str) -> bytes:
        """The bytes of a text. Raises ValueError where it does not fit."""
        wrong = ValueError(f"{self.name}: {text!r} does not fit into {self.length} bytes of {self.encoding}")
        try:
            match self.encoding:
                case "hex":
                    data = bytes.fromhex(text)
                case "number":
                    data = int(text).to_bytes(self.length, "big")
                case "bcd":
                    data = bytes.fromhex(text.rjust(2 * self.length, "0")) if text.isdigit() else b""
                case _:
                    data = text.encode(self.encoding).ljust(self.length, b"\x00")
        except (ValueError, OverflowError):
            raise wrong from None
        if len(data) != self.length:
            raise wrong
        return data

    def sum_of(self, answer: bytes) -> bytes:
        """The checksum over its part of an answer, as long as the field."""
        data = answer[self.over[0] : self.over[1]]
        if self.checksum == "crc16":
            value = binascii.crc_hqx(data, 0xFFFF) ^ 0xFFFF
        elif self.checksum == "sum":
            value = sum(data)
        else:
            value = functools.reduce(operator.xor, data, 0)
        return (value % (1 << 8 * self.length)).to_bytes(self.length, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagProfile:
    """A profile that holds together."""

    name: str
    title: str
    reader: str
    read: tuple[Step, ...]
    fields: tuple[Field, ...]
    write: tuple[Step, ...]
    atr: str | None = None

    @property
    def keys(self) -> frozenset[str]:
        """The names of the keys that it needs."""
        steps = (*self.read, *self.write)
        named = {found[2] for step in steps for found in _PLACE.finditer(step.command or "") if found[1]}
        return frozenset(named) | self.passwords

    @property
    def passwords(self) -> frozenset[str]:
        """The names of those keys that are passwords of UHF tags."""
        return frozenset(step.password for step in (*self.read, *self.write) if step.password)

    def facts(self, answers: Mapping[str, bytes]) -> dict[str, str | None]:
        """The fields of what was read; None where one does not hold."""
        return {field.name: field.decode(answers) for field in self.fields}

    def problems(self, answers: Mapping[str, bytes]) -> list[str]:
        """What is wrong with what was read, as `field: reason` in the order of the fields."""
        found = []
        for field in self.fields:
            text = field.decode(answers)
            if text is None:
                found.append(f"{field.name}: unreadable")
            elif field.checksum is not None:
                if bytes.fromhex(text) != field.sum_of(answers[field.source]):
                    found.append(f"{field.name}: checksum")
            elif field.pattern is not None and re.fullmatch(field.pattern, text) is None:
                found.append(f"{field.name}: pattern")
            elif field.code_class is not None and (wrong := _class_problem(text, field.code_class)):
                found.append(f"{field.name}: {wrong}")
        return found

    def laid_over(self, answers: Mapping[str, bytes], values: Mapping[str, str]) -> dict[str, bytes]:
        """The answers as they shall be: these fields changed, checksums reckoned anew.

        Raises ValueError for a field that is not there, is a checksum or comes from the tag's number, or does not fit.
        """
        known = {field.name: field for field in self.fields}
        wanted = {name: bytearray(answer) for name, answer in answers.items()}
        for name, text in values.items():
            field = known.get(name)
            if field is None or field.checksum is not None or field.source == NUMBER:
                may = ", ".join(f.name for f in self.fields if f.checksum is None and f.source != NUMBER)
                raise ValueError(f"{name!r} cannot be written; {may or 'no field'} can")
            if len(wanted.get(field.source, b"")) < field.at + field.length:
                raise ValueError(f"{name}: {field.source} is shorter than that")
            wanted[field.source][field.at : field.at + field.length] = field.encode(text)
        for field in self.fields:
            if field.checksum is not None:
                sum_ = field.sum_of(bytes(wanted[field.source]))
                wanted[field.source][field.at : field.at + field.length] = sum_
        return {name: bytes(answer) for name, answer in wanted.items()}


def filled_in(step: Step, answers: Mapping[str, bytes], keys: Mapping[str, bytes]) -> bytes:
    """The command of a step with keys and answers in their places."""
    assert step.command is not None

    def place(found: re.Match[str]) -> str:
        return (keys if found[1] else answers)[found[2]].hex()

    return bytes.fromhex(_PLACE.sub(place, step.command))


def shown(step: Step, answers: Mapping[str, bytes]) -> str:
    """A step for people: what is sent, keys by their names only."""
    if step.command is None:
        bank = next(name for name, number in BANKS.items() if number == step.bank)
        return f"{bank} word {step.word}: {answers.get(step.name or '', b'').hex().upper()}"
    return _PLACE.sub(lambda m: m[0] if m[1] else answers[m[2]].hex().upper(), step.command)


def _class_problem(text: str, wanted: str) -> str | None:
    role = "party" if wanted == "party-code" else None
    told = classify_epc(text) if wanted == "epc" else classify(text, role=role)
    if told.code_class != wanted:
        return f"is {told.code_class}, not {wanted}"
    return f"not a valid {wanted}" if told.valid is False else None


def parse_profile(text: str, file: str) -> TagProfile:
    """Read a profile. Raises `BadProfile`."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadProfile([f"{file}: no TOML: {problem}"]) from None
    reader = _Reader(file)
    profile = reader.profile(content)
    if reader.problems:
        raise BadProfile(reader.problems)
    return profile


class _Reader:
    """Checks a profile key by key and gathers what is wrong."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[str] = []

    def profile(self, content: Mapping[str, Any]) -> TagProfile:
        self._only(content, "", {"name", "title", "reader", "atr", "read", "field", "write"})
        name = self._text(content, "", "name", required=True) or "?"
        read = [self._step(step, f"read[{i}]") for i, step in enumerate(self._tables(content, "read"))]
        answers = {step.name for step in read if step.name} | {NUMBER}
        fields = [self._field(one, f"field[{i}]", answers) for i, one in enumerate(self._tables(content, "field"))]
        write = [self._step(step, f"write[{i}]") for i, step in enumerate(self._tables(content, "write"))]
        self._twice([step.name for step in read if step.name], "read")
        self._twice([field.name for field in fields], "field")
        for i, step in enumerate(write):
            self._places(step, f"write[{i}].command", answers)
            if step.bank is not None and step.name not in answers - {NUMBER}:
                self._wrong(f"write[{i}].name", "names no answer that was read", ", ".join(sorted(answers)))
        for i, step in enumerate(read):
            self._places(step, f"read[{i}].command", set())
        if not fields:
            self._wrong("field", "there is none", "at least one [[field]]")
        return TagProfile(
            name=name,
            title=self._text(content, "", "title") or name,
            reader=self._text(content, "", "reader", required=True) or "?",
            atr=self._pattern(content, "", "atr"),
            read=tuple(read),
            fields=tuple(fields),
            write=tuple(write),
        )

    def _step(self, step: Mapping[str, Any], where: str) -> Step:
        self._only(step, where, {"name", "command", "expect", "bank", "word", "words", "password"})
        name = self._text(step, where, "name")
        if name is not None and (_NAME.fullmatch(name) is None or name == NUMBER):
            self._wrong(f"{where}.name", f"{name!r} is no name", f"small letters, digits and _, and not {NUMBER!r}")
        command = self._text(step, where, "command")
        bank = self._text(step, where, "bank")
        if (command is None) == (bank is None):
            self._wrong(where, "has both or neither of command and bank", "an APDU as command, or a bank of a UHF tag")
        if command is not None:
            self._hex(_PLACE.sub("", command), f"{where}.command", least=0)
        if bank is not None and bank not in BANKS:
            self._wrong(f"{where}.bank", f"{bank!r} is no bank", ", ".join(BANKS))
        password = self._text(step, where, "password")
        place = _PLACE.fullmatch(password or "")
        if password is not None and (bank is None or place is None or not place[1]):
            self._wrong(f"{where}.password", f"{password!r}", "{key:NAME}, in a step that names a bank")
        return Step(
            name=name,
            command=command,
            expect=self._hex(self._text(step, where, "expect") or "9000", f"{where}.expect", least=1),
            bank=None if bank is None else BANKS.get(bank, 0),
            word=self._whole(step, where, "word", 0, 0, 1000),
            words=self._whole(step, where, "words", 1, 1, 64),
            password=place[2] if place is not None else None,
        )

    def _field(self, field: Mapping[str, Any], where: str, answers: set[str]) -> Field:
        allowed = {"name", "from", "at", "length", "as", "pattern", "class", "checksum", "over"}
        self._only(field, where, allowed)
        name = self._text(field, where, "name", required=True) or "?"
        source = self._text(field, where, "from", required=True) or "?"
        if source not in answers:
            self._wrong(f"{where}.from", f"{source!r} is not read", ", ".join(sorted(answers)))
        encoding = self._text(field, where, "as", required=True) or "hex"
        if encoding not in _ENCODINGS:
            self._wrong(f"{where}.as", f"{encoding!r} is no encoding", ", ".join(_ENCODINGS))
        checksum = self._text(field, where, "checksum")
        if checksum is not None and checksum not in CHECKSUMS:
            self._wrong(f"{where}.checksum", f"{checksum!r} is no checksum", ", ".join(CHECKSUMS))
        over = field.get("over", [0, 0])
        two = isinstance(over, list) and len(over) == 2 and all(type(one) is int for one in over)
        if not two or (checksum is not None and not 0 <= over[0] < over[1]):
            self._wrong(f"{where}.over", f"{over!r}", "[first byte, byte behind the last]")
            over = [0, 0]
        if checksum is not None and encoding != "hex":
            self._wrong(f"{where}.as", f"{encoding!r}", "hex, for a checksum")
        return Field(
            name=name,
            source=source,
            at=self._whole(field, where, "at", 0, 0, _LONGEST),
            length=self._whole(field, where, "length", None, 1, _LONGEST),
            encoding=_ENCODINGS.get(encoding, "hex"),
            pattern=self._pattern(field, where, "pattern"),
            code_class=self._text(field, where, "class"),
            checksum=checksum,
            over=(over[0], over[1]),
        )

    def _tables(self, content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        tables = content.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._wrong(key, "is no list of tables", f"[[{key}]]")
            return []
        if len(tables) > _MOST_STEPS:
            self._wrong(key, f"{len(tables)} of them", f"at most {_MOST_STEPS}")
        return tables[:_MOST_STEPS]

    def _places(self, step: Step, where: str, answers: set[str]) -> None:
        for found in _PLACE.finditer(step.command or ""):
            if not found[1] and found[2] not in answers:
                right = ", ".join(sorted(answers)) if answers else "{key:NAME}"
                self._wrong(where, f"{found[0]} is not read before", right)

    def _twice(self, names: Iterable[str], where: str) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                self._wrong(where, f"{name!r} is there twice", "each name once")
            seen.add(name)

    def _only(self, table: Mapping[str, Any], where: str, allowed: set[str]) -> None:
        for key in sorted(set(table) - allowed):
            self._wrong(f"{where}.{key}".lstrip("."), "is not known", ", ".join(sorted(allowed)))

    def _text(self, table: Mapping[str, Any], where: str, key: str, *, required: bool = False) -> str | None:
        value = table.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= 1024:
            self._wrong(f"{where}.{key}".lstrip("."), "is missing" if value is None else f"{value!r}", "a text")
            return None
        return value

    def _pattern(self, table: Mapping[str, Any], where: str, key: str) -> str | None:
        pattern = self._text(table, where, key)
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as problem:
                self._wrong(f"{where}.{key}".lstrip("."), f"no regular expression: {problem}", "e.g. [0-9]{13}")
                return None
        return pattern

    def _whole(self, table: Mapping[str, Any], where: str, key: str, default: int | None, low: int, high: int) -> int:
        value = table.get(key, default)
        if type(value) is not int or not low <= value <= high:
            self._wrong(f"{where}.{key}", "is missing" if value is None else f"{value!r}", f"{low} to {high}")
            return low
        return value

    def _hex(self, text: str, where: str, *, least: int) -> bytes:
        try:
            data: bytes | None = bytes.fromhex(text)
        except ValueError:
            data = None
        if data is None or not least <= len(data) <= _LONGEST:
            self._wrong(where, "is not hexadecimal", "pairs of hexadecimal digits, e.g. FF B0 00 04 10")
        return data or b""

    def _wrong(self, where: str, what: str, right: str) -> None:
        self.problems.append(f"{self._file}: {where}: {what}; right would be {right}")
