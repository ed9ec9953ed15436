"""What a scanned text or a tag is.

The steps of `_STEPS` are tried in order; the first that knows the text decides. Texts that could be of several
classes are decided by the scanner's role, the symbology, check digits and prefixes, and what else they could be is
listed. docs/reference/codes.md holds the table, the collisions, and what each rule rests on. Total: any text gives
an answer in bounded time, and what no step knows is `unknown`, kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from edge_agent.codes import cn, digital_link, epc, epc_uri, gs1, gtin, in_store, private
from edge_agent.codes.check_digits import is_digits
from edge_agent.codes.profile import DEFAULT_PROFILE, CodeProfile
from edge_agent.codes.regions import plausible_region
from edge_agent.codes.values import (
    PERSONAL_MASKED,
    Alternative,
    Classified,
    CodeClass,
    Finding,
    Problem,
)

MAX_TEXT: Final = 8192
"""Longest text that is looked into, in characters; the largest symbols hold less."""

_AIM: Final = re.compile(r"\][A-Zacdehosz][0-9A-Za-z]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_ECI: Final = re.compile(r"\\[0-9]{6}")
_ECI_SYMBOLOGIES: Final = frozenset({"]Q2", "]Q4", "]Q6", "]d4", "]d5", "]d6", "]C4"})
_PADDING: Final = "".join(map(chr, (*range(0x1D), 0x1E, 0x1F, 0x20, 0x7F, 0xFEFF)))  # all but the separator
_VISIBLE_GS: Final = "\u241d"

_LINK_START: Final = re.compile(r"https?://", re.IGNORECASE)
_LINK_INSIDE: Final = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_LONG_RUN: Final = re.compile(r"(?<![0-9])(?:[0-9]{20}|[0-9]{24}|[0-9]{32})(?![0-9])")
_SPACE: Final = re.compile(r"\s")
_KEY_FIRST: Final = re.compile(r"(?:0[123][0-9]{14}|00[0-9]{18})")

# Classes that a link or a labelled text may carry as a bare number.
_CARRIED: Final = frozenset({"drug", "trace-code", "veterinary-drug", "pesticide", "special-equipment"})


@dataclass(frozen=True, slots=True)
class _Case:
    """One text on its way through the steps. `data` is without AIM identifier and padding."""

    raw: str
    data: str
    symbology: str | None
    role: str | None
    profile: CodeProfile
    digits: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    finding: Finding
    alternatives: tuple[Alternative, ...] = ()
    masked: bool = False
    raw: str | None = None


_Step = Callable[[_Case], _Outcome | Classified | None]


def classify(
    text: str, symbology: str | None = None, role: str | None = None, profile: CodeProfile | None = None
) -> Classified:
    """What a scanned text is.

    `symbology` is the AIM identifier (`]C1`) where the scanner sent one; it may also stand at the start of the
    text. `role` is what the scanner is for: `goods` or `party`, anything else counts as unknown. Never raises.
    """
    case = _prepare(text, symbology, role, profile or DEFAULT_PROFILE)
    for step in _STEPS:
        outcome = step(case)
        if isinstance(outcome, Classified):
            return outcome
        if outcome is not None:
            return _finish(case, outcome)
    return _finish(case, _Outcome(Finding(code_class="unknown", valid=None), masked=True))


def classify_epc(hexadecimal: str) -> Classified:
    """What the EPC bank of a tag says, given as hexadecimal digits. Never raises."""
    finding = epc.classify_hex(hexadecimal)
    return Classified(
        code_class=finding.code_class,
        raw=_SURROGATES.sub("\ufffd", hexadecimal),
        valid=finding.valid,
        fields=finding.fields,
        problems=finding.problems,
    )


def _prepare(text: str, symbology: str | None, role: str | None, profile: CodeProfile) -> _Case:
    raw = text if text.isascii() else _SURROGATES.sub("\ufffd", text)
    data = raw
    if not symbology and data.startswith("]") and _AIM.match(data):
        symbology, data = data[:3], data[3:]
    if symbology in _ECI_SYMBOLOGIES and _ECI.match(data):
        data = data[7:].replace("\\\\", "\\")
    data = data.strip(_PADDING)
    return _Case(raw, data, symbology or None, role, profile, is_digits(data))


def _finish(case: _Case, outcome: _Outcome) -> Classified:
    finding = outcome.finding
    raw = case.raw if outcome.raw is None else outcome.raw
    fields, problems = finding.fields, finding.problems
    if outcome.masked:
        masked = private.mask_inside(raw, case.profile)
        if masked != raw:
            raw = masked
            fields = {key: private.mask_inside(value, case.profile) for key, value in fields.items()}
            problems = tuple(
                Problem(one.code, private.mask_inside(one.words, case.profile), one.fatal) for one in problems
            )
            problems += (Problem(PERSONAL_MASKED, "a personal number inside the text was masked", fatal=False),)
    if "\ufffd" in raw:
        problems += (Problem("undecodable", "parts of the text could not be decoded", fatal=False),)
    return Classified(
        code_class=finding.code_class,
        raw=raw,
        valid=finding.valid,
        fields=fields,
        problems=problems,
        alternatives=outcome.alternatives,
    )


# --- steps -----------------------------------------------------------------------------------------------------


def _over_long(case: _Case) -> _Outcome | None:
    if len(case.data) <= MAX_TEXT:
        return None
    note = Problem("too-long", f"over {MAX_TEXT} characters: not looked into", fatal=False)
    return _Outcome(Finding(code_class="unknown", valid=None, problems=(note,)), masked=True)


def _gs1_symbol(case: _Case) -> _Outcome | Classified | None:
    """A symbol that says it holds element strings, unless it holds a link or, broken, something private."""
    if case.symbology not in gs1.GS1_SYMBOLOGIES or _LINK_START.match(case.data):
        return None
    message = gs1.parse(_separated(case))
    if message.valid is not True:
        forgotten = _private(case)
        if forgotten is not None:
            return forgotten
    return _message(message, case)


def _ean_symbol(case: _Case) -> _Outcome | Classified | None:
    """EAN and UPC symbols hold 13 or 8 digits, an add-on, or the linear part of a composite symbol."""
    if case.symbology is None or not case.symbology.startswith("]E"):
        return None
    data = case.data
    linear, bar, composite = data.partition("|]e")
    if bar and is_digits(linear) and len(linear) in gtin.GTIN_LENGTHS:
        return _message(gs1.parse(f"01{linear.zfill(14)}{composite[1:]}"), case)
    expected = 8 if case.symbology == "]E4" else 13
    if case.symbology == "]E3" and case.digits and len(data) in {15, 18}:
        main = gtin.gtin(data[:13])
        fields = {**main.fields, "add_on": data[13:]}
        return _Outcome(Finding(code_class="gtin", valid=True, fields=fields)) if main.valid else None
    if not case.digits or len(data) != expected:
        if case.symbology not in {"]E0", "]E4"}:
            return None
        wrong = Problem("length", f"an {case.symbology} symbol holds {expected} digits")
        return _private(case) or _Outcome(Finding(code_class="gtin", valid=False, problems=(wrong,)), masked=True)
    template = in_store.template_for(data, case.profile.labels)
    if template is not None:
        return _Outcome(in_store.read_label(data, template))
    return _Outcome(gtin.gtin(data))


def _private(case: _Case) -> Classified | None:
    """Payment codes and personal numbers, before anything else may look at them."""
    data, profile = case.data, case.profile
    personal = private.personal_kind(data)
    if personal is not None and not (personal == "resident-id" and _is_label(case)):
        valid = private.resident_holds(data) if personal == "resident-id" else None
        return private.forget("personal-id", personal, data, profile, valid)
    payment = private.payment_kind(data, profile)
    if payment is None or (case.digits and (_is_label(case) or _is_party(case))):
        return None
    return private.forget("payment-code", payment, data, profile)


def _is_label(case: _Case) -> bool:
    template = in_store.template_for(case.data, case.profile.labels) if case.digits else None
    return template is not None and in_store.read_label(case.data, template).valid is True


def _is_party(case: _Case) -> bool:
    """At a scanner for parties, 18 digits with a right credit code check character are that party's code."""
    finding = cn.uscc(case.data) if case.role == "party" else None
    return finding is not None and finding.valid is True


