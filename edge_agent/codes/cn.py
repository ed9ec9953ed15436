"""Chinese product, party and certificate codes.

Most rest on practice: published rules as quoted by trade sites, and the behaviour of working systems, not on the
text of a standard. docs/reference/codes.md says for each what it rests on. A reader gives a Finding, or None where
the text cannot be of its class; it never refuses data on a rule that only practice knows: then it notes.
"""

from __future__ import annotations

import re
from typing import Final

from edge_agent.codes.check_digits import is_digits, mod11_10, uscc_character
from edge_agent.codes.dates import month_day, yyyymmdd
from edge_agent.codes.regions import plausible_region
from edge_agent.codes.values import Finding, Problem, verdict

_PESTICIDE_CLASS: Final = {"1": "PD", "2": "WP", "3": "temporary"}
_PESTICIDE_PRODUCTION: Final = {"1": "holder", "2": "toll", "3": "repack"}
_EAR_TAG_SPECIES: Final = {"1": "pig", "2": "cattle", "3": "sheep", "7": "breeding-sow"}

_TOBACCO: Final = re.compile(
    r"([0-9])([0-9]{2})([0-9]{2})([0-9]{9})([0-9]{2})\s{0,2}([A-Z]{4})([0-9]{6})([0-9])([0-9]{5})"
)
_DETONATOR: Final = re.compile(r"([0-9]{2})([0-9])([0-9]{2})([0-9]{2})([0-9A-Za-z])([0-9]{5})")
_DETONATOR_UNUSED: Final = frozenset("cosuvwxz")
_FOOD_LICENCE: Final = re.compile(r"SC\s?([0-9]{14})")
_USCC: Final = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_UDI_MA: Final = re.compile(r"MA\.156\.M0\.([0-9A-Za-z]{6})\.([0-9A-Za-z]{8})((?:\.[0-9A-Za-z\-]{1,40}){0,16})")
_IDCODE: Final = re.compile(r"MA\.([0-9]{3})((?:[./][0-9A-Za-z\-_]{1,64}){1,24})")
_HANDLE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)+)/(\S+)")
_OID: Final = re.compile(r"(?:urn:oid:)?([012](?:\.(?:0|[1-9][0-9]*)){3,})")
_ECODE: Final = re.compile(r"(?:ecode|Ecode|ECODE)\s?[:=：]\s?([0-9A-Za-z])([0-9]{4})([0-9A-Za-z]{1,64})")
_LINK: Final = re.compile(r"(?:https?|HTTPS?)://\S+|(?:www\.)\S+")


def drug(digits: str) -> Finding | None:
    """20 digits that begin with 8: the former electronic supervision code, in use as drug trace code."""
    if len(digits) != 20 or digits[0] != "8":
        return None
    fields = {
        "drug_id": digits[:7],
        "pack_level": digits[1],
        "resource_code": digits[2:7],
        "serial": digits[7:16],
        "cipher": digits[16:],
    }
    return Finding(code_class="drug", valid=None, fields=fields)


def veterinary_drug(digits: str) -> Finding | None:
    """24 digits: application date, enterprise, random number."""
    if len(digits) != 24 or not digits.startswith("20"):
        return None
    date = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
    fields = {"enterprise": digits[8:13], "random": digits[13:]}
    if not yyyymmdd(digits[:8]):
        return Finding(code_class="veterinary-drug", valid=False, fields=fields, problems=(_no_date(),))
    return Finding(code_class="veterinary-drug", valid=True, fields={"apply_date": date, **fields})


def pesticide(digits: str) -> Finding | None:
    """32 digits: class and number of the registration, kind of production, pack, random number."""
    if len(digits) != 32 or digits[0] not in _PESTICIDE_CLASS:
        return None
    fields = {
        "unit_code": digits,
        "registration_class": _PESTICIDE_CLASS[digits[0]],
        "registration_no_last6": digits[1:7],
        "spec": digits[8:11],
        "random": digits[11:],
    }
    production = _PESTICIDE_PRODUCTION.get(digits[7])
    if production is None:
        wrong = Problem("closed-list", f"kind of production {digits[7]} does not exist, 1 to 3 do")
        return Finding(code_class="pesticide", valid=False, fields=fields, problems=(wrong,))
    return Finding(code_class="pesticide", valid=True, fields={**fields, "production_type": production})


