"""The report descriptor of a USB HID device: which bits of its reports mean what.

Source: USB-IF "Device Class Definition for Human Interface Devices" 1.11, sections 5.2 to 5.6 and 6.2.2.

    short item    prefix  data          prefix = tag 7..4, type 3..2 (0 main, 1 global, 2 local), size 1..0 (3 = four)
    long item     FE  size  tag  data   reserved, skipped

A usage is written as one number, page and id: 0x8D0040 is id 40 of page 8D. Sans-I/O. A descriptor that contradicts
itself, or is larger than any real one, raises ValueError with the offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

DESCRIPTOR_LIMIT: Final = 4096
"""Bytes of a descriptor; the kernel's own limit (HID_MAX_DESCRIPTOR_SIZE)."""
REPORT_LIMIT: Final = 4096
"""Bytes of one input report; longer ones could not come out of one read."""
_FIELDS_LIMIT: Final = 512
_USAGES_LIMIT: Final = 1024
_DEPTH_LIMIT: Final = 32

_MAIN, _GLOBAL, _LOCAL = 0, 1, 2
_INPUT, _OUTPUT, _FEATURE, _COLLECTION, _END_COLLECTION = 0x8, 0x9, 0xB, 0xA, 0xC
_CONSTANT, _VARIABLE = 1, 2


def usage(page: int, id: int) -> int:
    """A usage as one number."""
    return page << 16 | id


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One item: `count` elements of `size` bits from bit `offset` of the report, its id byte included.

    Of a variable each element is a value of its own, meant by `usages` in turn (the last stands for all further
    ones). Of an `array` each element is a number that selects one of `usages`, counted from `minimum`. `within`
    holds the usages of the collections around it, outermost first; `exponent` is that of the unit.
    """

    usages: tuple[int, ...]
    offset: int
    size: int
    count: int
    minimum: int
    maximum: int
    exponent: int
    array: bool
    within: tuple[int, ...]

    def values(self, report: bytes) -> tuple[int, ...]:
        """The elements that the report really holds: fewer than `count` where it is cut short."""
        bits = int.from_bytes(report, "little")
        there = min(self.count, max(0, (len(report) * 8 - self.offset) // self.size))
        return tuple(self._signed(bits >> self.offset + index * self.size) for index in range(there))

    def _signed(self, bits: int) -> int:
        value = bits & (1 << self.size) - 1
        return value - (1 << self.size) if self.minimum < 0 and value >> self.size - 1 else value

    def usage_of(self, index: int) -> int | None:
        """What the element `index` of a variable means."""
        return self.usages[min(index, len(self.usages) - 1)] if self.usages and not self.array else None

    def selected(self, value: int) -> int | None:
        """What the number `value` in an array means; None where it means nothing."""
        place = value - self.minimum
        return self.usages[place] if self.array and 0 <= place < len(self.usages) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One kind of report. `id` is 0 where the device numbers none; `length` is in bytes, the id included."""

    id: int
    length: int
    fields: tuple[Field, ...]

    def elements(self, report: bytes) -> Iterator[tuple[int, int, Field]]:
        """Each element of its variables as usage, value and field."""
        for one in self.fields:
            for index, value in enumerate(one.values(report)):
                meaning = one.usage_of(index)
                if meaning is not None:
                    yield meaning, value, one

    def switching_on(self, wanted: int) -> bytes | None:
        """This report with the one element that means `wanted` on and all else zero; None where none is that."""
        for one in self.fields:
            if wanted not in one.usages:
                continue
            place = one.usages.index(wanted)
            value = one.minimum + place if one.array else 1
            index = 0 if one.array else place
            if index >= one.count or not one.minimum <= value <= one.maximum or value < 0:
                continue
            bits = value << one.offset + index * one.size | self.id
            return bits.to_bytes(self.length, "little")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """The input reports of one interface, by their number, and what the device says that it is.

    `outputs` and `features` are what may be sent to it, as output and as feature reports.
    """

    reports: Mapping[int, Report]
    applications: tuple[int, ...]
    outputs: Mapping[int, Report]
    features: Mapping[int, Report]

    @property
    def numbered(self) -> bool:
        """Whether each report begins with its number."""
        return 0 not in self.reports

    @property
    def longest(self) -> int:
        """Bytes of the longest input report."""
        return max(report.length for report in self.reports.values())

    def report(self, data: bytes) -> Report | None:
        """Which report this is; None for a number that the descriptor does not have."""
        return self.reports.get(data[0] if self.numbered and data else 0)