def _gs1_text(case: _Case) -> _Outcome | None:
    """Element strings that show themselves: a group separator, AIs in brackets."""
    bracketed = gs1.parse_bracketed(case.data) if case.data.startswith("(") else None
    if bracketed is not None:
        return _message(bracketed, case)
    data = _separated(case)
    if gs1.GS not in data:
        return None
    message = gs1.parse(data)
    return _message(message, case) if message.elements else None


def _link(case: _Case) -> _Outcome | None:
    """Links: a GS1 Digital Link, a link that carries the number of a product, any other link."""
    start = _LINK_START.match(case.data)
    if start is None or _SPACE.search(case.data):
        return None
    try:
        link = digital_link.parse(case.data, zero_suppressed=case.profile.zero_suppressed_gtin)
    except digital_link.NotADigitalLink:
        pass
    else:
        found = _of_message("gs1-digital-link", link.message, case, {"domain": link.domain})
        if found.finding.valid or _looks_like_key(link.message.elements[0].value):
            return found
        plain = Finding(code_class="url", valid=None, fields=_url_fields(case.data))
        other = found.finding.as_alternative("the value behind the AI has no digits of a key")
        return _Outcome(plain, (other,), masked=True)
    return _carried(case, case.data, case.data) or _Outcome(
        Finding(code_class="url", valid=None, fields=_url_fields(case.data)), masked=True
    )


