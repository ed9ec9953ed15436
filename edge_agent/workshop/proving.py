"""Setting devices up while the agent runs: what speaks on a port, and whether a scale is read right.

One probe at a time, in a thread of its own, for two minutes at most; it can be stopped, and scales are commissioned
before or after it. A device that has the port open is let go of only when asked for, not while it is being
commissioned, and opened again whatever became of the probe.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from edge_agent import clock
from edge_agent.board import Board, Watcher
from edge_agent.config import Device
from edge_agent.driver import PortUrl, TransportError
from edge_agent.facade import CommandResult, NotProved
from edge_agent.model import DeviceState, Observation, Reading
from edge_agent.records.bodies import CommissioningStep
from edge_agent.registry import Registry
from edge_agent.supervisor import DeviceRunner
from edge_agent.units import to_milligrams
from edge_agent.workshop.capture import masked
from edge_agent.workshop.commissioning import (
    MAY_BE_SKIPPED,
    STEADY_WITHIN,
    STEPS,
    Shown,
    Step,
    compare,
    passed,
    skipped,
    steady,
)
from edge_agent.workshop.prober import Prober, fit_facts
from edge_agent.workshop.probing import Report

LONGEST: Final = 120.0
"""Seconds that a probe takes at most."""
_FORGOTTEN_AFTER: Final = 300.0
"""Seconds after which a commissioning that nobody goes on with stands in nobody's way."""
_LET_GO_WITHIN: Final = 5.0
_UNIT_NOTE: Final = "write what the display shows 请照秤面填写"

Keep = Callable[[str, Mapping[str, Any], str | None], CommandResult]


