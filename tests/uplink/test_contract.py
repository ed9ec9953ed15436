"""The AsyncAPI document: the parser of its makers takes it, and what is really sent and taken is what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import every_record
import orjson
import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from edge_agent.store import Store
from edge_agent.uplink import wire
from edge_agent.uplink.contract import TOPICS, asyncapi
from edge_agent.uplink.settings import Identity
from hwsim.city.archive import Refused
from hwsim.city.service import verdict

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reference" / "asyncapi.yaml"


def parsed(file: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "asyncapi.cjs", str(file)],
        cwd=ROOT / "tests" / "node",
        capture_output=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def test_the_parser_takes_the_document() -> None:
    found = parsed(DOCUMENT)
    worse = [each for each in found["diagnostics"] if each["severity"] < 2 or each["code"] != "asyncapi-latest-version"]
    assert worse == []
    assert found["version"].startswith("3.")
    assert sorted(found["channels"]) == sorted(topic.whole_address for topic in TOPICS)
    assert len(found["operations"]) == len(TOPICS)


def test_the_parser_has_teeth(tmp_path: Path) -> None:
    for old, new in (("action: send", "action: shout"), ("#/channels/state", "#/channels/stat"), ("qos: 1", "qos: 7")):
        bad = tmp_path / "bad.yaml"
        bad.write_text(DOCUMENT.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
        assert any(each["severity"] == 0 for each in parsed(bad)["diagnostics"]), new


def test_the_topics_are_those_of_the_wire() -> None:
    topics = wire.Topics.of(
        Identity(site="market-1", gateway="gw-1", source="/market-1/gw-1", zone=every_record.SHANGHAI)
    )
    said = {topic.whole_address.replace("{site}", "market-1").replace("{gateway}", "gw-1") for topic in TOPICS}
    used = {getattr(topics, name) for name in topics.__slots__} - {topics.test}
    assert used <= said
    assert yaml.safe_load(DOCUMENT.read_text(encoding="utf-8")) == orjson.loads(orjson.dumps(asyncapi()))


def payload_validator(name: str, dialect: Any = Draft202012Validator) -> Any:
    document = asyncapi()
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return dialect(schema)


def test_what_is_sent_and_taken_is_what_the_document_says(tmp_path: Path) -> None:
    records = list(every_record.every(at_random=1))
    real = {
        "state": [wire.state(online=True, session="s", since="2026-11-23T09:15:02.412+08:00")],
        "records": [wire.batch([orjson.dumps(event) for event in records])],
        "verdicts": [
            verdict("c-1", [1, 2, 3, 7], []),
            verdict("c-1", [], [Refused(sequence=4, id="x", code="rule", reason="no", retryable=True)]),
        ],
    }
    store = Store.open(tmp_path / "records.db", source="/market-1/gw-1", zone=every_record.SHANGHAI)
    signed = store.checkpoint()
    store.stop(30)
    assert signed is not None
    real["checkpoint"] = [signed]
    piece = wire.piece(chain="c", sha256="ab" * 32, size=5, media_type="image/png", offset=0, data=b"\n\x00\x01")
    real["attachments"] = [piece.partition(b"\n")[0]]
    word = {"sha256": "ab" * 32, "have": 5, "complete": True, "refused": None}
    real["verdicts"].append(orjson.dumps({"v": 1, "chain": "c-1", "attachments": [word]}))
    assert len(wire.decode_attachments(real["verdicts"][-1])) == 1
    for dialect in (Draft7Validator, Draft202012Validator):
        for name, payloads in real.items():
            validator = payload_validator(name, dialect)
            for payload in payloads:
                assert list(validator.iter_errors(orjson.loads(payload))) == [], name
    spoiled = [events := [dict(each) for each in records]]
    events[3]["prevhash"] = "x"
    assert all(not payload_validator("records").is_valid(each) for each in spoiled)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("state", {"online": "yes", "session": "s", "since": "2026-11-23T09:15:02.412+08:00"}),
        ("verdicts", {"v": 2, "chain": "c"}),
        ("verdicts", {"v": 1, "chain": "c", "accepted": [[1, 2, 3]]}),
        ("verdicts", {"v": 1, "chain": "c", "rejected": [{"id": "x"}]}),
        ("records", []),
        ("platformState", {"accepting": 1}),
        ("directives", {"v": 1, "id": "d", "sequence": 1, "kind": "explode"}),
        ("receipts", {"v": 1, "directive": "d", "status": "maybe", "time": "2026-11-23T09:15:02.412+08:00"}),
    ],
)
def test_what_the_wire_does_not_take_the_document_does_not_allow(name: str, payload: Any) -> None:
    assert not payload_validator(name).is_valid(payload)


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    for reference in re.findall(r'"\$ref":"(#/[^"]+)"', orjson.dumps(document).decode()):
        place: Any = document
        for part in reference[2:].split("/"):
            place = place[part]
