"""Lines in, lines out: what `edge-agent code --batch -` does with each line. Pure; the caller reads and prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edge_agent.codes.classifier import classify, classify_epc
from edge_agent.codes.profile import CodeProfile, profile_from_mapping
from edge_agent.codes.values import to_json


def answer(line: str, profiles: Mapping[str, CodeProfile] | None = None) -> dict[str, Any]:
    """The answer to one JSON line `{"text": …}` or `{"epc": …}`, optionally with `symbology`, `role`, `profile`.

    `profile` is the name of one of `profiles`, or an object as `profile_from_mapping` takes. A line that cannot be
    used gives class `unknown` and says why; what it held is not repeated, since it may be private.
    """
    try:
        query = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _refused(f"line is not JSON: {type(error).__name__}")
    if not isinstance(query, dict):
        return _refused("line is not an object")
    hexadecimal, text = query.get("epc"), query.get("text")
    if isinstance(hexadecimal, str):
        return to_json(classify_epc(hexadecimal))
    if not isinstance(text, str):
        return _refused("line has neither text nor epc")
    try:
        profile = _profile(query.get("profile"), profiles or {})
    except ValueError as error:
        return _refused(f"profile: {error}")
    symbology, role = query.get("symbology"), query.get("role")
    return to_json(
        classify(
            text,
            symbology=symbology if isinstance(symbology, str) else None,
            role=role if isinstance(role, str) else None,
            profile=profile,
        )
    )


def _profile(wanted: object, profiles: Mapping[str, CodeProfile]) -> CodeProfile | None:
    if wanted is None:
        return profiles.get("default")
    if isinstance(wanted, str):
        if wanted in profiles or wanted == "default":
            return profiles.get(wanted)
        raise ValueError("no profile of this name")
    if isinstance(wanted, dict):
        return profile_from_mapping(wanted)
    raise ValueError("must be a name or an object")


def _refused(words: str) -> dict[str, Any]:
    return {
        "class": "unknown",
        "valid": None,
        "fields": {},
        "problems": [f"bad-line: {words}"],
        "alternatives": [],
        "raw": "",
    }
