"""What every station has: its settings, the scale it reads, and what it tells the page."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final, Literal, Protocol, runtime_checkable

from edge_agent.catalogue import Catalogue
from edge_agent.codes import DEFAULT_PROFILE, CodeProfile, Role
from edge_agent.model import Command, DeviceState, Instant, Observation, Reading, StateChange
from edge_agent.records.bodies import Body, clock_facts
from edge_agent.records.envelope import Draft, draft
from edge_agent.records.flags import Flag
from edge_agent.records.money import PricePer, RoundOff
from edge_agent.station.numbers import Share
from edge_agent.station.tags import TagRules
from edge_agent.station.weigh_cycle import CycleRules, Load, Phase, WeighCycle, Weight
from edge_agent.units import to_milligrams


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRules:
    """How a station treats batches, and what it does where something is wrong with one.

    `choice`: whether several open batches want the operator's choice, or the oldest is taken. `no_upstream`,
    `over_balance` and `stopped` say what becomes of goods without a batch, of more than came in, and of goods under a
    stop of sale. More than came in is what exceeds it by `tolerance_permille`, by goods where `tolerances` names
    them. A batch that came in more than `days` days ago is open no longer.
    """

    choice: Literal["ask", "oldest"] = "ask"
    no_upstream: Literal["flag", "refuse"] = "flag"
    over_balance: Literal["flag", "refuse"] = "flag"
    stopped: Literal["refuse", "flag"] = "refuse"
    tolerance_permille: int = 20
    tolerances: Mapping[str, int] = field(default_factory=dict)
    days: int = 30

    def tolerance(self, goods: str, catalogue: Catalogue) -> int:
        """The tolerance of these goods, in thousandths: by the station's rules, else by the catalogue."""
        item = catalogue.goods.get(goods)
        usual = self.tolerance_permille if item is None or item.tolerance_permille is None else item.tolerance_permille
        return self.tolerances.get(goods, usual)


DeviceFlags = Callable[[str, Instant], tuple[Flag, ...]]
"""What is doubtful about a device at a moment, by its id."""


def no_flags(device: str, at: Instant) -> tuple[Flag, ...]:
    """Nothing is doubtful: where nobody keeps a ledger."""
    return ()


@dataclass(slots=True)
class Duty:
    """Who is on duty at a station, and since when (RFC 3339). Only the station's own thread changes it."""

    person: str | None = None
    since: str | None = None

    def begin(self, person: str, since: str) -> None:
        """Somebody begins work."""
        self.person, self.since = person, since

    def end(self) -> None:
        """Nobody works here now."""
        self.person = self.since = None

    def facts(self) -> dict[str, str | None] | None:
        """What the page shows; None while nobody is on duty."""
        return None if self.person is None else {"person": self.person, "since": self.since}


@dataclass(slots=True)
class Tickets:
    """The tickets of a counter that nobody has paid: the open one, and those on hold, oldest first. Only the station's
    own thread changes it; whoever keeps it over a restart may read it at any time. What is on a ticket, the records of
    its lines say.
    """

    open: str | None = None
    held: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What is kept over a restart."""
        held = self.held  # first: a ticket that is put aside is there before it is no longer the open one
        return {"open": self.open, "held": list(held)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Tickets:
        """The tickets as they were kept. Raises KeyError or TypeError for what is no such thing."""
        name = facts["open"]
        return cls(open=name, held=tuple(each for each in facts["held"] if each != name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the plate of a scale says: least and largest load, verification interval e, interval of the display d."""

    min_mg: int | None = None
    max_mg: int | None = None
    e_mg: int | None = None
    d_mg: int | None = None

    def doubts(self, gross_mg: int, shown_mg: int | None, least_mg: int | None = None) -> list[Flag]:
        """What is doubtful about a load: under Min (`least_mg`, where a station's rules say it), over Max + 9e, which
        no scale may indicate (OIML R 76-1, 4.2.3), or no multiple of d. `shown_mg` is None where the unit has no whole
        milligrams."""
        least = self.min_mg if least_mg is None else least_mg
        found: list[Flag] = []
        if least is not None and gross_mg < least:
            found.append("below_min")
        if self.max_mg is not None and gross_mg > self.max_mg + 9 * (self.e_mg or self.d_mg or 0):
            found.append("above_max")
        if self.d_mg and shown_mg is not None and shown_mg % self.d_mg:
            found.append("off_step")
        return found


_NO_CAPACITY: Final = Capacity()
_EXACT: Final = frozenset({"kg", "g", "mg", "t", "jin", "liang"})


