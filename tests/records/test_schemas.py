"""The JSON Schemas of records: they accept what the agent makes and refuse what is broken; the box's own check agrees.

Canonical form is RFC 8785 on every record, and on the published examples that the rules of records admit.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import every_record
import pytest
import rfc8785
from jsonschema import Draft202012Validator

from edge_agent.records import canonical, schemas
from edge_agent.records.bodies import BODIES
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import hash_of

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return list(every_record.every(seed=7))


@pytest.fixture(scope="module")
def validators() -> dict[str, Draft202012Validator]:
    found = {}
    for file in COMMITTED.glob("*.json"):
        schema = json.loads(file.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        found[file.stem] = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert len(found) == len(BODIES) + 2
    return found


def test_every_record_is_accepted_by_its_schema_and_by_the_one_for_all(
    events: list[dict[str, Any]], validators: dict[str, Draft202012Validator]
) -> None:
    for event in events:
        for name in ("record", "envelope", event["type"]):
            assert list(validators[name].iter_errors(event)) == [], (name, event["type"])


def test_a_type_is_refused_by_the_schema_of_another(
    events: list[dict[str, Any]], validators: dict[str, Draft202012Validator]
) -> None:
    for event in events[::5]:
        for name in BODIES:
            assert validators[name].is_valid(event) == (name == event["type"])


GOOD: dict[str, Any] = {}


def broken() -> Iterator[tuple[str, Any, Any]]:
    """Places and values that no sale may have; `None` as place removed means the field is not there."""
    gone = object()
    for name in (
        *("specversion", "id", "source", "subject", "type", "time", "datacontenttype"),
        *("chain", "sequence", "prevhash", "hash", "data"),
    ):
        yield name, gone, gone
    for place, values in {
        "specversion": ["0.3", 1, None],
        "id": ["1", "0192f0c1-2345-4abc-8def-000000000000", "0192F0C1-2345-7ABC-8DEF-000000000000", 7],
        "source": ["market-1/gw-1", "/market-1", "/市场/gw-1", ""],
        "subject": ["", "a b", None],
        "type": ["trace.sail.v1", "trace.sale.v2", "sale", None],
        "time": [
            *("2026-11-23T09:15:02.412Z", "2026-11-23T09:15:02+08:00", "2026-13-23T09:15:02.412+08:00"),
            *("2026-11-23 09:15:02.412+08:00", 1795384800000, None),
        ],
        "datacontenttype": ["text/plain"],
        "chain": ["", "a/b", None],
        "sequence": ["0000000000000000", "1", 1, "-000000000000001", "0000000000000001"],
        "prevhash": ["", "AB" * 32, "ab" * 31, None],
        "hash": ["", "xy" * 32, None],
        "data": [None, [], "x"],
        "data.clock": [None, {}, {"synced": "yes", "boot": "b", "mono_ms": 1}, {"synced": True, "boot": "b"}],
        "data.captured_by": ["robot", None],
        "data.flags": [None, "manual", ["wrong_flag"], ["manual", "manual"]],
        "data.corrects": ["1", "urn:uuid:0192f0c1-2345-7abc-8def-000000000000"],
        "data.raw": ["0g", "abc", "AB"],
        "data.gross_mg": [1.5, "1", 2**53, True],
        "data.net_mg": [0.25, None],
        "data.indication": ["1,5", "", "kg", None],
        "data.unit": ["stone", "KG", None],
        "data.stability": ["settled"],
        "data.mode": ["volume", None],
        "data.qty": [-1, 1.5, "1", None],
        "data.price_fen": [-1, 9.9],
        "data.price_per": ["jin", None],
        "data.amount_fen": [-5, "12.00", None],
        "data.amount_source": ["scale", None],
        "data.line": [0, None],
        "data.trace_code": ["", 37060256900120000058],
        "data.expiry": ["23.11.2026", "2026-02-32", "2026-11-23T00:00"],
        "data.slip": ["paper"],
        "data.goods_name": ["", 5],
        "data.extra": [1.5, {"重": 1}, 2**53],
    }.items():
        for value in values:
            yield place, value, gone


@pytest.mark.parametrize(("place", "value", "gone"), list(broken()))
def test_broken_records_are_refused(
    place: str, value: Any, gone: Any, validators: dict[str, Draft202012Validator]
) -> None:
    if not GOOD:
        rng = random.Random(3)
        body = every_record.body(BODIES["trace.sale.v1"], rng, fill=1.0)
        GOOD.update(every_record.event(BODIES["trace.sale.v1"], body | {"mode": "weight"}, 2))
    assert validators["record"].is_valid(GOOD)
    event = copy.deepcopy(GOOD)
    holder = event
    *path, last = place.split(".")
    for name in path:
        holder = holder[name]
    if value is gone:
        del holder[last]
    else:
        holder[last] = value
    assert not validators["record"].is_valid(event)
    if event.get("type") in BODIES:
        assert not validators["trace.sale.v1"].is_valid(event)


def test_there_are_enough_broken_ones() -> None:
    assert len(list(broken())) >= 100


def test_the_check_of_the_box_agrees_with_a_full_implementation(
    events: list[dict[str, Any]], validators: dict[str, Draft202012Validator]
) -> None:
    """On bodies that were spoiled at random; formats are looked at by patterns on the box."""
    rng = random.Random(5)
    values = (None, -1, 0, 1, 2**53, 1.5, "", "x", "2026-11-23", True, [], ["x"], {}, {"a": 1}, "ab" * 32)
    refused = 0
    for event in events:
        for _ in range(12):
            body = copy.deepcopy(event["data"])
            name = rng.choice(list(body))
            if rng.random() < 0.15:
                del body[name]
            else:
                body[name] = rng.choice(values)
            ours = body_problems(BODIES[event["type"]], body)
            theirs = validators[event["type"]].is_valid({**event, "data": body})
            assert (ours == []) == theirs, (event["type"], name, body.get(name), ours)
            refused += not theirs
    assert refused > len(events)


def test_canonical_form_is_rfc_8785_on_every_record(events: list[dict[str, Any]]) -> None:
    for event in events:
        assert canonical.dumps(event) == rfc8785.dumps(event)
        assert hash_of(event) == event["hash"]


@pytest.mark.parametrize(
    ("text", "canonical_text"),
    [
        # RFC 8785, 3.2.2: the strings and literals of its example
        (
            r'{"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}',
            '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
        ),
        # the reference implementation's test data (arrays, structures, unicode)
        ('[\n 56,\n {"d": true, "10": null, "1": [ ]}\n]', '[56,{"1":[],"10":null,"d":true}]'),
        (
            '{"1": {"f": {"f": "hi", "F": 5}, "\\n": 56}, "10": {}, "": "empty", "a": {},'
            ' "111": [{"e": "yes", "E": "no"}], "A": {}}',
            '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
        ),
        ('{"Unnormalized Unicode":"A\\u030a"}', '{"Unnormalized Unicode":"A\u030a"}'),
        # RFC 8785, 3.2.2.3 and appendix B: integers up to the largest safe one
        ("[0, -0, 9007199254740991, -9007199254740991]", "[0,0,9007199254740991,-9007199254740991]"),
    ],
)
def test_published_examples_that_records_may_hold(text: str, canonical_text: str) -> None:
    value = json.loads(text)
    assert canonical.dumps(value).decode() == canonical_text == rfc8785.dumps(value).decode()


@pytest.mark.parametrize(
    "text",
    [
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001]}',  # RFC 8785, 3.2.2
        '{"\\u20ac": "Euro Sign", "\\r": "Carriage Return", "1": "One"}',  # RFC 8785, 3.2.3
        '{"peach": "This sorting order", "p\\u00eache": "is wrong according to French"}',  # the test data's french
        "[9007199254740992]",  # appendix B: beyond the safe integers
    ],
)
def test_published_examples_that_no_record_may_hold(text: str) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.dumps(json.loads(text))


def test_schemas_on_disk_are_those_of_the_code(validators: dict[str, Draft202012Validator]) -> None:
    assert {f"{name}.json": validator.schema for name, validator in validators.items()} == schemas.files()
