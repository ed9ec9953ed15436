"""Arguments of commands, as they come from a page or a program: nothing about them is trusted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from edge_agent.records.canonical import clean_text
from edge_agent.records.envelope import Draft

LONGEST_TEXT: Final = 500
MOST_ROWS: Final = 200
MOST_MASS_MG: Final = 1_000_000_000_000
"""A thousand tonnes."""

MOST_PIECES: Final = 100_000


class NotDone(Exception):
    """A command that is not carried out: a stable code for the page. `drafts` are records of the attempt itself."""

    def __init__(self, code: str, *drafts: Draft) -> None:
        self.code = code
        self.drafts = drafts
        super().__init__(code)


class Arguments:
    """The arguments of one command. Every method raises `NotDone` with `bad-NAME` for what cannot be meant."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def given(self, name: str) -> bool:
        """Whether there is such an argument."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str | None:
        """A text without spaces around it; None where it is empty or not given."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise NotDone(f"bad-{name}")
        return clean_text(value)[0].strip() or None

    def needed(self, name: str) -> str:
        """A text that must be given; else `no-NAME`."""
        value = self.text(name)
        if value is None:
            raise NotDone(f"no-{name}")
        return value

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not int or not low <= value <= high:
            raise NotDone(f"bad-{name}")
        return value

    def mass(self, name: str) -> int | None:
        """A mass in milligrams, not below zero."""
        return self.whole(name, 0, MOST_MASS_MG)

    def pieces(self, name: str = "qty") -> int | None:
        """A number of pieces."""
        return self.whole(name, 1, MOST_PIECES)

    def one_of(self, name: str, choices: Collection[str]) -> str | None:
        """One of some words."""
        value = self._values.get(name)
        if value is not None and (not isinstance(value, str) or value not in choices):
            raise NotDone(f"bad-{name}")
        return value

    def yes(self, name: str) -> bool:
        """Whether something is said to be so."""
        return self._values.get(name) is True

    def rows(self, name: str) -> list[Arguments]:
        """A list of objects."""
        value = self._values.get(name, ())
        if not isinstance(value, list | tuple) or len(value) > MOST_ROWS:
            raise NotDone(f"bad-{name}")
        if not all(isinstance(each, Mapping) for each in value):
            raise NotDone(f"bad-{name}")
        return [Arguments(each) for each in value]

    def texts(self, name: str) -> list[str]:
        """A list of texts that are not empty."""
        value = self._values.get(name, ())
        if not isinstance(value, list | tuple) or len(value) > MOST_ROWS:
            raise NotDone(f"bad-{name}")
        if not all(isinstance(each, str) and 0 < len(each) <= LONGEST_TEXT for each in value):
            raise NotDone(f"bad-{name}")
        return [clean_text(each)[0] for each in value]

    def words(self, names: Collection[str]) -> dict[str, str]:
        """Those of these texts that are given."""
        found = {name: self.text(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def some(self, names: Collection[str]) -> dict[str, Any]:
        """Those of these arguments that are given: texts cleaned, other values as they are, for a body to check."""
        found: dict[str, Any] = {}
        for name in names:
            value = self._values.get(name)
            if isinstance(value, str):
                value = self.text(name)
            if value is not None:
                found[name] = value
        return found

    def only(self, names: Collection[str], what: str) -> dict[str, Any]:
        """All arguments, which must be among these names; else `bad-WHAT`."""
        if not set(self._values) <= set(names):
            raise NotDone(f"bad-{what}")
        return self.some(names)
