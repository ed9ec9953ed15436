"""EPCs from the bits of a UHF tag, as the GS1 EPC Tag Data Standard (TDS) 1.11 and 2.3 encode them.

Schemes before TDS 2.0 have a pure identity URI and a tag URI; the `+` and `++` schemes have GS1 keys and a Digital
Link only, because their bits do not tell how long the company prefix is. Section numbers are those of TDS 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edge_agent.codes import epc_plus, gs1
from edge_agent.codes.bits import Bits, NotDecodable
from edge_agent.codes.check_digits import mod10
from edge_agent.codes.digital_link import build
from edge_agent.codes.values import Finding, Problem, verdict

_MAX_HEX: Final = 256

# Company prefix by partition: bits and digits (tables 14-2 and following; the same for all schemes).
_COMPANY: Final = ((40, 12), (37, 11), (34, 10), (30, 9), (27, 8), (24, 7), (20, 6))

# Characters of a serial that a URI must escape (table A-1).
_ESCAPED: Final = {'"': "%22", "%": "%25", "&": "%26", "/": "%2F", "<": "%3C", ">": "%3E", "?": "%3F", "#": "%23"}
_SERIAL_CHARACTERS: Final = frozenset(
    "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
)
_SIX_BIT_CHARACTERS: Final = frozenset("#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The parts of one EPC: scheme and components of its URIs, GS1 keys by AI."""

    scheme: str
    components: tuple[str, ...]
    keys: Mapping[str, str]


def classify_hex(text: str) -> Finding:
    """What a tag's EPC bank says, given as hexadecimal digits without the protocol word.

    Fields: `scheme`, `filter`, `uri`, `tag_uri`, `digital_link`, and the GS1 keys by AI and by name (`gtin`,
    `sscc`, `serial` …) where they follow from the bits. `valid` is None for bits that are no EPC by their header
    (a tag that was never written, a tag number in the wrong bank): the hexadecimal text is all there is.
    """
    hexadecimal = text.strip().upper()
    if not hexadecimal or len(hexadecimal) > _MAX_HEX or not set(hexadecimal) <= set("0123456789ABCDEF"):
        return Finding(
            code_class="epc", valid=False, problems=(Problem("hex", f"is not hexadecimal of up to {_MAX_HEX} digits"),)
        )
    bits = Bits.from_hex(hexadecimal)
    header = hexadecimal[:2]
    fields = {"hex": hexadecimal}
    if header in _SCHEMES:
        read: Callable[[Bits], Finding] = _SCHEMES[header]
    elif header in epc_plus.SCHEMES:
        read = epc_plus.reader(header)
    else:
        words = _NO_EPC.get(header, f"header {header} is not assigned to an EPC scheme")
        return Finding(code_class="epc", valid=None, fields=fields, problems=(Problem("no-epc", words, fatal=False),))
    try:
        found = read(bits)
    except NotDecodable as reason:
        return Finding(code_class="epc", valid=False, fields=fields, problems=(Problem("not-decodable", str(reason)),))
    return Finding(code_class="epc", valid=found.valid, fields={**fields, **found.fields}, problems=found.problems)


_NO_EPC: Final = {
    "00": "the tag was never written (header 00)",
    "E0": "a tag number of ISO/IEC 15693 stands where the EPC should be (header E0)",
    "E2": "a tag number (TID) of the maker stands where the EPC should be (header E2 is reserved)",
}


def _partition(bits: Bits, total: int, digits: int) -> tuple[str, str]:
    """Company prefix and reference, zero padded (14.4.3): `total` bits and `digits` digits for both."""
    width, length = _company(bits)
    company = bits.number(width)
    rest = bits.number(total - width)
    places = digits - length
    if company >= 10**length or rest >= 10**places:
        raise NotDecodable("a number is larger than its digits allow")
    return str(company).zfill(length), str(rest).zfill(places) if places else ""


def _company(bits: Bits) -> tuple[int, int]:
    partition = bits.number(3)
    if partition >= len(_COMPANY):
        raise NotDecodable("partition 7 does not exist")
    return _COMPANY[partition]


def _company_prefix(bits: Bits) -> tuple[str, int, int]:
    width, length = _company(bits)
    company = bits.number(width)
    if company >= 10**length:
        raise NotDecodable("a number is larger than its digits allow")
    return str(company).zfill(length), width, length


