"""What every body holds, and what every weighed body holds.

Mass is in integer milligrams, money in fen. `indication` and `unit` are the truth as displayed; the masses are
derived from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from operator import attrgetter, itemgetter
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypedDict

from edge_agent.model import Instant
from edge_agent.records.bodies.terms import OIML, Code, Decimal, Hex, Milligrams, Milliseconds, Moment, RecordId, Words
from edge_agent.records.flags import Flag
from edge_agent.records.shape import Needs, Says, inner_kinds, json_names

CapturedBy = Literal["device", "manual", "import", "replay"]


class Clock(TypedDict):
    """The clocks at the moment of capture."""

    synced: Annotated[bool, Says("whether the kernel held the wall clock to be synchronised")]
    boot: Annotated[Words, Says("the kernel's id of this boot")]
    mono_ms: Annotated[Milliseconds, Says("time since boot; it never runs back")]


def clock_facts(at: Instant) -> Clock:
    """What every record says about the clocks when it was captured."""
    return {"synced": at.synced, "boot": at.boot, "mono_ms": at.mono_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What every body holds: who captured it, when by which clocks, and the untouched bytes.

    `TYPE` is the type of the event, `TITLE` its name for people. `RULES` say which fields need one another.
    A `CORRECTABLE` record can be voided and amended, all its fields but the `FIXED` ones.
    """

    TYPE: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""
    RULES: ClassVar[tuple[Needs, ...]] = ()
    CORRECTABLE: ClassVar[bool] = True
    FIXED: ClassVar[frozenset[str]] = frozenset(
        {"device", "driver", "captured_by", "device_time", "clock", "flags", "corrects", "raw"}
    )

    device: Annotated[Code | None, Says("the device that said it")] = None
    driver: Annotated[Code | None, Says("the driver that understood it")] = None
    captured_by: Annotated[CapturedBy, Says("how it came here")] = "device"
    operator: Annotated[Code | None, Says("who worked there")] = None
    party: Annotated[Code | None, Says("code of the market participant who is responsible for it")] = None
    device_time: Annotated[Moment | None, Says("time by the device's own clock, where it tells")] = None
    clock: Annotated[Clock, Says("the box's clocks at the moment of capture")]
    flags: Annotated[tuple[Flag, ...], "unique", Says("what is doubtful or remarkable, see the flags")] = ()
    corrects: Annotated[RecordId | None, Says("id of the record that this one corrects or takes back")] = None
    raw: Annotated[Hex | None, Says("the untouched bytes, hexadecimal")] = None

    def to_data(self) -> dict[str, Any]:
        """The body as plain JSON values. Flags that follow from the common fields are set here, for every type."""
        data = _plain(self)
        flags: tuple[str, ...] = data["flags"]
        if not self.clock["synced"] and "clock_unsynced" not in flags:
            flags = (*flags, "clock_unsynced")
        if self.captured_by == "manual" and "manual" not in flags:
            flags = (*flags, "manual")
        data["flags"] = flags
        return data


class _Plan(NamedTuple):
    """How to read the values of one of our types: all at once, their names in JSON, those that hold our types."""

    values: Callable[[Any], tuple[Any, ...]]
    names: tuple[str, ...]
    nested: tuple[str, ...]


_plans: Final[dict[type, _Plan]] = {}


def _plan(kind: type) -> _Plan:
    # In the order of the canonical form, so that sorting finds it sorted.
    pairs = sorted(json_names(kind), key=itemgetter(1))
    attributes, names = zip(*pairs, strict=True)
    plan = _Plan(attrgetter(*attributes), names, tuple(n for n, inner in inner_kinds(kind) if is_dataclass(inner)))
    _plans[kind] = plan
    return plan


def _plain(value: Any) -> dict[str, Any]:
    kind = type(value)
    plan = _plans.get(kind) or _plan(kind)
    data = dict(zip(plan.names, plan.values(value), strict=True))
    for name in plan.nested:
        inner = data[name]
        if inner is not None:
            data[name] = [_plain(each) for each in inner] if isinstance(inner, tuple) else _plain(inner)
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Body):
    """The masses of what was weighed.

    `net_mg` is always set where something was weighed; with an unknown basis it is the indication, gross and tare
    are None, and the flag `basis_unknown` says so.
    """

    FIXED: ClassVar[frozenset[str]] = Body.FIXED | {
        *("gross_mg", "tare_mg", "net_mg", "tare_kind", "indication", "unit", "stability")
    }

    gross_mg: Annotated[Milligrams | None, Says("gross mass", OIML)] = None
    tare_mg: Annotated[Milligrams | None, Says("tare", OIML)] = None
    net_mg: Annotated[Milligrams | None, Says("net mass: gross without tare", OIML)] = None
    tare_kind: Annotated[Literal["weighed", "preset"] | None, Says("how the tare was found", OIML)] = None
    deduction_mg: Annotated[
        Milligrams | None, Says("mass that is not paid for: impurities, water (扣杂、扣水); still part of the net mass")
    ] = None
    indication: Annotated[Decimal | None, Says("the displayed text: with `unit` the truth about the mass")] = None
    unit: Annotated[
        Literal["kg", "g", "mg", "t", "lb", "oz", "lb:oz", "gr", "GN", "ct", "jin", "liang"] | None,
        Says("unit of the indication: the frame's own, else the one configured"),
    ] = None
    stability: Annotated[Literal["stable", "moving", "unknown"] | None, Says("stability as the instrument told it")] = (
        None
    )
