"""The `+` schemes of TDS 2.0 and the `++` schemes of TDS 2.3: GS1 keys in the bits, no company prefix length.

Behind the header stand a toggle (more data follows the EPC), three filter bits, and the values of the scheme's AIs,
each as section 14.5 and table F encode it. A `++` scheme ends with the domain of its Digital Link (14.5.16).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge_agent.codes import gs1
from edge_agent.codes.bits import Bits, NotDecodable
from edge_agent.codes.check_digits import is_digits
from edge_agent.codes.digital_link import CANONICAL_STEM, build
from edge_agent.codes.gs1_ai import AI_LENGTH, AIS
from edge_agent.codes.values import Finding, Problem, verdict

SCHEMES: Final[dict[str, tuple[str, str]]] = {
    header: (name, steps)
    for headers, scheme, steps in (
        ("F7 FD", "SGTIN", "01 21"),
        ("FB FC", "DSGTIN", "date 01 21"),
        ("F9 EF", "SSCC", "00"),
        ("F2 E9", "SGLN", "414 254"),
        ("F1 EB", "GRAI", "8003"),
        ("FA EE", "GIAI", "8004"),
        ("F4 E7", "GSRN", "8018"),
        ("F5 E8", "GSRNP", "8017"),
        ("F6 EA", "GDTI", "253"),
        ("F8 EC", "SGCN", "255"),
        ("F3 ED", "ITIP", "8006 21"),
        ("F0 E6", "CPI", "8010 8011"),
    )
    for header, name in zip(headers.split(), (f"{scheme}+", f"{scheme}++"), strict=True)
}
"""Name and AIs by header (table 14-1); `date` is the prioritised date."""

# Date type of the prioritised date (14.5.3).
_DATE_TYPES: Final = ("11", "13", "15", "16", "17", "7006", "7007")

_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CODE40: Final = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"

# Seven bits of a host name that stand for more than one character (table 14-11).
_HOST_WORDS: Final = {
    0x1E: "qr.", 0x1F: "www.", 0x20: "id.", 0x5B: ".com", 0x5C: ".org", 0x5D: ".net", 0x5E: ".int", 0x60: ".edu",
    0x7B: ".gov", 0x7C: ".mil", 0x7D: ".biz", 0x7E: ".eco", 0x7F: ".med",
}  # fmt: skip

# Fourteen bits: which list, and the place in it (tables 14-12 to 14-15).
_HOST_ENDINGS: Final = tuple(
    tuple(f".{ending}" for ending in endings.split())
    for endings in (
        "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo bq br bs bt bw by bz "
        "ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et eu fi fj fk "
        "fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is "
        "it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li",
        "lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl "
        "no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl "
        "sm sn sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug us uy uz va vc ve vg vi "
        "vn vu wf ws ye yt za zm zw",
        "com.au net.au org.au co.at com.bd co.bd com.br net.br co.nz com.ng com.pk co.in com.in co.il co.jp co.za "
        "co.kr com.es com.lk co.th co.tt com.tt com.tr biz.tr com.ua co.uk co.zm com.zm com.cn org.cn net.cn gov.cn",
        "tech",
    )
)


def reader(header: str) -> Callable[[Bits], Finding]:
    """The reader of the scheme with this header."""
    name, steps = SCHEMES[header]
    return lambda bits: _read(bits, name, steps.split())


def _read(bits: Bits, name: str, steps: list[str]) -> Finding:
    bits.number(8)
    more, chosen = bits.number(1), bits.number(3)
    elements = [_prioritised_date(bits) if step == "date" else (step, _VALUES[step](bits)) for step in steps]
    stem = f"https://{_host(bits)}" if name.endswith("++") else CANONICAL_STEM
    fields = {"scheme": name, "filter": str(chosen)}
    problems: list[Problem] = []
    if more:
        _more_data(bits, elements, fields, problems)
    elif bits.rest_is_set():
        problems.append(Problem("trailing-bits", "bits behind the end of the EPC are set"))
    if ("254", "0") in elements:
        elements.remove(("254", "0"))
    message = gs1.from_elements(elements)
    problems += [problem for problem in message.problems if problem.fatal]
    fields.update(elements)
    fields.update(gs1.named(elements))
    link = build(message, stem)
    if link:
        fields["digital_link"] = link
    return Finding(code_class="epc", valid=verdict(problems, checked=True), fields=fields, problems=tuple(problems))


def _hexadecimal(bits: Bits, count: int) -> str:
    return f"{bits.number(4 * count):0{count}X}" if count else ""


def _digits(bits: Bits, count: int) -> str:
    """Four bits a digit (14.5.4)."""
    text = _hexadecimal(bits, count)
    if not is_digits(text):
        raise NotDecodable("a digit is larger than 9")
    return text


def _integer(bits: Bits, length: int) -> str:
    """A number of this many digits in as few bits as they need (14.5.6.1)."""
    text = str(bits.number((10**length - 1).bit_length())) if length else ""
    if len(text) > length:
        raise NotDecodable("a number is larger than its digits allow")
    return text.zfill(length)


def _alphanumeric(bits: Bits, length_bits: int, longest: int) -> str:
    """Encoding indicator, length, characters (14.5.6, table E)."""
    method = bits.number(3)
    length = bits.number(length_bits)
    if length > longest:
        raise NotDecodable("a text is longer than allowed")
    if method == 0:
        return _integer(bits, length)
    if method == 1:
        return _hexadecimal(bits, length)
    if method == 2:
        return _hexadecimal(bits, length).lower()
    if method == 3:
        return "".join(_BASE64[bits.number(6)] for _ in range(length))
    if method == 4:
        return "".join(chr(bits.number(7)) for _ in range(length))
    if method == 5:
        return _code40(bits, length)
    raise NotDecodable(f"encoding indicator {method} is reserved")


def _code40(bits: Bits, length: int) -> str:
    """Sixteen bits for three characters (14.5.6.5)."""
    text = ""
    for _ in range(-(-length // 3)):
        value = bits.number(16) - 1
        if not 0 <= value < 64_000:
            raise NotDecodable("a group of three characters is out of range")
        text += _CODE40[value // 1600] + _CODE40[value // 40 % 40] + _CODE40[value % 40]
    text = text.rstrip("\0")
    if len(text) != length or "\0" in text:
        raise NotDecodable("a text does not have the length it announces")
    return text


def _delimited(bits: Bits, longest: int) -> str:
    """Digits up to a terminator, or to a delimiter behind which other characters follow (14.5.5)."""
    text = ""
    while (nibble := bits.number(4)) <= 9:
        text += str(nibble)
        if len(text) > longest:
            raise NotDecodable("a text is longer than allowed")
    if nibble == 0xF:
        return text
    if nibble != 0xE:
        raise NotDecodable("a digit is larger than 9")
    return text + _alphanumeric(bits, 5, longest - len(text))


def _counted(bits: Bits, length_bits: int, longest: int) -> str:
    """Length and number, without an encoding indicator (14.5.13)."""
    length = bits.number(length_bits)
    if length > longest:
        raise NotDecodable("a number is longer than allowed")
    return _integer(bits, length)


def _date(bits: Bits) -> str:
    """Year, month and day in 7, 4 and 5 bits (14.5.8)."""
    year, month, day = bits.number(7), bits.number(4), bits.number(5)
    if year > 99:
        raise NotDecodable("there is no such year")
    return f"{year:02d}{month:02d}{day:02d}"


def _prioritised_date(bits: Bits) -> tuple[str, str]:
    kind = bits.number(4)
    if kind >= len(_DATE_TYPES):
        raise NotDecodable(f"date type {kind} is reserved")
    return _DATE_TYPES[kind], _date(bits)


def _host(bits: Bits) -> str:
    """A host name in URN Code 40 or in seven bits with short forms for frequent parts (14.5.16)."""
    if bits.number(1) == 0:
        return _code40(bits, bits.number(6)).lower()
    text = ""
    left = bits.number(6)
    while left > 0:
        code = bits.number(7)
        left -= 1
        if code < len(_HOST_ENDINGS):
            place = bits.number(7)
            left -= 1
            if place >= len(_HOST_ENDINGS[code]):
                raise NotDecodable("a part of the host name is reserved")
            text += _HOST_ENDINGS[code][place]
        else:
            text += _HOST_WORDS.get(code, chr(code))
    if left or not text or not all(part.isalnum() or part in "-." for part in text):
        raise NotDecodable("the host name is empty or broken")
    return text


# How table F encodes the AIs that appear in EPCs and those that usually follow them.
_VALUES: Final[dict[str, Callable[[Bits], str]]] = {
    "00": lambda bits: _digits(bits, 18),
    "01": lambda bits: _digits(bits, 14),
    "02": lambda bits: _digits(bits, 14),
    "10": lambda bits: _alphanumeric(bits, 5, 20),
    "21": lambda bits: _alphanumeric(bits, 5, 20),
    "22": lambda bits: _alphanumeric(bits, 5, 20),
    "253": lambda bits: _digits(bits, 13) + _alphanumeric(bits, 5, 17),
    "254": lambda bits: _alphanumeric(bits, 5, 20),
    "255": lambda bits: _digits(bits, 13) + _counted(bits, 4, 12),
    "414": lambda bits: _digits(bits, 13),
    "8003": lambda bits: _digits(bits, 14) + _alphanumeric(bits, 5, 16),
    "8004": lambda bits: _delimited(bits, 30),
    "8006": lambda bits: _digits(bits, 18),
    "8010": lambda bits: _delimited(bits, 30),
    "8011": lambda bits: _counted(bits, 4, 12),
    "8017": lambda bits: _digits(bits, 18),
    "8018": lambda bits: _digits(bits, 18),
    **dict.fromkeys(("11", "12", "13", "15", "16", "17", "7006"), _date),
}


def _more_data(bits: Bits, elements: list[tuple[str, str]], fields: dict[str, str], problems: list[Problem]) -> None:
    """Element strings behind the EPC (15.3): the AI's digits in four bits each, then its value.

    What is not in our table is kept as hexadecimal in `more_hex`, with a note.
    """
    seen = {code for code, _ in elements}
    while bits.left >= 16 and bits.rest_is_set():
        before, left = bits.rest(), bits.left
        code = _ai(bits)
        if code is None or code not in _VALUES or code in seen:
            width = -(-left // 4)
            fields["more_hex"] = f"{before << (4 * width - left):0{width}X}"
            problems.append(Problem("more-data", "data behind the EPC is kept as it is", fatal=False))
            return
        elements.append((code, _VALUES[code](bits)))
        seen.add(code)


def _ai(bits: Bits) -> str | None:
    digits = _hexadecimal(bits, 2)
    length = AI_LENGTH.get(digits)
    if length is None:
        return None
    digits += _hexadecimal(bits, length - 2)
    return digits if digits in AIS else None
