"""The city stand-in behind a real Mosquitto, and its store and rules by themselves."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import zstandard

from hwsim.city import City, Rule
from hwsim.city.archive import Archive, ranges
from hwsim.city.events import MAX_BATCH_BYTES, Event, Malformed, read_batch

SOURCE = "/market-7/gw-1"
TOPIC = "trace/v1/market-7/gw-1/records"


def pack(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records, ensure_ascii=False).encode()


class Gateway:
    """The agent's end, as far as the city can see it."""

    def __init__(self, port: int) -> None:
        self.verdicts: queue.Queue[dict[str, Any]] = queue.Queue()
        self.states: queue.Queue[dict[str, Any]] = queue.Queue()
        ready = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = self._arrived
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe([("trace/v1/+/+/verdicts", 1), ("trace/v1/+/platform/state", 1)])
        self.client.loop_start()
        assert ready.wait(10)

    def _arrived(self, client: Any, userdata: Any, message: mqtt.MQTTMessage) -> None:
        target = self.verdicts if message.topic.endswith("/verdicts") else self.states
        target.put(json.loads(message.payload) | {"topic": message.topic, "retain": message.retain})

    def send(self, records: list[dict[str, Any]] | bytes, topic: str = TOPIC) -> None:
        payload = records if isinstance(records, bytes) else pack(records)
        self.client.publish(topic, payload, qos=1).wait_for_publish(10)

    def verdict(self) -> dict[str, Any]:
        return self.verdicts.get(timeout=10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def gateway(mosquitto: Any) -> Iterator[Gateway]:
    made = Gateway(mosquitto.port)
    yield made
    made.close()


@pytest.fixture
def city(mosquitto: Any, tmp_path: Path) -> Iterator[Callable[..., City]]:
    running: list[City] = []

    def start(**options: Any) -> City:
        made = City(mosquitto.address, store=tmp_path / "city.db", **options).start()
        running.append(made)
        made.wait_connected()
        return made

    yield start
    for each in running:
        each.stop()


def test_records_are_stored_once_and_every_copy_is_accepted(
    gateway: Gateway, city: Any, chain: Any, tmp_path: Path
) -> None:
    platform = city()
    chain.add(5)
    gateway.send(chain.records)
    verdict = gateway.verdict()
    assert verdict["topic"] == "trace/v1/market-7/gw-1/verdicts"
    assert (verdict["v"], verdict["chain"], verdict["accepted"], verdict["rejected"]) == (1, "c1", [[1, 5]], [])
    gateway.send(chain.records[1:3])
    assert gateway.verdict()["accepted"] == [[2, 3]]
    stats = platform.wait(lambda s: s.received == 7, 10)
    assert (stats.distinct, stats.duplicates, stats.gaps, stats.rejected) == (5, 2, 0, 0)
    assert stats.chain_ok
    with sqlite3.connect(tmp_path / "city.db") as db:
        bodies = [json.loads(row[0]) for row in db.execute("SELECT body FROM records ORDER BY sequence")]
    assert bodies == chain.records


def test_overtaking_records_are_gaps_until_they_come_and_break_nothing(gateway: Gateway, city: Any, chain: Any) -> None:
    platform = city()
    chain.add(10)
    gateway.send([chain.records[i] for i in (9, 4, 5, 0)])
    assert gateway.verdict()["accepted"] == [[1, 1], [5, 6], [10, 10]]
    stats = platform.wait(lambda s: s.received == 4, 10)
    assert (stats.gaps, stats.chain_ok) == (6, True)
    gateway.send([record for i, record in enumerate(chain.records) if i not in (9, 4, 5, 0)])
    stats = platform.wait(lambda s: s.received == 10, 10)
    assert (stats.gaps, stats.distinct, stats.chain_ok) == (0, 10, True)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(level=1).compress, bytes])
