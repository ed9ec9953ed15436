"""GS1 Digital Link URIs: to element strings and back (GS1 Digital Link Standard: URI Syntax).

Strict by default: GTINs of 14 digits, AIs as numbers, qualifiers in their order, no AI twice. What looks like a
Digital Link and breaks a rule of structure is not one; wrong content (a check digit) is a problem of a Digital Link.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from edge_agent.codes import gs1
from edge_agent.codes.gs1_ai import AIS

CANONICAL_STEM: Final = "https://id.gs1.org"

_SCHEME: Final = re.compile(r"(?:https?|HTTPS?)://")
_URI_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9.:\[\]-]+")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_MAX_ATTRIBUTES: Final = 64


@dataclass(frozen=True, slots=True)
class DigitalLink:
    """A URI that has the structure of a Digital Link."""

    domain: str
    message: gs1.Message


class NotADigitalLink(ValueError):
    """The URI lacks the structure; the words say which rule it breaks."""


def parse(uri: str, *, zero_suppressed: bool = False) -> DigitalLink:
    """Take a Digital Link apart; raises NotADigitalLink.

    `zero_suppressed` also accepts GTINs of 8, 12 and 13 digits under AI 01, as the standard's early releases did.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        raise NotADigitalLink("does not begin with http:// or https://")
    if not _URI_CHARACTERS.fullmatch(uri):
        raise NotADigitalLink("holds a character that no URI may hold")
    domain, slash, rest = uri[scheme.end() :].partition("/")
    if not slash or not _DOMAIN.fullmatch(domain):
        raise NotADigitalLink("has no domain or no path")
    path, _, query = rest.partition("#")[0].partition("?")
    pairs = _path_pairs(path.split("/"))
    key = pairs[0][0]
    _check_qualifiers(key, [code for code, _ in pairs[1:]])
    attributes = _attributes(query)
    _check_attributes(key, pairs, attributes)
    elements = pairs + attributes
    if zero_suppressed:
        elements = [(code, _pad_gtin(code, value)) for code, value in elements]
    return DigitalLink(domain, gs1.from_elements(elements))


def build(message: gs1.Message, stem: str = CANONICAL_STEM) -> str | None:
    """The Digital Link of a message, attributes in the order of their AIs; None without a key or if an AI has no
    place in a link."""
    values = {element.code: element.value for element in message.elements}
    key = next((code for code in values if code in AIS and AIS[code].paths), None)
    if key is None:
        return None
    best = max(AIS[key].paths, key=lambda path: sum(code in values for code in path))
    in_path = [key, *(code for code in best if code in values)]
    attributes = sorted(code for code in values if code not in in_path)
    if any(code not in AIS or not AIS[code].query for code in attributes):
        return None
    uri = stem + "".join(f"/{code}/{quote(values[code], safe='')}" for code in in_path)
    query = "&".join(f"{code}={quote(values[code], safe='')}" for code in attributes)
    return f"{uri}?{query}" if query else uri


def _path_pairs(segments: list[str]) -> list[tuple[str, str]]:
    """The AI/value pairs at the end of the path, from the rightmost primary key on."""
    for start in range(len(segments) - 2, -1, -2):
        ai = AIS.get(segments[start])
        if ai is None:
            break
        if ai.paths:
            pairs = []
            for code, value in zip(segments[start::2], segments[start + 1 :: 2], strict=True):
                if not value:
                    raise NotADigitalLink(f"the value of ({code}) is empty")
                pairs.append((code, _unescape(value)))
            return pairs
    raise NotADigitalLink("has no GS1 key in its path")


def _check_qualifiers(key: str, qualifiers: list[str]) -> None:
    for path in AIS[key].paths:
        remaining = iter(path)
        if all(code in remaining for code in qualifiers):
            return
    raise NotADigitalLink(f"({key}) cannot be followed by {' '.join(qualifiers)} in this order")


def _attributes(query: str) -> list[tuple[str, str]]:
    pairs = []
    for part in query.split("&", _MAX_ATTRIBUTES)[:_MAX_ATTRIBUTES]:
        name, equals, value = part.partition("=")
        if not equals or not (name.isascii() and name.isdigit()):
            continue
        if name not in AIS:
            raise NotADigitalLink(f"{name[:8]} in the query is no AI")
        if not value:
            raise NotADigitalLink(f"the value of ({name}) is empty")
        pairs.append((name, _unescape(value.replace("+", " "))))
    return pairs


def _check_attributes(key: str, path: list[tuple[str, str]], attributes: list[tuple[str, str]]) -> None:
    in_path = [code for code, _ in path]
    seen = set(in_path)
    for code, _ in attributes:
        if code in seen:
            raise NotADigitalLink(f"({code}) stands twice")
        seen.add(code)
        if not AIS[code].query:
            raise NotADigitalLink(f"({code}) may not stand in the query")
        for qualifiers in AIS[key].paths:
            if code in qualifiers and all(other in qualifiers for other in in_path[1:]):
                raise NotADigitalLink(f"({code}) belongs in the path")


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)


def _pad_gtin(code: str, value: str) -> str:
    return value.zfill(14) if code == "01" and len(value) in {8, 12, 13} else value
