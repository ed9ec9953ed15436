"""The classifier answers every text, in bounded time, with an answer that can be printed; every class can occur."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

from edge_agent.codes import (
    MAX_TEXT,
    Classified,
    CodeClass,
    answer,
    classify,
    classify_epc,
    profile_from_mapping,
    to_json,
)

SYMBOLOGIES = (None, "]C1", "]E0", "]E3", "]E4", "]Q3", "]Q4", "]d2", "]C0", "", "]", "nonsense")
ROLES = (None, "goods", "party", "doc")
LABELS = profile_from_mapping({"labels": [{"prefix": "26", "layout": "26 IIIII MMMMM WWWWW C"}], "separators": ["|"]})

Draw = Callable[[int, int], Iterator[str]]


def check_total(texts: Iterator[str], seed: int) -> None:
    chance = random.Random(seed)
    for text in texts:
        symbology = chance.choice(SYMBOLOGIES) if chance.random() < 0.3 else None
        profile = LABELS if chance.random() < 0.2 else None
        found = classify(text, symbology, chance.choice(ROLES), profile)
        _printable(found)


def _printable(found: Classified) -> None:
    printed = to_json(found)
    json.dumps(printed, ensure_ascii=False).encode("utf-8")
    assert list(printed) == ["class", "valid", "fields", "problems", "alternatives", "raw"]
    assert printed["class"] in get_args(CodeClass)
    assert all(isinstance(value, str) for value in printed["fields"].values())
    if found.valid is True:
        assert not any(problem.fatal for problem in found.problems)


def test_hostile_texts(hostile_texts: Draw) -> None:
    check_total(hostile_texts(10_000, 20260101), 1)


@pytest.mark.soak("hostile texts into the code classifier")
def test_a_million_hostile_texts(hostile_texts: Draw, record_property: Callable[[str, object], None]) -> None:
    check_total(hostile_texts(1_000_000, 20260102), 2)
    record_property("count", "1,000,000 texts")


def test_hostile_tags() -> None:
    chance = random.Random(3)
    headers = [
        "30",
        "31",
        "36",
        "38",
        "3A",
        "3B",
        "3D",
        "2F",
        "F0",
        "F1",
        "F3",
        "F6",
        "F7",
        "FA",
        "FB",
        "E6",
        "ED",
        "FD",
    ]
    for _ in range(5_000):
        body = "".join(chance.choices("0123456789ABCDEF", k=chance.randrange(62)))
        _printable(classify_epc(chance.choice(headers) + body))
    for text in ("", "zz", "3" * 300, "\ud800", "٣٤", "30 34", "-1", "0x30"):
        found = classify_epc(text)
        assert found.valid is not True
        _printable(found)


@pytest.mark.parametrize(
    "text",
    [
        "9" * MAX_TEXT,
        "01" * (MAX_TEXT // 2),
        "(10)" + "A" * MAX_TEXT,
        "(01)" * 2000,
        "https://a" + "/01/06901234567892" * 400,
        "https://a/01/06901234567892?" + "99=A&" * 1600,
        "https://a/00/" + "%2" * 4000,
        "\x1d" * MAX_TEXT,
        "99A\x1d" * 2000,
        "1.2" + ".156" * 2000,
        "MA.156" + ".1" * 4000,
        "1" + ".1" * 4000 + "/",
        "13812345678 " * 680,
        "]" * MAX_TEXT,
        "]C110" + "17261231" * 1000,
        "000201" + "6304" * 2000,
        "农" * MAX_TEXT,
        "\ud800" * MAX_TEXT,
        "1" * 1_000_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_texts_take_bounded_work(text: str) -> None:
    started = time.process_time()
    _printable(classify(text))
    assert time.process_time() - started < 2.0  # milliseconds in fact; the bound only catches runaway work


def test_every_class_occurs(all_vectors: list[dict[str, Any]]) -> None:
    occurring = {row["class"] for row in all_vectors if "class" in row}
    assert occurring == set(get_args(CodeClass))


def test_bad_lines_of_a_batch_are_answered() -> None:
    for line in (
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"text": 5}',
        '{"profile": {}}',
        "[" * 100_000,
        '{"text":"a","profile":7}',
    ):
        found = answer(line)
        assert found["class"] == "unknown"
        assert found["problems"][0].startswith("bad-line")
    assert answer('{"text":"\\ud800x"}')["raw"] == "\ufffdx"
    assert answer('{"text":"x","profile":"nowhere"}')["problems"] == ["bad-line: profile: no profile of this name"]
    assert answer('{"text":"x","profile":{"labels":[{}]}}')["problems"][0].startswith("bad-line: profile: layout")


def test_padding_and_byte_order_marks_do_not_matter() -> None:
    plain = classify("6901234567892")
    for text in ("6901234567892\r\n", "\ufeff6901234567892", "\x026901234567892\x03", " 6901234567892 "):
        found = classify(text)
        assert (found.code_class, found.valid, found.fields) == (plain.code_class, plain.valid, plain.fields)
        assert found.raw == text


def test_undecodable_parts_are_told() -> None:
    found = classify("农\udcb0药")
    assert found.raw == "农\ufffd药"
    assert found.has("undecodable")