@dataclass(slots=True)
class _Job:
    port: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = field(default_factory=clock.monotonic)
    took: float | None = None
    state: str = "running"
    doing: Mapping[str, Any] | None = None
    paused: tuple[str, ...] = ()
    timed_out: bool = False
    problem: str | None = None
    result: Mapping[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        """Whether to listen no longer: it was stopped, or its time is up."""
        self.timed_out = self.timed_out or clock.monotonic() - self.began > LONGEST
        return self.timed_out or self.stop.is_set()

    def facts(self) -> dict[str, Any]:
        elapsed = clock.monotonic() - self.began if self.took is None else self.took
        return {
            "job": self.id,
            "port": self.port,
            "state": self.state,
            "doing": self.doing,
            "elapsed_s": round(elapsed, 1),
            "most_s": LONGEST,
            "timed_out": self.timed_out,
            "paused": list(self.paused),
            "problem": self.problem,
            "result": self.result,
        }


class Workshop:
    """Probes ports and commissions scales. `keep` writes into the ledger; `close` ends everything."""

    def __init__(
        self,
        devices: Sequence[Device],
        registry: Registry,
        board: Board,
        runners: Callable[[], Mapping[str, DeviceRunner]],
        keep: Keep,
    ) -> None:
        self._devices = {device.id: device for device in devices}
        self._registry = registry
        self._board = board
        self._runners = runners
        self._keep = keep
        self._lock = threading.Lock()
        self._at_a_step = threading.Lock()
        self._job: _Job | None = None
        self._thread: threading.Thread | None = None
        self._courses: dict[str, _Course] = {}
        self._closed = False
        self._log = structlog.get_logger()

    # -- probing ----------------------------------------------------------------------------------------------

    def probe(self, port: str, *, seconds: float, active: bool, pause: bool) -> Mapping[str, Any]:
        """Begin to find out what speaks on a port; see `edge_agent.facade.WorkshopWindow`."""
        job = _Job(port=port)
        prober = Prober(self._registry, tell=lambda word, facts: _tell(job, word, facts), ended=lambda: job.ended)
        try:
            url = prober.port(port)
        except ValueError as problem:
            raise NotProved("bad-port", f"{port[:80]!r}: {problem}") from None
        users = tuple(device.id for device in self._devices.values() if _one_port(device.port_url, url))
        with self._lock:
            self._be_free(users)
            runners = self._runners()
            held = [user for user in users if not pause or user not in runners]
            if held:
                what = f"{', '.join(held)} has this port open"
                raise NotProved("port-in-use", what, {"devices": held, "can_pause": set(held) <= set(runners)})
            job.paused = users
            self._job = job
            self._thread = threading.Thread(
                target=self._probe, args=(job, prober, url, seconds, active), name="probe", daemon=True
            )
            self._thread.start()
        return job.facts()

    def _probe(self, job: _Job, prober: Prober, url: PortUrl, seconds: float, active: bool) -> None:
        problem: str | None = "the probe broke down; the log says why"  # holds only where a driver breaks it
        with ExitStack() as afterwards:
            afterwards.callback(lambda: self._finish(job, problem))
            try:
                for runner in [self._runners()[name] for name in job.paused]:
                    afterwards.callback(runner.resume)
                    if not runner.pause(_LET_GO_WITHIN):
                        raise TransportError(f"{runner.device} does not let go of the port")
                report = prober.probe(url, seconds=seconds, active=active)
            except TransportError as lost:
                problem = f"{type(lost).__name__}: {lost}"
            else:
                job.result = _result(report, prober, url)
                problem = None

    def _finish(self, job: _Job, problem: str | None) -> None:
        """The last thing a probe does: only then may another begin."""
        fits = [fit["driver"] for fit in job.result["fits"]] if job.result is not None else []
        self._log.info("device.probed", port=job.port, fits=fits, problem=problem)
        with self._lock:
            job.problem, job.doing = problem, None
            job.took = clock.monotonic() - job.began
            job.state = "failed" if problem else "stopped" if job.stop.is_set() else "done"

    def probing(self, job: str) -> Mapping[str, Any] | None:
        """How a probe stands."""
        with self._lock:
            return self._job.facts() if self._job is not None and self._job.id == job else None

    def stop_probing(self, job: str) -> Mapping[str, Any] | None:
        """Have a probe end with what it has heard."""
        with self._lock:
            found = self._job if self._job is not None and self._job.id == job else None
            if found is None:
                return None
            if found.state == "running":
                found.stop.set()
            return found.facts()

    # -- commissioning ----------------------------------------------------------------------------------------

    def commission(
        self, device: str, step: str, *, shown: str | None, mass: str | None, skip: bool, operator: str | None
    ) -> Mapping[str, Any]:
        """Take one step; see `edge_agent.facade.WorkshopWindow`."""
        if not self._at_a_step.acquire(timeout=STEADY_WITHIN + 1):
            raise NotProved("busy", "another step is being taken at this moment")
        try:
            if step == "stop":
                self._give_up(device)
                return {"device": device, "step": None, "steps": [], "next": STEPS[0], "may_skip": False}
            if step not in STEPS:
                raise NotProved("bad-step", f"{step[:40]!r} is no step; one of {', '.join(STEPS)}, stop")
            course = self._course_of(device, step)
            taken = course.take(step, shown, mass, skip)
            return {**course.facts(taken), **self._outcome(course, operator)}
        finally:
            self._at_a_step.release()

    def _course_of(self, device: str, step: str) -> _Course:
        section = self._devices.get(device)
        if section is None:
            raise NotProved("not-found", "there is no such device")
        if self._registry.drivers[section.driver].kind != "scale":
            raise NotProved("not-a-scale", "only scales are commissioned")
        state = self._board.latest(f"device/{device}").get(f"device/{device}", {})
        if state.get("state") == DeviceState.LOST.value:
            raise NotProved("not-connected", f"{device}: {state.get('reason') or 'not connected'}")
        with self._lock:
            self._be_free()
            course = self._courses.get(device)
            if step == STEPS[0]:
                if course is not None:
                    course.close()
                course = self._courses[device] = _Course(self._board, device, section.unit)
            elif course is None or course.next != step:
                due = STEPS[0] if course is None else course.next
                raise NotProved("out-of-order", f"{step} is not due; {due} is", {"next": due})
            course.touched = clock.monotonic()
            return course

    def _outcome(self, course: _Course, operator: str | None) -> Mapping[str, Any]:
        if course.next is not None:
            return {"outcome": None, "kept": []}
        outcome = "passed" if passed(course.steps) else "failed"
        changes = {"commissioning": outcome, "kind": "scale", "steps": [_as_kept(each) for each in course.steps]}
        self._give_up(course.device)
        kept = self._keep(course.device, changes, operator)
        if kept.refused is not None:
            raise NotProved(kept.refused, kept.reason or kept.refused)
        return {"outcome": outcome, "kept": list(kept.kept)}

    def _give_up(self, device: str) -> None:
        with self._lock:
            course = self._courses.pop(device, None)
            if course is not None:
                course.close()

    def _be_free(self, devices: Collection[str] = ()) -> None:
        """Raises where a probe runs, or one of these devices is being commissioned."""
        if self._closed:
            raise NotProved("busy", "the agent is stopping")
        if self._job is not None and self._job.state == "running":
            raise NotProved("busy", f"{self._job.port} is being probed", {"job": self._job.id})
        now = clock.monotonic()
        for course in [each for each in self._courses.values() if now - each.touched > _FORGOTTEN_AFTER]:
            self._courses.pop(course.device).close()
        for course in [each for each in self._courses.values() if each.device in devices]:
            raise NotProved("busy", f"{course.device} is being commissioned", {"device": course.device})

    def close(self, timeout: float) -> None:
        """Stop what is under way; devices that were let go of are opened again by then."""
        with self._lock:
            self._closed = True
            if self._job is not None:
                self._job.stop.set()
            for course in self._courses.values():
                course.close()
            self._courses.clear()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)


