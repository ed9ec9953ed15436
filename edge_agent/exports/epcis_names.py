"""The names by which EPCIS events call things: URIs of goods, batches, parties, places, papers, tags.

Things that carry a GS1 key are named by their GS1 Digital Link in canonical form (`https://id.gs1.org/…`); all
others by a private URN that nobody resolves: `urn:trace-edge-agent:{site}:{kind}:{code}`, the code percent-encoded.
A party, batch or ticket code is unique within its site only, so the site stands in the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from edge_agent.codes.check_digits import is_digits, mod10_holds

DIGITAL_LINK: Final = "https://id.gs1.org"
NAMESPACE: Final = "urn:trace-edge-agent"

_GTIN_LENGTHS: Final = frozenset({8, 12, 13, 14})
_PLAIN: Final = re.compile(r"[0-9A-Za-z._-]{1,20}")
_NO_OBJECT: Final = frozenset({"payment-code", "personal-id", "url", "unknown"})
"""Classes of codes that name no object, or none that may be named."""


class Names:
    """The names of one site's things. `source` is the CloudEvents source of a record, `/{site}/{gateway}`."""

    def __init__(self, source: str) -> None:
        site, _, self.gateway = source.strip("/").partition("/")
        self._site = quote(site, safe="")

    def name(self, kind: str, code: str) -> str:
        """The private name of a thing."""
        return f"{NAMESPACE}:{self._site}:{kind}:{quote(code, safe='')}"

    def site(self) -> str:
        """The place as a whole."""
        return f"{NAMESPACE}:{self._site}:place"

    def goods(self, code: str | None, batch: str | None, lot: str | None = None) -> str | None:
        """The class of goods: the batch of this place, else GTIN and maker's lot, else the goods code."""
        if batch:
            return self.name("batch", batch)
        gtin = gtin_14(code)
        if gtin:
            return digital_link({"01": gtin} | ({"10": lot} if lot else {}))
        return self.name("goods", code) if code else None

    def code(self, text: str, kind: str | None, fields: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
        """What a scanned code names: one object, or a class of objects; (None, None) where it names neither."""
        fields = {key: value for key, value in (fields or {}).items() if isinstance(value, str)}
        if kind in _NO_OBJECT or kind is None:
            return None, None
        if kind == "gtin":
            gtin = gtin_14(text) or gtin_14(fields.get("gtin"))
            return None, digital_link({"01": gtin}) if gtin else self.name("code", text)
        if kind == "sscc":
            fields = {"00": text[-18:]} | fields
        for keys, single in ((("00",), True), (("01", "21"), True), (("01", "10"), False), (("01",), False)):
            if all(fields.get(key) for key in keys):
                link = digital_link({key: fields[key] for key in keys})
                if link:
                    return (link, None) if single else (None, link)
        if kind in ("gtin", "gs1", "gs1-digital-link", "in-store"):
            return None, self.name("code", text)
        return self.name("code", text), None

    def tag(self, tag_id: str, kind: str) -> str:
        """A tag by its number: an EPC as the raw URI of the Tag Data Standard, others by a private name."""
        if kind == "epc":
            return f"urn:epc:raw:{4 * len(tag_id)}.x{tag_id}"
        return self.name(f"tag:{kind}", tag_id)


def record_name(record_id: str) -> str:
    """The name of a record: its UUID."""
    return f"urn:uuid:{record_id}"


def gtin_14(code: str | None) -> str | None:
    """A GTIN of any length with 14 digits; None where a code is none (its check digit must hold)."""
    if code is None or not is_digits(code) or len(code) not in _GTIN_LENGTHS or not mod10_holds(code):
        return None
    return code.zfill(14)


def digital_link(keys: Mapping[str, str]) -> str | None:
    """The canonical Digital Link of GS1 keys; None where a value needs an escape, on which tools do not agree."""
    lengths = {"00": 18, "01": 14}
    for key, value in keys.items():
        if key in lengths:
            if not is_digits(value) or len(value) != lengths[key] or not mod10_holds(value):
                return None
        elif not _PLAIN.fullmatch(value):
            return None
    return DIGITAL_LINK + "".join(f"/{key}/{value}" for key, value in keys.items())
