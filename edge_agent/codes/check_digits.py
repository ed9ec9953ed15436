"""Check digits and check characters, each from its own standard. All functions are total over digit texts."""

from __future__ import annotations

from typing import Final

_CSET82: Final = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_CSET82_VALUE: Final = {character: value for value, character in enumerate(_CSET82)}
_CSET32: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PRIMES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)

_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUE: Final = {character: value for value, character in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

_RESIDENT_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS: Final = "10X98765432"

# Products of the price/weight verifier of the GS1 General Specifications (from practice; tables computed).
_TWO_MINUS: Final = (0, 2, 4, 6, 8, 9, 1, 3, 5, 7)
_THREE: Final = (0, 3, 6, 9, 2, 5, 8, 1, 4, 7)
_FIVE_PLUS: Final = (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)
_FIVE_MINUS: Final = (0, 5, 9, 4, 8, 3, 7, 2, 6, 1)


def is_digits(text: str) -> bool:
    """Whether the text is one or more ASCII digits (`str.isdigit` also accepts others)."""
    return text.isascii() and text.isdigit()


def mod10(body: str) -> int:
    """Check digit of GTIN, SSCC, GLN and scale labels: from the right, weights 3, 1, 3, 1 …
    (GS1 General Specifications, standard check digit calculation)."""
    total = 3 * sum(map(int, body[::-2])) + sum(map(int, body[-2::-2]))
    return -total % 10


def mod10_holds(digits: str) -> bool:
    """Whether the last digit is the GS1 check digit of the others."""
    return int(digits[-1]) == mod10(digits[:-1])


def gmn_pair(body: str) -> str:
    """Check character pair of a Global Model Number; KeyError for a character outside GS1's set of 82, ValueError
    for a body over 23 characters (GS1 General Specifications, alphanumeric check character pair)."""
    if len(body) > len(_PRIMES):
        raise ValueError("a Global Model Number has at most 25 characters")
    total = sum(_CSET82_VALUE[character] * prime for character, prime in zip(reversed(body), _PRIMES, strict=False))
    total %= 1021
    return _CSET32[total >> 5] + _CSET32[total & 31]


def iban_holds(text: str) -> bool:
    """Whether an IBAN of capital letters and digits has the remainder 1 modulo 97 (ISO 13616)."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def uscc_character(body: str) -> str | None:
    """Check character of a unified social credit code's first 17 characters, None if one is not allowed
    (GB 32100-2015: weights 3^i mod 31)."""
    values = [_USCC_VALUE.get(character) for character in body]
    total = 0
    for value, weight in zip(values, _USCC_WEIGHTS, strict=True):
        if value is None:
            return None
        total += value * weight
    return _USCC_ALPHABET[-total % 31]


def resident_character(body: str) -> str:
    """Check character of a resident identity number's first 17 digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(body, _RESIDENT_WEIGHTS, strict=True))
    return _RESIDENT_CHECKS[total % 11]


def mod11_10(body: str) -> int:
    """Check digit of ISO 7064 MOD 11,10 (GB/T 17710), used by food production licence numbers."""
    product = 10
    for digit in body:
        total = (product + int(digit)) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10


def luhn_holds(digits: str) -> bool:
    """Whether a payment card number passes ISO/IEC 7812-1 annex B."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[::-2]))) % 10 == 0


def price_verifier(value: str) -> int:
    """The price/weight verifier digit over a field of 4 or 5 digits; ValueError for other lengths."""
    if len(value) == 4:
        products = (_TWO_MINUS, _TWO_MINUS, _THREE, _FIVE_MINUS)
        return 3 * sum(table[int(digit)] for table, digit in zip(products, value, strict=True)) % 10
    if len(value) == 5:
        products5 = (_FIVE_PLUS, _TWO_MINUS, _FIVE_MINUS, _FIVE_PLUS, _TWO_MINUS)
        total = sum(table[int(digit)] for table, digit in zip(products5, value, strict=True))
        return _FIVE_MINUS.index(-total % 10)
    raise ValueError("a price verifier covers 4 or 5 digits")
