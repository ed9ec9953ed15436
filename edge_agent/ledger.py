"""The ledger of devices (设备管理台账): each device as an asset, folded from its events; sans-I/O.

An event is a record `trace.device_state.v1`. It says how the device stands from now on, and brings the facts that
changed; what it leaves out stays as it was. Nothing is ever changed back: the ledger is written forward, on the chain
of all records.

Two flags of weighed records follow from it, for scales only:

- `uncommissioned`: nobody has compared the agent's reading with the scale's own display yet, or what was compared
  failed, or the driver, unit or options are others now, or the scale was in repair since.
- `scale_unverified`: the verification has run out or the seal is broken; once commissioned, also where no
  verification is on file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, Final, Literal, get_args, get_type_hints

from edge_agent.records.bodies import Body, CommissioningStep, DeviceState
from edge_agent.records.check import body_problems
from edge_agent.records.flags import Flag

State = Literal["in-use", "idle", "fault", "repair", "retired", "disposed"]

STATES: Final = get_args(State)
_OF_ONE_EVENT: Final = frozenset({"state", "steps", "reason", "document_no", "setup", "commissioning"})
_COMMON: Final = frozenset(each.name for each in fields(Body))
FACTS: Final = ("party", *sorted({each.name for each in fields(DeviceState)} - _COMMON - _OF_ONE_EVENT))
"""What can be known of a device, by the names of the record's fields."""
_DAYS: Final = frozenset({"verified", "verified_until", "purchased", "warranty_until"})
_UNPROVEN_AFTER: Final = frozenset({"repair", "retired", "disposed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One device as it stands. `facts` are the newest of each; `since` is the time of its newest event.

    `commissioned` is the driver, unit and options with which it was last commissioned; None where it is not.
    """

    device: str
    state: str = "in-use"
    facts: Mapping[str, Any] = field(default_factory=dict)
    since: str | None = None
    commissioned: str | None = None
    commissioned_at: str | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON values; `Asset.of_plain` reads it."""
        return {
            "device": self.device,
            "state": self.state,
            "facts": dict(self.facts),
            "since": self.since,
            "commissioned": self.commissioned,
            "commissioned_at": self.commissioned_at,
        }

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Asset:
        """The asset that `plain` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        asset = cls(**values)
        if asset.state not in STATES or not isinstance(asset.facts, Mapping):
            raise ValueError(f"{asset.device}: is not an entry of a ledger")
        return asset


def fold(asset: Asset, data: Mapping[str, Any], time: str) -> Asset:
    """The asset after an event, given as the data of its record."""
    news = {n: data[n] for n in FACTS if data.get(n) is not None}
    state = str(data["state"])
    commissioned, commissioned_at = asset.commissioned, asset.commissioned_at
    if data.get("commissioning") == "passed":
        commissioned, commissioned_at = str(data.get("setup") or ""), time
    elif data.get("commissioning") == "failed" or state in _UNPROVEN_AFTER:
        commissioned, commissioned_at = None, None
    return replace(
        asset,
        state=state,
        facts={**asset.facts, **news},
        since=time,
        commissioned=commissioned,
        commissioned_at=commissioned_at,
    )


def flags(asset: Asset, *, kind: str, setup: str, day: date) -> tuple[Flag, ...]:
    """What is doubtful about a device on a day; `kind` and `setup` are those of the configuration in force."""
    if kind != "scale":
        return ()
    found: list[Flag] = []
    if asset.commissioned != setup:
        found.append("uncommissioned")
    if asset.facts.get("compulsory") is not False and _unverified(asset, day):
        found.append("scale_unverified")
    return tuple(found)


def _unverified(asset: Asset, day: date) -> bool:
    until = asset.facts.get("verified_until")
    if asset.facts.get("seal_ok") is False:
        return True
    if until is None:
        return asset.commissioned is not None
    return date.fromisoformat(until) < day


def setup_text(driver: str, unit: str | None, options: Mapping[str, Any]) -> str:
    """What decides how a device's bytes are understood, as one line; commissioning holds for this only."""
    words = [driver, *([f"unit={unit}"] if unit else []), *(f"{name}={options[name]!r}" for name in sorted(options))]
    return " ".join(words)


def fact_problems(given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is wrong with facts that a person wrote: name, what is wrong, what would be right."""
    problems = [(name, "is no fact of the ledger", f"one of {', '.join(FACTS)}") for name in given if name not in FACTS]
    known = {name: value for name, value in given.items() if name in FACTS}
    blank = DeviceState(device="x", clock={"synced": True, "boot": "x", "mono_ms": 0}, state="in-use").to_data()
    for text in body_problems(DeviceState, {**blank, **known}):
        place, _, what = text.partition(": ")
        name = place.removeprefix("$.")
        problems.append((name, what, _right(name)))
    wrong = {name for name, _, _ in problems}
    for name in _DAYS & known.keys() - wrong:
        try:
            date.fromisoformat(known[name])
        except (ValueError, TypeError):
            problems.append((name, f"{known[name]!r} is no day of the calendar", _right(name)))
    return problems


def _right(name: str) -> str:
    if name in _DAYS:
        return "a day such as 2027-03-31"
    if name.endswith("_mg"):
        return "a whole number of milligrams"
    if name in ("compulsory", "seal_ok"):
        return "true or false"
    choices = [c for each in get_args(get_type_hints(DeviceState).get(name)) for c in get_args(each)]
    return f"one of {', '.join(choices)}" if choices else "a text"


def event(asset: Asset, changes: Mapping[str, Any], **common: Any) -> DeviceState:
    """The event that brings `changes`; the state stays as it is where they do not name one.

    Beside facts, `changes` may hold state, reason, document_no, setup, commissioning and steps. `common` holds clock,
    operator and what else every body has. Raises ValueError naming what does not fit, and what would be right.
    """
    given = dict(changes)
    state, given_steps = given.pop("state", asset.state), given.pop("steps", ())
    if state not in STATES:
        raise ValueError(f"state: {state!r} is not possible; one of {', '.join(STATES)} would be right")
    problems = fact_problems({name: value for name, value in given.items() if name not in _OF_ONE_EVENT})
    if problems:
        raise ValueError("; ".join(f"{name}: {what}; {hint} would be right" for name, what, hint in problems))
    steps = tuple(each if isinstance(each, CommissioningStep) else CommissioningStep(**each) for each in given_steps)
    return DeviceState(device=asset.device, state=state, steps=steps, **common, **given)


def fold_all(events: Iterable[Mapping[str, Any]]) -> dict[str, Asset]:
    """The ledger from records in their order."""
    assets: dict[str, Asset] = {}
    for each in events:
        data = each["data"]
        if each["type"] == DeviceState.TYPE and data.get("device"):
            asset = assets.get(data["device"], Asset(device=data["device"]))
            assets[asset.device] = fold(asset, data, each["time"])
    return assets
