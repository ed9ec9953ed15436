"""Every row of tests/vectors/codes gives the class, validity and fields that its source expects.

A row holds `text` (with `symbology`, `role`, `profile`), or `epc`, or `upc_e`; and what is expected of it: `class`,
`valid`, `fields` (those named, not all), `problem` (a code that must be there), `not` (anything but a valid one of this
class), `element_string` and `canonical` (what the message is as scanner data and as a link), `fields_of` (the AIs of
this scanner data), `alternatives` (classes listed).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

from edge_agent.codes import CodeClass, answer, classify, classify_epc, digital_link, gs1, gtin, profile_from_mapping


def test_vector(vector: dict[str, Any]) -> None:
    if "upc_e" in vector:
        full = gtin.expand_upc_e(vector["upc_e"])
        assert full is not None
        assert full[-1] == str(vector["check"])
        return
    if "epc" in vector:
        found = classify_epc(vector["epc"])
    else:
        profile = profile_from_mapping(vector["profile"]) if "profile" in vector else None
        found = classify(vector["text"], vector.get("symbology"), vector.get("role"), profile)
    if "not" in vector:
        assert not (found.code_class == vector["not"] and found.valid is True), found
        return
    assert found.code_class == vector["class"], found
    if "valid" in vector:
        assert found.valid is vector["valid"], found
    else:
        assert found.valid is not False, found
    for key, value in vector.get("fields", {}).items():
        assert found.fields.get(key) == value, found
    if "problem" in vector:
        assert found.has(vector["problem"]), found
    for other in vector.get("alternatives", []):
        assert other in {alternative.code_class for alternative in found.alternatives}, found
    if "fields_of" in vector:
        expected = {element.code: element.value for element in gs1.parse(vector["fields_of"]).elements}
        assert {key: value for key, value in found.fields.items() if key.isdigit()} == expected
    if "element_string" in vector:
        assert gs1.element_string(_message(vector)) == vector["element_string"]
    if "canonical" in vector:
        assert digital_link.build(_message(vector)) == vector["canonical"]


def _message(vector: dict[str, Any]) -> gs1.Message:
    if vector["text"].startswith("("):
        message = gs1.parse_bracketed(vector["text"])
        assert message is not None
        return message
    loose = bool(vector.get("profile", {}).get("zero_suppressed_gtin"))
    return digital_link.parse(vector["text"], zero_suppressed=loose).message


def test_batch_says_the_same(all_vectors: list[dict[str, Any]]) -> None:
    for row in all_vectors:
        if "class" not in row:
            continue
        query = {key: row[key] for key in ("text", "epc", "symbology", "role", "profile") if key in row}
        assert answer(json.dumps(query))["class"] == row["class"], row


def test_every_documented_collision_has_vectors(all_vectors: list[dict[str, Any]]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "codes.md").read_text("utf-8")
    documented = set(re.findall(r"^\| (C[0-9]+) \|", page, re.MULTILINE))
    assert documented == {row["collision"] for row in all_vectors if "collision" in row}
    assert all(f"`{code_class}`" in page for code_class in get_args(CodeClass))