def test_compression_is_told_by_the_first_bytes(gateway: Gateway, city: Any, chain: Any, compress: Any) -> None:
    city()
    gateway.send(compress(pack(chain.add(3))))
    assert gateway.verdict()["accepted"] == [[1, 3]]


def test_the_platform_says_that_it_accepts_to_each_site_it_knows(
    gateway: Gateway, city: Any, chain: Any, mosquitto: Any
) -> None:
    platform = city()
    gateway.send(chain.add(1))
    assert gateway.states.get(timeout=10)["accepting"] is True
    late = Gateway(mosquitto.port)
    retained = late.states.get(timeout=10)
    assert (retained["retain"], retained["topic"]) == (True, "trace/v1/market-7/platform/state")
    late.close()
    platform.accept(False)
    assert gateway.states.get(timeout=10)["accepting"] is False


def test_what_is_known_survives_a_restart_of_the_platform(gateway: Gateway, city: Any, chain: Any) -> None:
    first = city(reject=["sequence=2"])
    chain.add(4)
    gateway.send([chain.records[i] for i in (0, 1, 3)])
    gateway.verdict()
    first.stop()
    gateway.send([chain.records[3], chain.records[2]])
    second = city()
    verdict = gateway.verdict()
    assert verdict["accepted"] == [[3, 4]], "what came while it was away is kept by the persistent session"
    stats = second.wait(lambda s: s.received == 5, 10)
    assert (stats.distinct, stats.duplicates, stats.rejected, stats.gaps) == (3, 1, 1, 0)
    gateway.send([chain.records[1]])
    assert gateway.verdict()["accepted"] == [[2, 2]]
    stats = second.wait(lambda s: s.received == 6, 10)
    assert (stats.distinct, stats.rejected, stats.gaps, stats.chain_ok) == (4, 0, 0, True)


def test_a_silent_platform_stores_and_says_nothing(gateway: Gateway, city: Any, chain: Any) -> None:
    platform = city(silent=float("inf"))
    gateway.send(chain.add(3))
    platform.wait(lambda s: s.distinct == 3, 10)
    platform.silence(0)
    gateway.send(chain.records[:1])
    assert gateway.verdict()["accepted"] == [[1, 1]]
    assert gateway.verdicts.empty()


def test_a_broker_that_forgets_everything_gets_the_subscription_again(mosquitto: Any, city: Any, chain: Any) -> None:
    platform = city()
    mosquitto.kill()
    deadline = time.monotonic() + 10
    while platform.stats.connected:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    mosquitto.start()
    platform.wait_connected(15)
    gateway = Gateway(mosquitto.port)
    gateway.send(chain.add(2))
    assert gateway.verdict()["accepted"] == [[1, 2]]
    gateway.close()


def test_rules_refuse_and_say_so(gateway: Gateway, city: Any, chain: Any) -> None:
    platform = city(reject=["sequence%3:retryable:once", "type=trace.scan.v1"])
    chain.add(3)
    chain.add(1, type="trace.scan.v1")
    gateway.send(chain.records)
    verdict = gateway.verdict()
    assert verdict["accepted"] == [[1, 2]]
    third, fourth = verdict["rejected"]
    assert third == {
        "sequence": 3,
        "id": chain.records[2]["id"],
        "code": "rule",
        "reason": "refused by the rule sequence%3:retryable:once",
        "retryable": True,
    }
    assert (fourth["sequence"], fourth["retryable"]) == (4, False)
    gateway.send(chain.records[2:])
    verdict = gateway.verdict()
    assert verdict["accepted"] == [[3, 3]], "once means once"
    assert [each["sequence"] for each in verdict["rejected"]] == [4]
    stats = platform.wait(lambda s: s.received == 6, 10)
    assert (stats.distinct, stats.rejected, stats.gaps, stats.chain_ok) == (3, 1, 0, True)


