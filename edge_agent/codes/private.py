"""Payment codes and personal numbers, recognised in order to be forgotten.

Whatever scanner they came from, their text leaves this module as a mask, and as an HMAC where the box has a key:
enough to see that two scans were of the same, not enough to try all numbers. A plain hash would not do: all resident
identity numbers can be tried in minutes. Where a text might be private and might be something else, it is private,
unless what else it might be is far more likely (the collisions are listed in docs/reference/codes.md).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from edge_agent.codes.check_digits import is_digits, luhn_holds, resident_character
from edge_agent.codes.dates import ymd, yyyymmdd
from edge_agent.codes.profile import CodeProfile
from edge_agent.codes.regions import plausible_region
from edge_agent.codes.values import Classified, CodeClass, Problem

_MASK: Final = "*"
_MAX_MASK: Final = 64

_MOBILE: Final = re.compile(r"(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}")
_RESIDENT: Final = re.compile(r"[1-9][0-9]{16}[0-9Xx]")
_EMV: Final = re.compile(r"000201[!-~\s]*6304[0-9A-Fa-f]{4}")
_LINE_END: Final = re.compile(r"[\r\n]")
_LINES: Final = re.compile(r"([\r\n]+)")
_CARD_STARTS: Final = ("begin:vcard", "mecard:", "tel:", "sms:", "smsto:", "mailto:")
_INSIDE: Final = re.compile(r"(?<![0-9])(?:[1-9][0-9]{16}[0-9Xx]|1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4})(?![0-9])")


def payment_kind(text: str, profile: CodeProfile) -> str | None:
    """What kind of payment code a text is; None if it is none.

    Digits by the profile's rules, links and schemes by its list, EMV merchant codes by their format indicator and
    checksum tag, UnionPay card numbers by prefix and Luhn digit.
    """
    if not is_digits(text):
        start = text[:64].lower()
        if start.startswith(profile.payment_starts):
            return "payment-link"
        return "emv-merchant" if start.startswith("000201") and _EMV.fullmatch(text) else None
    size = len(text)
    for rule in profile.payment_rules:
        if size in rule.lengths and text.startswith(rule.prefixes):
            return rule.kind
    return "bank-card" if 16 <= size <= 19 and text.startswith("62") and luhn_holds(text) else None


def personal_kind(text: str) -> str | None:
    """What kind of personal number a text is; None if it is none.

    A resident identity number needs a province and a date of birth; its check character need not be right, so that
    a misread one is not kept either. Numbers of 15 digits (the cards of before 2004) are not told here: they look
    like ear tags.
    """
    if len(text) == 18 and _RESIDENT.fullmatch(text) and looks_resident(text):
        return "resident-id"
    if 11 <= len(text) <= 17 and _MOBILE.fullmatch(text):
        return "mobile-number"
    if text[:12].lower().startswith(_CARD_STARTS):
        return "contact"
    return None


def looks_resident(text: str) -> bool:
    """Whether 18 characters have the region and the date of birth of a resident identity number."""
    return plausible_region(text[:2]) and text[6:8] in {"18", "19", "20"} and yyyymmdd(text[6:14])


def resident_holds(text: str) -> bool:
    """Whether the check character of a resident identity number is right (GB 11643)."""
    return text[17].upper() == resident_character(text[:17])


def looks_old_resident(digits: str) -> bool:
    """Whether 15 digits have the region and the date of birth of an old identity number."""
    year, month, day = int(digits[6:8]), int(digits[8:10]), int(digits[10:12])
    return plausible_region(digits[:2]) and ymd(1900 + year, month, day)


def forget(code_class: CodeClass, kind: str, text: str, profile: CodeProfile, valid: bool | None = None) -> Classified:
    """The mask that stands for a private text. Nothing of the text is in it but its length, if it is short."""
    mask = _MASK * min(len(text), _MAX_MASK)
    fields = {"kind": kind, "length": str(len(text)), "masked": mask}
    if profile.digest_key:
        message = text.strip().upper().encode("utf-8", "replace")
        fields["digest"] = hmac.new(profile.digest_key, message, hashlib.sha256).hexdigest()
    note = Problem("private", "recognised and forgotten: the text must be neither kept nor sent", fatal=False)
    return Classified(code_class=code_class, raw=mask, valid=valid, fields=fields, problems=(note,), private=True)


def mask_inside(text: str, profile: CodeProfile) -> str:
    """A text with the resident identity numbers and mobile numbers inside it masked, and lines that are payment codes.

    Two scans may come as one text of two lines, where the box was busy when the second came.
    """
    masked = _INSIDE.sub(_mask_found, text)
    if not _LINE_END.search(masked):
        return masked
    return "".join(
        _MASK * len(part) if payment_kind(part.strip(), profile) is not None else part for part in _LINES.split(masked)
    )


def _mask_found(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) == 18 and not looks_resident(text):
        return text
    return _MASK * len(text)
