"""The GS1 Application Identifiers as data: formats, checks, pairs, decimals, places in a Digital Link.

The facts (formats, required and excluded pairs, Digital Link keys and qualifiers) are those of the GS1 Barcode
Syntax Dictionary, copyright GS1 AISBL, BWIPP project and Zint Project, Apache License 2.0; they are written here
in a form of our own. The General Specifications of GS1 remain the standard.

A row is `code ; parts ; needs ; excludes ; title`. A part is a character set (`n` digits, `x` GS1 set 82, `y` set
39, `z` base64url), a length (`6` exact, `..20` one to twenty), square brackets where it may be absent, and after
`:` the checks of `gs1_checks` it must pass. Needs are joined by `&` (all of), `/` (one of), `+` (together).
A code of `31?` with a range `0-5` stands for the codes 310 to 315 followed by that digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


Kind = Literal["text", "date", "measure", "amount", "percent", "temperature"]

_ROWS: Final = """
00   ; n18:mod10                 ;                        ;                    ; SSCC
01   ; n14:mod10                 ;                        ; 255 37             ; GTIN
02   ; n14:mod10                 ; 37                     ; 01 03              ; contained GTIN
03   ; n14:mod10                 ;                        ; 01 02 37           ; made-to-order GTIN
10   ; x..20                     ; 01/02/03/8006/8026     ;                    ; batch or lot
11   ; n6:date0                  ; 01/02/03/8006/8026     ;                    ; production date
12   ; n6:date0                  ; 8020                   ;                    ; due date
13   ; n6:date0                  ; 01/02/03/8006/8026     ;                    ; packaging date
15   ; n6:date0                  ; 01/02/03/8006/8026     ;                    ; best before
16   ; n6:date0                  ; 01/02/03/8006/8026     ;                    ; sell by
17   ; n6:date0                  ; 01/02/03/255/8006/8026 ;                    ; use by or expiry
20   ; n2                        ; 01/02/8006/8026        ;                    ; internal variant
21   ; x..20                     ; 01/03/8006             ; 235                ; serial
22   ; x..20                     ; 01                     ;                    ; consumer product variant
235  ; x..28                     ; 01                     ;                    ; third-party serialised extension
240  ; x..30                     ; 01/02/8006/8026        ;                    ; additional identification
241  ; x..30                     ; 01/02/8006/8026        ;                    ; customer part number
242  ; n..6                      ; 01/02/8006/8026        ;                    ; made-to-order variation
243  ; x..20                     ; 01                     ;                    ; packaging component
250  ; x..30                     ; 01/8006 & 21           ;                    ; secondary serial
251  ; x..30                     ; 01/8006                ;                    ; reference to source entity
253  ; n13:mod10,prefix [x..17]  ;                        ;                    ; GDTI
254  ; x..20                     ; 414                    ;                    ; GLN extension
255  ; n13:mod10,prefix [n..12]  ;                        ; 01 02 415 8006 8020 8026 ; GCN
30   ; n..8                      ; 01/02                  ;                    ; variable count
37   ; n..8                      ; 00 & 02/8026           ;                    ; count of contained items
390? 0-9 ; n..15                 ; 255/8020               ; 390n 391n 394n 8111 ; amount payable
391? 0-9 ; n3:currency n..15     ; 8020                   ; 391n               ; amount payable with currency
392? 0-9 ; n..15                 ; 01 & 30/31nn/32nn/35nn/36nn ; 392n 393n     ; price
393? 0-9 ; n3:currency n..15     ; 30/31nn/32nn/35nn/36nn ; 393n               ; price with currency
394? 0-3 ; n4                    ; 255                    ; 394n 8111          ; percentage discount
395? 0-5 ; n6                    ; 30/31nn/32nn/35nn/36nn ; 392n 393n 395n 8005 ; price per unit of measure
400  ; x..30                     ;                        ;                    ; order number
401  ; x..30:prefix              ;                        ;                    ; GINC
402  ; n17:mod10,prefix          ;                        ;                    ; GSIN
403  ; x..30                     ; 00                     ;                    ; routing code
410  ; n13:mod10,prefix          ;                        ;                    ; ship to GLN
411  ; n13:mod10,prefix          ;                        ;                    ; bill to GLN
412  ; n13:mod10,prefix          ;                        ;                    ; purchased from GLN
413  ; n13:mod10,prefix          ;                        ;                    ; ship for GLN
414  ; n13:mod10,prefix          ;                        ;                    ; location GLN
415  ; n13:mod10,prefix          ; 8020                   ;                    ; pay to GLN
416  ; n13:mod10,prefix          ;                        ;                    ; production or service GLN
417  ; n13:mod10,prefix          ;                        ;                    ; party GLN
420  ; x..20                     ;                        ; 421                ; ship to postal code
421  ; n3:country x..9           ;                        ; 4307               ; ship to postal code with country
422  ; n3:country                ; 01/02/8006/8026        ; 426                ; country of origin
423  ; n3:country [n3:country] [n3:country] [n3:country] [n3:country] ; 01/02 ; 426 ; countries of initial processing
424  ; n3:country                ; 01/02                  ; 426                ; country of processing
425  ; n3:country [n3:country] [n3:country] [n3:country] [n3:country] ; 01/02 ; 426 ; countries of disassembly
426  ; n3:country                ; 01/02                  ;                    ; country of full processing
427  ; x..3                      ; 01/02 & 422            ;                    ; subdivision of origin
4300 ; x..35:percent             ; 00                     ;                    ; ship to company
4301 ; x..35:percent             ; 00                     ;                    ; ship to contact
4302 ; x..70:percent             ; 00                     ;                    ; ship to address
4303 ; x..70:percent             ; 4302                   ;                    ; ship to address, second line
4304 ; x..70:percent             ; 00                     ;                    ; ship to suburb
4305 ; x..70:percent             ; 00                     ;                    ; ship to locality
4306 ; x..70:percent             ; 00                     ;                    ; ship to region
4307 ; x2:letters                ; 00                     ;                    ; ship to country
4308 ; x..30                     ; 00                     ;                    ; ship to telephone
4309 ; n10:latitude n10:longitude ; 00                    ;                    ; ship to position
4310 ; x..35:percent             ; 00                     ;                    ; return to company
4311 ; x..35:percent             ; 00                     ;                    ; return to contact
4312 ; x..70:percent             ; 00                     ;                    ; return to address
4313 ; x..70:percent             ; 4312                   ;                    ; return to address, second line
4314 ; x..70:percent             ; 00                     ;                    ; return to suburb
4315 ; x..70:percent             ; 00                     ;                    ; return to locality
4316 ; x..70:percent             ; 00                     ;                    ; return to region
4317 ; x2:letters                ; 00                     ;                    ; return to country
4318 ; x..20                     ; 00                     ;                    ; return to postal code
4319 ; x..30                     ; 00                     ;                    ; return to telephone
4320 ; x..35:percent             ; 00                     ;                    ; service description
4321 ; n1:flag                   ; 00                     ;                    ; dangerous goods
4322 ; n1:flag                   ; 00                     ;                    ; authority to leave
4323 ; n1:flag                   ; 00                     ;                    ; signature required
4324 ; n6:date0 n4:time_or_none  ; 00                     ;                    ; not before delivery
4325 ; n6:date0 n4:time_or_none  ; 00                     ;                    ; not after delivery
4326 ; n6:date                   ; 00                     ;                    ; release date
4330 ; n6 [x1:minus]             ; 00                     ; 4331               ; highest temperature, Fahrenheit
4331 ; n6 [x1:minus]             ; 00                     ; 4330               ; highest temperature, Celsius
4332 ; n6 [x1:minus]             ; 00                     ; 4333               ; lowest temperature, Fahrenheit
4333 ; n6 [x1:minus]             ; 00                     ; 4332               ; lowest temperature, Celsius
7001 ; n13                       ; 01/02/8006/8026        ;                    ; NATO stock number
7002 ; x..30                     ; 01/02                  ;                    ; meat cut
7003 ; n6:date n4:time           ; 01/02                  ;                    ; expiry with time
7004 ; n..4                      ; 01 & 10                ;                    ; active potency
7005 ; x..12                     ; 01/02                  ;                    ; catch area
7006 ; n6:date                   ; 01/02                  ;                    ; first freeze date
7007 ; n6:date [n6:date]         ; 01/02                  ;                    ; harvest date
7008 ; x..3                      ; 01/02                  ;                    ; aquatic species
7009 ; x..10                     ; 01/02                  ;                    ; fishing gear
7010 ; x..2                      ; 01/02                  ;                    ; production method
7011 ; n6:date [n4:time]         ; 01/02                  ;                    ; test by date
7020 ; x..20                     ; 01/8006 & 416          ;                    ; refurbishment lot
7021 ; x..20                     ; 01/8006                ;                    ; functional status
7022 ; x..20                     ; 7021                   ;                    ; revision status
7023 ; x..30:prefix              ;                        ;                    ; GIAI of an assembly
703? 0-9 ; n3:country999 x..27   ; 01/02                  ;                    ; processor
7040 ; n1 x1 x1 x1:importer      ;                        ;                    ; UIC with extension
7041 ; x..4                      ; 00                     ;                    ; freight unit type
710  ; x..20                     ; 01                     ;                    ; national health number, Germany
711  ; x..20                     ; 01                     ;                    ; national health number, France
712  ; x..20                     ; 01                     ;                    ; national health number, Spain
713  ; x..20                     ; 01                     ;                    ; national health number, Brazil
714  ; x..20                     ; 01                     ;                    ; national health number, Portugal
715  ; x..20                     ; 01                     ;                    ; national health number, USA
716  ; x..20                     ; 01                     ;                    ; national health number, Italy
723? 0-9 ; x2 x..28              ; 01/8004                ;                    ; certification reference
7240 ; x..20                     ; 01/8006                ;                    ; protocol
7241 ; n2:media                  ; 8017/8018              ;                    ; AIDC media type
7242 ; x..25                     ; 8017/8018              ;                    ; version control number
7250 ; n8:yyyymmdd               ; 8018                   ; 7251               ; date of birth
7251 ; n8:yyyymmdd n4:time       ; 8018                   ; 7250               ; date and time of birth
7252 ; n1:sex                    ; 8018                   ;                    ; biological sex
7253 ; x..40:percent             ; 8017/8018              ; 7256 7259          ; family name
7254 ; x..40:percent             ; 8017/8018              ; 7256 7259          ; given name
7255 ; x..10                     ; 8017/8018              ; 7256 7259          ; name suffix
7256 ; x..90:percent             ; 8017/8018              ;                    ; full name
7257 ; x..70:percent             ; 8018                   ;                    ; address of a person
7258 ; x3:sequence               ; 8018+7259              ;                    ; birth sequence
7259 ; x..40:percent             ; 8018                   ; 7256               ; baby
8001 ; n4:nonzero n5:nonzero n3:nonzero n1:winding n1 ; 01 ;                   ; roll dimensions
8002 ; x..20                     ;                        ;                    ; cellular telephone number
8003 ; n1:zero n13:mod10,prefix [x..16] ;                 ;                    ; GRAI
8004 ; x..30:prefix              ;                        ;                    ; GIAI
8005 ; n6                        ; 01/02                  ;                    ; price per unit
8006 ; n14:mod10 n4:piece        ;                        ; 01 37              ; ITIP
8007 ; x..34:iban                ; 415                    ;                    ; IBAN
8008 ; n6:date n2:hour [n2:sixty] [n2:sixty] ; 01/02      ;                    ; production time
8009 ; x..50                     ; 00/01                  ;                    ; optical sensor
8010 ; y..30:prefix              ;                        ;                    ; CPID
8011 ; n..12:no_leading_zero     ; 8010                   ;                    ; CPID serial
8012 ; x..20                     ; 01/8006                ;                    ; software version
8013 ; x..25:gmn,prefix          ;                        ;                    ; GMN
8014 ; x..25:gmn,prefix,letter   ; 01                     ;                    ; highly individualised device
8017 ; n18:mod10,prefix          ;                        ; 8018               ; GSRN of a provider
8018 ; n18:mod10,prefix          ;                        ; 8017               ; GSRN of a recipient
8019 ; n..10                     ; 8017/8018              ;                    ; service relation instance
8020 ; x..25                     ; 415                    ;                    ; payment reference
8026 ; n14:mod10 n4:piece        ; 37                     ; 02 8006            ; contained ITIP
8030 ; z..90:base64 ; 00/01+21/253/255/8003/8004/8006+21/8010+8011/8017/8018 ;        ; digital signature
8110 ; x..70                     ;                        ;                    ; coupon
8111 ; n4                        ; 255                    ;                    ; loyalty points
8112 ; x..70                     ;                        ;                    ; positive offer coupon
8200 ; x..70                     ; 01                     ;                    ; product URL
90   ; x..30                     ;                        ;                    ; internal
9?   1-9 ; x..90                 ;                        ;                    ; internal
"""

# Six digits with the decimals in the AI's last digit: stem, unit, and what they measure. Codes 310 to 316 and
# 320 to 329, 350 to 352, 356, 357, 360, 361, 364 to 366 are of a trade item, the others of a logistic unit.
_MEASURES: Final = """
310 kg net weight|311 m length|312 m width|313 m height|314 m² area|315 l net volume|316 m³ net volume
320 lb net weight|321 in length|322 ft length|323 yd length|324 in width|325 ft width|326 yd width|327 in height
328 ft height|329 yd height|330 kg gross weight|331 m length|332 m width|333 m height|334 m² area|335 l volume
336 m³ volume|337 kg/m² weight by area|340 lb gross weight|341 in length|342 ft length|343 yd length|344 in width
345 ft width|346 yd width|347 in height|348 ft height|349 yd height|350 in² area|351 ft² area|352 yd² area
353 in² area|354 ft² area|355 yd² area|356 oz_t net weight|357 fl_oz net volume|360 qt net volume
361 gal net volume|362 qt volume|363 gal volume|364 in³ volume|365 ft³ volume|366 yd³ volume|367 in³ volume
368 ft³ volume|369 yd³ volume
"""
_LOGISTIC: Final = _codes(
    "330 331 332 333 334 335 336 340 341 342 343 344 345 346 347 348 349 353 354 355 362 363 367 368 369"
)

# A Digital Link starts with one of these keys; qualifiers follow in this order, any may be left out.
_PATHS: Final = {
    "00": ("",), "01": ("22 10 21", "235"), "253": ("",), "255": ("",), "401": ("",), "402": ("",),
    "414": ("254", "7040"), "415": ("8020",), "417": ("7040",), "8003": ("",), "8004": ("7040",),
    "8006": ("22 10 21",), "8010": ("8011",), "8013": ("",), "8017": ("8019",), "8018": ("8019",),
}  # fmt: skip

_NOT_IN_QUERY: Final = _codes("03 21 22 235 254 7040 7041 8011 8014 8019 8020 8030 8200")

# The first two digits after which a value has a length of its own and needs no separator (General
# Specifications, predefined length table).
_NO_SEPARATOR: Final = _codes("00 01 02 03 04 11 12 13 14 15 16 17 18 19 20 31 32 33 34 35 36 41")

IDENTIFICATION_KEYS: Final = _codes(
    "00 01 02 03 253 255 401 402 414 415 417 8003 8004 8006 8010 8013 8017 8018 8020 8026"
)
"""AIs that name a thing. A missing one may stand in another symbol on the same thing."""

BOUND_TO_KEY: Final = frozenset({"21", "37", "8030"})
"""AIs that mean nothing away from their key: serial, count of contents, signature."""

SERIALISED_BY_TAIL: Final = {"253": 13, "255": 13, "8003": 14}
"""AIs whose optional tail is the serial, with the length without it; a signature needs the serial."""

_CHARACTERS: Final = {
    "n": "[0-9]",
    "x": r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]",
    "y": r"[#\-/0-9A-Z]",
    "z": "[A-Za-z0-9_=-]",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a value: character set, shortest and longest length, checks, whether it may be absent."""

    characters: str
    shortest: int
    longest: int
    checks: tuple[str, ...]
    optional: bool