def test_a_message_that_cannot_be_read_is_kept_and_the_next_goes_on(gateway: Gateway, city: Any, chain: Any) -> None:
    platform = city()
    for payload in (
        b"{",
        b"[]",
        b"[1]",
        b"\x1f\x8bxx",
        b"\x28\xb5\x2f\xfdxx",
        gzip.compress(b" " * MAX_BATCH_BYTES * 9),
    ):
        gateway.send(payload)
    gateway.send(chain.add(1))
    assert gateway.verdict()["accepted"] == [[1, 1]]
    assert platform.stats.malformed == 6


# -- the checks of one record --


def check(record: dict[str, Any]) -> Event:
    return next(iter(read_batch(pack([record]), source=SOURCE)))


def reseal(record: dict[str, Any]) -> dict[str, Any]:
    bare = {key: value for key, value in record.items() if key != "hash"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return bare | {"hash": hashlib.sha256(text).hexdigest()}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"unknown": "attribute"}, None),
        ({"unknown": 1.5}, "attribute"),
        ({"specversion": "0.3"}, "attribute"),
        ({"id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, "attribute"),
        ({"source": "/market-7/gw-2"}, "attribute"),
        ({"subject": ""}, "attribute"),
        ({"type": "trace.wedding.v1"}, "attribute"),
        ({"type": ["trace.scan.v1"]}, "attribute"),
        ({"time": "2026-11-23T01:15:02.412Z"}, "attribute"),
        ({"time": "2026-11-23T09:15:02+08:00"}, "attribute"),
        ({"prevhash": "0" * 63}, "attribute"),
        ({"data": None}, "attribute"),
        ({"data": {"net_mg": 1.0}}, "data"),
        ({"data": {"net_mg": "1"}}, "data"),
        ({"data": {"net_mg": True}}, "data"),
        ({"data": {"net_mg": None}}, None),
        ({"data": {"deep": [{"x": 2**53}]}}, "data"),
        ({"data": {"称": 1}}, "data"),
        ({"data": {"captured_by": "ghost"}}, "data"),
        ({"data": {"flags": "none"}}, "data"),
        ({"data": {"clock": {"synced": "yes"}}}, "data"),
    ],
)
def test_each_record_is_checked_by_itself(chain: Any, changes: dict[str, Any], code: str | None) -> None:
    record = reseal(chain.add(1)[0] | changes)
    event = check(record)
    assert (event.fault[0] if event.fault else None) == code, event.fault


def test_a_record_that_was_changed_after_it_was_sealed_is_refused(chain: Any) -> None:
    record = chain.add(1)[0]
    tampered = record | {"data": record["data"] | {"net_mg": 9_999_000}}
    assert check(record).fault is None
    assert check(tampered).fault == ("hash", "the hash is not that of the canonical event")


@pytest.mark.parametrize("sequence", [1, "1", "0000000000000000", "00000000000000x1", "00000000000000001", None])
def test_a_sequence_is_text_of_sixteen_digits(chain: Any, sequence: Any) -> None:
    with pytest.raises(Malformed, match="sequence"):
        check(chain.add(1)[0] | {"sequence": sequence})


def test_a_thousand_records_and_no_more(chain: Any) -> None:
    record = chain.add(1)[0] | {"data": {}}
    stub = {"chain": "c", "sequence": "0000000000000001"}
    assert len(list(read_batch(pack([stub] * 1000), source=SOURCE))) == 1000
    with pytest.raises(Malformed, match="1 to 1000"):
        read_batch(pack([stub] * 1001), source=SOURCE)
    with pytest.raises(Malformed, match="at most"):
        read_batch(pack([record | {"data": {"x": "y" * MAX_BATCH_BYTES}}]), source=SOURCE)


# -- the store --


def take(archive: Archive, records: list[dict[str, Any]]) -> Any:
    archive.begin()
    outcomes = archive.take(read_batch(pack(records), source=SOURCE), site="market-7", gateway="gw-1")
    archive.commit()
    return outcomes[0]


