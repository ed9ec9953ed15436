"""What the classifier says about one scanned text or one tag: frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

CodeClass = Literal[
    "gs1",
    "gs1-digital-link",
    "gtin",
    "sscc",
    "in-store",
    "epc",
    "trace-code",
    "party-code",
    "drug",
    "veterinary-drug",
    "pesticide",
    "seed",
    "tobacco",
    "detonator",
    "ear-tag",
    "special-equipment",
    "udi-ma",
    "idcode",
    "handle",
    "oid",
    "ecode",
    "organic",
    "food-licence",
    "uscc",
    "payment-code",
    "personal-id",
    "url",
    "unknown",
]
"""The classes a code can have. `unknown` is kept, never refused."""

Validity = bool | None
"""True: everything that can be checked here was checked and holds. False: recognised and wrong (check digit,
impossible date …). None: the shape fits and nothing in it can be checked on this box."""

WEDGE_SUSPECT: Final = "wedge_suspect"
"""Problem code: a group separator seems to have been lost between the scanner and the box."""

PERSONAL_MASKED: Final = "personal_masked"
"""Problem code: a personal number inside a longer text was masked."""

_NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong or doubtful: a stable code for programs, words for people.

    `fatal` problems make the code invalid; the others are notes. The words never hold text of a payment code
    or of a personal number.
    """

    code: str
    words: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.code}: {self.words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another class the same text could have, with the reason why it was not chosen."""

    code_class: CodeClass
    valid: Validity
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """One scanned text or tag, understood as far as it can be.

    `fields` holds texts only. `raw` is the text as scanned, with lone surrogates replaced by U+FFFD; for
    payment codes and personal numbers it is a mask, `private` is true, and the caller must drop its own copy
    of the text and bytes.
    """

    code_class: CodeClass
    raw: str
    valid: Validity = None
    fields: Mapping[str, str] = field(default_factory=lambda: _NO_FIELDS)
    problems: tuple[Problem, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    private: bool = False

    def has(self, code: str) -> bool:
        """Whether a problem of this code was found."""
        return any(problem.code == code for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one parser says about a text, before the classifier weighs it against the other parsers."""

    code_class: CodeClass
    valid: Validity
    fields: Mapping[str, str] = field(default_factory=lambda: _NO_FIELDS)
    problems: tuple[Problem, ...] = ()

    def as_alternative(self, reason: str) -> Alternative:
        return Alternative(code_class=self.code_class, valid=self.valid, reason=reason)


def verdict(problems: Iterable[Problem], *, checked: bool) -> Validity:
    """False if a problem is fatal; else True where something was checked, None where nothing could be."""
    if any(problem.fatal for problem in problems):
        return False
    return True if checked else None


def to_json(classified: Classified) -> dict[str, Any]:
    """The object that `edge-agent code` prints for one code."""
    return {
        "class": classified.code_class,
        "valid": classified.valid,
        "fields": dict(classified.fields),
        "problems": [str(problem) for problem in classified.problems],
        "alternatives": [
            {"class": other.code_class, "valid": other.valid, "reason": other.reason}
            for other in classified.alternatives
        ],
        "raw": classified.raw,
    }
