"""Vectors of codes, and texts meant to break a classifier."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parent.parent / "vectors" / "codes"

_BYTES = (b"\xbe\xa9\xc4\xda", b"\xc5\xa9\xd2\xa9\xc3\xfb\xb3\xc6", b"\xff\xfe\x00\x01", b"\x81\x30\x81\x30", b"\x80")
_STARTS = (
    "01", "00", "02", "(01)", "]C1", "]E0", "]Q3", "]d2", "]", "https://", "http://a/01/", "MA.156.M0.", "MA.", "SC",
    "urn:epc:id:sgtin:", "urn:oid:", "1.2.156.", "86.", "Ecode:", "000201", "wxp://", "8", "69", "20", "370602", "25",
    "\x1d", "BEGIN:VCARD", "tel:", "8030", "(8013)", "(7007)", "https://[", "https://a/00/%", "https://a/8010/", "(",
)  # fmt: skip
_ALPHABETS = (
    "0123456789",
    "0123456789\x1d",
    "0123456789ABCDEFXx",
    "0123456789./",
    "()0123456789",
    "01&=?/%2FaZ+#",
    "".join(map(chr, range(32))),
    "农药追溯码:，1\n\r",
    "\ud800\udfff\ufffd𝟘٣²",
    "!\"%&'()*+,-./:;<=>?_~^]|{}\\",
)


def vector_rows() -> list[dict[str, Any]]:
    """All rows of all vector files, each with the file's name."""
    return [
        {"file": path.name, **json.loads(line)}
        for path in sorted(VECTORS.glob("*.jsonl"))
        for line in path.read_text("utf-8").split("\n")
        if line
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector" in metafunc.fixturenames:
        rows = vector_rows()
        metafunc.parametrize("vector", rows, ids=[f"{row['file'][:-6]}-{n}" for n, row in enumerate(rows)])


@pytest.fixture(scope="session")
def all_vectors() -> list[dict[str, Any]]:
    return vector_rows()


@pytest.fixture(scope="session")
def hostile_texts() -> Callable[[int, int], Iterator[str]]:
    """A generator of (count, seed) random and hostile texts; the long run draws a million from it."""
    samples = [row["text"] for row in vector_rows() if "text" in row]

    def draw(count: int, seed: int) -> Iterator[str]:
        chance = random.Random(seed)
        for _ in range(count):
            yield _hostile(chance, samples)

    return draw


def _hostile(chance: random.Random, samples: list[str]) -> str:
    kind = chance.random()
    if kind < 0.35:
        return _mutated(chance, chance.choice(samples))
    if kind < 0.40:
        return b"".join(chance.choices(_BYTES, k=chance.randrange(1, 9))).decode(
            chance.choice(("latin-1", "gbk", "utf-8")), chance.choice(("replace", "ignore"))
        )
    if kind < 0.45:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(60))).decode("utf-8", "surrogateescape")
    if kind < 0.455:
        return chance.choice(_STARTS) + chance.choice(_ALPHABETS)[:3] * chance.randrange(500, 2800)
    body = "".join(chance.choices(chance.choice(_ALPHABETS), k=chance.randrange(40)))
    return (chance.choice(_STARTS) if chance.random() < 0.7 else "") + body


def _mutated(chance: random.Random, text: str) -> str:
    characters = list(text)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(characters) + 1)
        action = chance.random()
        if action < 0.3:
            characters.insert(place, chance.choice(chance.choice(_ALPHABETS)))
        elif action < 0.6 and place < len(characters):
            del characters[place]
        elif place < len(characters):
            characters[place] = chance.choice(chance.choice(_ALPHABETS))
    return "".join(characters)
