"""The store and its outbox against a dictionary, over restarts."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent import clock
from edge_agent.model import Refusal
from edge_agent.records.envelope import draft
from edge_agent.store import Limits, Store

ZONE = ZoneInfo("Asia/Shanghai")
SEQUENCE = st.integers(-1, 40)
SPAN = st.tuples(SEQUENCE, st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


class StoreModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.store = self.open()
        self.bodies: dict[int, int | None] = {1: None}
        self.state: dict[int, str] = {1: "pending"}
        self.chain = self.store.chain

    def open(self) -> Store:
        limits = Limits(reserve_bytes=4096, group=3)
        return Store.open(self.directory / "s.db", source="/s/g", zone=ZONE, limits=limits)

    @rule(count=st.integers(1, 7))
    def keep(self, count: int) -> None:
        tickets = []
        for _ in range(count):
            number = len(self.bodies) + 1
            self.bodies[number] = number * 7
            self.state[number] = "pending"
            made = draft(type="trace.scan.v1", subject="s", at=clock.now(), zone=ZONE, data={"n": number * 7})
            tickets.append((number, self.store.submit(made)))
        for number, ticket in tickets:
            assert ticket.wait(20).sequence == number

    @rule(accepted=st.lists(SPAN, max_size=3), refused=st.lists(st.tuples(SEQUENCE, st.booleans()), max_size=3))
    def settle(self, accepted: list[tuple[int, int]], refused: list[tuple[int, bool]]) -> None:
        newly_accepted = newly_refused = 0
        for first, last in accepted:
            for number in range(first, last + 1):
                if number in self.state and self.state[number] != "accepted":
                    self.state[number] = "accepted"
                    newly_accepted += 1
        for number, retryable in refused:
            if self.state.get(number) == "pending" and not retryable:
                self.state[number] = "rejected"
                newly_refused += 1
        refusals = [Refusal(sequence=n, id=str(n), code="c", reason="r", retryable=retry) for n, retry in refused]
        settled = self.store.outbox().settle(accepted, refusals, clock.now())
        assert (settled.newly_accepted, settled.newly_refused) == (newly_accepted, newly_refused)

    @rule(numbers=st.none() | st.lists(SEQUENCE, max_size=4))
    def requeue(self, numbers: list[int] | None) -> None:
        chosen = [n for n, state in self.state.items() if state == "rejected" and (numbers is None or n in numbers)]
        for number in chosen:
            self.state[number] = "pending"
        assert self.store.outbox().requeue(numbers) == len(chosen)

    @rule()
    def reopen(self) -> None:
        self.store.stop(20)
        self.store = self.open()
        assert self.store.chain == self.chain

    @invariant()
    def counts_agree(self) -> None:
        counts = self.store.outbox().counts()
        values = list(self.state.values())
        assert counts.kept == len(values) == counts.delivered + counts.rejected + counts.pending
        assert counts.delivered == values.count("accepted")
        assert counts.rejected == values.count("rejected")

    @invariant()
    def ranges_agree(self) -> None:
        outbox = self.store.outbox()
        pending = sorted(n for n, state in self.state.items() if state == "pending")
        assert [n for first, last in outbox.pending(-5, 10**6) for n in range(first, last + 1)] == pending
        assert outbox.oldest_pending == (pending[0] if pending else None)
        rejected = sorted(n for n, state in self.state.items() if state == "rejected")
        assert [each.sequence for each in outbox.quarantine(1000)] == rejected
        accepted = 0
        while self.state.get(accepted + 1) == "accepted":
            accepted += 1
        assert outbox.watermark == accepted

    @invariant()
    def rows_agree(self) -> None:
        rows = self.store.read(1, limit=1000)
        assert {row.sequence: json.loads(row.body)["data"].get("n") for row in rows} == self.bodies

    def teardown(self) -> None:
        self.store.stop(20)
        shutil.rmtree(self.directory)


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
