"""Keys, checkpoints, days and purges of a store, and what verifying it finds."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent import clock
from edge_agent.proof import Checkpoint, DayRoot, PublicKey, Purged, Signer, merkle
from edge_agent.proof.statements import KeyChange, parse
from edge_agent.records import canonical
from edge_agent.records.envelope import Draft, hash_of
from edge_agent.store import KeyForbidden, KeyUnusable, Reader, Store, StoreUnusable, Verification, key_path, keys
from edge_agent.store.attestor import DayRoots, hash_and_time

OpenStore = Callable[..., Store]
MakeDraft = Callable[..., Draft]
NOON = int(datetime(2026, 11, 23, 4, tzinfo=UTC).timestamp() * 1000)
DAY = 86_400_000


def findings(path: Path, *trusted: PublicKey) -> list[str]:
    with Reader.open(path) as reader:
        check = Verification(reader, keys=trusted)
        found = [f"{each.fault} {each.where} {each.sequence}-{each.last}" for each in check.findings()]
        assert check.report is not None
        return found


def statements(path: Path, kind: type) -> list[Any]:
    with Reader.open(path) as reader:
        return [each for each in map(parse, reader.statements()) if isinstance(each, kind)]


def change(path: Path, statement: str, *values: Any) -> int:
    connection = sqlite3.connect(path)
    with connection:
        changed = connection.execute(statement, values).rowcount
    connection.close()
    return changed


@pytest.fixture(autouse=True)
def days_read_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The days here are not today, so that nothing but the number of records says that there is something to read."""
    monkeypatch.setattr(DayRoots, "BEHIND", 1)


# --- the key