def _looks_like_key(value: str) -> bool:
    return len(value) >= 8 and is_digits(value[:8])


def _named_text(case: _Case) -> _Outcome | None:
    """Texts that tell what they are by their shape: MA codes, EPC URIs, licences, Ecodes, OIDs, Handles, seeds."""
    data = case.data
    if data.startswith("MA."):
        finding = cn.udi_ma(data) or cn.idcode(data)
    elif data.startswith("urn:epc:"):
        finding = epc_uri.parse(data)
    elif data.startswith("SC"):
        finding = cn.food_licence(data)
    elif "\n" in data or "\r" in data:
        finding = cn.seed(data) or cn.tobacco(data)
        if finding is not None:
            return _Outcome(finding, masked=finding.code_class == "seed")
    elif data[:5].lower() == "ecode":
        finding = cn.ecode(data)
    elif (data[:1].isdecimal() and "." in data) or data.startswith("urn:oid:"):
        if is_digits(data.replace(".", "")) and cn.looks_like_address(data):
            kept = Finding(code_class="unknown", valid=None)
            return _Outcome(kept, (Alternative(code_class="oid", valid=None, reason="as likely an address"),))
        finding = cn.handle(data) or cn.oid(data)
    else:
        return None
    return _Outcome(finding) if finding is not None else None


def _numbers(case: _Case) -> _Outcome | Classified | None:
    """Bare digits, decided by their number."""
    if not case.digits:
        return None
    decide = _BY_LENGTH.get(len(case.data))
    return decide(case) if decide is not None else _unseparated(case)


def _letters_and_digits(case: _Case) -> _Outcome | None:
    """Codes of a fixed length with letters in them."""
    data = case.data
    size = len(data)
    finding: Finding | None = None
    if size == 18:
        finding = cn.uscc(data)
    elif size == 13:
        finding = cn.detonator(data)
    elif size == 32:
        finding = cn.tobacco(data)
    return _Outcome(finding) if finding is not None else None


def _unseparated(case: _Case) -> _Outcome | None:
    """Element strings without separator or symbology that begin with a key whose check digit is right."""
    data = case.data
    if not _KEY_FIRST.match(data):
        return None
    key = gs1.parse(data[:20] if data.startswith("00") else data[:16])
    if key.valid is False and any(problem.code == "check-digit" for problem in key.problems):
        return None
    message = gs1.parse(data)
    note = Problem("no-symbology", "read as element strings without the symbology saying so", fatal=False)
    return _message(message, case, note)


