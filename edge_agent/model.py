"""Frozen values that travel through the agent; part of the public API for third-party drivers.

A value says what a device, a person or the platform said. It never changes after it was made, so it can
cross threads without a lock. Weights are decimal texts exactly as the instrument displayed them; floats
are used only for monotonic seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

Stability = Literal["stable", "moving", "unknown"]
"""Stability as the instrument told it; `unknown` when its frames do not tell."""

Basis = Literal["gross", "net", "tare"]
"""What the indication is, as in OIML R 76; absent when the frame does not tell."""

Condition = Literal["ok", "overload", "underload"]

Unit = Literal["kg", "g", "mg", "t", "lb", "oz", "lb:oz", "gr", "GN", "ct", "jin", "liang", "pcs", "%"]

UNITS: Final[frozenset[str]] = frozenset(
    {"kg", "g", "mg", "t", "lb", "oz", "lb:oz", "gr", "GN", "ct", "jin", "liang", "pcs", "%"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one scale frame said.

    `weight` is the displayed decimal text with its sign normalised (`-0` is `0`), None unless `condition`
    is `ok`. `unit` is None where the frame carries none. `unit_price` and `amount` are the texts of a
    price-computing scale. `tare` is the tare text where the same frame carries it. `counter` is what changes from
    frame to frame where frames carry such (a number, a clock): one that stands still is a dead source that something
    repeats. `late` is for how many seconds, at most, it waited to be fetched, where whoever reads the port was held up;
    a session says so, no codec. `raw` holds every byte of the frame.
    """

    weight: str | None
    raw: bytes
    unit: str | None = None
    stability: Stability = "unknown"
    basis: Basis | None = None
    condition: Condition = "ok"
    unit_price: str | None = None
    amount: str | None = None
    tare: str | None = None
    counter: str | None = None
    late: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one barcode decode said.

    `text` is the decoded text without the scanner's suffix and AIM prefix; `symbology` the AIM identifier
    (ISO/IEC 15424) such as `]C1` where the scanner sent it. `lossy` is true where bytes had to be replaced
    by U+FFFD; `raw` always keeps them.
    """

    text: str
    raw: bytes
    symbology: str | None = None
    lossy: bool = False


TagKind = Literal["epc", "iso14443", "iso15693", "em4100", "wiegand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRead:
    """What one tag reply said. `tag_id` is upper-case hexadecimal; `rssi_dbm` is in dBm."""

    tag_id: str
    kind: TagKind
    raw: bytes
    antenna: int | None = None
    rssi_dbm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedSale:
    """A sale that a trace scale made by itself and hands over (front-end role, 前置机).

    `number` is the scale's own number of the line: what comes again with it is the same sale. `sold_at` is the time by
    the scale's clock, `YYYY-MM-DDTHH:MM:SS` without a zone. `weight`, `gross` and `tare` are decimal texts in `unit`;
    `pieces` where it was sold by the piece. Money is in fen: `amount_raw_fen` before and `amount_fen` after rounding
    off (抹零), both as the scale computed them. `batch` is what was sold from, `trace_code` what the buyer got.
    `where` names file and line, for people.
    """

    number: str
    raw: bytes
    sold_at: str | None = None
    weight: str | None = None
    unit: str | None = None
    gross: str | None = None
    tare: str | None = None
    pieces: int | None = None
    goods_code: str | None = None
    goods_name: str | None = None
    batch: str | None = None
    trace_code: str | None = None
    upstream: str | None = None
    price_fen: int | None = None
    price_per: Literal["kg", "500g", "each"] | None = None
    amount_raw_fen: int | None = None
    amount_fen: int | None = None
    seller: str | None = None
    buyer: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A valid frame without a weight, a code or a tag: an acknowledgement, busy, an error, a heartbeat."""

    status: Literal["ack", "busy", "error", "heartbeat", "other"]
    raw: bytes
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Bytes that were not accepted, with the reason. Counted and kept for the maintainer, never dropped."""

    reason: str
    raw: bytes


DeviceEvent = Reading | Scan | TagRead | PushedSale | Status | Rejected


class DeviceState(enum.StrEnum):
    """How a device stands. `connected` means that its port is open; data is not required."""

    CONNECTED = "connected"
    LOST = "lost"
    STALE = "stale"
    BAD_DATA = "bad-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A device's change of state, with the reason in words."""

    state: DeviceState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One moment on every clock the box has.

    `wall_ms` is Unix time in milliseconds and may be wrong; `mono_ms` is milliseconds since boot and never
    runs back; `boot` is the kernel's boot id; `synced` says whether the kernel held the wall clock to be
    synchronised.
    """

    wall_ms: int
    mono_ms: int
    boot: str
    synced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a device said, which device said it, and when. The input of a station."""

    device: str
    driver: str
    at: Instant
    event: DeviceEvent | StateChange


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What an operator or a rule asks of a station, such as `confirm`, `goods`, `capture`, `clear`."""

    name: str
    at: Instant
    arguments: Mapping[str, Any] = field(default_factory=_empty)
    operator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The platform's word on records of one chain.

    `accepted` holds inclusive ranges of sequences (a duplicate counts as accepted); `rejected` the refused
    ones with the platform's reason.
    """

    chain: str
    accepted: tuple[tuple[int, int], ...] = ()
    rejected: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refused record: its sequence and id, the platform's code and words, and whether to send it again."""

    sequence: int
    id: str
    code: str
    reason: str
    retryable: bool


# --- what printers print


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text; it is wrapped where it is longer than the paper is wide. `size` 2 is twice as high and wide."""

    text: str
    size: Literal[1, 2] = 1
    bold: bool = False
    align: Literal["left", "center"] = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A name at the left and its value at the right of one line, or of two where one is too narrow."""

    left: str
    right: str
    size: Literal[1, 2] = 1
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCode:
    """A QR code (ISO/IEC 18004). `rows` are its modules, `1` dark and `0` light, for printers that draw none."""

    text: str
    rows: tuple[str, ...]


Part = Text | Pair | Rule | QrCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a printer prints: a receipt on a roll, or one label. `id` names it in the log and on the page."""

    id: str
    kind: Literal["receipt", "label"]
    parts: tuple[Part, ...]
