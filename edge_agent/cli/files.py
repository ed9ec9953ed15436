"""Files that are whole or not there: written beside their name, synchronised, then renamed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edge_agent.cli import exits


@contextmanager
def new_file(target: Path | None) -> Iterator[IO[bytes]]:
    """A file to write to, stdout for None. It gets its name when all is written and synchronised, else it is removed.

    Ends the command where it cannot be made (73) or written (74): a file that is there is never overwritten.
    """
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = target.with_name(f".{target.name}.part")
    if target.exists():
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: is there already and is not overwritten")
    try:
        file = part.open("wb")
    except OSError as problem:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: {problem.strerror}") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, target) if _links(part) else os.rename(part, target)
        sync_directory(target.parent)
    except FileExistsError:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: is there already and is not overwritten") from None
    except OSError as problem:
        raise exits.Exit(exits.IO_ERROR, f"{target}: {problem.strerror}; nothing was written") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _links(part: Path) -> bool:
    """Whether the filesystem has hard links: those of USB sticks have none."""
    trial = part.with_suffix(".link")
    try:
        os.link(part, trial)
    except OSError:
        return False
    trial.unlink()
    return True


def sync_directory(folder: Path) -> None:
    """Make a rename in this folder durable."""
    with suppress(OSError):  # not every filesystem knows how to
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