def _labelled(case: _Case) -> _Outcome | None:
    """Texts with a link inside, or with a number of a product between other words."""
    inside = _LINK_INSIDE.search(case.data)
    if inside is None:
        return _carried(case, case.data, None)
    return (
        _carried(case, inside[0], inside[0])
        or _carried(case, case.data, inside[0])
        or _Outcome(Finding(code_class="url", valid=None, fields=_url_fields(inside[0])), masked=True)
    )


_STEPS: Final[tuple[_Step, ...]] = (
    _over_long,
    _gs1_symbol,
    _ean_symbol,
    _private,
    _gs1_text,
    _link,
    _named_text,
    _numbers,
    _letters_and_digits,
    _unseparated,
    _labelled,
)


# --- digits by their number ------------------------------------------------------------------------------------


def _eight(case: _Case) -> _Outcome:
    finding = gtin.gtin(case.data)
    others = []
    short = gtin.upc_e(case.data)
    if short is not None:
        others.append(short.as_alternative(gtin.UPC_E_NOTE))
    if gs1.parse(case.data).valid:
        others.append(Alternative(code_class="gs1", valid=True, reason="also reads as one element string"))
    if finding.valid:
        return _Outcome(finding, tuple(others))
    others.append(finding.as_alternative("check digit is wrong"))
    return _Outcome(Finding(code_class="unknown", valid=None), tuple(others))


def _twelve_or_fourteen(case: _Case) -> _Outcome:
    return _Outcome(gtin.gtin(case.data))


def _thirteen(case: _Case) -> _Outcome:
    """GTIN-13, label, party code or detonator."""
    data = case.data
    goods = gtin.gtin(data)
    template = in_store.template_for(data, case.profile.labels)
    if template is not None and case.role != "party":
        return _Outcome(in_store.read_label(data, template), (goods.as_alternative("the profile says label"),))
    party = cn.party_code(data)
    detonator = cn.detonator(data)
    others = []
    if detonator is not None and detonator.valid:
        others.append(detonator.as_alternative("also has the shape and a date of a detonator"))
    if party is not None and (case.role == "party" or (not goods.valid and plausible_region(data) and not case.role)):
        reason = "the scanner is for parties" if case.role == "party" else "check digit is wrong"
        return _Outcome(party, (goods.as_alternative(reason), *others))
    if not goods.valid and others and detonator is not None and not data.startswith("69"):
        return _Outcome(detonator, (goods.as_alternative("check digit is wrong"),))
    if party is not None and not party.problems and not case.role:
        others.append(party.as_alternative("check digit of a GTIN is right, which one party code in ten also has"))
    return _Outcome(goods, tuple(others))


def _fifteen(case: _Case) -> _Outcome | Classified | None:
    """Ear tag; the identity numbers of 15 digits are out of use since 2013 and look alike."""
    finding = cn.ear_tag(case.data)
    resident = private.looks_old_resident(case.data)
    if resident and (finding is None or case.role == "party"):
        return private.forget("personal-id", "old-resident-id", case.data, case.profile)
    if finding is None:
        return None
    other = Alternative(code_class="personal-id", valid=None, reason="also has the shape of an old identity number")
    return _Outcome(finding, (other,) if resident else ())


def _seventeen(case: _Case) -> _Outcome | None:
    finding = cn.organic(case.data)
    return _Outcome(finding) if finding is not None else None


def _eighteen(case: _Case) -> _Outcome | None:
    """Label, credit code, SSCC, product code of special equipment."""
    data = case.data
    template = in_store.template_for(data, case.profile.labels)
    if template is not None and case.role != "party":
        return _Outcome(in_store.read_label(data, template))
    credit, container, equipment = cn.uscc(data), gtin.sscc(data), cn.equipment_product(data)
    if credit is not None and (credit.valid or case.role == "party") and case.role != "goods":
        others = (container.as_alternative("check digit of an SSCC is right too"),) if container.valid else ()
        return _Outcome(credit, others)
    others_list = []
    if credit is not None and credit.valid:
        others_list.append(credit.as_alternative("check character of a credit code is right, the scanner is for goods"))
    if container.valid:
        if equipment is not None:
            others_list.append(equipment.as_alternative("also has province and year of an equipment code"))
        return _Outcome(container, tuple(others_list))
    if equipment is not None:
        return _Outcome(equipment, tuple(others_list))
    if others_list and credit is not None:
        return _Outcome(credit)
    wrong = "check digit is wrong"
    listed = [container.as_alternative(wrong), *([credit.as_alternative(wrong)] if credit is not None else [])]
    return _Outcome(Finding(code_class="unknown", valid=None), tuple(listed))


