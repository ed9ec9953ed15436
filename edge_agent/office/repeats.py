"""Requests that may come twice: a program or a page that lost the answer asks again with the same key.

What was kept for a key is noted in the same transaction as the records themselves, so that a repeated request keeps
nothing more even when the agent was killed in between. The newest `SLOTS` keys are remembered.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

SLOTS: Final = 2_000
_PREFIX: Final = "repeat/"


class Notes(Protocol):
    """What is needed of the store."""

    def note(self, key: str) -> str | None:
        """A remembered fact."""

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact, with the next commit at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a request led to: what it asked (a digest), and the ids and types of its records."""

    asked: str
    records: tuple[tuple[str, str], ...]


class Repeats:
    """What was kept for which key. Thread-safe."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._done: dict[str, tuple[int, Done]] = {}
        self._busy: dict[str, threading.Event] = {}
        self._next = 0
        newest = -1
        for slot in range(SLOTS):
            text = notes.note(f"{_PREFIX}{slot}")
            if text is None:
                break
            noted = orjson.loads(text)
            records = tuple((str(i), str(t)) for i, t in noted["records"])
            self._done[noted["key"]] = (slot, Done(asked=noted["asked"], records=records))
            if noted["n"] > newest:
                newest, self._next = noted["n"], slot + 1
        self._count = newest + 1
        self._by_slot = {slot: key for key, (slot, _) in self._done.items()}

    def begin(self, key: str, timeout: float) -> Done | None:
        """What the key led to before; None where it is new, and then `end` must follow.

        Waits for a request with the same key that is under way; raises TimeoutError where that takes too long.
        """
        while True:
            with self._lock:
                under_way = self._busy.get(key)
                if under_way is None:
                    known = self._done.get(key)
                    if known is not None:
                        return known[1]
                    self._busy[key] = threading.Event()
                    return None
            if not under_way.wait(timeout):
                raise TimeoutError("the same request is still under way")

    def note(self, key: str, asked: str, records: Sequence[tuple[str, str]]) -> None:
        """The records that are about to be handed to the store; noted with their commit."""
        with self._lock:
            slot = self._next % SLOTS
            self._next = slot + 1
            gone = self._by_slot.pop(slot, None)
            if gone is not None:
                self._done.pop(gone, None)
            self._done[key] = (slot, Done(asked=asked, records=tuple(records)))
            self._by_slot[slot] = key
            value = {"key": key, "asked": asked, "n": self._count, "records": [list(each) for each in records]}
            self._count += 1
        self._notes.set_note(f"{_PREFIX}{slot}", orjson.dumps(value).decode())

    def end(self, key: str) -> None:
        """The request is over, whatever came of it."""
        with self._lock:
            event = self._busy.pop(key, None)
        if event is not None:
            event.set()


def key_of(scope: str, key: str) -> str:
    """The digest under which a key is remembered; `scope` keeps the keys of stations apart."""
    return hashlib.sha256(f"{scope}\n{key}".encode("utf-8", "replace")).hexdigest()[:32]


def digest_of(name: str, arguments: Mapping[str, Any]) -> str:
    """What a request asks, as a digest: the same key with other arguments is a mistake of whoever sends it."""
    text = orjson.dumps([name, arguments], default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]