def test_a_fork_is_refused_and_seen(chain: Any) -> None:
    archive = Archive(None)
    chain.add(3)
    take(archive, chain.records)
    other = reseal(chain.records[1] | {"data": {"net_mg": 1}, "id": "01930000-0000-7000-8000-00000000ffff"})
    outcome = take(archive, [other])
    assert [(each.sequence, each.code) for each in outcome.refused] == [(2, "fork")]
    assert "two records claim sequence 2" in archive.broken[0]
    assert (archive.distinct, archive.rejected, archive.duplicates) == (3, 0, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (2, 0, 1)])
def test_a_link_that_does_not_hold_is_seen_from_either_side(chain: Any, order: tuple[int, ...]) -> None:
    archive = Archive(None)
    chain.add(2)
    chain.add(1, prevhash="ab" * 32)
    for number in order:
        take(archive, [chain.records[number]])
    assert archive.broken == ["c1: 3 does not follow 2"]


def test_the_first_record_has_nothing_before_it(chain: Any) -> None:
    archive = Archive(None)
    take(archive, chain.add(1, prevhash="ab" * 32))
    assert "names a record before it" in archive.broken[0]


def test_a_refused_record_still_is_a_link(chain: Any) -> None:
    archive = Archive(None, [Rule.parse("sequence=2")])
    chain.add(2)
    chain.add(1, prevhash="ab" * 32)
    take(archive, chain.records)
    assert archive.broken == ["c1: 3 does not follow 2"]


def test_one_id_names_one_record(chain: Any) -> None:
    archive = Archive(None)
    chain.add(2)
    chain.add(1, id=chain.records[0]["id"])
    outcome = take(archive, chain.records)
    assert outcome.accepted == [1, 2]
    assert [(each.sequence, each.code) for each in outcome.refused] == [(3, "id")]
    assert (archive.distinct, archive.rejected, archive.gaps) == (2, 1, 0)
    assert archive.broken


def test_a_record_twice_in_one_message_is_one_record(chain: Any) -> None:
    archive = Archive(None)
    chain.add(1)
    outcome = take(archive, chain.records * 3)
    assert (set(outcome.accepted), archive.distinct, archive.duplicates) == ({1}, 1, 2)


def test_any_order_and_any_copies_end_the_same(chain: Any) -> None:
    chain.add(60)
    for seed in range(8):
        draw = random.Random(seed)
        archive = Archive(None, [Rule.parse("sequence%7:once")])
        sent = chain.records + draw.choices(chain.records, k=40)
        draw.shuffle(sent)
        sent += [chain.records[i] for i in range(6, 60, 7)]
        while sent:
            size = draw.randint(1, 15)
            take(archive, sent[:size])
            sent = sent[size:]
        assert (archive.distinct, archive.rejected, archive.gaps, archive.broken) == (60, 0, 0, [])


def test_ranges_are_the_fewest() -> None:
    assert ranges([5, 1, 2, 2, 3, 9, 8]) == [(1, 3), (5, 5), (8, 9)]
    assert ranges([]) == []


@pytest.mark.parametrize("wrong", ["", "type", "sequence%0", "sequence=x", "colour=red", "id=1:twice"])
def test_wrong_rules_say_what_would_be_right(wrong: str) -> None:
    with pytest.raises(ValueError, match="FIELD=VALUE|the field is"):
        Rule.parse(wrong)


def test_a_store_that_fails_gives_no_verdict(gateway: Gateway, city: Any, chain: Any, tmp_path: Path) -> None:
    platform = city()
    chain.add(2)
    with sqlite3.connect(tmp_path / "city.db") as db:
        db.execute("DROP TABLE records")
    gateway.send(chain.records)
    deadline = time.monotonic() + 10
    while platform.failure is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "records" in platform.failure
    assert gateway.verdicts.empty()
    assert os.path.exists(tmp_path / "city.db")
