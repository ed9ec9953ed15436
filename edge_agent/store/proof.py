"""The start-up proof: the real file, on the real disk, keeps what is written. Nothing is collected before it passed."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from edge_agent.store import damage, schema
from edge_agent.store.errors import StoreUnusable

_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gfs2", "ocfs2"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "vboxsf", "prl_fs", "virtiofs"}
)
_MOUNTS: Final = Path("/proc/self/mountinfo")


def refuse_network(directory: Path, *, mounts: Path = _MOUNTS) -> None:
    """Raise `StoreUnusable` where the directory lies on a network file system.

    The write-ahead log needs memory shared between connections and honest syncs (sqlite.org/wal.html, "all processes
    using a database must be on the same host computer"; howtocorrupt.html, section 2.1).
    """
    kind = _file_system(directory.resolve(), mounts)
    if kind in _NETWORK:
        raise StoreUnusable(
            f"{directory} is on a network file system ({kind}), which does not keep records safe over a power cut;"
            " put the store on a local disk or card with ext4"
        )


def _file_system(directory: Path, mounts: Path) -> str | None:
    """The type of the file system under a directory (proc_pid_mountinfo(5)); None where the kernel does not tell."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = -1, None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = Path(fields.split()[4].replace("\\040", " "))
        if directory.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split()[0]
    return kind


def prove(connection: sqlite3.Connection, path: Path, busy_timeout: float) -> None:
    """Write, sync and read back a value in the store itself.

    It is read by a second connection, which proves the shared memory of the write-ahead log, and once more after the
    log was brought into the database file. Raises `StoreUnusable`, and sqlite3.Error where the file is damaged.
    """
    token = secrets.token_hex(16)
    try:
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('proof', ?)", (token,))
        reader = schema.connect_reader(path, busy_timeout)
        try:
            _expect(reader, path, token)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            _expect(reader, path, token)
        finally:
            reader.close()
    except sqlite3.Error as problem:
        if damage.is_damage(problem):
            raise
        raise StoreUnusable(_advice(path, str(problem))) from problem


def _expect(reader: sqlite3.Connection, path: Path, token: str) -> None:
    row = reader.execute("SELECT value FROM meta WHERE key = 'proof'").fetchone()
    if row is None or row[0] != token:
        raise StoreUnusable(_advice(path, "what was written could not be read back"))


def _advice(path: Path, problem: str) -> str:
    free = os.statvfs(path.parent)
    kind = _file_system(path.parent.resolve(), _MOUNTS) or "unknown"
    return (
        f"{path} does not keep what is written: {problem} ({free.f_bavail * free.f_frsize} bytes free on {kind});"
        " it must be on a local, writable file system with free space, such as ext4"
    )