def _string(bits: Bits, width: int) -> str:
    """Seven bits a character, filled with zeros (14.4.2)."""
    codes = [bits.number(7) for _ in range(width // 7)]
    text = "".join(map(chr, codes)).rstrip("\0")
    if not text or not set(text) <= _SERIAL_CHARACTERS:
        raise NotDecodable("a text is empty or holds a character that is not allowed")
    return text


def _six_bit(bits: Bits, longest: int) -> str:
    """Six bits a character up to six zero bits (14.4.8)."""
    text = ""
    while code := bits.number(6):
        text += chr(code if code >= 0x20 else code | 0x40)
        if len(text) > longest:
            raise NotDecodable("a text is longer than allowed")
    if not set(text) <= _SIX_BIT_CHARACTERS:
        raise NotDecodable("a text holds a character that is not allowed")
    return text


def _numeric_string(bits: Bits, width: int, longest: int) -> str:
    """Digits with a 1 put before them, so that leading zeros live (14.4.5)."""
    digits = str(bits.number(width))
    if digits[0] != "1" or len(digits) > longest + 1:
        raise NotDecodable("a serial does not begin with the marker 1, or is too long")
    return digits[1:]


def _escape(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in text)


def _checked(digits: str) -> str:
    return digits + str(mod10(digits))


def _gtin(company: str, item: str) -> str:
    return _checked(item[0] + company + item[1:])


def _sgtin(bits: Bits, serial: Callable[[Bits], str]) -> Decoded:
    company, item = _partition(bits, 44, 13)
    number = serial(bits)
    return Decoded("sgtin", (company, item, number), {"01": _gtin(company, item), "21": number})


def _sscc(bits: Bits) -> Decoded:
    company, reference = _partition(bits, 58, 17)
    bits.zeros(24, "the reserved bits")
    return Decoded("sscc", (company, reference), {"00": _checked(reference[0] + company + reference[1:])})


def _sgln(bits: Bits, serial: Callable[[Bits], str]) -> Decoded:
    company, location = _partition(bits, 41, 12)
    extension = serial(bits)
    keys = {"414": _checked(company + location)}
    if extension != "0":
        keys["254"] = extension
    return Decoded("sgln", (company, location, extension), keys)


def _grai(bits: Bits, serial: Callable[[Bits], str]) -> Decoded:
    company, kind = _partition(bits, 44, 12)
    number = serial(bits)
    return Decoded("grai", (company, kind, number), {"8003": "0" + _checked(company + kind) + number})


def _giai(bits: Bits, asset: Callable[[Bits, int, int], str]) -> Decoded:
    company, width, length = _company_prefix(bits)
    reference = asset(bits, width, length)
    return Decoded("giai", (company, reference), {"8004": company + reference})


def _giai_number(bits: Bits, width: int, length: int) -> str:
    asset = str(bits.number(82 - width))
    if len(asset) > 25 - length:
        raise NotDecodable("a number is larger than its digits allow")
    return asset


def _gsrn(scheme: str, key: str) -> Callable[[Bits], Decoded]:
    def read(bits: Bits) -> Decoded:
        company, reference = _partition(bits, 58, 17)
        bits.zeros(24, "the reserved bits")
        return Decoded(scheme, (company, reference), {key: _checked(company + reference)})

    return read


def _gdti(bits: Bits, serial: Callable[[Bits], str]) -> Decoded:
    company, kind = _partition(bits, 41, 12)
    number = serial(bits)
    return Decoded("gdti", (company, kind, number), {"253": _checked(company + kind) + number})


def _sgcn(bits: Bits) -> Decoded:
    company, coupon = _partition(bits, 41, 12)
    serial = _numeric_string(bits, 41, 12)
    return Decoded("sgcn", (company, coupon, serial), {"255": _checked(company + coupon) + serial})


def _cpi(bits: Bits, component: Callable[[Bits, int, int], str], serial_width: int) -> Decoded:
    company, width, length = _company_prefix(bits)
    part = component(bits, width, length)
    serial = str(bits.number(serial_width))
    if len(serial) > 12 or not part:
        raise NotDecodable("a component is empty or a serial too long")
    return Decoded("cpi", (company, part, serial), {"8010": company + part, "8011": serial})


def _cpi_number(bits: Bits, width: int, length: int) -> str:
    part = str(bits.number(51 - width))
    if len(part) > 15 - length:
        raise NotDecodable("a number is larger than its digits allow")
    return part


def _itip(bits: Bits, serial: Callable[[Bits], str]) -> Decoded:
    company, item = _partition(bits, 44, 13)
    piece, total = bits.number(7), bits.number(7)
    if piece > 99 or total > 99:
        raise NotDecodable("a number is larger than its digits allow")
    pieces = (f"{piece:02d}", f"{total:02d}")
    number = serial(bits)
    keys = {"8006": _gtin(company, item) + "".join(pieces), "21": number}
    return Decoded("itip", (company, item, *pieces, number), keys)


def _gid(bits: Bits) -> Decoded:
    return Decoded("gid", (str(bits.number(28)), str(bits.number(24)), str(bits.number(36))), {})


def _usdod(bits: Bits) -> Decoded:
    cage = "".join(chr(bits.number(8)) for _ in range(6)).strip(" ")
    if not cage.isascii() or not cage.isalnum():
        raise NotDecodable("the supplier code holds a character that is not allowed")
    return Decoded("usdod", (cage, str(bits.number(36))), {})


def _adi(bits: Bits) -> Decoded:
    cage = "".join(chr(code if (code := bits.number(6)) >= 0x20 else code | 0x40) for _ in range(6)).strip(" ")
    if not cage.isascii() or not cage.isalnum():
        raise NotDecodable("the supplier code holds a character that is not allowed")
    part, serial = _six_bit(bits, 32), _six_bit(bits, 30)
    if not serial:
        raise NotDecodable("there is no serial")
    return Decoded("adi", (cage, part, serial), {})


def _number(width: int) -> Callable[[Bits], str]:
    return lambda bits: str(bits.number(width))


def _text(width: int) -> Callable[[Bits], str]:
    return lambda bits: _string(bits, width)


def _scheme(
    name: str, size: int | None, read: Callable[[Bits], Decoded], filter_bits: int = 3
) -> Callable[[Bits], Finding]:
    """A scheme of this name and size in bits (None: variable), read behind header and filter."""

    def finding(bits: Bits) -> Finding:
        if size is not None and len(bits) < size:
            raise NotDecodable(f"{name.upper()} has {size} bits, the tag gave {len(bits)}")
        bits.number(8)
        chosen = bits.number(filter_bits) if filter_bits else None
        decoded = read(bits)
        problems = []
        if bits.rest_is_set():
            problems.append(Problem("trailing-bits", "bits behind the end of the EPC are set"))
        body = ".".join(map(_escape, decoded.components))
        fields = {"scheme": name.upper() if "var" not in name else name[:-3].upper() + "var"}
        if chosen is not None:
            fields["filter"] = str(chosen)
        fields["uri"] = f"urn:epc:id:{decoded.scheme}:{body}"
        fields["tag_uri"] = f"urn:epc:tag:{name}:{f'{chosen}.' if chosen is not None else ''}{body}"
        fields.update(decoded.keys)
        fields.update(gs1.named(decoded.keys.items()))
        link = build(gs1.from_elements(decoded.keys.items()))
        if link:
            fields["digital_link"] = link
        return Finding(code_class="epc", valid=verdict(problems, checked=True), fields=fields, problems=tuple(problems))

    return finding


def _giai_text(bits: Bits, width: int, length: int) -> str:
    asset = _string(bits, 188 - width)
    if len(asset) > 30 - length:
        raise NotDecodable("a text is longer than allowed")
    return asset


def _cpi_text(bits: Bits, width: int, length: int) -> str:
    return _six_bit(bits, 30 - length)


_SCHEMES: Final[dict[str, Callable[[Bits], Finding]]] = {
    "2C": _scheme("gdti-96", 96, lambda bits: _gdti(bits, _number(41))),
    "2D": _scheme("gsrn-96", 96, _gsrn("gsrn", "8018")),
    "2E": _scheme("gsrnp-96", 96, _gsrn("gsrnp", "8017")),
    "2F": _scheme("usdod-96", 96, _usdod, filter_bits=4),
    "30": _scheme("sgtin-96", 96, lambda bits: _sgtin(bits, _number(38))),
    "31": _scheme("sscc-96", 96, _sscc),
    "32": _scheme("sgln-96", 96, lambda bits: _sgln(bits, _number(41))),
    "33": _scheme("grai-96", 96, lambda bits: _grai(bits, _number(38))),
    "34": _scheme("giai-96", 96, lambda bits: _giai(bits, _giai_number)),
    "35": _scheme("gid-96", 96, _gid, filter_bits=0),
    "36": _scheme("sgtin-198", 198, lambda bits: _sgtin(bits, _text(140))),
    "37": _scheme("grai-170", 170, lambda bits: _grai(bits, _text(112))),
    "38": _scheme("giai-202", 202, lambda bits: _giai(bits, _giai_text)),
    "39": _scheme("sgln-195", 195, lambda bits: _sgln(bits, _text(140))),
    "3A": _scheme("gdti-113", 113, lambda bits: _gdti(bits, lambda tail: _numeric_string(tail, 58, 17))),
    "3B": _scheme("adi-var", None, _adi, filter_bits=6),
    "3C": _scheme("cpi-96", 96, lambda bits: _cpi(bits, _cpi_number, 31)),
    "3D": _scheme("cpi-var", None, lambda bits: _cpi(bits, _cpi_text, 40)),
    "3E": _scheme("gdti-174", 174, lambda bits: _gdti(bits, _text(119))),
    "3F": _scheme("sgcn-96", 96, _sgcn),
    "40": _scheme("itip-110", 110, lambda bits: _itip(bits, _number(38))),
    "41": _scheme("itip-212", 212, lambda bits: _itip(bits, _text(140))),
}
