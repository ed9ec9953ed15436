"""Batch lists for trace scales, written into their folders whenever the books say something new."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

_EVERY: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """One file, and what makes its content from the books as they stand; `text` takes a turn at them."""

    path: Path
    encoding: str
    text: Callable[[], str]


class BatchLists:
    """Writes the files, each in one step, so that a scale never reads half of one. A thread of its own."""

    def __init__(self, lists: tuple[List, ...]) -> None:
        self._lists = lists
        self._log = structlog.get_logger()
        self._stop = threading.Event()
        self._failing: set[Path] = set()
        self._thread = threading.Thread(target=self._run, name="batch-lists", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End. Raises TimeoutError when that takes longer."""
        self._stop.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError("a batch list is still being written")

    def _run(self) -> None:
        while True:
            for each in self._lists:
                self._write(each)
            if self._stop.wait(_EVERY):
                return

    def _write(self, each: List) -> None:
        content = each.text().encode(each.encoding, "replace")
        try:
            if each.path.exists() and each.path.read_bytes() == content:
                return
            fresh = each.path.with_name(f".{each.path.name}.tmp")
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(each.path)
        except OSError as problem:
            if each.path not in self._failing:
                self._failing.add(each.path)
                self._log.error("batch_list.not_written", path=str(each.path), reason=str(problem))
            return
        self._failing.discard(each.path)
        self._log.info("batch_list.written", path=str(each.path), lines=content.count(b"\n"))
