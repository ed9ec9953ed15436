"""Damaged files: noticed, set aside, salvaged; collecting goes on under a new chain that names the old one."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.model import Refusal
from edge_agent.records.envelope import Draft
from edge_agent.store import Reader, Salvaged, Store, StoreUnusable, salvage
from edge_agent.store.damage import aside_files, examine, suspect

OpenStore = Callable[..., Store]
MakeDraft = Callable[..., Draft]
CheckChain = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def old(open_store: OpenStore, make_draft: MakeDraft, path: Path) -> dict[int, bytes]:
    """A stopped store with records 1 to 301 at `path`, 1 to 100 of them delivered; their bodies."""
    store = open_store()
    for ticket in [store.submit(make_draft(n, size=20 + n % 300)) for n in range(300)]:
        ticket.wait(20)
    store.outbox().settle([(1, 100)], [], clock.now())
    bodies = dict(store.read(1, limit=1000))
    store.stop()
    return bodies


def all_salvaged(store: Store) -> list[Salvaged]:
    found: list[Salvaged] = []
    while rows := store.salvaged.pending(50, after=(found[-1].chain, found[-1].sequence) if found else ("", 0)):
        found += rows
    return found


def test_not_a_database(
    old: dict[int, bytes],
    open_store: OpenStore,
    make_draft: MakeDraft,
    path: Path,
    eventually: Any,
    check_chain: CheckChain,
) -> None:
    raw = bytearray(path.read_bytes())
    raw[:100] = b"\0" * 100
    path.write_bytes(raw)
    store = open_store()
    old_chain = json.loads(old[1])["chain"]
    first = json.loads(store.read(1, limit=1)[0].body)
    assert store.chain != old_chain
    assert first["type"] == "trace.chain.v1"
    assert first["data"]["old_chain"] == old_chain
    assert first["data"]["old_sequence"] == 301
    assert first["data"]["old_hash"] == json.loads(old[301])["hash"]
    assert "not a database" in first["data"]["reason"]
    assert store.keep(make_draft()).sequence == 2  # at once, before salvage has ended
    eventually(lambda: len(all_salvaged(store)) == 301)
    # Not even the outbox could be read, so all of it is to be sent once more.
    assert {row.sequence: row.body for row in all_salvaged(store)} == old
    (aside,) = aside_files(path)
    assert aside.name.startswith("records.db.broken-")
    assert aside.read_bytes() == bytes(raw), "the evidence is not touched"
    store.stop()
    check_chain(path)


def test_a_damaged_page_costs_its_own_rows_at_most(
    old: dict[int, bytes], open_store: OpenStore, path: Path, eventually: Any
) -> None:
    raw = bytearray(path.read_bytes())
    hurt = raw.index(b'"sequence":"0000000000000200"') // 4096 * 4096
    raw[hurt : hurt + 64] = b"\xff" * 64
    path.write_bytes(raw)
    store = open_store()
    eventually(lambda: not store.salvaged.waiting())
    found = {row.sequence: row.body for row in all_salvaged(store)}
    assert all(old[sequence] == body for sequence, body in found.items())
    assert len(set(range(101, 302)) - set(found)) <= 8
    assert set(found) <= set(range(101, 302)), "what the old outbox shows as delivered stays in the old file"


def test_verdicts_on_salvaged_records(
    old: dict[int, bytes], open_store: OpenStore, path: Path, eventually: Any
) -> None:
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    store = open_store()
    eventually(lambda: not store.salvaged.waiting())
    eventually(lambda: store.salvaged.left == 301)
    chain = json.loads(old[1])["chain"]
    refused = Refusal(sequence=250, id="x", code="E1", reason="no", retryable=False)
    again = Refusal(sequence=251, id="x", code="E1", reason="later", retryable=True)
    assert store.salvaged.settle(chain, [(1, 200), (290, 10**9), (9, 3)], [refused, again]) == 213
    assert store.salvaged.settle("another", [(1, 200)], []) == 0
    left = [*range(201, 250), *range(251, 290)]
    assert [row.sequence for row in all_salvaged(store)] == left
    eventually(lambda: not store.salvaged.waiting())
    assert [row.sequence for row in all_salvaged(store)] == left
    eventually(lambda: store.salvaged.left == len(left))
    assert store.salvaged.settle(chain, [(1, 260)], [refused]) == 59
    left = [*range(261, 290)]
    eventually(lambda: store.salvaged.left == len(left))
    store.stop()
    with Reader.open(path) as reader:
        assert reader.salvaged_left() == len(left)
    store = open_store()  # the set-aside file is not read a second time
    assert not store.salvaged.waiting()
    assert [row.sequence for row in all_salvaged(store)] == left
    assert store.salvaged.left == len(left)
    assert len(aside_files(path)) == 1


def test_a_second_damage_keeps_what_the_first_left(
    old: dict[int, bytes], open_store: OpenStore, make_draft: MakeDraft, path: Path, eventually: Any
) -> None:
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    store = open_store()
    eventually(lambda: not store.salvaged.waiting())
    second = store.chain
    store.keep(make_draft())
    store.stop()
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    store = open_store()
    eventually(lambda: not store.salvaged.waiting())
    assert json.loads(store.read(1, limit=1)[0].body)["data"]["old_chain"] == second
    found = all_salvaged(store)
    assert {row.sequence: row.body for row in found if row.chain == json.loads(old[1])["chain"]} == old
    assert [row.sequence for row in found if row.chain == second] == [1, 2]


def test_any_damage_at_all_never_stops_the_stall(
    old: dict[int, bytes],
    open_store: OpenStore,
    make_draft: MakeDraft,
    tmp_path: Path,
    path: Path,
    check_chain: CheckChain,
) -> None:
    """Bytes changed anywhere: the store opens and keeps, and whatever it shows or salvages is what was written."""
    chance = random.Random(11)
    sound = path.read_bytes()
    set_aside = 0
    for number in range(25):
        where = tmp_path / f"{number}" / "records.db"
        where.parent.mkdir()
        raw = bytearray(sound)
        for _ in range(chance.choice((1, 3, 40))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        if number % 5 == 0:
            del raw[chance.randrange(len(raw)) :]
        where.write_bytes(raw)
        store = open_store(where)
        store.keep(make_draft())
        asides = aside_files(where)
        set_aside += bool(asides)
        for aside in asides:
            for row in filter(None, salvage(aside)):
                assert row.body == old[row.sequence]
        store.stop()
    assert set_aside > 5


def test_a_log_without_its_database_is_salvaged_too(
    open_store: OpenStore, make_draft: MakeDraft, tmp_path: Path, path: Path
) -> None:
    store = open_store()
    kept = [store.keep(make_draft(n)) for n in range(30)]
    copy = tmp_path / "copy.db"
    shutil.copy(path.with_name(path.name + "-wal"), copy.with_name(copy.name + "-wal"))
    copy.write_bytes(b"\0" * 8192)
    found = {row.sequence for row in filter(None, salvage(copy))}
    assert {each.sequence for each in kept} <= found


def test_records_that_the_platform_has_and_we_have_not(
    old: dict[int, bytes], open_store: OpenStore, path: Path
) -> None:
    """A card that lied lost the newest records: their sequences are not used again, a new chain begins."""
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM records WHERE sequence > 50")
    connection.commit()
    connection.close()
    store = open_store()
    assert store.chain != json.loads(old[1])["chain"]
    assert "51 to 100 were accepted and are gone" in json.loads(store.read(1, limit=1)[0].body)["data"]["reason"]


def test_a_changed_record_is_noticed(old: dict[int, bytes], path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE records SET body = CAST(replace(body, '\"net_mg\":298', '\"net_mg\":998') AS BLOB) WHERE sequence = 300"
    )
    assert connection.total_changes == 1
    connection.commit()
    connection.close()
    assert examine(path, 1.0) == "record 300 is not what was written"


def test_a_large_file_is_checked_in_bounded_time_and_a_suspect_one_as_a_whole(
    old: dict[int, bytes], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = bytearray(path.read_bytes())
    hurt = raw.index(b'"sequence":"0000000000000020"') // 4096 * 4096
    raw[hurt : hurt + 64] = b"\xff" * 64
    path.write_bytes(raw)
    monkeypatch.setattr("edge_agent.store.damage._WHOLE_CHECK_BYTES", 1000)
    monkeypatch.setattr("edge_agent.store.damage._TAIL_ROWS", 100)
    assert examine(path, 1.0) is None
    suspect(path, "a read failed")
    assert examine(path, 1.0) is not None


def test_another_program_s_database_is_left_alone(path: Path, open_store: OpenStore) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreUnusable, match=r"another program's database \(tables theirs\)"):
        open_store()
    assert not aside_files(path)