@dataclass(frozen=True, slots=True)
class _Globals:
    page: int = 0
    minimum: int = 0
    maximum: int = 0
    maximum_bytes: bytes = b""
    exponent: int = 0
    size: int = 0
    count: int = 0
    report: int = 0


@dataclass(slots=True)
class _Locals:
    usages: list[tuple[int | None, int]] = field(default_factory=list)
    first: tuple[int | None, int] | None = None


@dataclass(slots=True)
class _Items:
    """The items of one kind, by the number of their report."""

    fields: dict[int, list[Field]] = field(default_factory=dict)
    bits: dict[int, int] = field(default_factory=dict)

    def reports(self) -> Mapping[int, Report]:
        return MappingProxyType(
            {
                number: Report(id=number, length=(self.bits[number] + 7) // 8, fields=tuple(fields))
                for number, fields in self.fields.items()
            }
        )


class _Parser:
    def __init__(self) -> None:
        self._globals = _Globals()
        self._stack: list[_Globals] = []
        self._locals = _Locals()
        self._within: list[int] = []
        self._items: dict[int, _Items] = {kind: _Items() for kind in (_INPUT, _OUTPUT, _FEATURE)}
        self._applications: list[int] = []
        self._count = 0

    def parse(self, data: bytes) -> Descriptor:
        if len(data) > DESCRIPTOR_LIMIT:
            raise ValueError(f"{len(data)} bytes; a report descriptor has at most {DESCRIPTOR_LIMIT}")
        at = 0
        while at < len(data):
            prefix = data[at]
            if prefix == 0xFE:
                at += 3 + (data[at + 1] if at + 1 < len(data) else 0)
                continue
            size = (0, 1, 2, 4)[prefix & 3]
            value = data[at + 1 : at + 1 + size]
            if len(value) < size:
                raise ValueError(f"byte {at}: the descriptor ends within an item")
            try:
                self._item(prefix >> 2 & 3, prefix >> 4, value)
            except ValueError as problem:
                raise ValueError(f"byte {at}: {problem}") from None
            at += 1 + size
        return self._result()

    def _item(self, kind: int, tag: int, value: bytes) -> None:
        if kind == _MAIN:
            self._main(tag, int.from_bytes(value, "little"))
            self._locals = _Locals()
        elif kind == _GLOBAL:
            self._global(tag, value)
        elif kind == _LOCAL:
            self._local(tag, value)

    def _global(self, tag: int, value: bytes) -> None:
        unsigned = int.from_bytes(value, "little")
        signed = int.from_bytes(value, "little", signed=True)
        now = self._globals
        match tag:
            case 0x0:
                now = replace(now, page=unsigned & 0xFFFF)
            case 0x1:
                now = replace(now, minimum=signed)
            case 0x2:
                now = replace(now, maximum=signed, maximum_bytes=value)
            case 0x5:  # a nibble: 0 to 7, then -8 to -1
                now = replace(now, exponent=signed if len(value) > 1 else (unsigned & 0xF ^ 8) - 8)
            case 0x7:
                now = replace(now, size=unsigned)
            case 0x8:
                if not 1 <= unsigned <= 255:
                    raise ValueError(f"report id {unsigned}; 1 to 255 would be right")
                now = replace(now, report=unsigned)
            case 0x9:
                now = replace(now, count=unsigned)
            case 0xA:
                if len(self._stack) >= _DEPTH_LIMIT:
                    raise ValueError("more pushes than any device has")
                self._stack.append(now)
            case 0xB:
                if not self._stack:
                    raise ValueError("a pop without a push")
                now = self._stack.pop()
        self._globals = now

    def _local(self, tag: int, value: bytes) -> None:
        number = int.from_bytes(value, "little")
        named = (number >> 16, number & 0xFFFF) if len(value) == 4 else (None, number)
        if tag == 0x0:
            self._add_usages(named, named)
        elif tag == 0x1:
            self._locals.first = named
        elif tag == 0x2 and self._locals.first is not None:
            self._add_usages(self._locals.first, named)
            self._locals.first = None

    def _add_usages(self, first: tuple[int | None, int], last: tuple[int | None, int]) -> None:
        extent = last[1] - first[1] + 1
        if extent < 1 or len(self._locals.usages) + extent > _USAGES_LIMIT:
            raise ValueError(f"usages {first[1]:#x} to {last[1]:#x} cannot be")
        self._locals.usages += [(first[0], first[1] + step) for step in range(extent)]

    def _named(self) -> tuple[int, ...]:
        """The usages of a main item: those without a page are on the page that holds now."""
        page = self._globals.page
        return tuple(usage(page if own is None else own, id) for own, id in self._locals.usages)

    def _main(self, tag: int, value: int) -> None:
        if tag == _COLLECTION:
            if len(self._within) >= _DEPTH_LIMIT:
                raise ValueError("collections deeper than any device has")
            named = self._named()
            self._within.append(named[0] if named else 0)
            if value == 1 and named:
                self._applications.append(named[0])
        elif tag == _END_COLLECTION:
            if not self._within:
                raise ValueError("the end of a collection that was not begun")
            self._within.pop()
        elif tag in self._items:
            self._report(self._items[tag], value)

    def _report(self, items: _Items, flags: int) -> None:
        now = self._globals
        if not 0 < now.size <= 32 * 8 or now.count > REPORT_LIMIT * 8:
            if items is not self._items[_INPUT]:
                return  # what could be sent is no reason not to read
            raise ValueError(f"{now.count} elements of {now.size} bits")
        begin = items.bits.setdefault(now.report, 8 if now.report else 0)
        end = begin + now.size * now.count
        if end > REPORT_LIMIT * 8:
            raise ValueError(f"a report of more than {REPORT_LIMIT} bytes")
        items.bits[now.report] = end
        fields = items.fields.setdefault(now.report, [])
        if flags & _CONSTANT or not now.count:
            return
        self._count += 1
        if self._count > _FIELDS_LIMIT:
            raise ValueError("more fields than any device has")
        # Where no value is negative the maximum is meant unsigned: 25 FF is 255.
        maximum = now.maximum if now.minimum < 0 else int.from_bytes(now.maximum_bytes, "little")
        fields.append(
            Field(
                usages=self._named(),
                offset=begin,
                size=now.size,
                count=now.count,
                minimum=now.minimum,
                maximum=maximum,
                exponent=now.exponent,
                array=not flags & _VARIABLE,
                within=tuple(self._within),
            )
        )

    def _result(self) -> Descriptor:
        if self._within:
            raise ValueError("a collection is not ended")
        inputs = self._items[_INPUT].fields
        if not inputs:
            raise ValueError("no input report")
        if 0 in inputs and len(inputs) > 1:
            raise ValueError("some reports are numbered and some are not")
        return Descriptor(
            reports=self._items[_INPUT].reports(),
            applications=tuple(self._applications),
            outputs=self._items[_OUTPUT].reports(),
            features=self._items[_FEATURE].reports(),
        )


def parse_descriptor(data: bytes) -> Descriptor:
    """Read a report descriptor. Raises ValueError, with the offset, for one that cannot be."""
    return _Parser().parse(data)