Need = tuple[tuple[str, ...], ...]
"""One of several groups of AIs; every AI of a group must be there. `n` stands for any digit."""


@dataclass(frozen=True, slots=True)
class Ai:
    """One Application Identifier."""

    code: str
    title: str
    parts: tuple[Part, ...]
    needs: tuple[Need, ...]
    excludes: tuple[str, ...]
    kind: Kind
    decimals: int | None
    unit: str | None
    separated: bool
    query: bool
    paths: tuple[tuple[str, ...], ...]

    @property
    def longest(self) -> int:
        """The most characters a value has; the only length where no separator is needed."""
        return sum(part.longest for part in self.parts)

    @property
    def shortest(self) -> int:
        """The fewest characters a value has."""
        return sum(part.shortest for part in self.parts if not part.optional)


def _part(text: str) -> Part:
    optional = text.startswith("[")
    shape, _, checks = text.strip("[]").partition(":")
    low, dots, high = shape[1:].partition("..")
    longest = int(high if dots else low)
    return Part(
        characters=shape[0],
        shortest=1 if dots else longest,
        longest=longest,
        checks=tuple(checks.split(",")) if checks else (),
        optional=optional,
    )


def _kind(code: str, parts: tuple[Part, ...]) -> tuple[Kind, int | None]:
    if len(code) == 4 and code[:3] in {"390", "391", "392", "393", "395"}:
        return "amount", int(code[3])
    if code[:3] == "394":
        return "percent", int(code[3])
    if code in {"4330", "4331", "4332", "4333"}:
        return "temperature", 2
    if parts[0].checks in {("date",), ("date0",)}:
        return "date", None
    return "text", None


