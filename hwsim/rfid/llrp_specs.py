"""What clients of an LLRP reader add to it: ROSpecs and AccessSpecs, read strictly as the standard has them.

Source: EPCglobal LLRP 1.0.1: parameters in sections 16.2.4 and following, those of C1G2 in 16.2.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SUCCESS, PARAMETER_ERROR, FIELD_ERROR, UNSUPPORTED = 0, 100, 101, 109


class Wrong(Exception):
    """A message that is not as the standard says, with the LLRP status code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


@dataclass(slots=True)
class RoSpec:
    """What a client asked to be read and told."""

    number: int
    antennas: tuple[int, ...]
    at_once: int
    content: int
    enabled: bool = False


@dataclass(slots=True)
class AccessSpec:
    """What a client asked to be done with a tag: once, then it is forgotten."""

    number: int
    antenna: int
    mask: bytes
    operation: int
    operation_number: int
    password: bytes
    bank: int
    word: int
    words: int
    data: bytes
    enabled: bool = False


def number_in(body: bytes) -> int:
    if len(body) != 4:
        raise Wrong(PARAMETER_ERROR, "a number of four bytes is wanted")
    return int.from_bytes(body, "big")


def parameters(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and contents of TLV parameters that fill a body. Raises `Wrong`."""
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at + 2 : at + 4], "big")
        if body[at] > 3 or size < 4 or at + size > len(body):
            raise Wrong(PARAMETER_ERROR, f"no TLV parameter at byte {at}")
        yield int.from_bytes(body[at : at + 2], "big"), body[at + 4 : at + size]
        at += size


def _one(body: bytes, wanted: int, name: str) -> bytes:
    found = [content for kind, content in parameters(body) if kind == wanted]
    if len(found) != 1:
        raise Wrong(PARAMETER_ERROR, f"{len(found)} times {name}, once is right")
    return found[0]


def ro_spec(body: bytes) -> RoSpec:
    """An ADD_ROSPEC's body. Raises `Wrong` for one that is not built as the standard says."""
    spec = _one(body, 177, "ROSpec")
    number, priority, state = int.from_bytes(spec[:4], "big"), spec[4], spec[5]
    if not number or priority > 7 or state:
        raise Wrong(FIELD_ERROR, "an ROSpec has a number, a priority up to 7 and is added disabled")
    boundary = _one(spec[6:], 178, "ROBoundarySpec")
    if _one(boundary, 179, "ROSpecStartTrigger")[:1] != b"\x01" or len(_one(boundary, 182, "ROSpecStopTrigger")) != 5:
        raise Wrong(FIELD_ERROR, "only an immediate start is played here")
    inventory = _one(spec[6:], 183, "AISpec")
    count = int.from_bytes(inventory[:2], "big")
    antennas = tuple(int.from_bytes(inventory[2 + 2 * i : 4 + 2 * i], "big") for i in range(count))
    if not antennas:
        raise Wrong(FIELD_ERROR, "an AISpec names antennas")
    rest = inventory[2 + 2 * count :]
    if len(_one(rest, 184, "AISpecStopTrigger")) != 5:
        raise Wrong(PARAMETER_ERROR, "an AISpecStopTrigger has five bytes")
    if _one(rest, 186, "InventoryParameterSpec")[2:3] != b"\x01":
        raise Wrong(FIELD_ERROR, "only EPC Gen2 is read here")
    told = _one(spec[6:], 237, "ROReportSpec")
    if told[0] not in (1, 2):
        raise Wrong(FIELD_ERROR, "only reports upon N tags are sent here")
    content = _one(told[3:], 238, "TagReportContentSelector")
    return RoSpec(number, antennas, max(1, int.from_bytes(told[1:3], "big")), int.from_bytes(content[:2], "big"))


def access_spec(body: bytes) -> AccessSpec:
    """An ADD_ACCESSSPEC's body. Raises `Wrong` for what is not as the standard says, or is not played here."""
    spec = _one(body, 207, "AccessSpec")
    number, antenna, protocol = int.from_bytes(spec[:4], "big"), int.from_bytes(spec[4:6], "big"), spec[6]
    if not number or protocol != 1 or spec[7] & 0x80:
        raise Wrong(FIELD_ERROR, "an AccessSpec has a number, is for Gen2 and is added disabled")
    if _one(spec[12:], 208, "AccessSpecStopTrigger") != b"\x01\x00\x01":
        raise Wrong(FIELD_ERROR, "only AccessSpecs that are done once are played here")
    if _one(spec[12:], 239, "AccessReportSpec") != b"\x01":
        raise Wrong(FIELD_ERROR, "only a report at the end of the AccessSpec is played here")
    command = _one(spec[12:], 209, "AccessCommand")
    mask = _target(_one(_one(command, 338, "C1G2TagSpec"), 339, "C1G2TargetTag"))
    operations = [(kind, content) for kind, content in parameters(command) if kind in (341, 342)]
    if len(operations) != 1 or len(operations[0][1]) < 11:
        raise Wrong(PARAMETER_ERROR, "one C1G2Read or C1G2Write is played here")
    kind, content = operations[0]
    words, data = int.from_bytes(content[9:11], "big"), content[11:]
    if not words or len(data) != (2 * words if kind == 342 else 0) or content[6] & 0x3F:
        raise Wrong(PARAMETER_ERROR, "an operation's length is not that of its words")
    return AccessSpec(
        number=number,
        antenna=antenna,
        mask=mask,
        operation=kind,
        operation_number=int.from_bytes(content[:2], "big"),
        password=content[2:6],
        bank=content[6] >> 6,
        word=int.from_bytes(content[7:9], "big"),
        words=words,
        data=data,
    )


def _target(told: bytes) -> bytes:
    """The beginning of the EPC that a C1G2TargetTag means."""
    if len(told) < 7 or told[0] != 0x60 or told[1:3] != b"\x00\x20":
        raise Wrong(FIELD_ERROR, "only what matches in the EPC bank from bit 32 on is played here")
    bits = int.from_bytes(told[3:5], "big")
    size = (bits + 7) // 8
    mask, rest = told[5 : 5 + size], told[5 + size :]
    if bits % 8 or mask != b"\xff" * size or rest[:2] != told[3:5] or len(rest) != 2 + size:
        raise Wrong(FIELD_ERROR, "only a mask of ones over as many bits of data is played here")
    return rest[2:]
