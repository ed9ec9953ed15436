"""Mode `filling`: a gas cylinder is scanned, its inspection date checked, and it is weighed before and after.

A cylinder whose inspection has run out is refused at once, and the refusal is a record. It may stay on the scale
while it is filled, or be put back: both weighings are of the whole cylinder, and what was filled in is the difference.
A cylinder with more in it than allowed is recorded as refused, with its masses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from edge_agent.model import Command, Observation, Scan
from edge_agent.records.bodies import Filling
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.base import Outcome, Settings, View, weight_view
from edge_agent.station.books import Books
from edge_agent.station.codes_seen import understand
from edge_agent.station.desk import Action, Desk, Quantity, carry_out

_FACTS: Final = ("medium", "inspected_until", "limit_mg")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cylinder:
    """The cylinder at work; `before_mg` is None until it was weighed for the first time."""

    code: str
    medium: str | None = None
    inspected_until: str | None = None
    limit_mg: int | None = None
    before_mg: int | None = None


class FillingStation:
    """A filling head with its scale."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._desk = Desk(settings, books)
        self._actions: dict[str, Action] = {
            "cylinder": self._choose,
            "before": self._weigh_before,
            "after": self._weigh_after,
            "clear": self._start_again,
            "environment": self._desk.sense,
        }
        self._cylinder: _Cylinder | None = None

    @property
    def view(self) -> View:
        """How the station stands, with the cylinder at work and the `step` that comes next."""
        at_work = self._cylinder
        step = "cylinder"
        if at_work is not None:
            step = "before" if at_work.before_mg is None else "after"
        if at_work is not None and at_work.inspected_until is None:
            step = "inspected_until"
        return weight_view(
            self._settings,
            self._desk.platters.in_use,
            cylinder=at_work.code if at_work else None,
            medium=at_work.medium if at_work else None,
            inspected_until=at_work.inspected_until if at_work else None,
            before_mg=at_work.before_mg if at_work else None,
            step=step,
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; a scan names the cylinder, unless one is being filled."""
        if isinstance(observation.event, Scan):
            seen = understand(observation.event, self._settings.role, self._settings.codes)
            text = seen.text.strip()
            busy = self._cylinder is not None and self._cylinder.before_mg is not None
            if text and "private_masked" not in seen.flags and not busy:
                self._cylinder = _Cylinder(code=text)
        else:
            self._desk.platters.observe(observation)
        return ()

    def command(self, command: Command) -> Outcome:
        """`cylinder` tells what is known of it, `before` and `after` weigh it, `clear` lets it go."""
        return carry_out(self._actions, command, self._desk.books.catalogue)

    def _choose(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """The cylinder by `code`, or facts of the one that was scanned. One that is not inspected is refused."""
        code = arguments.text("code")
        at_work = _Cylinder(code=code) if code is not None else self._cylinder
        if at_work is None:
            raise NotDone("no-cylinder")
        facts = arguments.some(_FACTS)
        if "inspected_until" in facts:
            facts["inspected_until"] = _day(arguments.needed("inspected_until"))
        arguments.mass("limit_mg")
        at_work = replace(at_work, **facts)
        if at_work.inspected_until is not None and at_work.inspected_until < self._desk.today(command.at):
            self._cylinder = None
            return (self._refusal(command, at_work, "检验已过期 inspection has run out"),)
        self._cylinder = at_work
        return ()

    def _refusal(self, command: Command, at_work: _Cylinder, reason: str, **measured: Any) -> Draft:
        facts = {name: getattr(at_work, name) for name in _FACTS}
        measured.setdefault("captured_by", "manual")
        return self._desk.draft(
            Filling, command.at, command, cylinder=at_work.code, result="refused", reason=reason, **facts, **measured
        )

    def _weigh_before(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        if self._cylinder is None:
            raise NotDone("no-cylinder")
        if self._cylinder.inspected_until is None:
            raise NotDone("no-inspected_until")
        quantity = self._desk.weigh()
        self._cylinder = replace(self._cylinder, before_mg=_whole(quantity))
        return self._desk.taken(quantity)

    def _weigh_after(self, command: Command, _arguments: Arguments) -> Sequence[Draft]:
        at_work = self._cylinder
        if at_work is None or at_work.before_mg is None:
            raise NotDone("no-before")
        quantity = self._desk.weigh()
        after = _whole(quantity)
        filled = after - at_work.before_mg
        if filled <= 0:
            raise NotDone("nothing-filled")
        names = ("device", "driver", "indication", "unit", "stability", "raw")
        measured: dict[str, Any] = {name: quantity.fields[name] for name in names}
        flags = tuple(flag for flag in quantity.fields["flags"] if flag not in ("added", "basis_unknown"))
        measured |= {
            "gross_mg": after,
            "tare_mg": at_work.before_mg,
            "net_mg": filled,
            "tare_kind": "weighed",
            "before_mg": at_work.before_mg,
            "after_mg": after,
            "flags": flags,
        }
        if at_work.limit_mg is not None and filled > at_work.limit_mg:
            draft = self._refusal(command, at_work, "超量充装 overfilled", captured_by="device", **measured)
        else:
            facts = {name: getattr(at_work, name) for name in _FACTS}
            draft = self._desk.draft(
                Filling, command.at, command, cylinder=at_work.code, result="filled", **facts, **measured
            )
        self._cylinder = None
        return self._desk.taken(quantity, draft)

    def _start_again(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        self._cylinder = None
        return ()


def _whole(quantity: Quantity) -> int:
    """All that lies on the scale, whether it returned to zero before or not."""
    assert quantity.load is not None
    return quantity.load.mass_mg


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise NotDone("bad-inspected_until") from None
