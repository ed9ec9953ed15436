"""Records as the XML messages of a city's node software, by the names and rules of a profile.

Which record becomes which message, how its elements are called and what stands in them is data: a profile in TOML
(see `profiles/meat-vegetables.toml`, which explains every key). The names differ from city to city and the texts of
the standards were not at hand, so a profile is practice written down and no claim of conformity.

Messages show what stands: an amended record as amended, a sale without what came back. A record that is void, or a
sale that came back whole, is no message any more but a withdrawal that names it, because cities take deletions as
messages of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from edge_agent.exports.standings import Corrections, Event
from edge_agent.exports.table import kilograms, yuan
from edge_agent.records.bodies import BODIES
from edge_agent.records.corrections import Standing
from edge_agent.records.shape import json_hints

_ELEMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PRICE_PER_KG: Final = {"kg": 1, "500g": 2}


class BadProfile(ValueError):
    """A profile that cannot be used: where, what, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One kind of message: its element, the types and node types that it is for, its elements, those that name it."""

    element: str
    types: frozenset[str]
    node_types: frozenset[str]
    fields: Mapping[str, tuple[str, str]]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlProfile:
    """A city's names and rules."""

    name: str
    root: str
    withdrawn: str
    messages: tuple[Message, ...]
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the messages say of the place: the market's code and name in the city, its kind; names of parties."""

    site: str
    node_type: str
    market_id: str
    market_name: str
    parties: Mapping[str, str] = field(default_factory=dict)
    vouchers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The first voucher of each type of the intake of a batch."""


@dataclass(frozen=True, slots=True)
class _Case:
    event: Event
    standing: Standing
    place: Place

    @property
    def data(self) -> Mapping[str, Any]:
        return self.standing.data


def _weight(case: _Case, name: str) -> str | None:
    mass = case.data.get(name)
    return kilograms(mass - case.standing.returned_mg if mass is not None and name == "net_mg" else mass)


def _pieces(case: _Case, _: str) -> str:
    by_piece = case.data.get("mode") == "piece"
    return str(case.data["qty"] - case.standing.returned_qty if by_piece else 1)


def _price(case: _Case, _: str) -> str | None:
    price, per = case.data.get("price_fen"), case.data.get("price_per")
    return None if price is None else yuan(price * _PRICE_PER_KG.get(per or "", 1))


def _amount(case: _Case, name: str) -> str | None:
    fen = case.data.get(name)
    return None if fen is None else yuan(fen - case.standing.returned_fen)


def _voucher(case: _Case, wanted: str) -> str | None:
    return vouchers_of(case.data).get(wanted)


def vouchers_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The number of the first voucher of each type that has one."""
    found: dict[str, str] = {}
    for each in data.get("vouchers") or ():
        if each.get("no"):
            found.setdefault(each["type"], each["no"])
    return found


def _table_free(case: _Case, name: str) -> str | None:
    value: Any = case.data
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, list | tuple):
        return ";".join(str(each.get("project", "")) if isinstance(each, Mapping) else str(each) for each in value)
    return None if value is None else str(value)


_SOURCES: Final[Mapping[str, Callable[[_Case, str], str | None]]] = {
    "data": _table_free,
    "mass": _weight,
    "pieces": _pieces,
    "price": _price,
    "yuan": _amount,
    "voucher": _voucher,
    "intake-voucher": lambda case, wanted: case.place.vouchers.get(case.data.get("batch") or "", {}).get(wanted),
    "name-of": lambda case, name: case.place.parties.get(case.data.get(name) or ""),
    "day": lambda case, _: case.event["time"][:10],
    "time": lambda case, _: case.event["time"][:19].replace("T", " "),
    "record": lambda case, name: str(case.event[name]),
    "place": lambda case, name: str(getattr(case.place, name)),
    "text": lambda _, text: text,
}
"""What may stand before the colon in a profile, and what it yields."""

_PLACE: Final = frozenset({"site", "node_type", "market_id", "market_name"})
_RECORD: Final = frozenset({"id", "sequence", "chain", "subject", "hash", "time", "type"})


