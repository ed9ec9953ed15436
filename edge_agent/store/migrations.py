"""The schema's history: numbered, append-only. A migration that was released is never edited.

- `records` has an integer key and nothing else: no secondary index and no "sent" flag, so that a commit writes
  one page. Chain, head and ids are read from the bodies.
- `outbox` holds the watermark up to which a target has accepted everything; `outbox_ranges` what it accepted above
  that; `quarantine` what it refused.
- `salvaged` holds records of earlier chains that were read back from a damaged file and are not delivered yet.
- `statements` holds what was signed about the chain, `sequence` being the last one that it is about; `signing_keys`
  the public keys that signed, the newest last.
- `catalogue` holds the imported versions of goods, parties and prices, each as a whole.
- `meta` is the store's own; `notes` are facts that other parts remember.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("store")


@migrations(name="0001_first")
def _first(db: Database) -> None:
    db.execute("CREATE TABLE records (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    db.execute("CREATE TABLE outbox (target TEXT PRIMARY KEY, watermark INTEGER NOT NULL) STRICT, WITHOUT ROWID")
    db.execute(
        "CREATE TABLE outbox_ranges (target TEXT NOT NULL REFERENCES outbox (target), first INTEGER NOT NULL,"
        " last INTEGER NOT NULL, PRIMARY KEY (target, first)) STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE quarantine (target TEXT NOT NULL REFERENCES outbox (target), sequence INTEGER NOT NULL,"
        " id TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, time_ms INTEGER NOT NULL, state TEXT NOT NULL,"
        " PRIMARY KEY (target, sequence)) STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE salvaged (chain TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, refused TEXT,"
        " PRIMARY KEY (chain, sequence)) STRICT"
    )
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID")
    db.execute("CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID")


@migrations(name="0002_catalogue")
def _catalogue(db: Database) -> None:
    db.execute(
        "CREATE TABLE catalogue (kind TEXT NOT NULL, version INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
        " source TEXT NOT NULL, rows INTEGER NOT NULL, sha256 TEXT NOT NULL, body BLOB NOT NULL,"
        " PRIMARY KEY (kind, version)) STRICT"
    )


@migrations(name="0003_proof")
def _proof(db: Database) -> None:
    db.execute(
        "CREATE TABLE statements (kind TEXT NOT NULL, sequence INTEGER NOT NULL, time TEXT NOT NULL,"
        " body BLOB NOT NULL, PRIMARY KEY (kind, sequence, time)) STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE signing_keys (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, public TEXT NOT NULL,"
        " since TEXT NOT NULL) STRICT"
    )
