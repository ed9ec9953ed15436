"""Who is on duty at a station: shifts begin and end at any kind of station, as records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from edge_agent.model import Command, Instant, Observation
from edge_agent.records.bodies import Patrol, Shift
from edge_agent.records.check import body_problems
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.base import Outcome, Refused, Settings, Station, View, Watching, common, to_draft
from edge_agent.station.till import MOST_AMOUNT


class Staffed:
    """A station with its shifts. Whoever is on duty is the operator of what nobody else signs for.

    Command `shift`: `action` (`begin`, `end`), and `cash_fen`, the money in the drawer. The command's operator begins;
    where somebody else is on duty, their shift ends first, with the same count of the drawer. Command `patrol`: see
    `_patrol`.
    """

    def __init__(self, station: Station, settings: Settings) -> None:
        self._station = station
        self._settings = settings

    @property
    def view(self) -> View:
        """The station's view, with who is on duty."""
        return replace(self._station.view, duty=self._settings.duty.facts())

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """See `Station.observe`."""
        return self._station.observe(observation)

    def tick(self, at: Instant) -> Sequence[Draft]:
        """See `Watching.tick`; nothing where time means nothing to the station."""
        return self._station.tick(at) if isinstance(self._station, Watching) else ()

    def close(self, at: Instant) -> Sequence[Draft]:
        """See `Watching.close`."""
        return self._station.close(at) if isinstance(self._station, Watching) else ()

    def command(self, command: Command) -> Outcome:
        """Shifts and patrols are handled here, everything else by the station."""
        action = {"shift": self._shift, "patrol": self._patrol}.get(command.name)
        if action is None:
            return self._station.command(command)
        try:
            return Outcome(drafts=tuple(action(command, Arguments(command.arguments))))
        except NotDone as problem:
            return Outcome(refused=Refused(code=problem.code))

    def _shift(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        duty = self._settings.duty
        action = arguments.one_of("action", ("begin", "end"))
        if action is None:
            raise NotDone("no-action")
        cash = arguments.whole("cash_fen", 0, MOST_AMOUNT)
        who = command.operator
        drafts = []
        if action == "begin":
            if who is None:
                raise NotDone("no-operator")
            if duty.person == who:
                raise NotDone("on-duty")
            if duty.person is not None:
                drafts.append(self._draft(command, "end", duty.person, cash))
            drafts.append(self._draft(command, "begin", who, cash))
            duty.begin(who, drafts[-1].time)
        else:
            if duty.person is None:
                raise NotDone("nobody-on-duty")
            drafts.append(self._draft(command, "end", duty.person, cash))
            duty.end()
        return drafts

    def _patrol(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Somebody looked at `target` (else at this station) and found `result` (`good`, `problem`): `findings` in
        words, `due` (a day) by when it must be put right, `pictures` by their hash."""
        found: dict[str, Any] = arguments.some(("result", "findings", "due"))
        if "result" not in found:
            raise NotDone("no-result")
        if found["result"] == "problem" and not found.get("findings"):
            raise NotDone("no-findings")
        body = Patrol(
            captured_by="manual",
            target=arguments.text("target") or self._settings.id,
            pictures=tuple(arguments.texts("pictures")),
            **common(self._settings, command.at, operator=command.operator),
            **found,
        )
        if body_problems(Patrol, body.to_data()):
            raise NotDone("bad-patrol")
        return (to_draft(self._settings, command.at, body),)

    def _draft(self, command: Command, action: Literal["begin", "end"], who: str, cash: int | None) -> Draft:
        fields: dict[str, Any] = common(self._settings, command.at, operator=who)
        body = Shift(captured_by="manual", action=action, cash_fen=cash, **fields)
        if body_problems(Shift, body.to_data()):
            raise NotDone("bad-operator")
        return to_draft(self._settings, command.at, body)
