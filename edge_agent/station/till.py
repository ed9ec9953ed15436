"""The till of a counter: lines of one customer on a ticket, their payment, and what comes back of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge_agent.model import Command
from edge_agent.records.bodies import Return, Settlement
from edge_agent.records.envelope import Draft
from edge_agent.records.money import total
from edge_agent.station.arguments import Arguments, NotDone
from edge_agent.station.desk import Desk, Quantity
from edge_agent.station.recent_sales import Line

MOST_AMOUNT: Final = 10_000_000_000
"""Fen; a hundred million yuan."""

_MOST_HELD: Final = 20
_NAMED: Final = 3
"""Goods by which a ticket on hold is known again."""
_PAY_METHODS: Final = ("cash", "card", "wechat", "alipay", "unionpay", "ecny", "account", "other")


class Till:
    """Tickets and payments of one counter. Sales that are not found here are too long ago for it.

    Which tickets are open or on hold outlives this object (`Settings.tickets`); what is on them, the books know.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tickets = desk.settings.tickets
        self._lines = 0
        self._fresh = True

    @property
    def ticket(self) -> str | None:
        """The open ticket.

        One that was paid a moment before the power went is not open any more, though it was noted as such.
        """
        if self._fresh and self._tickets.open is not None:
            lines = self._desk.books.sales.on(self._tickets.open)
            if lines and all(line.settled_by is not None for line in lines):
                self._tickets.open = None
        self._fresh = False
        return self._tickets.open

    @property
    def view(self) -> dict[str, Any]:
        """The lines of the open ticket and what they come to, and the tickets that are on hold."""
        held = self._on_hold()
        if self.ticket is None:
            return {"lines": [], "ticket_fen": None, "held": held}
        lines = self._unpaid(self.ticket)
        shown = ("goods_code", "goods_name", "mode", "net_mg", "qty", "amount_fen")
        return {
            "lines": [{"id": line.id, **{name: line.data[name] for name in shown}} for line in lines],
            "ticket_fen": sum(line.left_fen or 0 for line in lines),
            "held": held,
        }

    def next_line(self) -> dict[str, Any]:
        """Ticket and line of the next sale; without a ticket each sale is a line by itself."""
        if self.ticket is None:
            return {"ticket": None, "line": 1}
        lines = self._desk.books.sales.on(self.ticket)
        self._lines = max(self._lines, *(line.data["line"] for line in lines), 0) + 1
        return {"ticket": self.ticket, "line": self._lines}

    def _unpaid(self, ticket: str) -> list[Line]:
        return [line for line in self._desk.books.sales.on(ticket) if line.settled_by is None]

    def _on_hold(self) -> list[dict[str, Any]]:
        """The tickets on hold with what is still to be paid of them, and what they begin with; those of which nothing
        is are no longer there."""
        if not self._tickets.held:
            return []
        found: dict[str, list[Line]] = {name: [] for name in self._tickets.held}
        for line in self._desk.books.sales:
            if line.settled_by is None and line.data["ticket"] in found:
                found[line.data["ticket"]].append(line)
        return [
            {
                "ticket": name,
                "lines": len(lines),
                "fen": sum(line.left_fen or 0 for line in lines),
                "goods": _named(lines),
            }
            for name, lines in found.items()
            if lines
        ]

    def begin_ticket(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """The lines from now on are of one ticket, until it is settled: `ticket`, which may be one that is on hold, or
        a new number. `hold` puts the open one aside for a later settlement (挂单).
        """
        if arguments.yes("hold"):
            self._put_aside()
            return ()
        name = arguments.text("ticket") or self._desk.paper_number(command.at)
        if self.ticket not in (None, name):
            self._put_aside()
        self._tickets.open = name
        self._forget(name)
        self._lines = 0
        return ()

    def _put_aside(self) -> None:
        """The open ticket waits; one without a line is forgotten. Beyond the most that wait, so is the oldest."""
        if self.ticket is None:
            raise NotDone("no-ticket")
        if self._desk.books.sales.on(self.ticket):
            waiting = [each["ticket"] for each in self._on_hold()]
            self._tickets.held = (*waiting, self.ticket)[-_MOST_HELD:]
        self._tickets.open, self._lines = None, 0

    def _forget(self, ticket: str) -> None:
        """A ticket is no longer on hold."""
        self._tickets.held = tuple(each for each in self._tickets.held if each != ticket)

    def settle(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """One payment for `lines` (ids or trace codes of sales) or a `ticket`; `total_fen` is at most what is due."""
        lines = self._lines_to_settle(arguments)
        amounts = [line.left_fen for line in lines]
        if None in amounts:
            raise NotDone("no-amount")
        whole, due = total((amount for amount in amounts if amount is not None), self._desk.settings.round_off)
        paid = arguments.whole("total_fen", 0, MOST_AMOUNT)
        ticket = lines[0].data["ticket"]
        draft = self._desk.draft(
            Settlement,
            command.at,
            command,
            captured_by="manual",
            ticket=ticket if all(line.data["ticket"] == ticket for line in lines) else None,
            lines=tuple(line.id for line in lines),
            lines_fen=whole,
            total_fen=due if paid is None else paid,
            pay_method=arguments.one_of("pay_method", _PAY_METHODS) or "other",
            seller=self._desk.settings.party,
            buyer=lines[0].data["buyer"],
            **arguments.some(("channel", "order_no", "pay_digest")),
        )
        for name in {line.data["ticket"] for line in lines} - {None}:
            if all(line in lines for line in self._unpaid(name)):
                self._forget(name)
                if name == self.ticket:
                    self._tickets.open, self._lines = None, 0
        return (draft,)

    def _lines_to_settle(self, arguments: Arguments) -> list[Line]:
        names = arguments.texts("lines")
        ticket = arguments.text("ticket") or self.ticket
        found: list[Line | None] = []
        if names:
            found = [self._desk.books.sales.find(name) for name in names]
        elif ticket is not None:
            found = [*(self._unpaid(ticket) or self._desk.books.sales.on(ticket))]
        lines = list({line.id: line for line in found if line is not None}.values())
        if not lines or None in found:
            raise NotDone("unknown-sale")
        if any(line.settled_by is not None for line in lines):
            raise NotDone("already-settled")
        return lines

    def take_back(self, command: Command, arguments: Arguments) -> Sequence[Draft]:
        """Goods of a `sale` (id or trace code) come back, with the `reason`: what lies on the scale where `weigh` is
        said, else `net_mg` or `qty` as typed, else all of it. `goods_go` says where they go."""
        line = self._desk.books.sales.find(arguments.needed("sale"))
        if line is None:
            raise NotDone("unknown-sale")
        reason = arguments.needed("reason")
        quantity = self._desk.weigh() if arguments.yes("weigh") else Quantity(fields={"captured_by": "manual"})
        typed = arguments.pieces() if line.by_piece else (quantity.net_mg or arguments.mass("net_mg"))
        back = line.left if typed is None else typed
        if not 0 < back <= line.left:
            raise NotDone("too-much")
        refund = line.refund(back)
        paid_back = arguments.whole("amount_fen", 0, MOST_AMOUNT)
        if paid_back is not None and (refund is None or paid_back > (line.left_fen or 0)):
            raise NotDone("too-much")
        sold = ("goods_code", "goods_name", "batch", "trace_code", "mode", "price_fen", "price_per", "seller", "buyer")
        amount: dict[str, Any] = {"qty": back} if line.by_piece else {"net_mg": back}
        draft = self._desk.draft(
            Return,
            command.at,
            command,
            corrects=line.id,
            reason=reason,
            amount_fen=refund if paid_back is None else paid_back,
            goods_go=arguments.one_of("goods_go", ("stock", "disposal", "supplier")),
            **{name: line.data[name] for name in sold},
            **(quantity.fields | amount),
        )
        return self._desk.taken(quantity, draft)


def _named(lines: Sequence[Line]) -> list[str]:
    """The first goods of some lines, each once."""
    names = dict.fromkeys(line.data["goods_name"] or line.data["goods_code"] for line in lines)
    return list(names)[:_NAMED]
