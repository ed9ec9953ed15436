"""Files that others leave in a folder, handed over whole and put away when all in them is kept.

    folder:/var/spool/trace-edge-agent/sales?settle=2

A file is taken when its size and time have stood still for `settle` seconds, so that none is half read, oldest first,
one at a time; `edge_agent.driver.FILE_MARK` says in which form. Hidden files and those that end in .tmp, .part or ~ are
left alone. What was read goes to `done/`, lines that were refused to `bad/` under the same name, and so does a file
that cannot be read. A file whose bytes stand in `done/` under the same name was read before and is put away unread.

A writer may pause for longer than that. A file that is empty, or whose last line has no end, is waited for longer; one
that has grown while it was read stays, and one that grows after it was put away comes back: both are read again from
their beginning.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from drivers.port_settings import number, refuse_unknown
from edge_agent.driver import FILE_MARK, READ_LIMIT, BadSettings, Disconnected, PermissionDenied, PortUrl, TransportSpec

_MOST_BYTES: Final = 4 << 20
"""Bytes of one file; a day of a busy stall has a tenth of that."""
_MOST_LOOKED_AT: Final = 10_000
_LOOK_EVERY: Final = 0.5
_UNENDED: Final = 30.0
"""Seconds for which a file has to stand still, besides `settle`, that does not end with the end of a line."""
_WATCHED: Final = 256
"""So many files, the last ones that were put away, are watched: their writer may hold them open still."""
_UNFINISHED: Final = (".tmp", ".part", "~", ".swp", ".crdownload")


_Shape = tuple[int, int]
"""Size and time of change."""


class FolderTransport:
    """A folder of files; see `edge_agent.driver.Transport`. Used by one thread."""

    def __init__(self, folder: Path, settle: float) -> None:
        self._folder = folder
        self._settle = settle
        self._waiting = memoryview(b"")
        self._current: str | None = None
        self._read_shape: _Shape = (0, 0)
        self._put: dict[Path, _Shape] = {}
        self._seen: dict[str, tuple[_Shape, float]] = {}
        self._look_at = 0.0
        self._orders = b""

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        try:
            for name in ("done", "bad"):
                (self._folder / name).mkdir(exist_ok=True)
        except PermissionError as error:
            raise PermissionDenied(f"{self._folder}: this user has to be able to write there: {error}") from error
        except FileNotFoundError as error:
            raise Disconnected(f"{self._folder} is not there") from error
        except OSError as error:
            raise BadSettings(f"{self._folder} is no folder to work in: {error}") from error

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`: the next piece of a file; nothing while one waits to be put away."""
        until = time.monotonic() + timeout
        while not self._waiting:
            now = time.monotonic()
            if self._current is None and now >= self._look_at:
                self._look_at = now + _LOOK_EVERY
                self._take_next(now)
                continue
            if now >= until:
                return b""
            time.sleep(max(0.0, min(until - now, _LOOK_EVERY)))
        piece = bytes(self._waiting[:READ_LIMIT])
        self._waiting = self._waiting[len(piece) :]
        return piece

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`: lines `BAD …` and `DONE …`."""
        self._orders += data
        *orders, self._orders = self._orders.split(b"\n")
        try:
            for order in orders:
                word, _, rest = order.partition(b" ")
                if word == b"DONE":
                    self._put_away(self._folder / "done")
                    self._current = None
                    self._look_at = 0.0
                elif word == b"BAD" and self._current is not None:
                    self._keep_aside(rest)
        except OSError as error:
            raise Disconnected(f"{self._folder}: {error}") from error

    def close(self) -> None:
        """See `Transport.close`. A file that was not put away is read again at the next opening."""
        self._waiting = memoryview(b"")
        self._current = None
        self._seen.clear()
        self._orders = b""
        self._look_at = 0.0

    def _take_next(self, now: float) -> None:
        try:
            self._bring_back()
            ready = sorted(self._ready(now))
        except OSError as error:
            raise Disconnected(f"{self._folder}: {error}") from error
        for _, name, stood in ready:
            path = self._folder / name
            try:
                read = self._read(path, stood)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Disconnected(f"{path}: {error}") from error
            if read is None:
                continue
            content, self._read_shape = read
            self._current = name
            if content is None or FILE_MARK in content:
                self._keep_aside(os.fsencode(f"{name}:0 {'too-large' if content is None else 'no-text'}\t"))
                self._put_away(self._folder / "bad", suffix=".whole")
                self._current = None
            elif self._known(name, content):
                self._put_away(self._folder / "done")
                self._current = None
            else:
                begin = FILE_MARK + b"BEGIN " + os.fsencode(name) + b"\n"
                self._waiting = memoryview(begin + content + b"\n" + FILE_MARK + b"END\n")
                return

    def _read(self, path: Path, stood: float) -> tuple[bytes | None, _Shape] | None:
        """What is in a file (None: too much) and its shape; None for one whose writer may be in the middle."""
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            shape = _shape(status)
            if shape[0] > _MOST_BYTES:
                return None, shape
            end = os.pread(file.fileno(), 1, max(0, shape[0] - 1))
            if end != b"\n" and stood < self._settle + _UNENDED:
                return None
            return file.read(_MOST_BYTES), shape

    def _bring_back(self) -> None:
        """Files that have grown since they were put away: the rest of them was not read."""
        for path, shape in list(self._put.items()):
            try:
                status = path.stat()
            except FileNotFoundError:
                del self._put[path]
                continue
            if _shape(status) == shape:
                continue
            del self._put[path]
            back = next(b for b in (self._folder / name for name in _names(path.name)) if not b.exists())
            path.rename(back)
            _sync(self._folder)

    def _ready(self, now: float) -> list[tuple[int, str, float]]:
        """Files that stood still long enough: their times, names, and for how long."""
        ready, seen = [], {}
        with os.scandir(self._folder) as entries:
            for entry in itertools.islice(entries, _MOST_LOOKED_AT):
                if entry.name.startswith(".") or entry.name.endswith(_UNFINISHED) or "\n" in entry.name:
                    continue
                if not entry.is_file(follow_symlinks=False):
                    continue
                status = entry.stat(follow_symlinks=False)
                shape = _shape(status)
                before, since = self._seen.get(entry.name, (None, now))
                seen[entry.name] = (shape, since if before == shape else now)
                if before == shape and now - since >= self._settle:
                    ready.append((status.st_mtime_ns, entry.name, now - since))
        self._seen = seen
        return ready

    def _known(self, name: str, content: bytes) -> bool:
        done = self._folder / "done" / name
        with contextlib.suppress(OSError):
            return done.read_bytes() == content
        return False

    def _put_away(self, to: Path, suffix: str = "") -> None:
        if self._current is None:
            return
        source = self._folder / self._current
        target = next(t for t in (to / name for name in _names(self._current + suffix)) if not t.exists())
        with contextlib.suppress(FileNotFoundError):  # somebody took it away meanwhile: what is in it is kept
            status = source.stat()
            if _shape(status) != self._read_shape:
                return  # it has grown since: it is read again
            source.rename(target)
            self._put[target] = self._read_shape
            while len(self._put) > _WATCHED:
                del self._put[next(iter(self._put))]
        _sync(to)

    def _keep_aside(self, line: bytes) -> None:
        path = self._folder / "bad" / str(self._current)
        if path.exists() and line in path.read_bytes().split(b"\n"):
            return  # of an earlier reading, which a crash cut short
        with path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _shape(status: os.stat_result) -> _Shape:
    """By what a file is known to be as it was."""
    return status.st_size, status.st_mtime_ns


def _names(name: str) -> Iterator[str]:
    """The name, then others like it."""
    yield name
    for count in itertools.count(2):
        yield f"{name}.{count}"


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _make(url: PortUrl, line: Mapping[str, str]) -> FolderTransport:
    refuse_unknown(url, ("settle",))
    if not url.address.startswith("/"):
        raise ValueError(f"folder:{url.address} is not a path; folder:/var/spool/trace-edge-agent/sales would be right")
    return FolderTransport(Path(url.address), number(url.settings(), "settle", 2, 0, 3600))


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(scheme="folder", title="Files left in a folder, folder:/PATH", check=_check, make=_make)