def profile_of(settings: Mapping[str, Any], where: str) -> XmlProfile:
    """The profile of a parsed TOML file; raises `BadProfile`."""
    known = {"name", "title", "source", "root", "withdrawn", "messages", "tables", "city"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise BadProfile(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    tables = settings.get("tables", {})
    messages = settings.get("messages", [])
    if not isinstance(messages, list) or not messages:
        raise BadProfile(f"{where}: [[messages]] is missing: one table for each kind of message")
    if not isinstance(tables, Mapping) or not all(isinstance(each, Mapping) for each in tables.values()):
        raise BadProfile(f"{where}: [tables] holds tables of texts")
    return XmlProfile(
        name=_text(settings, "name", where),
        root=_element(settings.get("root"), f"{where}: root"),
        withdrawn=_element(settings.get("withdrawn"), f"{where}: withdrawn"),
        messages=tuple(_message(each, tables, f"{where}: messages[{at}]") for at, each in enumerate(messages)),
        tables={name: {str(k): str(v) for k, v in each.items()} for name, each in tables.items()},
    )


def _text(settings: Mapping[str, Any], key: str, where: str) -> str:
    value = settings.get(key)
    if not isinstance(value, str) or not value:
        raise BadProfile(f"{where}: {key} must be a text")
    return value


def _element(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _ELEMENT.fullmatch(name):
        raise BadProfile(f"{where}: {name!r} is no name of an XML element")
    return name


def _message(settings: Any, tables: Mapping[str, Any], where: str) -> Message:
    if not isinstance(settings, Mapping) or not isinstance(settings.get("fields"), Mapping):
        raise BadProfile(f"{where}: must be a table with element, types, node_types, keys and fields")
    types = [f"trace.{each}.v1" for each in settings.get("types", [])]
    wrong = [each for each in types if each not in BODIES]
    if wrong or not types:
        raise BadProfile(f'{where}: types: {wrong or "none"}; must name types of records, such as "sale"')
    fields = {}
    for name, text in settings["fields"].items():
        fields[_element(name, f"{where}.fields")] = _source(text, types, tables, f"{where}.fields.{name}")
    keys = tuple(settings.get("keys", ()))
    if not set(keys) <= set(fields):
        raise BadProfile(f"{where}: keys {keys!r} must be among its fields")
    return Message(
        element=_element(settings.get("element"), f"{where}: element"),
        types=frozenset(types),
        node_types=frozenset(settings.get("node_types", ())),
        fields=fields,
        keys=keys,
    )


def _source(text: Any, types: list[str], tables: Mapping[str, Any], where: str) -> tuple[str, str]:
    """What stands in an element: `source:argument`, or `table:NAME:field` for what the city writes otherwise."""
    source, colon, argument = text.partition(":") if isinstance(text, str) else ("", "", "")
    known = {*_SOURCES, "table"}
    if source not in known:
        raise BadProfile(f"{where}: {text!r} must begin with one of {', '.join(sorted(known))}, then a colon")
    field_name = argument
    if source == "table":
        table, _, field_name = argument.partition(":")
        if table not in tables:
            raise BadProfile(f"{where}: there is no table {table!r}; [tables] has {', '.join(tables) or 'none'}")
    allowed = {"place": _PLACE, "record": _RECORD}.get(source)
    if source in ("data", "mass", "yuan", "name-of", "table"):
        allowed = frozenset().union(*(json_hints(BODIES[each]) for each in types))
        field_name = field_name.partition(".")[0]
    if allowed is not None and field_name not in allowed:
        raise BadProfile(f"{where}: {field_name!r} is not one of {', '.join(sorted(allowed))}")
    return source, argument if colon else ""


def document(
    events: Iterable[Event], *, profile: XmlProfile, place: Place, corrections: Corrections, created: str
) -> Iterator[bytes]:
    """The bytes of one XML file over records, in pieces."""
    about = f"profile={quoteattr(profile.name)} site={quoteattr(place.site)} created={quoteattr(created)}"
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<{profile.root} {about}>\n'.encode()
    messages = [m for m in profile.messages if not m.node_types or place.node_type in m.node_types]
    for event in events:
        wanted = [message for message in messages if event["type"] in message.types]
        if wanted:
            case = _Case(event, corrections.standing(event), place)
            yield "".join(_written(message, case, profile) for message in wanted).encode()
    yield f"</{profile.root}>\n".encode()


def _written(message: Message, case: _Case, profile: XmlProfile) -> str:
    gone = case.standing.void_by is not None or _came_back(case)
    names = message.keys if gone else tuple(message.fields)
    lines = [f"    <{name}>{_escaped(_value(message.fields[name], case, profile))}</{name}>\n" for name in names]
    if gone:
        about = f"message={quoteattr(message.element)} record={quoteattr(case.event['id'])}"
        return f"  <{profile.withdrawn} {about}>\n{''.join(lines)}  </{profile.withdrawn}>\n"
    return f"  <{message.element}>\n{''.join(lines)}  </{message.element}>\n"


def _came_back(case: _Case) -> bool:
    now, data = case.standing, case.data
    if not now.returns:
        return False
    if data.get("mode") == "piece":
        return bool(now.returned_qty >= data["qty"])
    return data.get("net_mg") is not None and bool(now.returned_mg >= data["net_mg"])


def _value(source: tuple[str, str], case: _Case, profile: XmlProfile) -> str:
    kind, argument = source
    if kind == "table":
        table, _, name = argument.partition(":")
        value = _table_free(case, name)
        return "" if value is None else profile.tables[table].get(value, value)
    return _SOURCES[kind](case, argument) or ""


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