def test_a_key_is_made_once_and_only_its_owner_reads_it(path: Path, open_store: OpenStore) -> None:
    store = open_store()
    made = store.attestor.signer.public
    store.stop()
    file = key_path(path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Signer.from_pem(file.read_bytes()).public == made
    again = open_store()
    assert (again.attestor.signer.public, again.attestor.blocked) == (made, None)
    secret = file.read_bytes().splitlines()[1]
    for other in path.parent.iterdir():
        assert other == file or secret not in other.read_bytes()
    assert not list(path.parent.glob("*.tmp"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "not an Ed25519"), (b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n", "not an Ed25519")],
)
def test_a_key_that_is_none_ends_the_start_and_is_not_replaced(
    path: Path, open_store: OpenStore, content: bytes, said: str
) -> None:
    open_store().stop()
    key_path(path).write_bytes(content)
    with pytest.raises(KeyUnusable, match=said) as refused:
        open_store()
    assert str(key_path(path)) in str(refused.value)
    assert key_path(path).read_bytes() == content


def test_a_key_that_cannot_be_read_ends_the_start(
    path: Path, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store().stop()
    before = key_path(path).read_bytes()
    real = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name.endswith(".key"):
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the refusal itself is planted
    with pytest.raises(KeyForbidden, match="may not be read"):
        open_store()
    monkeypatch.undo()
    assert key_path(path).read_bytes() == before
    key_path(path).unlink()
    key_path(path).mkdir()
    with pytest.raises(KeyUnusable, match="cannot be read"):
        open_store()


def test_a_directory_that_takes_no_key_is_told(path: Path, open_store: OpenStore) -> None:
    key_path(path).with_name(key_path(path).name + ".tmp").mkdir(parents=True)
    with pytest.raises(StoreUnusable, match="cannot be written"):
        open_store()


def test_a_key_that_is_gone_or_another_one_does_not_stop_the_stall_and_signs_nothing(
    path: Path, open_store: OpenStore, make_draft: MakeDraft
) -> None:
    store = open_store()
    old = store.attestor.signer.public
    store.keep(make_draft())
    assert store.checkpoint() is not None
    store.stop()
    for make_it_wrong in (key_path(path).unlink, lambda: key_path(path).write_bytes(Signer.generate().pem())):
        make_it_wrong()
        store = open_store()
        assert store.attestor.blocked is not None
        assert old.id in store.attestor.blocked
        assert store.keep(make_draft()).sequence > 2
        assert store.checkpoint() is None
        assert store.attestor.unblock()
        signed = store.checkpoint()
        assert signed is not None
        store.stop()
        store = open_store()
        assert store.attestor.blocked is None
        old = store.attestor.signer.public
        store.stop()
    # The new keys do not speak for the old one: whoever checks must know them.
    first = PublicKey.parse(_keys(path)[0])
    assert findings(path) == []
    assert {each.split()[0] for each in findings(path, first)} == {"signature"}


def _keys(path: Path) -> list[str]:
    with Reader.open(path) as reader:
        return [each.public for each in reader.signing_keys()]


def test_the_key_of_the_service_manager_goes_first(
    path: Path, open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    signer = Signer.generate()
    (credentials / keys.CREDENTIAL).write_bytes(signer.pem())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    store = open_store()
    assert store.attestor.signer.public == signer.public
    assert not key_path(path).exists()
    with pytest.raises(KeyUnusable, match="--new-key"):
        store.attestor.rotate("yearly")
    following = tmp_path / "next.pem"
    following.write_bytes(Signer.generate().pem())
    change = store.attestor.rotate("yearly", keys.key_file(following))
    store.stop()
    (credentials / keys.CREDENTIAL).write_bytes(following.read_bytes())
    again = open_store()
    assert again.attestor.blocked is None
    assert str(again.attestor.signer.public) == change.next
    again.stop()
    (credentials / keys.CREDENTIAL).write_bytes(b"nothing")
    with pytest.raises(KeyUnusable):
        open_store()


def test_after_a_change_of_keys_old_checkpoints_still_verify_by_the_old_key(
    path: Path, open_store: OpenStore, make_draft: MakeDraft
) -> None:
    store = open_store()
    first = store.attestor.signer.public
    store.keep(make_draft())
    store.checkpoint()
    store.attestor.rotate("yearly")
    store.keep(make_draft())
    store.checkpoint()
    store.attestor.rotate("yearly")
    assert store.attestor.signer.public != first
    store.stop()
    assert [len(statements(path, kind)) for kind in (Checkpoint, KeyChange)] == [2, 2]
    assert findings(path, first) == []
    assert findings(path, Signer.generate().public) != []
    assert open_store().attestor.blocked is None


def test_a_change_of_keys_survives_a_power_cut_before_the_file_is_in_place(
    path: Path, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    with monkeypatch.context() as cut:
        cut.setattr(keys, "promote", lambda *_: None)
        change = store.attestor.rotate("yearly")
    store.stop()
    assert Signer.from_pem(key_path(path).read_bytes()).public.id == change.key  # the file still holds the old one
    again = open_store()
    assert again.attestor.blocked is None
    assert str(again.attestor.signer.public) == change.next
    assert Signer.from_pem(key_path(path).read_bytes()).public.id == change.next_key.id


# --- what is signed


def test_a_checkpoint_is_the_form_that_is_published(path: Path, open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store()
    kept = store.keep(make_draft())
    line = store.checkpoint()
    assert line is not None
    facts = orjson.loads(line)
    assert facts.keys() == {"chain", "sequence", "hash", "time", "key", "sig"}
    assert (facts["chain"], facts["sequence"], facts["hash"]) == (store.chain, 2, kept.hash)
    assert store.checkpoint() == line
    store.keep(make_draft())
    assert store.checkpoint() != line
    store.stop()
    assert [each.sequence for each in statements(path, Checkpoint)] == [2, 3]


def keep_days(store: Store, make_draft: MakeDraft, days: int, each: int) -> None:
    for day in range(days):
        for number in range(each):
            store.keep(make_draft(number, wall_ms=NOON + day * DAY + number * 1000))


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = clock.monotonic() + 20
    import time

    while not holds():
        assert clock.monotonic() < deadline
        time.sleep(0.05)


def test_every_day_that_ended_has_its_root(path: Path, open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store()
    keep_days(store, make_draft, 4, 5)
    wait_for(lambda: len(statements(path, DayRoot)) >= 3)
    store.stop()
    store = open_store()  # where it came to is remembered
    keep_days(store, make_draft, 6, 1)
    wait_for(lambda: len(statements(path, DayRoot)) >= 5)
    store.stop()
    roots = statements(path, DayRoot)
    with Reader.open(path) as reader:
        for each in roots:
            rows = reader.read(each.first, last=each.last, limit=100)
            events = [orjson.loads(row.body) for row in rows]
            assert merkle.root([bytes.fromhex(event["hash"]) for event in events]).hex() == each.root
            assert all(hash_and_time(row.body) == (e["hash"], e["time"]) for row, e in zip(rows, events, strict=True))
    assert next(each.size for each in roots if each.day == "2026-11-24") == 5
    assert findings(path) == []


def test_the_days_go_on_after_a_failed_commit(path: Path, open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store()
    keep_days(store, make_draft, 1, 3)
    chore: DayRoots = store._days
    wait_for(lambda: chore.passed >= 4)
    before = chore._days.state()
    store.stop()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    chore._read_to = 2
    chore.write(connection)
    connection.execute("ROLLBACK")
    chore.rolled_back()
    connection.close()
    assert (chore.passed, chore._read_to, chore._days.state()) == (4, 4, before)


def test_a_purge_waits_for_the_days_and_is_signed(path: Path, open_store: OpenStore, make_draft: MakeDraft) -> None:
    store = open_store(limits={"max_bytes": 400_000, "reserve_bytes": 64 * 1024})
    for day in range(3):
        for number in range(400):
            store.submit(make_draft(number, wall_ms=NOON + day * DAY + number))
    last = store.keep(make_draft(wall_ms=NOON + 3 * DAY)).sequence
    store.outbox().settle([(1, last)], [], clock.now())
    wait_for(lambda: store.anchor.sequence > 0 and len(statements(path, DayRoot)) >= 1)
    wait_for(lambda: store._days.passed == last or not store._retention.urgent())
    anchor = store.anchor
    assert anchor.sequence <= store._days.passed
    assert findings(path) == []  # beside the running store
    store.stop()
    assert [each.purged_to for each in statements(path, Purged)] == [store.anchor.sequence]
    assert findings(path) == []


# --- what verifying finds


@pytest.fixture
def kept(path: Path, open_store: OpenStore, make_draft: MakeDraft) -> Path:
    """A store of 31 records with two days' roots, a checkpoint at its head, of which 1 to 20 are delivered."""
    store = open_store()
    keep_days(store, make_draft, 3, 10)
    store.outbox().settle([(1, 20)], [], clock.now())
    wait_for(lambda: len(statements(path, DayRoot)) >= 2)
    store.checkpoint()
    store.stop()
    assert findings(path) == []
    return path


def body_of(path: Path, sequence: int) -> dict[str, Any]:
    with Reader.open(path) as reader:
        found: dict[str, Any] = orjson.loads(reader.read(sequence, limit=1)[0].body)
        return found


def test_a_changed_record_is_named(kept: Path) -> None:
    event = body_of(kept, 12)
    event["data"]["net_mg"] += 1
    change(kept, "UPDATE records SET body = ? WHERE sequence = 12", canonical.dumps(event))
    assert findings(kept) == ["changed row 12 12-None"]


def test_a_forged_record_breaks_the_chain(kept: Path) -> None:
    event = body_of(kept, 12)
    event["data"]["net_mg"] += 1
    event["hash"] = hash_of(event)
    change(kept, "UPDATE records SET body = ? WHERE sequence = 12", canonical.dumps(event))
    assert findings(kept)[0] == "broken-link row 13 13-None"


@pytest.mark.parametrize(("first", "last"), [(1, 1), (7, 7), (5, 9), (30, 31)])
def test_removed_records_are_named(kept: Path, first: int, last: int) -> None:
    assert change(kept, "DELETE FROM records WHERE sequence BETWEEN ? AND ?", first, last)
    found = findings(kept)
    assert any(each.startswith("missing") and each.endswith(f" {first}-{last}") for each in found), found


def test_exchanged_records_are_named(kept: Path) -> None:
    change(kept, "UPDATE records SET sequence = 100 WHERE sequence = 8")
    change(kept, "UPDATE records SET sequence = 8 WHERE sequence = 9")
    change(kept, "UPDATE records SET sequence = 9 WHERE sequence = 100")
    assert [each.split()[0] for each in findings(kept)] == ["misplaced", "misplaced", "reordered"]


def test_a_chain_written_anew_does_not_agree_with_what_was_signed(kept: Path) -> None:
    previous = body_of(kept, 14)["hash"]
    for sequence in range(15, 32):
        event = body_of(kept, sequence) | {"prevhash": previous}
        if sequence == 15:
            event["data"]["net_mg"] = 1
        event["hash"] = previous = hash_of(event)
        change(kept, "UPDATE records SET body = ? WHERE sequence = ?", canonical.dumps(event), sequence)
    assert {each.split()[0] for each in findings(kept)} == {"not-as-signed"}


def test_a_purge_that_nobody_signed_is_told(kept: Path) -> None:
    anchor = body_of(kept, 9)["hash"]
    change(kept, "DELETE FROM records WHERE sequence <= 9")
    change(kept, "INSERT OR REPLACE INTO meta VALUES ('anchor', ?)", f"9 {anchor}")
    assert findings(kept) == ["not-as-signed anchor 1-9"]


def test_what_was_not_delivered_cannot_have_been_purged(kept: Path) -> None:
    anchor = body_of(kept, 25)["hash"]
    change(kept, "DELETE FROM records WHERE sequence <= 25")
    change(kept, "INSERT OR REPLACE INTO meta VALUES ('anchor', ?)", f"25 {anchor}")
    assert any(each.startswith("missing") and each.endswith("21-25") for each in findings(kept))


def test_a_changed_statement_is_told(kept: Path) -> None:
    connection = sqlite3.connect(kept)
    (body,) = connection.execute("SELECT body FROM statements WHERE kind = 'checkpoint' ORDER BY sequence").fetchone()
    connection.close()
    other = orjson.loads(body) | {"time": "2026-11-30T00:00:00.000+08:00"}
    change(kept, "UPDATE statements SET body = ? WHERE body = ?", canonical.dumps(other), body)
    assert [each.split()[0] for each in findings(kept)] == ["signature"]
    change(kept, "UPDATE statements SET body = ? WHERE body = ?", b"nonsense", canonical.dumps(other))
    assert [each.split()[0] for each in findings(kept)] == ["unreadable"]
