"""Pure identity EPC URIs (`urn:epc:id:…`, `urn:epc:class:lgtin:…`) to GS1 keys (TDS section 6 and 7).

Readers' software and other systems' records carry them as text, also in two-dimensional symbols.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from edge_agent.codes import gs1
from edge_agent.codes.check_digits import mod10
from edge_agent.codes.digital_link import build
from edge_agent.codes.values import Finding, Problem, verdict

_URI: Final = re.compile(r"urn:epc:(?:id|class):([a-z]+):([!-~]{1,200})")
_TEXT: Final = r"(?:[!'()*+,\-.0-9:;=A-Z_a-z]|%2[2567F]|%3[CEF])"
_PART: Final = r"(?:[\-0-9A-Z]|%2[3F])"


@dataclass(frozen=True, slots=True)
class _Scheme:
    """The shape of a scheme: digits of company prefix and reference together, patterns of what follows, and how
    its components make GS1 keys. `digits` 0: the reference is free text of what is left of 30 characters."""

    digits: int
    tail: tuple[str, ...]
    keys: Callable[..., list[tuple[str, str]]]


def _checked(digits: str) -> str:
    return digits + str(mod10(digits))


def _gtin(company: str, item: str) -> str:
    return _checked(item[0] + company + item[1:])


def _sgln(company: str, location: str, extension: str) -> list[tuple[str, str]]:
    location_key = ("414", _checked(company + location))
    return [location_key] if extension == "0" else [location_key, ("254", extension)]


_SCHEMES: Final = {
    "sgtin": _Scheme(13, (f"{_TEXT}{{1,20}}",), lambda c, i, s: [("01", _gtin(c, i)), ("21", s)]),
    "lgtin": _Scheme(13, (f"{_TEXT}{{1,20}}",), lambda c, i, s: [("01", _gtin(c, i)), ("10", s)]),
    "itip": _Scheme(
        13,
        ("[0-9]{2}", "[0-9]{2}", f"{_TEXT}{{1,20}}"),
        lambda c, i, piece, total, s: [("8006", _gtin(c, i) + piece + total), ("21", s)],
    ),
    "sscc": _Scheme(17, (), lambda c, r: [("00", _checked(r[0] + c + r[1:]))]),
    "gsrn": _Scheme(17, (), lambda c, r: [("8018", _checked(c + r))]),
    "gsrnp": _Scheme(17, (), lambda c, r: [("8017", _checked(c + r))]),
    "sgln": _Scheme(12, (f"{_TEXT}{{1,20}}",), _sgln),
    "grai": _Scheme(12, (f"{_TEXT}{{1,16}}",), lambda c, t, s: [("8003", "0" + _checked(c + t) + s)]),
    "gdti": _Scheme(12, (f"{_TEXT}{{1,17}}",), lambda c, t, s: [("253", _checked(c + t) + s)]),
    "sgcn": _Scheme(12, ("[0-9]{1,12}",), lambda c, r, s: [("255", _checked(c + r) + s)]),
    "giai": _Scheme(0, (_TEXT,), lambda c, a: [("8004", c + a)]),
    "cpi": _Scheme(0, (_PART, "(?:0|[1-9][0-9]{0,11})"), lambda c, p, s: [("8010", c + p), ("8011", s)]),
}

# Schemes without a GS1 key: known by name, not taken apart.
_OTHERS: Final = frozenset({"gid", "usdod", "adi", "bic", "imovn", "pgln", "upui", "ginc", "gsin"})


def parse(text: str) -> Finding | None:
    """What an EPC URI names; None if the text does not begin as one."""
    if not text.startswith("urn:epc:"):
        return None
    found = _URI.fullmatch(text)
    if found is None or (found[1] not in _SCHEMES and found[1] not in _OTHERS):
        return _wrong("is no pure identity EPC URI of a known scheme")
    scheme = _SCHEMES.get(found[1])
    fields = {"scheme": found[1].upper(), "uri": text}
    if scheme is None:
        return Finding(code_class="epc", valid=None, fields=fields)
    components = _components(scheme, found[2])
    if components is None:
        return _wrong("has a component of the wrong length or with characters that are not allowed")
    elements = scheme.keys(*map(unquote, components))
    message = gs1.from_elements(elements)
    problems = tuple(problem for problem in message.problems if problem.fatal)
    fields.update(elements)
    fields.update(gs1.named(elements))
    link = build(message)
    if link:
        fields["digital_link"] = link
    return Finding(code_class="epc", valid=verdict(problems, checked=True), fields=fields, problems=problems)


def _components(scheme: _Scheme, body: str) -> list[str] | None:
    company, dot, rest = body.partition(".")
    size = len(company)
    if not dot or not 6 <= size <= 12 or not company.isdigit():
        return None
    if scheme.digits:
        patterns = (f"[0-9]{{{scheme.digits - size}}}", *scheme.tail)
    else:
        patterns = (f"{scheme.tail[0]}{{1,{30 - size}}}", *scheme.tail[1:])
    found = re.fullmatch(r"\.".join(f"({pattern})" for pattern in patterns), rest)
    return [company, *found.groups()] if found else None


def _wrong(words: str) -> Finding:
    return Finding(code_class="epc", valid=False, problems=(Problem("not-decodable", words),))
