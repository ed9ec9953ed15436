"""Rules by which the stand-in refuses good records, to try what the agent does then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hwsim.city.events import Event

_FIELDS: Final = ("type", "id", "subject", "chain")
_RULE: Final = re.compile(r"(?:(?P<field>[a-z]+)=(?P<value>[^:]+)|sequence%(?P<modulus>[1-9][0-9]*))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Refuses the records that it matches; `once` only the first time each comes, `retryable` as told to the agent."""

    text: str
    field: str
    value: str = ""
    modulus: int = 0
    retryable: bool = False
    once: bool = False

    @classmethod
    def parse(cls, text: str) -> Rule:
        """`type=trace.scan.v1`, `id=…`, `subject=…`, `chain=…`, `sequence=12`, `sequence%997`; and an option.

        Options are `:retryable` and `:once`. Raises ValueError with what would be right.
        """
        rule, *options = text.split(":")
        match = _RULE.fullmatch(rule)
        if match is None or set(options) - {"retryable", "once"}:
            raise ValueError(
                f"rule {text!r}: write FIELD=VALUE with FIELD one of {', '.join(_FIELDS)}, sequence; "
                "or sequence%N; and then :retryable or :once if wanted"
            )
        field, value, modulus = match["field"] or "sequence", match["value"] or "", int(match["modulus"] or 0)
        if field not in (*_FIELDS, "sequence") or (field == "sequence" and not modulus and not value.isdecimal()):
            raise ValueError(f"rule {text!r}: the field is one of {', '.join(_FIELDS)} or sequence")
        return cls(
            text=text,
            field=field,
            value=value,
            modulus=modulus,
            retryable="retryable" in options,
            once="once" in options,
        )

    def matches(self, event: Event) -> bool:
        """Whether the rule is about this record."""
        if self.field == "sequence":
            return event.sequence % self.modulus == 0 if self.modulus else event.sequence == int(self.value)
        return bool(getattr(event, self.field) == self.value)