def seed(text: str) -> Finding | None:
    """Four lines in fixed order: variety, producer or importer, unit code of up to 20 letters and digits, link."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 4 or not _LINK.fullmatch(lines[3]):
        return None
    variety, producer, unit, link = lines
    fields = {"variety": variety, "producer": producer, "unit_code": unit, "url": link}
    if not (unit.isascii() and unit.isalnum() and len(unit) <= 20):
        wrong = Problem("format", f"unit code has {len(unit)} characters, up to 20 letters and digits are allowed")
        return Finding(code_class="seed", valid=False, fields=fields, problems=(wrong,))
    return Finding(code_class="seed", valid=True, fields=fields)


def tobacco(text: str) -> Finding | None:
    """The laser code of a carton: 16 digits, then 4 letters and 12 digits, often on a second line."""
    found = _TOBACCO.fullmatch(text)
    if found is None:
        return None
    year, month, day, case, carton, company, region, kind, serial = found.groups()
    problems = []
    if not month_day(int(month), int(day)):
        problems.append(_no_date())
    if not 1 <= int(carton) <= 50:
        problems.append(Problem("closed-list", "a case has cartons 1 to 50", fatal=False))
    if kind not in "12":
        problems.append(Problem("closed-list", "the kind of licence is neither 1 nor 2", fatal=False))
    fields = {
        "year_digit": year,
        "month_day": f"{month}-{day}",
        "case": case,
        "carton": carton,
        "company": company,
        "licence": region + kind + serial,
        "region": region,
    }
    return Finding(code_class="tobacco", valid=verdict(problems, checked=True), fields=fields, problems=tuple(problems))


def detonator(text: str) -> Finding | None:
    """13 characters of an industrial detonator: factory, year, month, day, feature, serial (GA 441, as quoted)."""
    found = _DETONATOR.fullmatch(text)
    if found is None:
        return None
    factory, year, month, day, feature, serial = found.groups()
    if feature in _DETONATOR_UNUSED:
        return None
    fields = {"factory": factory, "year_digit": year, "feature": feature, "serial": serial}
    if not month_day(int(month), int(day)):
        return Finding(code_class="detonator", valid=False, fields=fields, problems=(_no_date(),))
    return Finding(code_class="detonator", valid=True, fields={**fields, "month_day": f"{month}-{day}"})


def ear_tag(digits: str) -> Finding | None:
    """15 digits: species, county, number of the animal."""
    if len(digits) != 15 or digits[0] not in _EAR_TAG_SPECIES or not plausible_region(digits[1:3]):
        return None
    fields = {"species": _EAR_TAG_SPECIES[digits[0]], "region": digits[1:7], "serial": digits[7:]}
    return Finding(code_class="ear-tag", valid=None, fields=fields)


def equipment_registration(digits: str) -> Finding | None:
    """20 digits: class of equipment, county, year and month, number. The month tells it from a trace code."""
    if len(digits) != 20 or digits[0] == "0" or not plausible_region(digits[4:6]):
        return None
    if not ("1950" <= digits[10:14] <= "2099" and "01" <= digits[14:16] <= "12"):
        return None
    fields = {
        "kind": "registration",
        "equipment_class": digits[:4],
        "region": digits[4:10],
        "month": f"{digits[10:14]}-{digits[14:16]}",
        "serial": digits[16:],
    }
    return Finding(code_class="special-equipment", valid=True, fields=fields)


def equipment_product(digits: str) -> Finding | None:
    """18 digits: class of equipment, maker (province, licence), year of making, number."""
    if len(digits) != 18 or digits[0] == "0" or not plausible_region(digits[4:6]):
        return None
    if not "1980" <= digits[9:13] <= "2099":
        return None
    fields = {
        "kind": "product",
        "equipment_class": digits[:4],
        "maker": digits[4:9],
        "year": digits[9:13],
        "serial": digits[13:],
    }
    return Finding(code_class="special-equipment", valid=None, fields=fields)


def organic(digits: str) -> Finding | None:
    """17 digits: certification body, year, random number."""
    if len(digits) != 17:
        return None
    fields = {"body": digits[:3], "year": f"20{digits[3:5]}", "random": digits[5:]}
    return Finding(code_class="organic", valid=None, fields=fields)


def food_licence(text: str) -> Finding | None:
    """SC and 14 digits of a food production licence. The check digit's rule is from memory: it only warns."""
    found = _FOOD_LICENCE.fullmatch(text)
    if found is None:
        return None
    digits = found[1]
    problems = []
    if digits[0] not in "12":
        problems.append(Problem("closed-list", "begins with neither 1 (food) nor 2 (additive)", fatal=False))
    if not plausible_region(digits[3:5]):
        problems.append(Problem("region", "names no province", fatal=False))
    if mod11_10(digits[:13]) != int(digits[13]):
        problems.append(Problem("check-digit", "check digit does not follow MOD 11,10", fatal=False))
    fields = {"category": digits[:3], "region": digits[3:9], "serial": digits[9:13], "check": digits[13]}
    valid = None if problems else True
    return Finding(code_class="food-licence", valid=valid, fields=fields, problems=tuple(problems))


