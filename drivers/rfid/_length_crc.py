"""What UHFReader18 and UHFReader288 share: frames of a length, an address, a command, a status and a CRC.

    len | address | cmd | status | data | CRC low  CRC high       from the reader; len counts all behind itself
    len | address | cmd |          data | CRC low  CRC high       from the host

    02 read    EPC words  EPC  bank  word  words  password (4)             answered by status 00 and the words
    03 write   words  EPC words  EPC  bank  word  data  password (4)       answered by status 00; FC: the tag refused

No byte marks the beginning. A header is one only with a command and a status of the manual, and only inventories are
long; the CRC decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from drivers.checksum import crc16_reflected
from drivers.framing import Frame
from drivers.sized_framing import MAYBE, Sized
from drivers.tag_codec import Asking, Refused, TagCodec, asking_options, epc, shared_out, status, tag_error
from edge_agent.driver import Option, Send
from edge_agent.model import DeviceEvent

INVENTORY: Final = frozenset((0x01, 0x0F))
ACTIVE: Final = 0xEE
DONE, TIMED_OUT, MORE, MEMORY_FULL, WEAK, NO_TAG, HEARTBEAT = 0x01, 0x02, 0x03, 0x04, 0xFA, 0xFB, 0x28
TROUBLES: Final[Mapping[int, str]] = MappingProxyType(
    {0xF8: "antenna", 0xF9: "execution failed", 0xFD: "wrong length", 0xFE: "unknown command", 0xFF: "wrong parameter"}
)
"""What the reader may say is wrong; it says so of a question with its own CRC right."""
INVENTORY_STATUS: Final = frozenset((0x00, DONE, TIMED_OUT, MORE, MEMORY_FULL, WEAK, NO_TAG, *TROUBLES))
_COMMANDS: Final = frozenset((*range(0x02, 0x0F), *range(0x10, 0x80), 0x92, 0x93, 0x94))
_READ, _WRITE = 0x02, 0x03
_TAG_REFUSED: Final = 0xFC
_WRONG_PASSWORD: Final = 0x05
_LONGEST: Final = 0x60
_LONGEST_CHOICE: Final = 30
"""Bytes of an EPC that a question may hold: fifteen words."""
_MOST_WORDS, _MOST_WORDS_WRITTEN = 40, 16
_SHORTEST: Final = 4
_CRC: Final = 2


def _measure(header: bytes) -> int | None:
    if not header:
        return MAYBE
    length = header[0]
    if length < _SHORTEST:
        return None
    if len(header) < 3:
        return MAYBE
    if header[2] in INVENTORY or header[2] == ACTIVE:
        if length == _SHORTEST:
            return 1 + length
        if len(header) < 4:
            return MAYBE
        # An inventory of the host may carry settings: they are few.
        known = header[3] in INVENTORY_STATUS or header[3] == HEARTBEAT or length < 12
        return 1 + length if known else None
    return 1 + length if header[2] in _COMMANDS and length <= _LONGEST else None


def _check(raw: bytes) -> str:
    return "" if crc16_reflected(raw[:-2]) == raw[-2:] else "checksum"


FRAMING: Final = Sized(4, _measure, _check)


def question(address: int, body: bytes) -> bytes:
    """A frame of the host with its length and CRC."""
    frame = bytes([len(body) + 3, address]) + body
    return frame + crc16_reflected(frame)


def round_over(raw: bytes) -> bool:
    """Whether a frame of the reader ends what was asked; an inventory may say that more follows."""
    return len(raw) > 5 and raw[2] != ACTIVE and not (raw[2] in INVENTORY and raw[3] == MORE)


class MemoryAndTagCodec(TagCodec):
    """Inventory, and the memory of the tag that was chosen; see `AddressingCodec`."""

    def __init__(self, read: Callable[[Frame], list[DeviceEvent]], address: int, asking: Asking | None) -> None:
        super().__init__(FRAMING, read, asking)
        self._address = address
        self._chosen = b""

    def choose(self, number: bytes) -> list[Send]:
        """See `AddressingCodec.choose`. Raises ValueError for a number that is longer than a question may be."""
        if len(number) > _LONGEST_CHOICE:
            raise ValueError(
                f"an EPC of {len(number)} bytes; this reader finds tags by one of {_LONGEST_CHOICE} at most"
            )
        self._chosen = number
        return []

    def read_memory(self, bank: int, word: int, words: int, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.read_memory`. Raises ValueError for more than an answer holds."""
        if words > _MOST_WORDS or word > 0xFF:
            raise ValueError(f"{words} words from {word}; this reader takes {_MOST_WORDS} words and places up to 255")
        return self._about(_READ, b"", bytes([bank, word, words]) + password)

    def write_memory(self, bank: int, word: int, data: bytes, password: bytes = bytes(4)) -> Send:
        """See `MemoryCodec.write_memory`. Raises ValueError for more than a question holds."""
        words = len(data) // 2
        if words > _MOST_WORDS_WRITTEN or word > 0xFF:
            raise ValueError(
                f"{words} words from {word}; this reader writes {_MOST_WORDS_WRITTEN} words, at places up to 255"
            )
        return self._about(_WRITE, bytes([words]), bytes([bank, word]) + data + password)

    def memory_in(self, raw: bytes) -> tuple[str, bytes] | None:
        """See `MemoryCodec.memory_in`: the number is that of the tag that was chosen."""
        if len(raw) < 6 or raw[2] not in (_READ, _WRITE) or raw[3] != 0:
            return None
        return self._chosen.hex().upper(), raw[4:-2] if raw[2] == _READ else b""

    def _about(self, command: int, head: bytes, tail: bytes) -> Send:
        tag = bytes([len(self._chosen) // 2]) + self._chosen
        return Send(data=question(self._address, bytes([command]) + head + tag + tail))


def memory_status(raw: bytes) -> list[DeviceEvent]:
    """What an answer says that is no inventory."""
    state = raw[3]
    if state == 0:
        return status(raw, "ack")
    if state == _TAG_REFUSED and len(raw) == 7:
        return status(raw, "error", tag_error(raw[4]))
    if state == _WRONG_PASSWORD:
        return status(raw, "error", "the tag does not take the password")
    if state == NO_TAG:
        return status(raw, "other", "no tag")
    trouble = TROUBLES.get(state)
    return status(raw, "error", trouble) if trouble else status(raw, "other")


OPTIONS: Final = (
    *asking_options(50),
    Option(name="address", type="integer", default=255, minimum=0, maximum=255, help="the reader's address; 255: any"),
)


def maker(read: Callable[[Frame], list[DeviceEvent]]) -> Callable[[Mapping[str, Any]], TagCodec]:
    """How a codec of this family is made from its options; `read` tells what a frame says."""

    def make(options: Mapping[str, Any]) -> MemoryAndTagCodec:
        asking = None
        address = options.get("address", 255)
        if options.get("poll", True):
            asking = Asking(
                always=(question(address, b"\x01"),),
                answered=round_over,
                every=options.get("poll_ms", 50) / 1000,
                within=3.0,
            )
        return MemoryAndTagCodec(read, address, asking)

    return make


def entries(raw: bytes, at: int, count: int, *, behind: int = 0, antenna: int | None = None) -> list[DeviceEvent]:
    """The tags of an inventory: from `at` on, `count` times a length, so many bytes of EPC, and `behind` more.

    Raises `Refused` where they do not end with the frame.
    """
    stop = len(raw) - _CRC
    tags, ends = [], []
    for _ in range(count):
        if at >= stop:
            raise Refused("malformed")
        begin, at = at + 1, at + 1 + raw[at] + behind
        if at > stop:
            raise Refused("malformed")
        tags.append(epc(raw[begin : at - behind], antenna=antenna))
        ends.append(at)
    if not count or at != stop:
        raise Refused("malformed")
    return shared_out(raw, ends, tags)
