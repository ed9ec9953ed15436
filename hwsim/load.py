"""Physics of a platter: what a load cell and its indicator make of goods that are put on and taken off.

Everything is computed from the times that the caller passes in (monotonic seconds), so a run with one seed
is the same run however often the indication is asked for. Masses are integer milligrams.
"""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from hwsim.mass import MILLIGRAMS, parse_mass, shown

Condition = Literal["ok", "overload", "underload"]

OVER_DIVISIONS: Final = 9  # OIML R 76-1, 4.2.1: no indication above Max + 9 e
UNDER_DIVISIONS: Final = 20  # XK3190-A12 manual p. 13: "below -20 d"
ZERO_SHARE: Final = 50  # OIML R 76-1, 4.5.1: zero-setting may move the zero by at most 4 % of Max in all, ±2 % each way


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleSettings:
    """How one scale is built and set up.

    The load cell swings with `swing_hz` and the swing dies down with the time constant `settle_s`; the indicator
    calls the weight stable when the swing has stayed below half a division for `stable_s`. `noise_mg` is the
    standard deviation of each sample, `drift_mg_per_s` the creep of the zero; both are off by default.
    """

    capacity_mg: int = 30_000_000
    division_mg: int = 5_000
    unit: str = "kg"
    decimals: int = 3
    swing_hz: float = 4.0
    settle_s: float = 0.08
    stable_s: float = 0.2
    noise_mg: int = 0
    drift_mg_per_s: int = 0

    def __post_init__(self) -> None:
        if self.unit not in MILLIGRAMS:
            raise ValueError(f"unit {self.unit!r} is not one of {', '.join(MILLIGRAMS)}")
        if not 0 <= self.decimals <= 5:
            raise ValueError("decimals must be 0 to 5")
        if self.division_mg <= 0 or self.capacity_mg < self.division_mg:
            raise ValueError("the division must be above 0 and at most the capacity")
        if self.division_mg * 10**self.decimals % MILLIGRAMS[self.unit]:
            raise ValueError(f"a division of {self.division_mg} mg cannot be shown with {self.decimals} decimals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indication:
    """What the display shows at one moment; `value_mg` is net once a tare is set."""

    value_mg: int
    tare_mg: int
    net: bool
    stable: bool
    condition: Condition
    unit: str
    decimals: int
    division_mg: int

    @property
    def text(self) -> str:
        """The displayed number, e.g. `-0.005`."""
        return shown(self.value_mg, self.unit, self.decimals)

    @property
    def tare_text(self) -> str:
        """The tare in the same unit and decimals."""
        return shown(self.tare_mg, self.unit, self.decimals)

    @property
    def increment(self) -> int:
        """The last digit's step: 1, 2 or 5 (or a multiple of ten of these) counts."""
        scale: int = 10**self.decimals
        return self.division_mg * scale // MILLIGRAMS[self.unit]


class Platter:
    """A load cell with its indicator. Not thread-safe: one owner calls it."""

    def __init__(self, settings: ScaleSettings, *, seed: int = 0) -> None:
        self.settings = settings
        self._random = random.Random(seed)
        self._load = 0  # what lies on the platter
        self._swing_from = 0.0  # how far the cell was from the load when it last changed, mg
        self._changed_at = 0.0
        self._started_at: float | None = None
        self._zero = 0
        self._tare = 0

    @property
    def load_mg(self) -> int:
        """What really lies on the platter."""
        return self._load

    def set_load(self, milligrams: int, now: float) -> None:
        """Put goods on or take them off, so that `milligrams` lie on the platter in all."""
        if milligrams == self._load:
            return
        self._swing_from = self._load + self._swing(now) - milligrams
        self._load = milligrams
        self._changed_at = now

    def indication(self, now: float) -> Indication:
        """The display at `now`."""
        settings = self.settings
        gross = self._round(self._sample(now) - self._zero)
        condition: Condition = "ok"
        if gross > settings.capacity_mg + OVER_DIVISIONS * settings.division_mg:
            condition = "overload"
        elif gross < -UNDER_DIVISIONS * settings.division_mg:
            condition = "underload"
        return Indication(
            value_mg=gross - self._tare,
            tare_mg=self._tare,
            net=self._tare != 0,
            stable=condition == "ok" and self.stable(now),
            condition=condition,
            unit=settings.unit,
            decimals=settings.decimals,
            division_mg=settings.division_mg,
        )

    def stable(self, now: float) -> bool:
        """Whether the swing has been below half a division for the time that the indicator wants."""
        earlier = now - self.settings.stable_s
        if earlier < self._changed_at and self._swing_from:
            return False
        return abs(self._decayed(earlier)) < self.settings.division_mg / 2

    def settled_at(self) -> float:
        """When the weight becomes stable if nothing is touched any more."""
        ratio = abs(self._swing_from) / (self.settings.division_mg / 2)
        return self._changed_at + self.settings.settle_s * math.log(max(ratio, 1.0)) + self.settings.stable_s

    def zero(self, now: float) -> bool:
        """Take the present weight as zero; refused while moving, with a tare, or beyond ±2 % of the capacity."""
        gross = self._round(self._sample(now))
        if not self.stable(now) or self._tare or abs(gross) > self.settings.capacity_mg // ZERO_SHARE:
            return False
        self._zero = gross
        return True

    def tare(self, now: float, *, wait_stable: bool = True) -> bool:
        """Take the present gross weight as tare; zero clears it. Refused while moving, negative or overloaded."""
        gross = self._round(self._sample(now) - self._zero)
        if (wait_stable and not self.stable(now)) or gross < 0 or self.indication(now).condition != "ok":
            return False
        self._tare = gross
        return True

    def preset_tare(self, milligrams: int) -> None:
        """Set a known tare; 0 clears it. Raises ValueError outside 0 to capacity or between divisions."""
        if not 0 <= milligrams <= self.settings.capacity_mg or milligrams % self.settings.division_mg:
            raise ValueError(f"a tare of {milligrams} mg is outside the range or between divisions")
        self._tare = milligrams

    def _sample(self, now: float) -> float:
        if self._started_at is None:
            self._started_at = now
        drift = self.settings.drift_mg_per_s * (now - self._started_at)
        noise = self._random.gauss(0.0, self.settings.noise_mg) if self.settings.noise_mg else 0.0
        return self._load + self._swing(now) + drift + noise

    def _swing(self, now: float) -> float:
        return self._decayed(now) * math.cos(2 * math.pi * self.settings.swing_hz * (now - self._changed_at))

    def _decayed(self, now: float) -> float:
        if self._swing_from == 0:
            return 0.0
        return self._swing_from * math.exp(-(now - self._changed_at) / self.settings.settle_s)

    def _round(self, milligrams: float) -> int:
        division = self.settings.division_mg
        return math.floor(milligrams / division + 0.5) * division


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens at a scale, `at` seconds after the script began."""

    at: float
    action: Literal["put", "take", "load", "tare", "zero"]
    mass_mg: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens at a scale; played again every `every` seconds when that is set."""

    steps: tuple[Step, ...]
    every: float | None = None

    def __post_init__(self) -> None:
        times = [step.at for step in self.steps]
        if times != sorted(times) or (times and times[0] < 0):
            raise ValueError("steps must be in the order of their times, from 0 on")
        if self.every is not None and (self.every <= 0 or (times and times[-1] >= self.every)):
            raise ValueError("every must be longer than the last step's time")

    def times(self) -> Iterator[tuple[float, Step]]:
        """Each step with its time since the beginning; endless for a repeated script."""
        start = 0.0
        while True:
            for step in self.steps:
                yield start + step.at, step
            if self.every is None or not self.steps:
                return
            start += self.every


def apply(step: Step, platter: Platter, now: float) -> None:
    """Do one step."""
    match step.action:
        case "put":
            platter.set_load(platter.load_mg + step.mass_mg, now)
        case "take":
            platter.set_load(platter.load_mg - step.mass_mg, now)
        case "load":
            platter.set_load(step.mass_mg, now)
        case "tare":
            platter.tare(now)
        case "zero":
            platter.zero(now)


def read_script(path: Path) -> Script:
    """Read a script file (TOML): an optional `every` and `[[step]]` tables.

    A step has `at` (seconds) and one of `put`, `take`, `load` (a mass such as `"1.25 kg"`), `tare = true`,
    `zero = true`. Raises ValueError naming the file and the step that is wrong, OSError when it cannot be read.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return parse_script(table)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as problem:
        raise ValueError(f"{path}: {problem}") from problem


def parse_script(table: Mapping[str, Any]) -> Script:
    """A script from its TOML table; see `read_script`."""
    steps: list[Step] = []
    for number, entry in enumerate(table.get("step", []), start=1):
        actions = [key for key in ("put", "take", "load", "tare", "zero") if key in entry]
        if len(actions) != 1 or not isinstance(entry.get("at"), int | float) or len(entry) != 2:
            raise ValueError(f"step {number}: wants `at` and one of put, take, load, tare, zero")
        action: Any = actions[0]
        mass = parse_mass(str(entry[action])) if action in ("put", "take", "load") else 0
        steps.append(Step(at=float(entry["at"]), action=action, mass_mg=mass))
    every = table.get("every")
    return Script(steps=tuple(steps), every=None if every is None else float(every))


def weighings(masses_mg: Sequence[int], *, every: float, hold: float, offset: float = 0.0) -> Script:
    """A brisk stall: each mass in turn is put on, held for `hold` seconds and taken off, one per `every` seconds."""
    if not masses_mg:
        raise ValueError("there must be at least one mass to weigh")
    if not 0 < hold < every:
        raise ValueError("hold must be above 0 and shorter than every")
    if not 0 <= offset < every - hold:
        raise ValueError("offset must leave time for the hold")
    steps: list[Step] = []
    for number, mass in enumerate(masses_mg):
        steps.append(Step(at=number * every + offset, action="load", mass_mg=mass))
        steps.append(Step(at=number * every + offset + hold, action="load"))
    return Script(steps=tuple(steps), every=len(masses_mg) * every)


def random_goods(count: int, *, settings: ScaleSettings, seed: int) -> list[int]:
    """`count` seeded masses between 20 divisions and a third of the capacity, whole divisions each."""
    draw = random.Random(seed)
    top = max(21, settings.capacity_mg // 3 // settings.division_mg)
    return [draw.randint(20, top) * settings.division_mg for _ in range(count)]
