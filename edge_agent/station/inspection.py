"""Mode `inspection`: a batch or a sample is tested; what fails is stopped at once, here, with no word from outside.

The stop of sale is made together with the failed inspection. It is lifted by `release` only. What was done with the
goods is recorded by `dispose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge_agent.model import Command, Observation, Scan
from edge_agent.records.bodies import Disposal, Inspection, InspectionItem, Release, StopSale
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.base import Outcome, Settings, View, weight_view
from edge_agent.station.books import Books
from edge_agent.station.codes_seen import goods_of, understand
from edge_agent.station.desk import Action, Desk, carry_out

_ITEM: Final = ("project", "method", "value", "unit", "limit", "result")
_FIELDS: Final = (
    *("check_no", "sample", "organisation_code", "organisation_name", "kind", "tested", "inspector", "party_name"),
    *("position", "report_url"),
)
_MOST_ITEMS: Final = 200


class InspectionStation:
    """A test bench: a quick test in the market, or where results of a laboratory are entered."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._books = books
        self._desk = Desk(settings, books)
        self._actions: dict[str, Action] = {
            "batch": self._choose,
            "item": self._add_item,
            "clear": self._start_again,
            "confirm": self._confirm,
            "dispose": self._dispose,
            "stop": self._stop,
            "release": self._release,
            "environment": self._desk.sense,
        }
        self._forget()

    def _forget(self) -> None:
        self._about: dict[str, str] = {}
        self._items: list[InspectionItem] = []

    @property
    def view(self) -> View:
        """How the station stands, with what is being tested and the stops that are in force."""
        return weight_view(
            self._settings,
            self._desk.platters.in_use,
            about=dict(self._about),
            items=[{"project": item.project, "value": item.value, "result": item.result} for item in self._items],
            stops=[{"id": stop.id, "matched": stop.matched} for stop in self._books.stops],
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; a scan names the batch or the goods."""
        if isinstance(observation.event, Scan):
            seen = understand(observation.event, self._settings.role, self._settings.codes)
            text, goods = seen.text.strip(), goods_of(seen, self._books.catalogue)
            if "private_masked" not in seen.flags and self._books.batches.find(text) is not None:
                self._about = {"batch": text}
            elif goods is not None:
                self._about = {"goods_code": goods.code}
        else:
            self._desk.platters.observe(observation)
        return ()

    def command(self, command: Command) -> Outcome:
        """`batch` and `item` fill in, `confirm` records; `dispose`, `stop` and `release`."""
        return carry_out(self._actions, command, self._books.catalogue)

    def _choose(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        """What is tested: `batch` or `goods_code`."""
        self._about = arguments.words(("batch", "goods_code", "goods_name"))
        return ()

    def _add_item(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        if len(self._items) >= _MOST_ITEMS:
            raise NotDone("too-many-items")
        self._items.append(_item(arguments))
        return ()

    def _start_again(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        self._forget()
        return ()

    def _confirm(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Record the inspection. It failed where an item failed, or where `result` says so."""
        items = self._items + [_item(each) for each in arguments.rows("items")]
        result = arguments.one_of("result", ("pass", "fail"))
        if not items and result is None:
            raise NotDone("no-result")
        failed = result == "fail" or any(item.result == "fail" for item in items)
        about = self._subject(arguments)
        told = arguments.some(_FIELDS)
        told.setdefault("check_no", self._desk.paper_number(command.at))
        told.setdefault("inspector", command.operator or self._settings.duty.person or self._settings.operator)
        inspection = self._desk.draft(
            Inspection,
            command.at,
            command,
            captured_by="manual",
            result="fail" if failed else "pass",
            items=tuple(items),
            **about,
            **told,
        )
        drafts = [inspection]
        if failed:
            stopped = about | ({"goods_code": None} if about.get("batch") else {})
            stopped.pop("goods_name", None)
            drafts.append(
                self._desk.draft(
                    StopSale,
                    command.at,
                    command,
                    captured_by="manual",
                    cause="inspection",
                    inspection=inspection.id,
                    reason="; ".join(item.project for item in items if item.result == "fail") or None,
                    **stopped,
                )
            )
        self._forget()
        return drafts

    def _subject(self, arguments: Arguments) -> dict[str, Any]:
        """What an inspection or its consequences are about: a batch with its goods and owner, or goods."""
        batch = arguments.text("batch") or self._about.get("batch")
        goods = arguments.text("goods_code") or self._about.get("goods_code")
        if batch is None and goods is None:
            raise NotDone("no-batch")
        account = None if batch is None else self._books.batches.find(batch, goods=goods)
        about: dict[str, Any] = {"batch": batch, "goods_code": goods, "goods_name": self._about.get("goods_name")}
        if account is not None:
            about |= {
                "goods_code": goods or account.goods or None,
                "goods_name": about["goods_name"] or account.goods_name,
                "party": account.party or None,
            }
        return about

    def _dispose(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """What was done with goods that failed: `kind`, and how much, as typed or weighed."""
        about = self._subject(arguments)
        quantity = self._desk.quantity(arguments)
        told = arguments.some(("kind", "check_no", "inspection", "day", "result", "person"))
        if "kind" not in told:
            raise NotDone("no-kind")
        draft = self._desk.draft(Disposal, command.at, command, **(about | told | quantity.fields))
        return self._desk.taken(quantity, draft)

    def _stop(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """A person stops a batch, goods or a lot, with the `reason`."""
        told = arguments.some(("batch", "goods_code", "lot", "until"))
        if not set(told) & {"batch", "goods_code", "lot"}:
            raise NotDone("no-batch")
        reason = arguments.needed("reason")
        draft = self._desk.draft(
            StopSale, command.at, command, captured_by="manual", cause="person", reason=reason, **told
        )
        return (draft,)

    def _release(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """A stop is lifted: `stop_sale` (its id), or all of a `batch` or of `goods_code`; with the `reason`."""
        told = arguments.some(("stop_sale", "batch", "goods_code"))
        if not told:
            raise NotDone("no-batch")
        reason = arguments.needed("reason")
        return (self._desk.draft(Release, command.at, command, captured_by="manual", reason=reason, **told),)


def _item(arguments: Arguments) -> InspectionItem:
    told = arguments.only(_ITEM, "item")
    if "project" not in told or told.get("result") not in ("pass", "fail"):
        raise NotDone("bad-item")
    return InspectionItem(**told)