class _Course:
    """One commissioning on its way: what was compared so far, and an ear on the scale."""

    def __init__(self, board: Board, device: str, unit: str | None) -> None:
        self.device = device
        self.steps: list[CommissioningStep] = []
        self.touched = clock.monotonic()
        self._unit = unit
        self._open = ExitStack()
        self._watcher: Watcher = self._open.enter_context(board.watch((f"observation/{device}",)))

    @property
    def next(self) -> Step | None:
        """The step that is due; None after the last."""
        return STEPS[len(self.steps)] if len(self.steps) < len(STEPS) else None

    def take(self, step: str, shown: str | None, mass: str | None, skip: bool) -> CommissioningStep:
        """Compare one step; waits until the scale is at rest. Raises `NotProved` for what cannot be compared."""
        due = self.next
        assert due == step
        if skip:
            if due not in MAY_BE_SKIPPED:
                raise NotProved("bad-step", f"{due} cannot be skipped; what does the display show?")
            self.steps.append(skipped(due))
            return self.steps[-1]
        known = _mass(mass) if due == "mass" else None
        try:
            display = Shown.parse(shown or "")
        except ValueError as problem:
            raise NotProved("bad-shown", str(problem)) from None
        if not display.text:
            raise NotProved("bad-shown", "what the display shows is missing, such as '1.236 kg' or 'OL'")
        try:
            self.steps.append(compare(due, self._read(display), display, unit=self._unit, known_mg=known))
        except ValueError as problem:
            raise NotProved("bad-shown", str(problem)) from None
        return self.steps[-1]

    def _read(self, display: Shown) -> Reading | None:
        """What the scale says now; of one that tells changes only, what it said while the person looked.

        One that is overloaded may fall silent, and then what it said on the way there is old.
        """
        before = self._heard(0.0)
        until = clock.monotonic() + STEADY_WITHIN
        readings: list[Reading] = []
        while (left := until - clock.monotonic()) > 0 and steady(readings) is None:
            readings += self._heard(left)
        late = readings or ([] if display.weight is None else before)
        return late[-1] if late else None

    def _heard(self, timeout: float) -> list[Reading]:
        values = [event.value for event in self._watcher.take(timeout)]
        mine = [value for value in values if isinstance(value, Observation) and value.device == self.device]
        return [value.event for value in mine if isinstance(value.event, Reading)]

    def facts(self, taken: CommissioningStep) -> dict[str, Any]:
        """Where it stands after a step."""
        return {
            "device": self.device,
            "step": _as_shown(taken),
            "steps": [_as_shown(each) for each in self.steps],
            "next": self.next,
            "may_skip": self.next in MAY_BE_SKIPPED,
        }

    def close(self) -> None:
        """Listen no longer."""
        self._open.close()


def _tell(job: _Job, word: str, facts: Mapping[str, Any]) -> None:
    line = facts.get("line")
    job.doing = {"word": word, **facts, "line": None if line is None else str(line)}


def _result(report: Report, prober: Prober, url: PortUrl) -> dict[str, Any]:
    fits = []
    for fit in report.fits:
        facts = fit_facts(fit)
        if fit.kind != "scale":  # it may be somebody's payment code or number: its shape tells enough
            facts["said"] = [masked(text.encode()).decode("ascii") for text in fit.said]
        settings = None if fit.line is None else str(fit.line)
        fits.append({**facts, "settings": settings, "device": prober.block(fit, url, _UNIT_NOTE)})
    return {
        "bytes": report.size,
        "fits": fits,
        "warnings": [{**warning.facts, "warning": warning.word} for warning in report.warnings],
        "device": fits[0]["device"] if fits else None,
    }


def _one_port(one: PortUrl, other: PortUrl) -> bool:
    """Whether two names mean one port: a serial port has several."""
    return one.scheme == other.scheme and os.path.realpath(one.address) == os.path.realpath(other.address)


def _mass(text: str | None) -> int:
    number, _, unit = (text or "").strip().partition(" ")
    try:
        mass = to_milligrams(number, unit.strip())
    except ValueError:
        mass = None
    if mass is None or mass <= 0:
        raise NotProved("bad-mass", f"{text!r} is no mass; write a number, a space and a unit, such as 1 kg")
    return mass


def _as_kept(step: CommissioningStep) -> dict[str, Any]:
    return {name: getattr(step, name) for name in ("step", "shown", "read", "result", "finding")}


def _as_shown(step: CommissioningStep) -> dict[str, Any]:
    return {**_as_kept(step), "finding": step.finding.split(", ") if step.finding else []}
