"""The key that signs what the store says of itself: where it lies, how it is made, that it is never replaced unseen.

It comes from systemd's credentials where the unit hands one over (`LoadCredential=trace-proof-key:…`), else from
`NAME-signing.key` beside the store, which is made at the first start: mode 0600, written beside its place, synced, and
put there in one step. A key that is there and cannot be used ends the start. The store remembers by which keys it was
signed; with another one than the last of them records are kept, and nothing is signed until a person has said that
this is right.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from edge_agent.proof import NotAKey, Signer
from edge_agent.store.errors import KeyForbidden, KeyUnusable, StoreUnusable

CREDENTIAL: Final = "trace-proof-key"
"""The name of the credential; its content is the same PEM as the file's."""

_ADVICE: Final = "put the right one back; where it is lost, move the file away, and a new key is made"
_LONGEST: Final = 16 << 10
_OTHERS: Final = 0o077
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key and the file that it was read from. `ours`: the file is beside the store and may be replaced by us."""

    signer: Signer
    path: Path
    ours: bool


def key_path(store: Path) -> Path:
    """The key file beside a store. Its name is not that of the store's own files, which are copied and moved about."""
    return store.with_name(f"{store.stem}-signing.key")


def credential_path() -> Path | None:
    """The credential's file; None where the service manager hands none over."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) / CREDENTIAL if directory and (Path(directory) / CREDENTIAL).exists() else None


def find(store: Path) -> KeyFile | None:
    """The key that there is; None where there is none. Raises `KeyForbidden` and `KeyUnusable`."""
    credential = credential_path()
    path = credential or key_path(store)
    if not os.path.lexists(path):
        return None
    return KeyFile(read(path), path, credential is None)


def read(path: Path) -> Signer:
    """The key in a file. Raises `KeyForbidden` and `KeyUnusable`, which hold nothing of what is in the file."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS and os.access(path, os.W_OK):
                os.fchmod(file.fileno(), 0o600)
                _log.warning("key.was_open_to_others", path=str(path), reason="its mode is 0600 now")
            return Signer.from_pem(file.read(_LONGEST))
    except PermissionError as problem:
        raise KeyForbidden(
            f"the key {path} may not be read; give it to the agent's user, mode 0600;"
            " where it is lost, move the file away, and a new key is made"
        ) from problem
    except OSError as problem:
        raise KeyUnusable(f"the key {path} cannot be read: {problem.strerror}; {_ADVICE}") from problem
    except NotAKey as problem:
        raise KeyUnusable(f"the key {path} is {problem}; {_ADVICE}") from problem


def key_file(path: Path) -> KeyFile:
    """A key that an operator prepared for the service manager. Raises as `read`."""
    return KeyFile(read(path), path, ours=False)


def make(store: Path) -> KeyFile:
    """A new key beside the store. Raises `StoreUnusable` where it cannot be written."""
    signer = Signer.generate()
    path = key_path(store)
    _write(path, signer)
    _log.info("key.made", path=str(path), key=signer.public.id)
    return KeyFile(signer, path, ours=True)


def stage(store: Path, signer: Signer) -> Path:
    """Put the next key down beside the present one; `promote` makes it the present one."""
    path = _next_path(store)
    _write(path, signer)
    return path


def promote(store: Path, expected: str) -> Signer | None:
    """Bring a change of keys to its end: the staged key, if it is the expected one, becomes the present one."""
    path = _next_path(store)
    if not path.exists():
        return None
    signer = read(path)
    if signer.public.id != expected:
        return None
    path.replace(key_path(store))
    _sync(store.parent)
    return signer


def _next_path(store: Path) -> Path:
    return store.with_name(f"{store.stem}-signing.key-next")


def _write(path: Path, signer: Signer) -> None:
    """The whole file or none, on the disk when this returns, never readable by others."""
    fresh = path.with_name(path.name + ".tmp")
    try:
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(signer.pem())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync(path.parent)
    except OSError as problem:
        raise StoreUnusable(f"the key {path} cannot be written: {problem.strerror}") from problem


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
