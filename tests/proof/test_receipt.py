"""A receipt proved by itself, and which records are a day's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from edge_agent.proof import receipt
from edge_agent.proof.days import Days
from edge_agent.proof.merkle import root
from edge_agent.proof.statements import sign_day_root
from edge_agent.records import canonical


def day_of(world: Any, number: int) -> tuple[Any, list[str]]:
    signed = world.roots[number]
    return signed, world.hashes[signed.first - 1 : signed.last]


@pytest.mark.parametrize("sequence", [13, 14, 24, 36])
def test_a_receipt_is_proved_without_the_others(world: Any, sequence: int) -> None:
    signed, hashes = day_of(world, 1)
    assert (signed.first, signed.last, signed.day) == (13, 36, "2026-11-24")
    proof = receipt.prove(world.bodies[sequence - 1], hashes, signed)
    assert receipt.is_proof(proof)
    assert receipt.check(proof, [world.signer.public]) == []
    assert receipt.check(proof) == []
    for number, body in enumerate(world.bodies, 1):
        event = orjson.loads(body)
        # Of another record nothing but a leaf hash or the hash that the record itself names is in it.
        assert number == sequence or event["id"].encode() not in proof
        assert number == sequence or event["data"]["raw"].encode() not in proof


def test_a_proof_is_only_made_where_it_holds(world: Any) -> None:
    signed, hashes = day_of(world, 1)
    with pytest.raises(ValueError, match="not those that were signed|not there any more"):
        receipt.prove(world.bodies[13], hashes[:-1], signed)
    with pytest.raises(ValueError, match="not among those"):
        receipt.prove(world.bodies[0], hashes, signed)


def test_a_proof_says_what_is_wrong_with_it(world: Any, make_world: Any) -> None:
    signed, hashes = day_of(world, 1)
    proof = orjson.loads(receipt.prove(world.bodies[13], hashes, signed))
    keys = [world.signer.public]

    def faults(spoilt: Any, keys: Any = keys) -> list[str]:
        return [str(each.fault) for each in receipt.check(canonical.dumps(spoilt), keys)]

    event = proof["record"]
    dearer = {**event, "data": {**event["data"], "net_mg": 1}}
    assert faults({**proof, "record": dearer}) == ["changed"]
    assert faults({**proof, "record": orjson.loads(world.bodies[14])}) == ["proof"]
    assert faults({**proof, "path": proof["path"][:-1]}) == ["proof"]
    assert faults({**proof, "path": ["0" * 64] * 65}) == ["unreadable"]
    assert faults({**proof, "path": 1}) == ["unreadable"]
    assert faults({**proof, "root": {**proof["root"], "day": "2026-11-25"}}) == ["signature"]
    assert faults({**proof, "root": {**proof["root"], "root": "0" * 64}}) == ["signature", "proof"]
    assert faults(proof, [make_world(1, seed=3).signer.public]) == ["signature"]
    assert faults({**proof, "extra": 1}) == ["unreadable"]
    assert faults({**proof, "record": {"chain": "c"}}) == ["unreadable"]
    assert faults({**proof, "root": orjson.loads(world.statements[-1].dumps())}) == ["unreadable"]
    other = sign_day_root(
        world.signer,
        chain="c-2",
        day="2026-11-24",
        first=13,
        last=36,
        root=bytes.fromhex(signed.root),
        time=signed.time,
    )
    assert faults({**proof, "root": orjson.loads(other.dumps())}) == ["other-chain"]
    for nonsense in (b"", b"[]", b"{}", b"\xff", orjson.dumps(proof, option=orjson.OPT_INDENT_2)):
        assert [str(each.fault) for each in receipt.check(nonsense, keys)] == ["unreadable"]


# --- days


def add(days: Days, *times: str) -> list[tuple[str, int, int]]:
    ended = (days.add(number, f"{number:064x}", time) for number, time in enumerate(times, 1))
    return [(each.day, each.first, each.last) for each in ended if each is not None]


def test_a_day_ends_with_the_first_record_of_another() -> None:
    times = [f"2026-11-{day}T{hour}:00:00.000+08:00" for day in (23, 24, 26) for hour in ("08", "23")]
    assert add(Days(), *times) == [("2026-11-23", 1, 2), ("2026-11-24", 3, 4)]


def test_latecomers_after_midnight_do_not_part_the_day() -> None:
    times = ["2026-11-23T23:59:59.000", "2026-11-24T00:00:00.001", "2026-11-23T23:59:59.900", "2026-11-24T09:00:00.000"]
    assert add(Days(), *[f"{time}+08:00" for time in (*times, "2026-11-25T09:00:00.000")]) == [
        ("2026-11-23", 1, 1),
        ("2026-11-24", 2, 4),
    ]


def test_a_clock_that_ran_wild_does_not_swallow_the_days_after() -> None:
    times = ["2026-11-23T08", "2099-01-01T00", "2026-11-23T09", "2026-11-24T09"]
    assert add(Days(), *[f"{time}:00:00.000+08:00" for time in times]) == [
        ("2026-11-23", 1, 1),
        ("2099-01-01", 2, 2),
        ("2026-11-23", 3, 3),
    ]


def test_the_root_of_a_day_is_over_the_bytes_of_the_hashes() -> None:
    days = Days()
    for number in range(1, 6):
        days.add(number, f"{number:064x}", "2026-11-23T08:00:00.000+08:00")
    ended = days.add(6, "f" * 64, "2026-11-24T08:00:00.000+08:00")
    assert ended is not None
    assert ended.root == root([number.to_bytes(32, "big") for number in range(1, 6)])
    assert (ended.hash, ended.last) == (f"{5:064x}", 5)
