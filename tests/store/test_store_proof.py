"""The start-up proof, file systems, schema versions."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from edge_agent import clock
from edge_agent.proof import PublicKey, statements
from edge_agent.records.envelope import Draft
from edge_agent.store import Limits, Reader, Store, StoreUnusable, Verification, proof, schema
from edge_agent.store.migrations import migrations

OpenStore = Callable[..., Store]
DATABASES = Path(__file__).with_name("databases")


def test_the_mode_is_what_was_asked_for(tmp_path: Path) -> None:
    connection = schema.connect_writer(tmp_path / "s.db", 1.0)
    values = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "page_size", "foreign_keys", "wal_autocheckpoint")
    }
    connection.close()
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "page_size": 4096,
        "foreign_keys": 1,
        "wal_autocheckpoint": 1000,
    }


def test_a_file_system_without_wal_is_refused(
    path: Path, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite answers with the mode it really has; in memory that is never WAL."""
    real = sqlite3.connect
    monkeypatch.setattr(
        "edge_agent.store.schema.sqlite3.connect", lambda target, **options: real(":memory:", isolation_level=None)
    )
    with pytest.raises(StoreUnusable, match=r"journal mode is 'memory'.*must be 'wal'.*ext4"):
        open_store()


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    line = "22 1 0:5 / {} rw,relatime shared:1 - {} server:/x rw\n"
    mounts.write_text(
        line.format("/", "ext4") + line.format("/mnt/share", "nfs4") + line.format("/mnt/a\\040b", "cifs")
    )
    proof.refuse_network(Path("/mnt/shared"), mounts=mounts)
    for directory in ("/mnt/share/store", "/mnt/a b"):
        with pytest.raises(StoreUnusable, match="network file system"):
            proof.refuse_network(Path(directory), mounts=mounts)
    proof.refuse_network(Path("/mnt/share"), mounts=tmp_path / "absent")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, open_store: OpenStore) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be made"):
        open_store(tmp_path / "file" / "s.db")
    (tmp_path / "s.db").mkdir()
    with pytest.raises(StoreUnusable, match=r"s\.db"):
        open_store(tmp_path / "s.db")


def test_what_cannot_be_read_back_is_refused(
    path: Path, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that shows old data: the reader is led to an earlier copy of the file."""
    open_store().stop()
    copy = tmp_path / "earlier.db"
    shutil.copy(path, copy)
    real = schema.connect_reader
    monkeypatch.setattr(proof.schema, "connect_reader", lambda _, timeout: real(copy, timeout))
    with pytest.raises(StoreUnusable, match="could not be read back"):
        open_store()
    monkeypatch.undo()
    open_store()  # the lock was let go


def test_a_newer_schema_is_refused(path: Path, open_store: OpenStore) -> None:
    open_store().stop()
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('store', '9999_later', '')"
    )
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnusable, match=r"newer version.*9999_later"):
        open_store()


@pytest.mark.parametrize("database", sorted(DATABASES.glob("*.db")), ids=lambda found: found.stem)
def test_every_earlier_schema_opens(
    database: Path, path: Path, open_store: OpenStore, make_draft: Callable[..., Draft], check_chain: Any
) -> None:
    shutil.copy(database, path)
    facts: dict[str, Any] = json.loads(database.with_suffix(".json").read_text())
    store = open_store()
    assert (store.chain, store.head.sequence, store.head.hash) == (facts["chain"], facts["sequence"], facts["hash"])
    counts = store.outbox().counts()
    assert [counts.kept, counts.delivered, counts.rejected, counts.pending] == facts["counts"]
    assert store.note("mqtt.version") == "5"
    assert [each.sequence for each in store.outbox().quarantine(10)] == facts["quarantine"]
    for kind, (version, body) in facts.get("catalogue", {}).items():
        newest = store.newest_catalogue(kind)
        assert newest is not None
        assert (newest.version, newest.body.decode()) == (version, body)
    if "checkpoint" in facts:
        with Reader.open(path) as reader:
            assert facts["checkpoint"].encode() in reader.statements()
            assert reader.signing_keys()[0].public == facts["key"]
            assert list(Verification(reader).findings()) == []
            signed = statements.parse(facts["checkpoint"].encode())
            assert signed is not None
            assert signed.signed_by(PublicKey.parse(facts["key"]))
        assert facts["key"] not in str(store.attestor.signer.public)  # the private key is not kept here
        assert "is gone" in str(store.attestor.blocked)
    assert store.keep_catalogue("parties", b"[]", rows=0, source="x", at=clock.now()).version == 1
    assert store.keep(make_draft()).sequence == facts["sequence"] + 1
    assert len(check_chain(path)) == facts["sequence"] + 1


def test_there_is_a_database_of_the_first_schema() -> None:
    assert (DATABASES / "0001_first.db").exists()


@pytest.mark.parametrize("wrong", [{"queue": 0}, {"group": 0}, {"gather_ms": -1}, {"reserve_bytes": 0}])
def test_limits_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Limits(**wrong)  # type: ignore[arg-type]


def test_the_names_of_all_migrations_are_known_without_loading_them() -> None:
    database = Database(memory=True)
    assert {migration.name for migration in migrations.pending(database)} == schema.MIGRATIONS