def _twenty(case: _Case) -> _Outcome | None:
    """SSCC with its AI, drug, special equipment, trace code."""
    data = case.data
    if data.startswith("00"):
        container = gtin.sscc(data[2:])
        if container.valid or not data.startswith("0000"):
            return _Outcome(container)
        padded = "begins with zeros as padded batch numbers do"
        return _Outcome(Finding(code_class="unknown", valid=None), (container.as_alternative(padded),))
    finding = cn.drug(data)
    if finding is not None:
        return _Outcome(finding)
    equipment, trace = cn.equipment_registration(data), cn.trace_code(data)
    if equipment is not None:
        reason = "digits 11 to 16 are a month, which one trace code in two thousand also has"
        return _Outcome(equipment, (trace.as_alternative(reason),) if trace is not None else ())
    return _Outcome(trace) if trace is not None else _unseparated(case)


def _twenty_four(case: _Case) -> _Outcome | None:
    finding = cn.veterinary_drug(case.data)
    return _Outcome(finding) if finding is not None else _unseparated(case)


def _thirty_two(case: _Case) -> _Outcome | None:
    finding = cn.pesticide(case.data)
    return _Outcome(finding) if finding is not None else _unseparated(case)


_BY_LENGTH: Final[dict[int, _Step]] = {
    8: _eight,
    12: _twelve_or_fourteen,
    13: _thirteen,
    14: _twelve_or_fourteen,
    15: _fifteen,
    17: _seventeen,
    18: _eighteen,
    20: _twenty,
    24: _twenty_four,
    32: _thirty_two,
}

# --- helpers ---------------------------------------------------------------------------------------------------


def _separated(case: _Case) -> str:
    """The text with what stands for a group separator replaced by one."""
    data = case.data.replace(_VISIBLE_GS, gs1.GS)
    for separator in case.profile.separators:
        data = data.replace(separator, gs1.GS)
    return data


def _message(message: gs1.Message, case: _Case, *notes: Problem) -> _Outcome:
    """The outcome of element strings; those that name a person or a telephone are masked, raw text included."""
    return _of_message("gs1", message, case, {}, notes)


def _of_message(
    code_class: CodeClass, message: gs1.Message, case: _Case, more: dict[str, str], notes: tuple[Problem, ...] = ()
) -> _Outcome:
    raw = None
    if any(element.code in gs1.PERSONAL_AIS for element in message.elements):
        message = gs1.without_persons(message)
        raw = gs1.bracketed(message)
        notes += (Problem(PERSONAL_MASKED, "element strings about a person were masked", fatal=False),)
    finding = Finding(
        code_class=code_class,
        valid=message.valid,
        fields={**more, **gs1.fields(message, case.profile.this_year)},
        problems=message.problems + notes,
    )
    return _Outcome(finding, masked=finding.valid is not True, raw=raw)


def _carried(case: _Case, text: str, link: str | None) -> _Outcome | None:
    """The longest run of 20, 24 or 32 digits in a text, if it is a product's number.

    Twenty digits are believed inside a link only; elsewhere any number could have that length.
    """
    for run in sorted(_LONG_RUN.findall(text), key=len, reverse=True):
        if len(run) == 20 and link is None:
            continue
        outcome = _BY_LENGTH[len(run)](_Case(run, run, None, case.role, case.profile, True))
        if not isinstance(outcome, _Outcome) or outcome.finding.code_class not in _CARRIED:
            continue
        if outcome.finding.valid is False:
            continue
        finding = outcome.finding
        fields = {**finding.fields, "code": run, **({"url": link} if link else {})}
        found = Finding(code_class=finding.code_class, valid=finding.valid, fields=fields, problems=finding.problems)
        return _Outcome(found, outcome.alternatives, masked=True)
    return None


def _url_fields(url: str) -> dict[str, str]:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return {"url": url, "host": host} if host else {"url": url}
