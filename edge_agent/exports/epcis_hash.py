"""The hash that is the id of an EPCIS event (CBV 2.0, section on event hash ids): `ni:///sha-256;…?ver=CBV2.0`.

Everybody who has the event can compute the id again, so that the same event captured twice is one event and a
changed one is another. The event's own id, its record time and an error declaration are left out, so an event that
is declared to be in error keeps its id.

It is written for the events that `epcis` makes: no free text in them is one that the rules of the standard would
rewrite (see `epcis.plain_text`), GS1 keys are canonical already, lists of pairs have their type first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

VERSION: Final = "ver=CBV2.0"

_CBV: Final = "https://ref.gs1.org/cbv/"
_WORDS: Final[Mapping[str, str]] = {"bizStep": f"{_CBV}BizStep-", "disposition": f"{_CBV}Disp-"}
_TYPES: Final[Mapping[str, str]] = {
    "bizTransactionList": f"{_CBV}BTT-",
    "sourceList": f"{_CBV}SDT-",
    "destinationList": f"{_CBV}SDT-",
    "sensorReport": "https://gs1.org/voc/",
}
_LEFT_OUT: Final = frozenset({"eventID", "recordTime", "errorDeclaration", "type"})


class _Part(NamedTuple):
    """One property in its place: its name in the hash, the name of each item of a list, and the parts of those."""

    name: str
    item: str | None = None
    parts: tuple[_Part, ...] = ()


_QUANTITY: Final = (_Part("epcClass"), _Part("quantity"), _Part("uom"))
_SENSOR: Final = (
    _Part("sensorMetadata", None, (_Part("time"), _Part("deviceID"))),
    _Part(
        "sensorReport",
        None,
        (_Part("type"), _Part("deviceID"), _Part("time"), _Part("value"), _Part("uom")),
    ),
)
_ORDER: Final = (
    _Part("eventTime"),
    _Part("eventTimeZoneOffset"),
    _Part("epcList", "epc"),
    _Part("inputEPCList", "epc"),
    _Part("quantityList", "quantityElement", _QUANTITY),
    _Part("inputQuantityList", "quantityElement", _QUANTITY),
    _Part("outputEPCList", "epc"),
    _Part("outputQuantityList", "quantityElement", _QUANTITY),
    _Part("action"),
    _Part("transformationID"),
    _Part("bizStep"),
    _Part("disposition"),
    _Part("readPoint", None, (_Part("id"),)),
    _Part("bizLocation", None, (_Part("id"),)),
    _Part("sensorElementList", "sensorElement", _SENSOR),
)
_PAIRS: Final = ("bizTransactionList", "sourceList", "destinationList")


def event_id(event: Mapping[str, Any], namespaces: Mapping[str, str]) -> str:
    """The id of an event; `namespaces` holds the prefixes of its extensions."""
    digest = hashlib.sha256(pre_hash(event, namespaces).encode()).hexdigest()
    return f"ni:///sha-256;{digest}?{VERSION}"


def pre_hash(event: Mapping[str, Any], namespaces: Mapping[str, str]) -> str:
    """The text that is hashed: the properties in the order of the standard, all others sorted behind them."""
    writer = _Writer(namespaces)
    ordered = {part.name for part in _ORDER}
    rest = [
        text
        for name, value in event.items()
        if name not in ordered and name not in _LEFT_OUT
        for text in (writer.pairs(name, value) if name in _PAIRS else writer.other(name, value))
    ]
    return f"eventType={event['type']}" + writer.ordered(event, _ORDER) + "".join(sorted(rest))


class _Writer:
    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._namespaces = namespaces

    def ordered(self, values: Mapping[str, Any], parts: Sequence[_Part], holder: str = "") -> str:
        text = ""
        for part in parts:
            value = values.get(part.name)
            if value is None or value == []:
                continue
            if part.item is not None:
                text += part.name + "".join(sorted(self._item(part.item, each, part.parts) for each in value))
            elif part.parts:
                items = value if isinstance(value, list) else [value]
                text += "".join(sorted(part.name + self.ordered(each, part.parts, part.name) for each in items))
            else:
                text += f"{part.name}={self._value(part.name, value, holder)}"
        return text

    def _item(self, name: str, value: Any, parts: tuple[_Part, ...]) -> str:
        if isinstance(value, Mapping):
            return name + self.ordered(value, parts, name)
        return f"{name}={self._plain(value)}"

    def _value(self, name: str, value: Any, holder: str) -> str:
        if name == "eventTime" or name == "time":
            return _utc(value)
        if name in _WORDS:
            return _WORDS[name] + str(value)
        if name == "type":
            return _TYPES[holder] + str(value)
        return self._plain(value)

    def pairs(self, name: str, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """A list whose items are a type and a name: each pair keeps its order, the pairs are sorted."""
        inner = name.removesuffix("List")
        texts = [f"type={_TYPES[name]}{item['type']}{inner}={self._plain(item[inner])}" for item in items]
        if texts:
            yield name + "".join(sorted(texts))

    def other(self, name: str, value: Any) -> Iterator[str]:
        """Properties that the standard does not order: master data of a lot, extensions."""
        name = self._expanded(name, "{%s}")
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                inner = [text for key, item in each.items() for text in self.other(key, item)]
                yield name + "".join(sorted(inner))
            else:
                text = self._plain(each)
                yield f"{name}={text}" if text else name

    def _plain(self, value: Any) -> str:
        text = value if isinstance(value, str) else str(value)
        return _number(self._expanded(text, "%s").strip())

    def _expanded(self, text: str, form: str) -> str:
        prefix, colon, rest = text.partition(":")
        return form % self._namespaces[prefix] + rest if colon and prefix in self._namespaces else text


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _number(text: str) -> str:
    """Numbers without zeros that say nothing: 1.50 and 01.5 are 1.5. Digit texts count as numbers."""
    try:
        number = float(text)
        return str(int(number)) if number.is_integer() else str(number)
    except (ValueError, OverflowError):
        return text
