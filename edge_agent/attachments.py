"""Pictures and certificates that records name by their SHA-256: one file each, in a folder beside the store.

The folder is its own bookkeeping: what lies in `waiting` the platform has not confirmed, what lies in `delivered` it
has whole, what lies in `refused` it does not want. A move between them is one rename, so that a power cut or a store
that is set aside loses nothing; the worst is to send a file twice.

A file counts as kept after its bytes and its name are synchronised. It gets no more room than `max_bytes`: the oldest
delivered go first, never one that waits. What the tiles of the page show stays after its delivery, up to half of the
room, the newest first.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

State = Literal["waiting", "delivered", "refused"]

STATES: Final[tuple[State, ...]] = ("waiting", "delivered", "refused")
LARGEST: Final = 10 << 20
"""Bytes of one attachment, unless the configuration says less or more."""

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_BLOCK: Final = 64 * 1024
_SPARE: Final = 8 << 20
"""Bytes of disk that stay free besides the store's reserve: pictures must never take the records' room."""
_PDF_WITHIN: Final = 1024  # bytes within which readers look for a PDF's header (ISO 32000-1, annex H.3.4.1)


class Attachment(NamedTuple):
    """One file: its hash, size, media type by its bytes, and what is known of its delivery."""

    sha256: str
    size: int
    media_type: str
    state: State


class NotTaken(Exception):
    """Bytes that are not kept: a stable code for the page, and the reason in words."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class Attachments:
    """The folder of one store. Thread-safe. `changed` is called when something new waits to be sent, `shown` for the
    hashes that the page still shows when room has to be made; it must not ask anything of this object."""

    def __init__(
        self, folder: Path, *, max_bytes: int, largest: int = LARGEST, spare_bytes: int = 0, owner: bool = True
    ) -> None:
        """`owner` is whoever holds the store's lock; another may only look."""
        self.folder = folder
        self._max_bytes = max_bytes
        self._largest = largest
        self._spare = spare_bytes + _SPARE
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._states: dict[str, State] = {}
        self._order: dict[State, dict[str, None]] = {state: {} for state in STATES}
        self.changed: Callable[[], None] = lambda: None
        self.shown: Callable[[], Collection[str]] = frozenset
        self._bring_up(owner)

    def _bring_up(self, owner: bool) -> None:
        """See what is there. What a power cut left half written is removed: nobody was told that it is kept."""
        found: list[tuple[int, str, State, int]] = []
        for state in STATES:
            folder = self.folder / state
            if not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                if _NAME.fullmatch(entry.name):
                    facts = entry.stat()
                    found.append((facts.st_mtime_ns, entry.name, state, facts.st_size))
                elif owner and entry.name.endswith(".part"):
                    Path(entry.path).unlink(missing_ok=True)
        for _, name, state, size in sorted(found):
            self._place(name, state, size)

    def _place(self, name: str, state: State, size: int) -> None:
        before = self._states.get(name)
        if before is not None:
            self._order[before].pop(name, None)
        self._states[name], self._sizes[name] = state, size
        self._order[state][name] = None

    # --- keeping and reading

    def keep(self, data: bytes) -> Attachment:
        """Keep bytes; returns after they are synchronised. The same bytes again are kept once.

        Raises `NotTaken` where they are too large, of no known type, or there is no room; OSError of the disk.
        """
        media_type = sniff(data)
        if media_type is None:
            raise NotTaken("unknown-type", "the bytes are no JPEG, PNG, WebP or PDF")
        if len(data) > self._largest:
            raise NotTaken("too-large", f"{len(data)} bytes, at most {self._largest}")
        name = hashlib.sha256(data).hexdigest()
        shown = self.shown()
        with self._lock:
            state = self._states.get(name)
            if state is not None and self._whole(name, state):
                return Attachment(name, len(data), media_type, state)
            self._make_room(len(data), shown)
            self._write(name, data)
            self._place(name, "waiting", len(data))
        self.changed()
        return Attachment(name, len(data), media_type, "waiting")

    def _whole(self, name: str, state: State) -> bool:
        """Whether the file that is there holds what its name says; else it is written anew."""
        try:
            return _digest(self.folder / state / name) == name
        except OSError:
            return False

    def _write(self, name: str, data: bytes) -> None:
        folder = self.folder / "waiting"
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.part"
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        for directory in (folder, self.folder, self.folder.parent):
            _sync(directory)

    def _make_room(self, size: int, shown: Collection[str]) -> None:
        """Let the oldest delivered go until there is room. Raises `NotTaken` where there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        may_go = self._may_go(shown)
        while True:
            over = sum(self._sizes.values()) + size > self._max_bytes
            short = shutil.disk_usage(self.folder).free < size + self._spare
            if not (over or short):
                return
            oldest = next(may_go, None)
            if oldest is None:
                full = f"what waits for the platform or is shown fills the {self._max_bytes} bytes"
                what = full if over else "the disk is full"
                raise NotTaken("no-room", what)
            (self.folder / "delivered" / oldest).unlink(missing_ok=True)
            del self._order["delivered"][oldest], self._states[oldest], self._sizes[oldest]

    def _may_go(self, shown: Collection[str]) -> Iterator[str]:
        """What is delivered and may be given up, oldest first."""
        left = self._max_bytes // 2
        stays = set()
        for name in reversed(self._order["delivered"]):
            if name in shown and self._sizes[name] <= left:
                left -= self._sizes[name]
                stays.add(name)
        return iter([name for name in self._order["delivered"] if name not in stays])

    def find(self, name: str) -> Attachment | None:
        """What is known of a hash; None where it is not here."""
        with self._lock:
            state, size = self._states.get(name), self._sizes.get(name, 0)
        if state is None:
            return None
        try:
            with (self.folder / state / name).open("rb") as file:
                return Attachment(name, size, sniff(file.read(_PDF_WITHIN)) or "application/octet-stream", state)
        except OSError:
            return None

    def read(self, name: str, offset: int = 0, length: int = -1) -> bytes | None:
        """Bytes of an attachment from `offset` on; None where it is not here or cannot be read."""
        state = self._states.get(name)
        if state is None:
            return None
        try:
            with (self.folder / state / name).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError:
            return None

    # --- delivery

    def waiting(self) -> Iterator[tuple[str, int]]:
        """Hash and size of what the platform has not confirmed, oldest first."""
        with self._lock:
            names = [(name, self._sizes[name]) for name in self._order["waiting"]]
        return iter(names)

    def delivered(self, name: str) -> None:
        """The platform has it whole."""
        self._move(name, "delivered")

    def refused(self, name: str) -> None:
        """The platform does not want it."""
        self._move(name, "refused")

    def requeue(self, name: str | None = None) -> int:
        """Send refused ones again, one or all; returns how many."""
        with self._lock:
            names = [each for each in self._order["refused"] if name in (None, each)]
        for each in names:
            self._move(each, "waiting")
        if names:
            self.changed()
        return len(names)

    def _move(self, name: str, state: State) -> None:
        with self._lock:
            before = self._states.get(name)
            if before in (None, state):
                return
            (self.folder / state).mkdir(exist_ok=True)
            # Not synchronised: after a power cut it waits again, and the platform says at once that it has it.
            (self.folder / before / name).rename(self.folder / state / name)
            self._place(name, state, self._sizes[name])

    def counts(self) -> dict[str, int]:
        """How many there are in each state, and the bytes of all and of those that wait."""
        with self._lock:
            return {
                **{state: len(self._order[state]) for state in STATES},
                "bytes": sum(self._sizes.values()),
                "waiting_bytes": sum(self._sizes[name] for name in self._order["waiting"]),
            }

    def every(self) -> list[Attachment]:
        """All of them, oldest first."""
        with self._lock:
            names = list(self._states)
        return [found for found in map(self.find, names) if found is not None]


def sniff(data: bytes) -> str | None:
    """The media type that the first bytes tell; None for what is none of those that are taken."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "application/pdf"
    return None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
