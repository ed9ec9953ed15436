"""What an audit says about each kind of tampering: what it is, and where."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.proof import GENESIS, Audit, Finding, Place, Signer
from edge_agent.proof.audit import Report
from edge_agent.proof.files import check_lines, statements_among
from edge_agent.proof.lines import stub_of
from edge_agent.records import canonical


def audit(
    bodies: Iterable[bytes], *, statements: Iterable[Any] = (), rows: bool = False, **options: Any
) -> tuple[list[Finding], Report]:
    named = [(f"statement {number}", each) for number, each in enumerate(statements, 1)]
    check = Audit(statements=named, **options)
    found: list[Finding] = []
    for number, body in enumerate(bodies, 1):
        found += check.feed(f"line {number}", body, row=number if rows else None)
    return found + check.finish(), check.report


def told(found: Iterable[Finding]) -> list[tuple[str, str, int | None, int | None]]:
    return [(str(each.fault), each.where, each.sequence, each.last) for each in found]


def test_a_whole_chain_has_no_findings(world: Any) -> None:
    found, report = audit(world.bodies, statements=world.statements, keys=[world.signer.public])
    assert found == []
    assert (report.records, report.stubs, report.last, report.signed_to) == (60, 0, 60, 60)
    assert (report.checkpoints, report.days, report.signatures_checked) == (3, 2, True)
    assert report.chain == orjson.loads(world.bodies[0])["chain"]


def test_without_a_key_nothing_counts_as_signed(world: Any) -> None:
    found, report = audit(world.bodies, statements=world.statements)
    assert (found, report.signed_to, report.signatures_checked) == ([], 0, False)


def test_a_changed_record_is_named(world: Any) -> None:
    bodies = list(world.bodies)
    event = orjson.loads(bodies[29])
    event["data"]["net_mg"] += 1
    bodies[29] = canonical.dumps(event)
    found, _ = audit(bodies, statements=world.statements, keys=[world.signer.public])
    assert told(found) == [("changed", "line 30", 30, None)]


def test_a_changed_hash_is_one_finding(world: Any) -> None:
    bodies = list(world.bodies)
    event = orjson.loads(bodies[29])
    event["hash"] = "0" * 64
    bodies[29] = canonical.dumps(event)
    assert told(audit(bodies)[0]) == [("changed", "line 30", 30, None)]


@pytest.mark.parametrize("field", ["sequence", "prevhash", "chain", "time", "type", "id", "source", "subject"])
def test_every_field_is_covered(world: Any, field: str) -> None:
    bodies = list(world.bodies)
    event = orjson.loads(bodies[29])
    event[field] = {"sequence": "0000000000000099", "prevhash": "1" * 64}.get(field, event[field][:-1] + "x")
    bodies[29] = canonical.dumps(event)
    found, _ = audit(bodies)
    assert told(found) == [("changed", "line 30", 30, None)]


def test_a_replaced_record_breaks_the_link_behind_it(world: Any, forge: Any) -> None:
    bodies = list(world.bodies)
    event = orjson.loads(bodies[29])
    event["data"]["net_mg"] += 1
    bodies[29] = forge(event)
    assert told(audit(bodies)[0]) == [("broken-link", "line 31", 31, None)]


def test_a_chain_written_anew_is_found_by_its_checkpoints_and_bounded(world: Any, forge: Any) -> None:
    bodies = rewritten(world.bodies, 30, forge)
    assert audit(bodies)[0] == []  # the links alone cannot show it
    found, report = audit(bodies, statements=world.statements, keys=[world.signer.public])
    assert [each[:3] for each in told(found)] == [
        ("not-as-signed", "statement 2", 13),
        ("not-as-signed", "statement 4", 41),
        ("not-as-signed", "statement 5", 60),
    ]
    assert report.signed_to == 20
    assert any("after 20, the last place that agrees, and up to 41" in each.what for each in found)


def rewritten(bodies: list[bytes], at: int, forge: Any) -> list[bytes]:
    """From record `at` on everything is hashed anew, as one who has the store and not the key can do."""
    made = list(bodies[: at - 1])
    prevhash = orjson.loads(made[-1])["hash"] if made else GENESIS.hash
    for number, body in enumerate(bodies[at - 1 :]):
        event = orjson.loads(body) | {"prevhash": prevhash}
        if number == 0:
            event["data"] = {**event["data"], "net_mg": 1}
        made.append(forge(event))
        prevhash = orjson.loads(made[-1])["hash"]
    return made


@pytest.mark.parametrize(("first", "last"), [(1, 1), (30, 30), (30, 39), (1, 59)])
def test_removed_records_are_counted(world: Any, first: int, last: int) -> None:
    bodies = world.bodies[: first - 1] + world.bodies[last:]
    assert told(audit(bodies)[0]) == [("missing", f"line {first}", first, last)]


def test_a_cut_end_is_found_by_what_was_signed(world: Any) -> None:
    bodies = world.bodies[:55]
    assert audit(bodies)[0] == []
    found, _ = audit(bodies, statements=world.statements, keys=[world.signer.public])
    assert told(found) == [("missing", "statement 5", 56, 60)]
    found, _ = audit(bodies, at_least=58)
    assert told(found) == [("missing", "the end", 56, 58)]


def test_an_empty_file_is_not_a_whole_chain_when_something_was_signed(world: Any) -> None:
    assert audit([])[0] == []
    assert told(audit([], statements=world.statements)[0]) == [("missing", "statement 5", 1, 60)]


def test_an_inserted_record_is_named(world: Any, forge: Any) -> None:
    event = orjson.loads(world.bodies[29])
    other = forge(event | {"id": "019e0000-0000-7000-8000-0000000000ff"})
    bodies = [*world.bodies[:30], other, *world.bodies[30:]]
    assert told(audit(bodies)[0]) == [("forked", "line 31", 30, None)]


def test_a_repeated_record_is_named(world: Any) -> None:
    bodies = [*world.bodies[:40], world.bodies[11], *world.bodies[40:]]
    assert told(audit(bodies)[0]) == [("repeated", "line 41", 12, None)]


def test_swapped_records_are_named_and_nothing_is_missing(world: Any) -> None:
    bodies = list(world.bodies)
    bodies[9], bodies[10] = bodies[10], bodies[9]
    assert told(audit(bodies)[0]) == [("reordered", "line 11", 10, None)]


def test_a_fork_is_told_from_a_repetition(world: Any, forge: Any) -> None:
    fork = rewritten(world.bodies, 50, forge)[49:]
    found, _ = audit([*world.bodies, *fork])
    assert {each.fault for each in found} == {"forked"}
    assert [each.sequence for each in found] == list(range(50, 61))


def test_a_record_of_another_chain_is_named(world: Any, make_world: Any) -> None:
    other = make_world(60, seed=2, chain="c-2")
    bodies = [*world.bodies[:30], other.bodies[30], *world.bodies[30:]]
    assert told(audit(bodies)[0]) == [("other-chain", "line 31", 31, None)]
    genesis = [*world.bodies, other.bodies[0]]
    assert told(audit(genesis)[0]) == [("other-chain", "line 61", 1, None)]
    assert told(audit(world.bodies, chain="c-2")[0])[0][0] == "other-chain"


def test_a_changed_first_line_does_not_decide_the_chain(world: Any) -> None:
    event = orjson.loads(world.bodies[0]) | {"chain": "c-x"}
    found, report = audit([canonical.dumps(event), *world.bodies[1:]])
    assert [each[0] for each in told(found)] == ["changed"]
    assert report.chain == orjson.loads(world.bodies[1])["chain"]


def test_an_unreadable_line_leaves_its_place_empty(world: Any) -> None:
    bodies = list(world.bodies)
    bodies[29] = bodies[29][:-1]
    found, _ = audit(bodies)
    assert told(found) == [
        ("unreadable", "line 30", None, None),
        ("missing", "line 31, behind what cannot be read (line 30)", 30, 30),
    ]
    assert told(audit(bodies, rows=True)[0]) == [("unreadable", "line 30", 30, None)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"1",
        b"\xff",
        b'{"a":1.5}',
        b'{"a":1, "b":2}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":"\\ud800"}',
        b'{"\xc3\xa4":1}',
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"a":"' + b"x" * (1 << 20) + b'"}',
        b'{"chain":"c","hash":"h","prevhash":"p","sequence":"1"}',
    ],
)
def test_what_is_no_line_of_a_chain_is_told_and_no_error(world: Any, line: bytes) -> None:
    found, _ = audit([*world.bodies, line])
    assert told(found) == [("unreadable", "line 61", None, None)]


def test_sequence_0_does_not_exist(world: Any, forge: Any) -> None:
    zero = forge(orjson.loads(world.bodies[0]) | {"sequence": "0" * 16})
    assert told(audit([zero, *world.bodies])[0]) == [("unreadable", "line 1", None, None)]


# --- stubs


def stubbed(bodies: list[bytes], every: int = 3) -> list[bytes]:
    return [stub_of(orjson.loads(body)) if number % every else body for number, body in enumerate(bodies)]


def test_a_filtered_stream_stays_checkable(world: Any) -> None:
    found, report = audit(stubbed(world.bodies), statements=world.statements, keys=[world.signer.public])
    assert (found, report.records, report.stubs, report.signed_to, report.days) == ([], 20, 40, 60, 2)


def test_a_changed_stub_breaks_the_chain(world: Any) -> None:
    bodies = stubbed(world.bodies)
    bodies[31] = canonical.dumps(orjson.loads(bodies[31]) | {"hash": "0" * 64})
    assert told(audit(bodies)[0]) == [("broken-link", "line 33", 33, None)]
    bodies = stubbed(world.bodies)
    bodies[31] = canonical.dumps(orjson.loads(bodies[31]) | {"prevhash": "0" * 64})
    assert told(audit(bodies)[0]) == [("broken-link", "line 32", 32, None)]


def test_a_stub_is_a_finding_where_whole_records_belong(world: Any) -> None:
    bodies = list(world.bodies)
    bodies[4] = stub_of(orjson.loads(bodies[4]))
    assert told(audit(bodies, stubs=False)[0]) == [("stub", "line 5", 5, None)]


@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_a_stream_from_the_wire_may_come_in_any_order_and_twice(world: Any, rng: random.Random) -> None:
    bodies = [*stubbed(world.bodies), world.bodies[0]]
    rng.shuffle(bodies)
    assert audit(bodies, any_order=True)[0] == []
    without = [body for body in bodies if orjson.loads(body)["sequence"] != f"{17:016d}"]
    assert [each[::2] for each in told(audit(without, any_order=True)[0])] == [("missing", 17)]


# --- purged


def test_a_purged_chain_begins_behind_its_anchor(world: Any) -> None:
    bodies = world.bodies[20:]
    assert told(audit(bodies)[0]) == [("missing", "line 1", 1, 20)]
    assert audit(bodies, purged=world.place(20))[0] == []
    found, _ = audit(bodies, purged=Place(20, "0" * 64))
    assert told(found) == [("broken-link", "line 1", 21, None)]
    assert told(audit(world.bodies[22:], purged=world.place(20))[0]) == [("missing", "line 1", 21, 22)]
    assert told(audit([], purged=world.place(20))[0]) == [("missing", "the purge", 1, 20)]


def test_what_a_purge_left_standing_is_checked_too(world: Any, forge: Any) -> None:
    left = [world.bodies[4], world.bodies[5], world.bodies[19]]
    assert audit([*left, *world.bodies[20:]], purged=world.place(20))[0] == []
    event = orjson.loads(left[1])
    event["data"]["net_mg"] += 1
    changed = [left[0], canonical.dumps(event), left[2], *world.bodies[20:]]
    assert told(audit(changed, purged=world.place(20))[0]) == [("changed", "line 2", 6, None)]
    forged = [left[0], forge(event), left[2], *world.bodies[20:]]
    assert audit(forged, purged=world.place(20))[0] == []  # nothing that is left vouches for it
    event = orjson.loads(left[2])
    event["data"]["net_mg"] += 1
    at_the_anchor = [left[0], left[1], forge(event), *world.bodies[20:]]
    assert {each[0] for each in told(audit(at_the_anchor, purged=world.place(20))[0])} == {
        "not-as-signed",
        "broken-link",
    }


def test_what_was_not_delivered_cannot_have_been_purged(world: Any) -> None:
    found, _ = audit(world.bodies[20:], purged=world.place(20), owed=[(5, 6), (9, 9)])
    assert told(found) == [("missing", "line 1", 5, 6), ("missing", "line 1", 9, 9)]
    found, _ = audit([world.bodies[4], world.bodies[5], *world.bodies[20:]], purged=world.place(20), owed=[(5, 6)])
    assert found == []


def test_a_purge_while_the_audit_runs_is_no_finding(world: Any) -> None:
    check = Audit(purged=world.place(5))
    bodies = {number: body for number, body in enumerate(world.bodies, 1) if number not in range(1, 31)}
    bodies[6] = world.bodies[5]
    found = [each for number in sorted(bodies) for each in check.feed("row", bodies[number], row=number)]
    assert found + check.finish(purged=world.place(30)) == []


def test_only_a_signed_word_excuses_what_is_missing_at_the_beginning(make_world: Any) -> None:
    world = make_world(60)
    world.purge(20)
    key = [world.signer.public]
    assert audit(world.bodies[20:], statements=world.statements, keys=key)[0] == []
    other = make_world(60, signer=Signer.from_seed(b"other" + bytes(27)))
    other.purge(20)
    found, _ = audit(world.bodies[20:], statements=other.statements[-1:], keys=key)
    assert told(found) == [("signature", "statement 1", None, None), ("missing", "line 1", 1, 20)]
    found, _ = audit(world.bodies[25:], statements=world.statements, keys=key)
    assert told(found) == [("missing", "line 1", 21, 25)]


# --- rows of a store


def test_a_row_under_a_wrong_sequence_is_named(world: Any) -> None:
    check = Audit()
    found = [each for n, body in enumerate(world.bodies[:10], 1) for each in check.feed(f"row {n}", body, row=n)]
    found += check.feed("row 13", world.bodies[10], row=13) + check.finish()
    assert told(found) == [("misplaced", "row 13", 13, None)]


def test_exchanged_rows_are_named(world: Any) -> None:
    bodies = list(world.bodies)
    bodies[9], bodies[10] = bodies[10], bodies[9]
    found, _ = audit(bodies, rows=True)
    assert [each[0] for each in told(found)] == ["misplaced", "misplaced", "reordered"]


# --- files


def test_statements_may_stand_among_the_records(world: Any) -> None:
    raw = [body + b"\n" for body in world.bodies]
    raw[20:20] = [each.dumps() + b"\n" for each in world.statements]
    check = Audit(statements=statements_among(raw), keys=[world.signer.public])
    assert list(check_lines(raw, check)) == []
    assert check.report.signed_to == 60


def test_a_file_that_is_cut_short_is_told(world: Any) -> None:
    raw = [body + b"\n" for body in world.bodies]
    raw[-1] = raw[-1][:-1]
    assert told(check_lines(raw, Audit())) == [("unreadable", "line 60", None, None)]