def no_capacity(_device: str) -> Capacity:
    """Nothing is known of any scale."""
    return _NO_CAPACITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a station has to know.

    `scales` are its devices that weigh; `units` names the unit of each device whose frames carry none. `role` is what
    its scanners read, goods or parties; None where both are met. `codes` brings what decides about codes in this city
    and shop. `round_off` is how far amounts are rounded off. `price_per` is what a price is for where nobody says.
    A load under `min_capacity_mg`, the Min on the scale's plate, is flagged. `crates` holds the mass of empty crates
    by name. `share` and `first_number` say which running numbers of trace codes this box issues. `device_flags` is
    what the ledger holds against a scale; every record weighed with it carries that. `capacity` is what the scale's
    plate says. `duty` is who works here now; `operator` stands in while nobody does. `tickets` are those of a counter
    that nobody has paid. `tags` says when a tag is in view.
    """

    id: str
    mode: str
    zone: tzinfo
    rules: CycleRules
    auto_confirm: bool = False
    party: str | None = None
    operator: str | None = None
    scales: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    role: Role | None = None
    codes: CodeProfile = DEFAULT_PROFILE
    round_off: RoundOff = "none"
    min_capacity_mg: int | None = None
    batches: BatchRules = field(default_factory=BatchRules)
    crates: Mapping[str, int] = field(default_factory=dict)
    price_per: PricePer = "kg"
    share: Share = field(default_factory=Share)
    first_number: int | None = None
    duty: Duty = field(default_factory=Duty)
    tickets: Tickets = field(default_factory=Tickets)
    device_flags: DeviceFlags = no_flags
    capacity: Callable[[str], Capacity] = no_capacity

    tags: TagRules = field(default_factory=TagRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A command that was not carried out: a stable code for the page to translate."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command led to."""

    drafts: tuple[Draft, ...] = ()
    refused: Refused | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the page shows of a station. `state` is one word; the weight is the displayed text, never computed; `basis`
    is what the scale says of it: gross, net, tare or nothing."""

    station: str
    mode: str
    state: str
    device: str | None
    weight: str | None
    unit: str | None
    stability: str | None
    basis: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    duty: Mapping[str, Any] | None = None


class Station(Protocol):
    """One place of work. Only its own thread calls it."""

    @property
    def view(self) -> View:
        """How the station stands."""

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; return the records that follow from it."""

    def command(self, command: Command) -> Outcome:
        """Do what an operator asks, or say why not."""


@runtime_checkable
class Watching(Station, Protocol):
    """A station for which the passing of time means something: what is not seen any more is gone."""

    def tick(self, at: Instant) -> Sequence[Draft]:
        """Nothing was observed until `at`; return the records that follow from it."""

    def close(self, at: Instant) -> Sequence[Draft]:
        """The agent stops; return the records of what is still going on."""


class Platter:
    """A scale as a station sees it: its newest reading, and the weigh cycle over its readings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.cycle = WeighCycle(settings.rules)
        self.observation: Observation | None = None
        self.reading: Reading | None = None
        self._last: deque[tuple[Observation, Reading, int | None]] = deque(
            maxlen=2 * settings.rules.stable_readings - 1
        )
        self._mass: int | None = None
        self._without = "disconnected"  # the word while there is no reading

    @property
    def state(self) -> str:
        """One word for the page: the cycle's phase, or what keeps the reading from being used.

        It is that of this moment: a load that was just taken is captured, whenever the next frame may come.
        """
        return self._without if self.reading is None else self._word(self.reading, self._mass)

    def observe(self, observation: Observation) -> None:
        """Take a reading or a change of the scale's state."""
        event = observation.event
        if isinstance(event, StateChange):
            if event.state is not DeviceState.CONNECTED:
                self.cycle.interrupted()
                self.reading = None
                self._without = "disconnected" if event.state is DeviceState.LOST else event.state.value
            elif self.reading is None:
                self._without = "waiting"
            return
        if not isinstance(event, Reading):
            return
        self.observation, self.reading = observation, event
        mass = None
        unit = self._unit(observation, event)
        if event.condition == "ok" and event.weight is not None and unit is not None:
            mass = to_milligrams(event.weight, unit)
        self._mass = mass
        self._last.append((observation, event, mass))
        weight = Weight(mass_mg=mass, stability=event.stability, condition=event.condition)
        self.cycle.weight(weight, observation.at.mono_ms)

    def _word(self, reading: Reading, mass: int | None) -> str:
        if reading.condition != "ok":
            return reading.condition
        if mass is not None and mass < -self._settings.rules.zero_band:
            return "underload"
        phase = self.cycle.phase
        if phase is None or (phase is Phase.LOADING and not self.cycle.steady):
            return "moving"
        if phase is Phase.EMPTY and not self.cycle.steady:
            return "empty" if mass == 0 else "moving"
        return phase.value

    @property
    def unit(self) -> str | None:
        """The unit of the newest reading: the frame's own, else the one configured for the device."""
        if self.observation is None or self.reading is None:
            return None
        return self._unit(self.observation, self.reading)

    def shown(self, load: Load) -> tuple[Observation, Reading, str]:
        """What the scale said when it last showed the mass of a load of this moment, and the unit it was in.

        The newest reading may be another one: a damaged frame that the others outvote.
        """
        for observation, reading, mass in reversed(self._last):
            unit = self._unit(observation, reading)
            if mass == load.mass_mg and unit is not None:
                return observation, reading, unit
        raise AssertionError("no reading of this load")

    def _unit(self, observation: Observation, reading: Reading) -> str | None:
        return reading.unit or self._settings.units.get(observation.device)


