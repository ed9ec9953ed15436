"""What can go wrong in the store. Each error is named by what the caller does next."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store."""


class StoreBusy(StoreError):
    """Another process holds the store's lock; `pid` is what it wrote there, if it could be read. Exit code 75."""

    def __init__(self, message: str, *, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreUnusable(StoreError):
    """The store could not be opened, or did not prove that it keeps what is written. Exit code 74.

    The text says what is wrong, where, and what would be right.
    """


class KeyUnusable(StoreError):
    """The signing key is gone, is none, or is not the one that the store was signed by. Exit code 78."""


class KeyForbidden(KeyUnusable):
    """The signing key may not be read. Exit code 77."""


class Damaged(StoreError):
    """The file is not as a store leaves it. Never leaves `Store.open`: the file is set aside."""


class StoreFull(StoreError):
    """No record can be taken: the queue stayed full until the deadline, or the disk is full of unsent records."""


class StoreClosed(StoreError):
    """The store was stopped; it takes nothing more."""


class CommitFailed(StoreError):
    """The record of this ticket was not committed; the text says why. The caller may submit it again."""
