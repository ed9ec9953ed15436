"""Tickets: how a caller learns that its record is kept."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from edge_agent.records.envelope import Draft
from edge_agent.store.errors import CommitFailed
from edge_agent.store.values import Kept

_guard: Final = threading.Lock()  # for the rare moment in which somebody begins to wait


class Ticket:
    """Stands for one submitted draft until its COMMIT returned or failed.

    A ticket is three slots; only one that is waited for gets a lock. The order makes that safe: a waiter leaves its
    lock and then looks for the outcome, the committer puts the outcome down and then looks for locks.
    """

    __slots__ = ("_outcome", "_waiters", "draft")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._outcome: Kept | CommitFailed | None = None
        self._waiters: tuple[threading.Lock, ...] = ()

    @property
    def done(self) -> bool:
        """Whether the outcome is known, good or bad."""
        return self._outcome is not None

    def wait(self, timeout: float) -> Kept:
        """Wait at most `timeout` seconds for the commit.

        Raises `CommitFailed` where the record was not kept, and TimeoutError where the outcome is not known
        yet: the record may still be kept afterwards.
        """
        if self._outcome is None:
            waiter = threading.Lock()
            waiter.acquire()
            with _guard:
                self._waiters = (*self._waiters, waiter)
            if self._outcome is None:
                waiter.acquire(timeout=timeout)
        outcome = self._outcome
        if isinstance(outcome, Kept):
            return outcome
        if outcome is None:
            raise TimeoutError(f"record {self.draft.id} was not committed within {timeout} s")
        raise CommitFailed(str(outcome)) from outcome


def resolve(tickets: Sequence[Ticket], outcomes: Sequence[Kept]) -> None:
    """The records are committed: every ticket gets its place on the chain."""
    for ticket, kept in zip(tickets, outcomes, strict=True):
        ticket._outcome = kept
        if ticket._waiters:
            _wake(ticket)


def fail(tickets: Sequence[Ticket], reason: str) -> None:
    """The records were not committed."""
    failure = CommitFailed(reason)
    for ticket in tickets:
        ticket._outcome = failure
        if ticket._waiters:
            _wake(ticket)


def _wake(ticket: Ticket) -> None:
    with _guard:
        waiters, ticket._waiters = ticket._waiters, ()
    for waiter in waiters:
        waiter.release()