class Platters:
    """The scales of a station, each with a weigh cycle of its own: their readings must never mix.

    The one in use is the one that has something to take; else the one whose cycle moved last.
    """

    def __init__(self, settings: Settings) -> None:
        self._platters = {device: Platter(settings) for device in settings.scales}
        self._moved_last = next(iter(self._platters.values()), Platter(settings))

    def observe(self, observation: Observation) -> Platter | None:
        """Take what a device said; returns its platter, None where it is no scale."""
        platter = self._platters.get(observation.device)
        if platter is None:
            return None
        before = platter.cycle.phase
        platter.observe(observation)
        if platter.cycle.phase not in (before, Phase.EMPTY):
            self._moved_last = platter
        return platter

    @property
    def in_use(self) -> Platter:
        """The platter that the operator works with."""
        if self._moved_last.cycle.load is None:
            for platter in self._platters.values():
                if platter.cycle.load is not None:
                    return platter
        return self._moved_last


def weighed_fields(settings: Settings, platter: Platter, load: Load) -> dict[str, Any]:
    """The fields of a weighed body that come from the scale: masses, indication, device, raw bytes and flags.

    Goods added to what was there before are weighed as the difference; what was there is their tare.
    """
    observation, reading, unit = platter.shown(load)
    flags: list[Flag] = []
    gross = tare = None
    net = load.mass_mg
    tare_kind = None
    if load.base_mg:
        gross, tare, net, tare_kind = load.mass_mg, load.base_mg, load.added_mg, "weighed"
        flags.append("added")
    elif reading.basis == "gross":
        gross, tare = net, 0
    elif reading.basis == "net":
        if reading.tare is not None:
            tare = to_milligrams(reading.tare, unit)
            gross = None if tare is None else net + tare
            tare_kind = "weighed"
    else:
        flags.append("basis_unknown")
    if load.after_start:
        flags.append("loaded_at_start")
    if load.unsteady:
        flags.append("unstable")
    flags += settings.capacity(observation.device).doubts(
        load.mass_mg if gross is None else gross,
        load.mass_mg if unit in _EXACT else None,
        settings.min_capacity_mg,
    )
    flags += settings.device_flags(observation.device, observation.at)
    return {
        "device": observation.device,
        "driver": observation.driver,
        "gross_mg": gross,
        "tare_mg": tare,
        "net_mg": net,
        "tare_kind": tare_kind,
        "indication": reading.weight,
        "unit": unit,
        "stability": reading.stability,
        "raw": reading.raw.hex(),
        "flags": tuple(flags),
    }


def common(settings: Settings, at: Instant, *, operator: str | None = None) -> dict[str, Any]:
    """The fields that every body of a station shares."""
    who = operator or settings.duty.person or settings.operator
    return {"clock": clock_facts(at), "party": settings.party, "operator": who}


def to_draft(settings: Settings, at: Instant, body: Body, data: Mapping[str, Any] | None = None) -> Draft:
    """The draft of a body captured at this station; `data` is what `to_data` made of it, where that is known."""
    made = body.to_data() if data is None else data
    return draft(type=body.TYPE, subject=settings.id, at=at, zone=settings.zone, data=made)


def weight_view(settings: Settings, platter: Platter, **detail: Any) -> View:
    """The view of a station with a scale."""
    reading = platter.reading
    return View(
        station=settings.id,
        mode=settings.mode,
        state=platter.state,
        device=platter.observation.device if platter.observation else None,
        weight=reading.weight if reading else None,
        unit=platter.unit,
        stability=reading.stability if reading else None,
        basis=reading.basis if reading else None,
        detail=detail,
    )
