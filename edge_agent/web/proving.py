"""The routes of setting a device up: what speaks on a port, and whether a scale is read right.

Commissioning goes step by step, as `edge-agent devices commission` does: the person types what the scale's own
display shows, the server compares it with what the agent reads at that moment. One scale is commissioned at a time;
whoever begins anew ends what somebody else had begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from edge_agent import clock
from edge_agent.board import Watcher
from edge_agent.commissioning import MAY_BE_SKIPPED, STEADY_WITHIN, STEPS, Shown, compare, passed, skipped, steady
from edge_agent.facade import Facade, InUse
from edge_agent.model import Observation, Reading
from edge_agent.records.bodies import CommissioningStep
from edge_agent.units import to_milligrams
from edge_agent.web.answers import Refusal, json_body, needed_text, reply, text_in
from edge_agent.web.door import Who


class Proving:
    """What a maintainer does before a device is relied on."""

    def __init__(self, agent: Facade, stopping: Callable[[], bool]) -> None:
        self._agent = agent
        self._stopping = stopping
        self._course: _Course | None = None
        self._one_at_a_time = asyncio.Lock()

    async def probe(self, request: Request, _who: Who) -> Response:
        """What speaks on a port."""
        port = needed_text(await json_body(request), "port", longest=300)
        try:
            return reply({"ok": True, **await asyncio.to_thread(self._agent.probe, port, self._stopping)})
        except InUse as problem:
            raise Refusal(
                409, "port-in-use", str(problem), where="body.port", right="a port that no one uses"
            ) from None
        except ValueError as problem:
            right = "such as serial:/dev/ttyUSB0 or tcp:192.168.1.50:4001"
            raise Refusal(400, "bad-port", str(problem), where="body.port", right=right) from None
        except OSError as problem:
            raise Refusal(
                409, "port-closed", str(problem), where="body.port", right="a port that can be opened"
            ) from None

    async def commission(self, request: Request, who: Who) -> Response:
        """Begin with the known `mass`, then each step: what is `shown`, or nothing where the step is skipped."""
        device = request.path_params["device"]
        body = await json_body(request)
        async with self._one_at_a_time:
            mass = text_in(body, "mass", longest=40, needed=False)
            if mass is not None:
                return reply({"ok": True, **self._begin(device, mass).facts()})
            course = self._course
            if course is None or course.device != device:
                raise Refusal(
                    409, "not-begun", "commissioning has not begun", where="body.mass", right="the known mass"
                )
            step = needed_text(body, "step", longest=20)
            if step != course.due:
                raise Refusal(409, "wrong-step", f"{step!r} is not due", where="body.step", right=course.due)
            await asyncio.to_thread(course.take, text_in(body, "shown", longest=60, needed=False))
            if len(course.steps) < len(STEPS):
                return reply({"ok": True, **course.facts()})
            facts = course.facts()
            result = await asyncio.to_thread(self._agent.ledger_set, device, course.changes(), who.operator)
            self._end()
            if result.refused is not None:
                raise Refusal(409, result.refused, result.reason or result.refused, where="body")
            return reply({"ok": True, **facts, "kept": list(result.kept)})

    def _begin(self, device: str, mass: str) -> _Course:
        sections = [each for each in self._agent.configuration()["device"] if each["id"] == device]
        if not sections:
            raise Refusal(404, "not-found", "there is no such device", where="path")
        if self._agent.status()["devices"].get(device, {}).get("kind") != "scale":
            raise Refusal(409, "not-a-scale", "only scales are commissioned", where="path", right="a scale")
        known = _mass(mass)
        self._end()
        self._course = _Course(self._agent, device, sections[0].get("unit"), known)
        return self._course

    def _end(self) -> None:
        if self._course is not None:
            self._course.close()
        self._course = None


class _Course:
    """One commissioning on its way: what was compared so far, and an ear on the scale."""

    def __init__(self, agent: Facade, device: str, unit: str | None, known_mg: int) -> None:
        self.device = device
        self.steps: list[CommissioningStep] = []
        self._unit = unit
        self._known_mg = known_mg
        self._kept_open = ExitStack()
        self._watcher: Watcher = self._kept_open.enter_context(agent.watch((f"observation/{device}",)))

    @property
    def due(self) -> str:
        """The step that comes next."""
        return STEPS[len(self.steps)] if len(self.steps) < len(STEPS) else ""

    def take(self, text: str | None) -> None:
        """Compare one step; blocks until the scale is at rest. Raises `Refusal` for what cannot be compared."""
        step = STEPS[len(self.steps)]
        if text is None:
            if step not in MAY_BE_SKIPPED:
                raise Refusal(400, "bad-display", f"{step} cannot be skipped", where="body.shown", right="1.236 kg")
            self.steps.append(skipped(step))
            return
        try:
            shown = Shown.parse(text)
        except ValueError as problem:
            raise Refusal(400, "bad-display", str(problem), where="body.shown", right="1.236 kg, or OL") from None
        before = self._heard(0)  # a scale that tells changes only spoke while the person looked
        until = clock.monotonic() + STEADY_WITHIN
        readings: list[Reading] = []
        while (left := until - clock.monotonic()) > 0 and steady(readings) is None:
            readings += self._heard(left)
        late = readings or ([] if shown.weight is None else before)
        reading = steady(readings) or (late[-1] if late else None)
        known = self._known_mg if step == "mass" else None
        self.steps.append(compare(step, reading, shown, unit=self._unit, known_mg=known))

    def _heard(self, timeout: float) -> list[Reading]:
        values = [event.value for event in self._watcher.take(timeout)]
        mine = [value for value in values if isinstance(value, Observation) and value.device == self.device]
        return [value.event for value in mine if isinstance(value.event, Reading)]

    def facts(self) -> Mapping[str, Any]:
        """Where it stands."""
        done = len(self.steps) == len(STEPS)
        return {
            "device": self.device,
            "due": self.due,
            "may_be_skipped": self.due in MAY_BE_SKIPPED,
            "steps": [_plain(step) for step in self.steps],
            "result": self._result() if done else None,
        }

    def changes(self) -> Mapping[str, Any]:
        """What the ledger is told at the end."""
        return {"commissioning": self._result(), "kind": "scale", "steps": [_plain(step) for step in self.steps]}

    def _result(self) -> str:
        return "passed" if passed(self.steps) else "failed"

    def close(self) -> None:
        """Stop listening."""
        self._kept_open.close()


_FACTS: Final = ("step", "shown", "read", "result", "finding")


def _plain(step: CommissioningStep) -> dict[str, Any]:
    return {name: getattr(step, name) for name in _FACTS}


def _mass(text: str) -> int:
    number, _, unit = text.strip().partition(" ")
    try:
        mass = to_milligrams(number, unit.strip())
    except ValueError:
        mass = None
    if mass is None or mass <= 0:
        raise Refusal(400, "bad-mass", f"{text!r} is no mass", where="body.mass", right="such as 1 kg")
    return mass
