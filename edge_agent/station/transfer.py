"""Mode `transfer`: goods go out to another place or come in from one, at a dock or a gate.

Papers and places are told once and hold for every line until `clear`. Tags that come into view and codes that are
scanned belong to the next line; a tag that only stays in view does not belong to the line after it. Each episode of a
tag in view is a record too. A line is weighed at once (`confirm`), or a vehicle is weighed twice (`pass`): loaded and
empty, in whichever order it comes. Its first weighing is kept as a passage of the gate, so that it outlives a restart;
the second makes the transfer, whose net mass is the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge_agent.model import Command, Instant, Observation, Scan, TagRead
from edge_agent.records.bodies import Entry, Transfer, Weighing
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.base import Outcome, Settings, View, weight_view
from edge_agent.station.books import Books, Passing
from edge_agent.station.codes_seen import Seen, goods_of, understand
from edge_agent.station.desk import Action, Desk, Quantity, carry_out
from edge_agent.station.tag_records import episode_drafts
from edge_agent.station.tags import Present, TagsInView

_PAPERS: Final = (
    *("direction", "document_no", "order_no", "from_party", "to_party", "from_place", "to_place", "carrier"),
    *("plate_no", "seal_no", "temperature_milli_c"),
)
_GOODS: Final = ("batch", "goods_code", "goods_name")
_MOST_TAGS: Final = 1_000


class TransferStation:
    """A dock: what goes out, what comes in."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._books = books
        self._desk = Desk(settings, books)
        self._actions: dict[str, Action] = {
            "set": self._set,
            "clear": self._start_again,
            "confirm": self._confirm,
            "pass": self._pass,
            "tare": self._desk.set_tare,
            "deduct": self._desk.set_deduction,
            "loss": self._desk.lose,
            "stocktake": self._desk.count,
            "environment": self._desk.sense,
        }
        self._papers: dict[str, Any] = {}
        self._in_view = TagsInView(settings.tags)
        self._next_line()

    def _next_line(self) -> None:
        self._goods: dict[str, Any] = {}
        self._tags: dict[str, None] = {}
        self._tags_lost = 0

    @property
    def view(self) -> View:
        """How the station stands, with papers, goods and what was seen since the last line."""
        plate = self._papers.get("plate_no")
        first = self._books.passing(plate) if isinstance(plate, str) else None
        return weight_view(
            self._settings,
            self._desk.platters.in_use,
            papers=dict(self._papers),
            goods=dict(self._goods),
            tags=len(self._tags),
            tags_lost=self._tags_lost,
            tags_in_view=self._in_view.present,
            tag_reads=self._in_view.reads,
            first_passing=None if first is None else {"indication": first.indication, "unit": first.unit},
            **self._desk.view,
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; tags and codes are noted for the next line, and a code may name batch or goods."""
        match observation.event:
            case Scan() as scan:
                self._scan(understand(scan, self._settings.role, self._settings.codes))
            case TagRead() as tag:
                return self._tag(tag, observation)
            case _:
                self._desk.platters.observe(observation)
        return self.tick(observation.at)

    def tick(self, at: Instant) -> Sequence[Draft]:
        """See `Watching.tick`."""
        return episode_drafts(self._settings, self._in_view.tick(at), at)

    def close(self, at: Instant) -> Sequence[Draft]:
        """See `Watching.close`."""
        return episode_drafts(self._settings, self._in_view.close(), at)

    def _tag(self, tag: TagRead, observation: Observation) -> Sequence[Draft]:
        events = self._in_view.see(tag, observation.device, observation.driver, observation.at)
        for event in events:
            if isinstance(event, Present):
                self._note(event.tag_id)
        return episode_drafts(self._settings, events, observation.at)

    def _scan(self, seen: Seen) -> None:
        text, goods = seen.text.strip(), goods_of(seen, self._books.catalogue)
        if "private_masked" in seen.flags or not text:
            return
        self._note(text)
        account = self._books.batches.find(text)
        if account is not None:
            self._goods |= {"batch": text} | ({"goods_code": account.goods} if account.goods else {})
        elif goods is not None:
            self._goods["goods_code"] = goods.code

    def _note(self, code: str) -> None:
        if code in self._tags or len(self._tags) < _MOST_TAGS:
            self._tags[code] = None
        else:
            self._tags_lost += 1

    def command(self, command: Command) -> Outcome:
        """`set` tells papers and goods, `confirm` and `pass` weigh, `clear` forgets all."""
        return carry_out(self._actions, command, self._books.catalogue)

    def _set(self, _command: Command, arguments: Arguments) -> Sequence[Draft]:
        told = arguments.only((*_PAPERS, *_GOODS), "field")
        goods = arguments.words(_GOODS)
        self._papers |= {name: told[name] for name in _PAPERS if name in told}
        self._goods |= goods
        return ()

    def _start_again(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        self._papers = {}
        self._next_line()
        self._desk.clear_extras()
        return ()

    def _line(self, command: Command, arguments: Arguments) -> dict[str, Any]:
        """Papers and goods of a line, told earlier or with it. Goods that go out come from an open batch."""
        papers = self._papers | arguments.some(_PAPERS)
        if "direction" not in papers:
            raise NotDone("no-direction")
        goods: dict[str, Any] = self._goods | arguments.words(_GOODS)
        if papers["direction"] == "out" and ("batch" in goods or "goods_code" in goods):
            goods, _ = self._desk.of_batch(Arguments(goods), command.at)
            if goods["batch"] is None:
                papers["flags"] = ("no_upstream",)
        elif papers["direction"] == "in" and "goods_code" in goods and "batch" not in goods:
            goods["batch"] = None  # drawn when all else is well
        return papers | goods | {"tags": tuple(self._tags)}

    def _keep(self, command: Command, fields: dict[str, Any]) -> Sequence[Draft]:
        """The transfer; goods that come in without a batch number get one.

        Goods under a stop of sale may go out, to the supplier or to be destroyed: that they did is recorded.
        """
        if fields["direction"] == "in" and "batch" in fields and fields["batch"] is None:
            self._desk.draft(Transfer, command.at, command, **(fields | {"batch": "-"}))
            fields["batch"] = self._desk.batch_number(command.at)
        draft = self._desk.draft(Transfer, command.at, command, **fields)
        self._next_line()
        batch, goods = fields.get("batch"), fields.get("goods_code")
        stop = self._desk.stop(command.at, batch=batch, goods=goods) if fields["direction"] == "out" else None
        if stop is None:
            return (draft,)
        return draft, self._desk.hit(stop, command.at, command, batch=batch, goods=goods, sold=draft.id)

    def _confirm(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """One line: what lies on the scale, or `net_mg` or `qty` as typed."""
        line = self._line(command, arguments)
        quantity = self._desk.quantity(arguments)
        return self._desk.taken(quantity, *self._keep(command, _joined(line, quantity.fields)))

    def _pass(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """A vehicle on the platform scale, `plate_no`: the first time it is noted, the second time it is reckoned."""
        plate = arguments.text("plate_no") or self._papers.get("plate_no")
        if plate is None:
            raise NotDone("no-plate_no")
        quantity = self._desk.weigh()
        first = self._books.passing(plate)
        if first is None:
            told = arguments.some(("gate",))
            draft = self._desk.draft(Entry, command.at, command, plate_no=plate, **told, **quantity.fields)
            return self._desk.taken(quantity, draft)
        line = self._line(command, arguments) | {"plate_no": plate}
        return self._desk.taken(quantity, *self._reckon(command, line, first, quantity))

    def _reckon(self, command: Command, line: dict[str, Any], first: Passing, second: Quantity) -> Sequence[Draft]:
        """Gross less tare. The indication is that of the loaded vehicle; the empty one's is in the record named."""
        mass = second.fields["net_mg"]
        if mass == first.mass_mg:
            raise NotDone("nothing-loaded")
        vehicle: dict[str, Any] = {name: second.fields[name] for name in ("device", "driver", "stability", "flags")}
        vehicle |= {
            "gross_mg": max(mass, first.mass_mg),
            "tare_mg": min(mass, first.mass_mg),
            "net_mg": abs(mass - first.mass_mg),
            "tare_kind": "weighed",
        }
        vehicle["flags"] = tuple(flag for flag in vehicle["flags"] if flag != "basis_unknown")
        if mass > first.mass_mg:  # it came empty and is loaded now
            vehicle |= {name: second.fields[name] for name in ("indication", "unit", "raw")}
            return self._keep(command, _joined(line, vehicle | {"tare_record": first.id}))
        empty = self._desk.draft(Weighing, command.at, command, **second.fields)
        vehicle |= {"indication": first.indication, "unit": first.unit, "tare_record": empty.id}
        return (empty, *self._keep(command, _joined(line, vehicle)))


def _joined(line: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """The fields of a line with what was measured, and the flags of both."""
    flags = (*measured.get("flags", ()), *line.get("flags", ()))
    return line | measured | {"flags": tuple(dict.fromkeys(flags))}