def uscc(text: str) -> Finding | None:
    """18 characters of a unified social credit code (GB 32100-2015), capital letters."""
    if len(text) != 18 or not _USCC.fullmatch(text):
        return None
    fields = {"authority": text[:2], "region": text[2:8], "organisation": text[8:17]}
    right = uscc_character(text[:17])
    if right != text[17]:
        wrong = Problem("check-digit", f"check character is {text[17]}, {right} is right")
        return Finding(code_class="uscc", valid=False, fields=fields, problems=(wrong,))
    return Finding(code_class="uscc", valid=True, fields=fields)


def party_code(digits: str) -> Finding | None:
    """13 digits of a party in the meat and vegetable system: county and number; no check digit is known."""
    if len(digits) != 13 or not is_digits(digits):
        return None
    problems: tuple[Problem, ...] = ()
    if not plausible_region(digits):
        problems = (Problem("region", "begins with no province", fatal=False),)
    fields = {"region": digits[:6], "number": digits[6:]}
    return Finding(code_class="party-code", valid=None, fields=fields, problems=problems)


def trace_code(digits: str) -> Finding | None:
    """20 digits of the meat and vegetable system: the seller's party code and a running number."""
    if len(digits) != 20 or not plausible_region(digits):
        return None
    fields = {"region": digits[:6], "party_code": digits[:13], "running": digits[13:]}
    return Finding(code_class="trace-code", valid=None, fields=fields)


def udi_ma(text: str) -> Finding | None:
    """A medical device identifier under IDcode: `MA.156.M0.`, registrant, pack and item, then production parts."""
    found = _UDI_MA.fullmatch(text)
    if found is None:
        return None
    registrant, item, rest = found.groups()
    fields = {"di": text[:25], "registrant": registrant, "pack": item[0], "item": item[1:7], "check": item[7]}
    if rest:
        fields["pi"] = rest[1:]
    return Finding(code_class="udi-ma", valid=None, fields=fields)


def idcode(text: str) -> Finding | None:
    """An IDcode: `MA.`, country, nodes split by dots or slashes."""
    found = _IDCODE.fullmatch(text)
    if found is None:
        return None
    return Finding(code_class="idcode", valid=None, fields={"country": found[1], "nodes": found[2][1:]})


def handle(text: str) -> Finding | None:
    """A Handle, as the industrial internet's identifiers are: numbers with dots, a slash, anything."""
    found = _HANDLE.fullmatch(text)
    if found is None:
        return None
    fields = {"prefix": found[1], "suffix": found[2]}
    if found[1].startswith(("86.", "88.")):
        fields["root"] = "industrial-internet"
    return Finding(code_class="handle", valid=None, fields=fields)


def oid(text: str) -> Finding | None:
    """An object identifier; China's arcs are 1.2.156 and 2.16.156."""
    found = _OID.fullmatch(text)
    if found is None:
        return None
    arcs = found[1].split(".")
    if len(arcs) > 64 or (arcs[0] in "01" and (len(arcs[1]) > 2 or int(arcs[1]) > 39)):
        return None
    fields = {"oid": found[1]}
    if found[1].startswith(("1.2.156.", "2.16.156.")):
        fields["root"] = "china"
    return Finding(code_class="oid", valid=None, fields=fields)


def looks_like_address(text: str) -> bool:
    """Whether an OID is as likely an IPv4 address or a version: four small numbers outside China's arcs."""
    arcs = text.split(".")
    return (
        len(arcs) == 4 and all(1 <= len(arc) <= 3 and int(arc) <= 255 for arc in arcs) and arcs[:3] != ["1", "2", "156"]
    )


def ecode(text: str) -> Finding | None:
    """An Ecode (GB/T 31866) that says so: `Ecode:` and version, numbering system, main code.

    Without the label it cannot be told from any other number and is not guessed.
    """
    found = _ECODE.fullmatch(text)
    if found is None:
        return None
    fields = {"version": found[1], "numbering_system": found[2], "main_code": found[3]}
    return Finding(code_class="ecode", valid=None, fields=fields)


def _no_date() -> Problem:
    return Problem("date", "there is no such date")
