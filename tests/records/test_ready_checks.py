"""The quick check of a body says the same as the one that explains, for every field of every type."""

from __future__ import annotations

import random
from typing import Any

import pytest
from every_record import BODIES, body, body_definitions, body_schema

from edge_agent.records import check
from edge_agent.records.check import _problems, body_problems

HOSTILE: tuple[Any, ...] = (
    *(None, "", "x", "é", "weight", "2026-11-23", "01a205ea-be80-7000-bd97-6226a1d5cd8c", "\ud800", "1.236", "kg"),
    *(0, 1, -1, 2**60, True, False, 1.5, [], ["a", "a"], ["a"], ("stable",), {}, {"é": 1}, {"a": 1.5}),
    *([{}], [None], b"x"),
)


def quick(kind: Any, data: dict[str, Any]) -> bool:
    if kind not in check._known:
        body_problems(kind, {})  # makes it ready
    return check._known[kind][2](data)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_every_field_with_every_kind_of_value(name: str) -> None:
    kind = BODIES[name]
    schema, definitions = body_schema(kind), body_definitions(kind)
    rng = random.Random(name)
    good = body(kind, rng, fill=0.6)
    seen = set()
    for field in schema["properties"]:
        for value in HOSTILE:
            data = {**good, field: value}
            if rng.random() < 0.1:
                data.pop(rng.choice(list(data)))
            if rng.random() < 0.1:
                data[rng.choice(["more", "é"])] = rng.choice(HOSTILE[:-1])
            verdict = not list(_problems(data, schema, definitions, "$"))
            assert quick(kind, data) == verdict, (field, value)
            seen.add(verdict)
    assert seen == {False, True}


def test_an_agreement_that_is_broken_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_known", {})
    monkeypatch.setattr(check, "_ready_number", lambda *_a, **_k: lambda _value: True)
    with pytest.raises(AssertionError):
        test_every_field_with_every_kind_of_value("trace.weighing.v1")