def _build(code: str, parts: str, needs: str, excludes: str, title: str, unit: str | None = None) -> Ai:
    made = tuple(_part(text) for text in parts.split())
    kind, decimals = ("measure", int(code[3])) if unit else _kind(code, made)
    return Ai(
        code=code,
        title=title,
        parts=made,
        needs=tuple(
            tuple(tuple(option.split("+")) for option in need.strip().split("/"))
            for need in needs.split("&")
            if need.strip()
        ),
        excludes=tuple(excludes.split()),
        kind=kind,
        decimals=decimals,
        unit=unit,
        separated=code[:2] not in _NO_SEPARATOR,
        query=code not in _NOT_IN_QUERY,
        paths=tuple(tuple(path.split()) for path in _PATHS.get(code, ())),
    )


def _expand() -> Iterator[Ai]:
    for row in _ROWS.strip().splitlines():
        codes, parts, needs, excludes, title = (cell.strip() for cell in row.split(";"))
        stem, _, span = codes.partition("?")
        if not span:
            yield _build(codes, parts, needs, excludes, title)
            continue
        first, last = (int(end) for end in span.strip().split("-"))
        for digit in range(first, last + 1):
            yield _build(f"{stem}{digit}", parts, needs, excludes, title)
    for row in _MEASURES.strip().replace("\n", "|").split("|"):
        stem, unit, title = row.split(" ", 2)
        needs = "01" if stem == "337" else "00/01" if stem in _LOGISTIC else "01/02"
        for digit in range(6):
            yield _build(f"{stem}{digit}", "n6", needs, f"{stem}n", title, unit.replace("_", " "))


AIS: Final[dict[str, Ai]] = {ai.code: ai for ai in _expand()}

AI_LENGTH: Final[dict[str, int]] = {code[:2]: len(code) for code in AIS}
"""How many digits an AI has, by its first two; it is the same for all AIs that share them."""


@cache
def value_pattern(code: str) -> re.Pattern[str]:
    """The pattern of a whole value of this AI, one group for each part."""
    pattern = closing = ""
    for part in AIS[code].parts:
        span = f"{{{part.shortest},{part.longest}}}" if part.shortest != part.longest else f"{{{part.longest}}}"
        group = f"({_CHARACTERS[part.characters]}{span})"
        if part.optional:
            pattern += f"(?:{group}"
            closing += ")?"
        else:
            pattern += group
    return re.compile(pattern + closing)


def matches(pattern: str, code: str) -> bool:
    """Whether an AI is meant by a pattern such as `31nn`."""
    stem = pattern.rstrip("n")
    return len(code) == len(pattern) and code.startswith(stem)
