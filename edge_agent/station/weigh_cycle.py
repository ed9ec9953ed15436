"""The weigh cycle: empty -> loading -> stable -> captured -> unloading -> empty.

The cycle, never the value or the time, says what one weighing is: two equal weighings are two cycles, and
goods left on the platter are one. A platter that was loaded when watching began waits for zero first. A
moving, overloaded or underloaded scale is a state and never a mass of zero.

What is taken is the value that most of the last readings showed, so that one damaged frame, however little it is off,
is never a weighing and never moves one.

    empty --(mass >= min_load)--> loading --(stable)--> stable --take()--> captured
      ^                              |                     |                  |
      |<--(within zero band)---------+<----(moving)--------+                  |
      |<--(within zero band)----------------------- unloading <--(less)-------+
                                                        captured --(more, stable)--> stable   (additions)
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

from edge_agent.model import Condition, Stability


class Phase(enum.StrEnum):
    """Where the cycle stands."""

    EMPTY = "empty"
    LOADING = "loading"
    STABLE = "stable"
    CAPTURED = "captured"
    UNLOADING = "unloading"
    LOADED_AT_START = "loaded-at-start"


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRules:
    """Masses in milligrams, times in milliseconds.

    `min_load` is the least mass that counts as a load, `zero_band` the distance from zero within which the
    platter counts as empty. Where the instrument does not tell stability, readings that stay within
    `stable_band` for `stable_ms` are stable. In any case a load is stable only once `stable_readings` of the last
    `2 * stable_readings - 1` readings within that band showed the same mass, which is then its mass. A scale so fine
    that its readings hardly ever repeat is stable after `stable_ms` and that many readings, with their middle one.
    The platter is empty again after `empty_readings` readings in a row within `zero_band`.
    """

    min_load: int
    zero_band: int
    stable_ms: int
    stable_band: int
    stable_readings: int
    additions: bool
    empty_readings: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One reading as the cycle needs it: mass in milligrams (None unless the condition is ok)."""

    mass_mg: int | None
    stability: Stability
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load. `base_mg` is what lay on the platter before it (0 after a return to zero).

    It is stable, but where a person insisted on taking one that is `unsteady`.
    """

    mass_mg: int
    base_mg: int
    after_start: bool = False
    unsteady: bool = False

    @property
    def added_mg(self) -> int:
        """The mass that this load adds."""
        return self.mass_mg - self.base_mg


class _Run:
    """Readings in a row that agree with one another within a band; the last of them, as many as can outvote some.

    `value` is the mass in the middle of the last ones: that of the majority, where there is one; `agreed` says whether
    there is.
    """

    __slots__ = ("_highest", "_last", "_lowest", "_needed", "agreed", "readings", "since_ms", "value")

    def __init__(self, mass: int, mono_ms: int, needed: int) -> None:
        self._last: deque[int] = deque((mass,), maxlen=2 * needed - 1)
        self._needed = needed
        self.value = self._lowest = self._highest = mass
        self.since_ms = mono_ms
        self.readings = 1
        self.agreed = needed == 1

    def extend(self, mass: int, band: int) -> bool:
        """Take one more reading, unless the run would then be wider than `band`."""
        if mass > self._highest:
            if mass - self._lowest > band:
                return False
            self._highest = mass
        elif mass < self._lowest:
            if self._highest - mass > band:
                return False
            self._lowest = mass
        self.readings += 1
        last = self._last
        last.append(mass)
        if self._lowest == self._highest:  # as most scales at rest: nothing to count
            self.agreed = self.readings >= self._needed
        else:
            self.value = sorted(last)[len(last) // 2]
            self.agreed = last.count(self.value) >= self._needed
        return True

    @property
    def full(self) -> bool:
        """Whether so many readings did not leave the band that their middle is good although none repeats."""
        return self.readings >= 2 * self._needed - 1


class WeighCycle:
    """The state machine of one platter; sans-I/O, times are milliseconds on the monotonic clock."""

    def __init__(self, rules: CycleRules) -> None:
        self._rules = rules
        self._phase: Phase | None = None  # None until the first reading tells whether the platter is loaded
        self._run: _Run | None = None
        self._base = 0
        self._steady = False
        self._zeros = 0  # readings in a row that showed nothing on the platter
        self._newest: int | None = None  # what the scale shows now; None where it shows no mass

    @property
    def phase(self) -> Phase | None:
        """Where the cycle stands; None before the first reading."""
        return self._phase

    @property
    def steady(self) -> bool:
        """Whether the newest reading is stable, told by the instrument or by time."""
        return self._steady

    @property
    def load(self) -> Load | None:
        """The load that could be taken now."""
        if self._phase is not Phase.STABLE or self._run is None:
            return None
        return Load(mass_mg=self._run.value, base_mg=self._base)

    def weight(self, weight: Weight, mono_ms: int) -> None:
        """Take one reading."""
        mass = weight.mass_mg
        self._newest = mass if weight.condition == "ok" else None
        if weight.condition != "ok" or mass is None:
            self._unsteady()
            self._zeros = 0
            # An overload is a load being put on; an underload says nothing about the goods.
            if weight.condition == "overload" and self._phase in (Phase.EMPTY, Phase.STABLE):
                self._phase = Phase.LOADING
            elif weight.condition == "overload" and self._phase is None:
                self._phase = Phase.LOADED_AT_START
            return
        self._steady = self._is_steady(weight.stability, mass, mono_ms)
        self._advance(mass)

    def interrupted(self) -> None:
        """Readings stopped (unplugged, silent): what was steady no longer is; the phase is kept.

        A captured load that is still there afterwards is the same load; a load not yet taken is taken when it is
        steady again.
        """
        self._unsteady()
        self._zeros = 0
        self._newest = None
        if self._phase is Phase.STABLE:
            self._phase = Phase.LOADING

    def take(self) -> Load | None:
        """Take the stable load: it is captured once. None when there is no stable load."""
        load = self.load
        if load is not None:
            self._capture(load.mass_mg)
        return load

    def could_take_by_hand(self, *, unsteady: bool = False) -> Load | None:
        """The steady load that was there when watching began; with `unsteady` any load that does not come to rest,
        as the scale shows it now. None unless that is so."""
        if unsteady and not self._steady and self._phase in (Phase.LOADING, Phase.LOADED_AT_START):
            mass = self._newest
            if mass is None or mass - self._base < self._rules.min_load:
                return None
            after_start = self._phase is Phase.LOADED_AT_START
            return Load(mass_mg=mass, base_mg=self._base, after_start=after_start, unsteady=True)
        if self._phase is not Phase.LOADED_AT_START or not self._steady or self._run is None:
            return None
        return Load(mass_mg=self._run.value, base_mg=0, after_start=True)

    def take_by_hand(self, *, unsteady: bool = False) -> Load | None:
        """Take such a load; None unless there is one."""
        load = self.could_take_by_hand(unsteady=unsteady)
        if load is not None:
            self._capture(load.mass_mg)
        return load

    def _capture(self, mass: int) -> None:
        self._phase = Phase.CAPTURED
        self._base = mass

    def _unsteady(self) -> None:
        self._run = None
        self._steady = False

    def _is_steady(self, stability: Stability, mass: int, mono_ms: int) -> bool:
        if stability == "moving":
            self._unsteady()
            return False
        run, rules = self._run, self._rules
        if run is None or not run.extend(mass, rules.stable_band):
            run = self._run = _Run(mass, mono_ms, rules.stable_readings)
        lasted = mono_ms - run.since_ms >= rules.stable_ms
        return (lasted or stability == "stable") if run.agreed else (lasted and run.full)

    @property
    def _takeable(self) -> bool:
        """Whether the platter is at rest with a load on it."""
        return self._steady and self._run is not None and self._run.value - self._base >= self._rules.min_load

    def _advance(self, mass: int) -> None:
        rules = self._rules
        # below zero too: a tared container was lifted off with the goods
        self._zeros = self._zeros + 1 if mass <= rules.zero_band else 0
        unloaded = self._zeros >= rules.empty_readings
        match self._phase:
            case None:
                self._phase = Phase.EMPTY if mass < rules.min_load else Phase.LOADED_AT_START
            case Phase.LOADED_AT_START | Phase.CAPTURED | Phase.UNLOADING if unloaded:
                self._reset()
            case Phase.EMPTY if mass >= rules.min_load:
                self._phase = Phase.STABLE if self._takeable else Phase.LOADING
            case Phase.LOADING | Phase.STABLE if unloaded:
                self._reset()
            case Phase.LOADING | Phase.STABLE:
                self._phase = Phase.STABLE if self._takeable else Phase.LOADING
                if self._base and mass - self._base < rules.min_load and not self._takeable:
                    self._phase = Phase.CAPTURED
            case Phase.CAPTURED | Phase.UNLOADING:
                self._after_capture(mass)
            case _:
                pass

    def _after_capture(self, mass: int) -> None:
        rules = self._rules
        if mass - self._base >= rules.min_load:
            if rules.additions:
                self._phase = Phase.STABLE if self._takeable else Phase.LOADING
        elif self._base - mass > rules.stable_band:
            self._phase = Phase.UNLOADING
            if self._steady and self._run is not None and rules.additions:
                self._base = self._run.value  # what is left; goods added from here on are a new load

    def _reset(self) -> None:
        self._phase = Phase.EMPTY
        self._base = 0
