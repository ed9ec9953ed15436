"""Canonical form, ids, units, money, and the sealing of a record."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Instant
from edge_agent.records import canonical, envelope, ids
from edge_agent.records.money import amount_of_mass, fen
from edge_agent.units import to_milligrams

SHANGHAI = ZoneInfo("Asia/Shanghai")

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=6))
def test_canonical_form_is_rfc_8785(value: dict[str, Any]) -> None:
    assert canonical.dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": 1.5}, r"\$\.a: float"),
        ({"a": [1, 2**53]}, r"\$\.a\[1\]: integer"),
        ({"重": 1}, "not ASCII"),
        ({"a": {"b": "\ud800"}}, r"\$\.a\.b: text has a lone surrogate"),
        ({"a": b"x"}, r"\$\.a: bytes"),
        ({"a": Decimal(1)}, r"\$\.a: Decimal"),
    ],
)
def test_what_no_record_may_hold_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(canonical.NotCanonical, match=place):
        canonical.dumps(value)


@given(
    data=st.dictionaries(keys, values, max_size=5),
    subject=texts,
    source=texts,
    sequence=st.integers(1, 10**16 - 1),
)
def test_a_sealed_record_is_the_canonical_event_with_its_hash(
    data: dict[str, Any], subject: str, source: str, sequence: int
) -> None:
    at = Instant(wall_ms=1_795_400_000_123, mono_ms=5, boot="b", synced=False)
    draft = envelope.draft(type="trace.weighing.v1", subject=subject, at=at, zone=SHANGHAI, data=data)
    sealed = envelope.seal(draft, source=source, chain="c-1", sequence=sequence, prevhash="ab" * 32)
    event = json.loads(sealed.body)
    assert rfc8785.dumps(event) == sealed.body
    assert event["data"] == data
    assert event["sequence"] == f"{sequence:016d}"
    without = {key: value for key, value in event.items() if key != "hash"}
    assert event["hash"] == sealed.hash == hashlib.sha256(rfc8785.dumps(without)).hexdigest() == envelope.hash_of(event)


def test_times_have_offset_and_milliseconds(instants: Callable[[], Instant]) -> None:
    draft = envelope.draft(type="t", subject="s", at=instants(), zone=SHANGHAI, data={})
    assert draft.time == "2026-11-23T10:13:20.000+08:00"


def test_ids_are_uuid7_and_rise_even_when_the_clock_steps_back() -> None:
    made = [ids.uuid7(wall_ms) for wall_ms in (2_000_000_000_000, 2_000_000_000_000, 1_000_000_000_000, 0)]
    assert made == sorted(made)
    assert len(set(made)) == 4
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert int(uuid.UUID(made[0])) >> 80 >= 2_000_000_000_000


@pytest.mark.parametrize(
    ("text", "unit", "mass"),
    [
        ("1.500", "kg", 1_500_000),
        ("-0.005", "kg", -5_000),
        ("12.5", "jin", 6_250_000),
        ("3", "liang", 150_000),
        ("1", "t", 1_000_000_000),
        ("2", "ct", 400),
        ("1", "lb", 453_592),
        ("1", "oz", 28_350),
        ("12:07.50", "lb:oz", 5_655_730),
        ("-1:00", "lb:oz", -453_592),
        ("0.0005", "g", 0),
        ("0.0015", "g", 2),
        ("7", "pcs", None),
        ("7", "%", None),
    ],
)
def test_units_become_milligrams_half_even(text: str, unit: str, mass: int | None) -> None:
    assert to_milligrams(text, unit) == mass


@pytest.mark.parametrize(
    ("text", "unit"), [("x", "kg"), ("NaN", "kg"), ("Infinity", "kg"), ("1", "stone"), ("5", "lb:oz")]
)
def test_what_is_no_mass_is_refused(text: str, unit: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        to_milligrams(text, unit)


@given(st.integers(0, 10**10), st.integers(0, 10**6), st.sampled_from(["kg", "500g"]))
def test_amounts_agree_with_decimal(net_mg: int, price: int, per: Any) -> None:
    exact = Decimal(net_mg) * price / (1_000_000 if per == "kg" else 500_000)
    assert amount_of_mass(net_mg, price, per) == int(exact.quantize(Decimal(1), rounding="ROUND_HALF_UP"))


def test_yuan_texts_become_fen() -> None:
    assert (fen("13.13"), fen("0.005"), fen("7")) == (1313, 1, 700)
    with pytest.raises(ValueError, match="is not an amount"):
        fen("1.2.3")
