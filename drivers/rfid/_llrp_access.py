"""How an LLRP reader is asked for the memory of a tag: an AccessSpec, added, enabled, done once, its result reported.

Source: EPCglobal LLRP 1.0.1 and 1.1: AccessSpec and its operations, C1G2TagSpec, C1G2Read, C1G2Write, their results.

    41 DELETE_ACCESSSPEC (0: all)   what stands there from before must not be done with this tag
    40 ADD_ACCESSSPEC               207: which tag (338, 339), 341 C1G2Read or 342 C1G2Write, once (208), told (239)
    42 ENABLE_ACCESSSPEC            each sent when the one before was answered
    61 RO_ACCESS_REPORT             240 with 349 C1G2ReadOpSpecResult:   result  number (2)  words (2)  data
                                             350 C1G2WriteOpSpecResult:  result  number (2)  words written (2)

A tag that is not there is not reported at all: the spec waits for it until it is deleted, so it always is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from drivers.rfid._llrp_messages import (
    ADD_ACCESSSPEC,
    DELETE_ACCESSSPEC,
    ENABLE_ACCESSSPEC,
    ERROR_MESSAGE,
    READ_RESULT,
    access_spec,
    kind_of,
    message,
    read_operation,
    results_in,
    status_in,
    write_operation,
)

_ANSWER: Final = 10
_MOST_WORDS: Final = 1024
_FIRST_NUMBER: Final = 1000
"""Numbers of messages from here on: those of the inventory are smaller."""
_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        DELETE_ACCESSSPEC: "DELETE_ACCESSSPEC",
        ADD_ACCESSSPEC: "ADD_ACCESSSPEC",
        ENABLE_ACCESSSPEC: "ENABLE_ACCESSSPEC",
    }
)
_REFUSED, _AWAY, _READER = "the tag refused, it does not say why", "the tag does not answer", "the reader failed"
_NO_PLACE, _LOCKED, _PASSWORD = "the tag has no such place", "the tag is locked", "the tag does not take the password"
_READ_RESULTS: Final[Mapping[int, str]] = MappingProxyType(
    {1: _REFUSED, 2: _AWAY, 3: _READER, 4: _NO_PLACE, 5: _LOCKED, 6: _PASSWORD}
)
_WRITE_RESULTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: _NO_PLACE,
        2: _LOCKED,
        3: "the tag has too little power to write",
        4: _REFUSED,
        5: _AWAY,
        6: _READER,
        7: _PASSWORD,
    }
)


class Access:
    """One question after the other about the memory of tags. Sans-I/O; what its methods return is to be sent."""

    def __init__(self) -> None:
        self._tag = b""
        self._number = 0
        self._messages = 0
        self._left: list[tuple[int, bytes]] = []
        self._awaited: int | None = None
        self._to_write = 0

    def choose(self, tag: bytes) -> bytes:
        """The next questions are about this tag. The reader is made to forget every AccessSpec."""
        self._tag = tag
        self._left = []
        self._number += 1  # what is still reported answers nothing
        return self._message(DELETE_ACCESSSPEC, bytes(4))

    def read(self, bank: int, word: int, words: int, password: bytes) -> bytes:
        """Ask for words. Raises ValueError for more than one report holds."""
        if not 0 < words <= _MOST_WORDS or word > 0xFFFF:
            raise ValueError(f"{words} words from {word}; 1 to {_MOST_WORDS} are read at once, from places up to 65535")
        self._to_write = 0
        self._number += 1
        return self._begin(read_operation(self._number & 0xFFFF, bank, word, words, password))

    def write(self, bank: int, word: int, data: bytes, password: bytes) -> bytes:
        """Write words. Raises ValueError for what is no whole words, or too much."""
        if not 0 < len(data) <= 2 * _MOST_WORDS or len(data) % 2 or word > 0xFFFF:
            raise ValueError(f"{len(data)} bytes at {word}; 1 to {_MOST_WORDS} words are written at once, up to 65535")
        self._to_write = len(data) // 2
        self._number += 1
        return self._begin(write_operation(self._number & 0xFFFF, bank, word, data, password))

    def heard(self, raw: bytes) -> bytes | None:
        """The next message of a question, where the one before is answered by these bytes and was not refused.

        What is to be deleted may not be there.
        """
        if self._awaited is None or len(raw) < 2 or kind_of(raw) != self._awaited + _ANSWER:
            return None
        refused = status_in(raw)[0] != 0 and self._awaited != DELETE_ACCESSSPEC
        self._awaited = None
        return None if refused or not self._left else self._message(*self._left.pop(0))

    def answer_in(self, raw: bytes) -> str | None:
        """See `TellingCodec.answer_in`."""
        for _, kind, result in results_in(raw):
            if self._is_ours(result):
                return self._told(kind, result)
        if len(raw) < 10 or raw[0] >> 2 == 0:
            return None
        kind = kind_of(raw) - _ANSWER
        if kind + _ANSWER == ERROR_MESSAGE or (kind in _NAMES and kind != DELETE_ACCESSSPEC):
            code, words = status_in(raw)
            return None if code == 0 else f"the reader refused {_NAMES.get(kind, 'it')}: {code} {words}".rstrip()
        return "" if kind == DELETE_ACCESSSPEC and not self._left and self._awaited is None else None

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """See `MemoryCodec.memory_in`."""
        for tag, kind, result in results_in(raw):
            if self._is_ours(result) and self._told(kind, result) == "":
                return tag.hex().upper(), result[5:] if kind == READ_RESULT else b""
        return None

    def _begin(self, operation: bytes) -> bytes:
        number = self._number.to_bytes(4, "big")
        spec = access_spec(self._number, self._tag, operation)
        self._left = [(ADD_ACCESSSPEC, spec), (ENABLE_ACCESSSPEC, number)]
        return self._message(DELETE_ACCESSSPEC, bytes(4))

    def _message(self, kind: int, body: bytes) -> bytes:
        self._messages += 1
        self._awaited = kind
        return message(kind, _FIRST_NUMBER + self._messages, body)

    def _is_ours(self, result: bytes) -> bool:
        return result[1:3] == (self._number & 0xFFFF).to_bytes(2, "big")

    def _told(self, kind: int, result: bytes) -> str:
        code, words = result[0], int.from_bytes(result[3:5], "big")
        if kind == READ_RESULT:
            return _READ_RESULTS.get(code, f"result {code}") if code else ""
        why = _WRITE_RESULTS.get(code, f"result {code}") if code else ""
        if words < self._to_write and (words or not why):
            return f"{why or 'the tag stopped'}; {words} of {self._to_write} words were written"
        return why
