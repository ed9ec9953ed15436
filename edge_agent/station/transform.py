"""Mode `transform`: batches become other batches; cut, packed, mixed, made.

`input` and `output` gather parts, weighed or typed; `finish` makes the record. Each part that was weighed has its
weighing recorded. New goods want a new commitment certificate (承诺达标合格证): `finish` asks for its number once,
and takes `no_certificate` for an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge_agent.model import Command, Observation, Scan
from edge_agent.records.bodies import Part, Transform, Weighing
from edge_agent.records.envelope import Draft
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.base import Outcome, Settings, View, weight_view
from edge_agent.station.books import Books
from edge_agent.station.codes_seen import goods_of, understand
from edge_agent.station.desk import Action, Desk, Quantity, carry_out

_MOST_PARTS: Final = 100


class TransformStation:
    """A cutting or packing table."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._books = books
        self._desk = Desk(settings, books)
        self._actions: dict[str, Action] = {
            "input": self._put_in,
            "output": self._take_out,
            "finish": self._finish,
            "clear": self._start_again,
            "tare": self._desk.set_tare,
            "deduct": self._desk.set_deduction,
            "loss": self._desk.lose,
            "stocktake": self._desk.count,
            "environment": self._desk.sense,
        }
        self._forget()

    def _forget(self) -> None:
        self._inputs: list[Part] = []
        self._outputs: list[Part] = []
        self._scanned: dict[str, str] = {}

    @property
    def view(self) -> View:
        """How the station stands, with the parts; `certificate_wanted` once something came out."""
        return weight_view(
            self._settings,
            self._desk.platters.in_use,
            inputs=[_shown(part) for part in self._inputs],
            outputs=[_shown(part) for part in self._outputs],
            scanned=dict(self._scanned),
            certificate_wanted=bool(self._outputs),
            **self._desk.view,
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; a scan names the batch or the goods of the next part."""
        if isinstance(observation.event, Scan):
            seen = understand(observation.event, self._settings.role, self._settings.codes)
            text, goods = seen.text.strip(), goods_of(seen, self._books.catalogue)
            if "private_masked" not in seen.flags and self._books.batches.find(text) is not None:
                self._scanned = {"batch": text}
            elif goods is not None:
                self._scanned = {"goods_code": goods.code}
        else:
            self._desk.platters.observe(observation)
        return ()

    def command(self, command: Command) -> Outcome:
        """`input`, `output`, `finish`, `clear`."""
        return carry_out(self._actions, command, self._books.catalogue)

    def _put_in(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """A share of a batch goes in: `batch` or `goods_code`, and how much, as typed or weighed."""
        _room(self._inputs)
        named = Arguments(self._scanned | arguments.words(("batch", "goods_code", "goods_name")))
        about, _ = self._desk.of_batch(named, command.at)
        if about["batch"] is None:
            raise NotDone("no-batch")
        if self._desk.stop(command.at, batch=about["batch"], goods=about["goods_code"]) is not None:
            raise NotDone("stopped")
        quantity = self._desk.quantity(arguments)
        self._inputs.append(_part(about, quantity))
        return self._weighed(command, quantity)

    def _take_out(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """New goods come out: `goods_code`, their `batch` (else a new number), and how much."""
        _room(self._outputs)
        about = self._scanned | arguments.words(("batch", "goods_code", "goods_name"))
        if "goods_code" not in about:
            raise NotDone("no-goods")
        quantity = self._desk.quantity(arguments)
        about.setdefault("batch", self._desk.batch_number(command.at))
        self._outputs.append(_part(about, quantity))
        return self._weighed(command, quantity)

    def _weighed(self, command: Command, quantity: Quantity) -> Sequence[Draft]:
        self._scanned = {}
        if quantity.platter is None:
            return ()
        return self._desk.taken(quantity, self._desk.draft(Weighing, command.at, command, **quantity.fields))

    def _finish(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """The record of it all. `loss_mg` is what is missing, unless it is given."""
        if not self._inputs:
            raise NotDone("no-input")
        if not self._outputs:
            raise NotDone("no-output")
        certificate = arguments.text("certificate")
        if certificate is None and not arguments.yes("no_certificate"):
            raise NotDone("certificate-wanted")
        loss = arguments.mass("loss_mg")
        draft = self._desk.draft(
            Transform,
            command.at,
            command,
            captured_by="manual",
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
            loss_mg=_missing(self._inputs, self._outputs) if loss is None else loss,
            process=arguments.text("process"),
            certificate=certificate,
        )
        self._forget()
        return (draft,)

    def _start_again(self, _command: Command, _arguments: Arguments) -> Sequence[Draft]:
        self._forget()
        self._desk.clear_extras()
        return ()


def _room(parts: list[Part]) -> None:
    if len(parts) >= _MOST_PARTS:
        raise NotDone("too-many-parts")


def _part(about: dict[str, Any], quantity: Quantity) -> Part:
    mass = quantity.goods_mg if quantity.net_mg is not None else None
    return Part(**about, net_mg=mass, qty=quantity.fields.get("qty"))


def _missing(inputs: Sequence[Part], outputs: Sequence[Part]) -> int | None:
    """What went in and did not come out; None where a mass is not known or more came out than went in."""
    went, came = [part.net_mg for part in inputs], [part.net_mg for part in outputs]
    if None in went or None in came:
        return None
    missing = sum(mass or 0 for mass in went) - sum(mass or 0 for mass in came)
    return missing if missing >= 0 else None


def _shown(part: Part) -> dict[str, Any]:
    return {"batch": part.batch, "goods_code": part.goods_code, "net_mg": part.net_mg, "qty": part.qty}
