"""Profiles: what a configuration may say, and every way in which it may be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.codes import DEFAULT_PROFILE, classify, profile_from_mapping


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"labels": {}}, "labels must be a list"),
        ({"labels": [1]}, "labels must be a list"),
        ({"separators": "|"}, "separators must be a list"),
        ({"separators": [""]}, "separators must be a list"),
        ({"this_year": "2026"}, "this_year must be a year"),
        ({"zero_suppressed_gtin": 1}, "must be true or false"),
        ({"layout": "PPIIIIIWWWWWC", "prefix": "2x"}, "prefix '2x'"),
        ({"layout": "PPIIIIIWWWWW", "prefix": "21"}, "13 or 18"),
        ({"layout": "PPIIIIIWWWWWW", "prefix": "21"}, "only C"),
        ({"layout": "PPIIIIIIIIIIC", "prefix": "21"}, "an amount or a weight"),
        ({"layout": "PPIIIWWIIWWWC", "prefix": "21"}, "stand together"),
        ({"layout": "PPIIIIIZZZZZC", "prefix": "21"}, "letters P, I, M, W, K and C"),
        ({"layout": "PPIIIIIVVVVVC", "prefix": "21"}, "value of a label"),
        ({"layout": "PPIIIIIIWKWWC", "prefix": "21"}, "stand together"),
        ({"layout": "PPIIIIIIKWWWC", "prefix": "21"}, "one K stands before"),
        ({"layout": "PPIIIIIWWWWWC", "prefix": "21", "weight_decimals": 9}, "decimals must be"),
        ({"layout": "PPIIIIIWWWWWC", "prefix": "21", "weight_decimals": "3"}, "whole numbers"),
        ({"layout": 5}, "must be text"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        profile_from_mapping(settings)


def test_the_first_label_of_a_prefix_decides() -> None:
    profile = profile_from_mapping(
        {
            "labels": [
                {"prefix": "21", "layout": "PP IIIII WWWWW C"},
                {"prefix": "2", "layout": "P IIIIII VVVVV C", "value": "amount"},
            ]
        }
    )
    assert classify("2100012012348", profile=profile).fields["weight_kg"] == "1.234"
    assert classify("2200012015803", profile=profile).fields["amount"] == "15.80"


def test_the_year_places_two_digit_years() -> None:
    old = profile_from_mapping({"this_year": 1990})
    assert classify("]C10106901234567892\x1d17891231", profile=old).fields["17_date"] == "1989-12-31"
    assert classify("]C10106901234567892\x1d17751231").fields["17_date"] == "2075-12-31"


def test_no_label_is_known_by_default() -> None:
    assert DEFAULT_PROFILE.labels == ()
    assert DEFAULT_PROFILE.separators == ()
    assert all(rule.source for rule in DEFAULT_PROFILE.payment_rules)
