"""What a scan or a tag read says, as far as a record may hold it.

Payment codes and personal numbers end here: what leaves this module of them is a class, a kind and a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.catalogue import Catalogue
from edge_agent.codes import PERSONAL_MASKED, WEDGE_SUSPECT, Classified, CodeProfile, classify, classify_epc
from edge_agent.model import Scan, TagRead
from edge_agent.records.flags import Flag

# Codes that name something else than goods: who pays, who somebody is, a load unit, a paper, a page.
_NOT_GOODS: Final = frozenset(
    {"payment-code", "personal-id", "party-code", "uscc", "sscc", "food-licence", "organic", "trace-code", "url"}
)
_PARTIES: Final = frozenset({"party-code", "uscc"})
_GTIN_LENGTH: Final = 14
_SHORTEST_GTIN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A scan, understood. `raw` is None where the bytes held something private."""

    classified: Classified
    text: str
    symbology: str | None
    raw: str | None
    flags: tuple[Flag, ...]

    def fields(self) -> dict[str, Any]:
        """The fields of a scan's body."""
        return {
            "text": self.text,
            "symbology": self.symbology,
            "raw": self.raw,
            "flags": self.flags,
            **known(self.classified),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a scale printed on an in-store label: net weight in kilograms and amount in yuan, as far as it says them."""

    weight_kg: str | None
    amount: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsSeen:
    """The goods that a code names: their code and, from the catalogue, their name; and what else the code says of
    this piece of them."""

    code: str
    name: str | None = None
    lot: str | None = None
    serial: str | None = None
    expiry: str | None = None
    label: Label | None = None
    flags: tuple[Flag, ...] = ()


def understand(scan: Scan, role: str | None, profile: CodeProfile) -> Seen:
    """What a scan says."""
    classified = classify(scan.text, scan.symbology, role, profile)
    masked = classified.private or classified.has(PERSONAL_MASKED)
    found: Mapping[Flag, bool] = {
        "text_replaced": scan.lossy or "\ufffd" in classified.raw,
        "private_masked": masked,
        "wedge_suspect": classified.has(WEDGE_SUSPECT),
        "code_invalid": classified.valid is False,
    }
    return Seen(
        classified=classified,
        text=classified.raw,
        symbology=scan.symbology,
        raw=None if masked else scan.raw.hex(),
        flags=tuple(flag for flag, holds in found.items() if holds),
    )


def tag_fields(tag: TagRead) -> dict[str, Any]:
    """What the EPC of a tag says; nothing for other tags, whose numbers have no inner form."""
    return known(classify_epc(tag.tag_id)) if tag.kind == "epc" else {}


def known(classified: Classified) -> dict[str, Any]:
    """Class, fields and doubts of a code, as a body holds them."""
    return {
        "code_class": classified.code_class,
        "code_fields": dict(classified.fields),
        "valid": classified.valid,
        "problems": tuple(dict.fromkeys(problem.code for problem in classified.problems)),
    }


def goods_of(seen: Seen, catalogue: Catalogue) -> GoodsSeen | None:
    """The goods that a scan names; None where it names none.

    Where the catalogue has them they have its code and name. Else a GTIN is written without leading zeros, so that the
    same goods have one code whatever symbol carries it; an in-store label gives its item number (PLU). What is not
    known by its form is a code of the shop's own.
    """
    classified = seen.classified
    fields = classified.fields
    if classified.code_class in _NOT_GOODS or "private_masked" in seen.flags:
        return None
    gtin = fields.get("gtin")
    code = short_gtin(gtin) if gtin else fields.get("plu") or fields.get("code") or classified.raw.strip()
    if not code or (classified.code_class in ("gs1", "gs1-digital-link") and not gtin):
        return None
    if gtin:
        item = catalogue.by_gtin(gtin)
    else:
        item = catalogue.by_plu(code) if classified.code_class == "in-store" else catalogue.find(code)
    return GoodsSeen(
        code=item.code if item else code,
        name=item.name if item else None,
        lot=fields.get("lot"),
        serial=fields.get("serial"),
        expiry=fields.get("17_date"),
        label=_label(classified),
        flags=tuple(flag for flag in seen.flags if flag != "text_replaced"),
    )


def _label(classified: Classified) -> Label | None:
    """What an in-store label says of weight and amount; nothing of one whose check digit is wrong."""
    if classified.code_class != "in-store" or classified.valid is not True:
        return None
    return Label(weight_kg=classified.fields.get("weight_kg"), amount=classified.fields.get("amount"))


def party_of(seen: Seen) -> str | None:
    """The market participant that a scan names; None where it names none."""
    classified = seen.classified
    return classified.raw.strip() if classified.code_class in _PARTIES and classified.valid is not False else None


def short_gtin(digits: str) -> str:
    """A GTIN of 14 digits as it is printed: 13, 12 or 8 digits where its leading zeros are filling."""
    if not digits.startswith("0") or len(digits) != _GTIN_LENGTH:
        return digits
    if digits.startswith("000000"):
        return digits[-_SHORTEST_GTIN:]
    return digits[2:] if digits.startswith("00") else digits[1:]
