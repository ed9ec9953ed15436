"""What the long runs found, as a table in a page: one line for each test, with its date.

`--results PAGE` writes it between two marks in that page. A run of some of the tests leaves the lines of the others
alone; a run of all drops the lines of tests that are no more. A test says what it tries as the argument of its mark
`soak`, and how often it did by `record_property("count", …)`.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

BEGIN: Final = "<!-- soak results -->"
END: Final = "<!-- /soak results -->"
_HEAD: Final = (
    "| test | what is tried | how often | took | outcome | date | at |",
    "|---|---|---|---|---|---|---|",
)
_NAMED: Final = re.compile(r"\| `([^`]+)` \|")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table. `at` is the commit that was tried."""

    test: str
    tried: str
    count: str
    seconds: float
    outcome: str
    date: str
    at: str

    def line(self) -> str:
        """The line."""
        outcome = self.outcome if self.outcome == "passed" else f"**{self.outcome}**"
        cells = (f"`{self.test}`", self.tried, self.count, _time(self.seconds), outcome, self.date, self.at)
        return "| " + " | ".join(cells) + " |"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def merged(page: str, results: Iterable[Result], existing: Collection[str] | None) -> str:
    """The page with these results. `existing` are all the tests that there are, None where that is not known.

    Raises ValueError for a page without the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    lines = {named[1]: line for line in table.splitlines() if (named := _NAMED.match(line))}
    lines |= {result.test: result.line() for result in results}
    kept = [line for test, line in sorted(lines.items()) if existing is None or test in existing]
    return before + "\n".join([BEGIN, "", *_HEAD, *kept, "", END]) + after


class SoakReport:
    """Collects the outcomes of one session. Each is written at once: a run of hours may be cut off."""

    def __init__(self, page: Path, root: Path) -> None:
        self._page = page
        self._at = _commit(root)
        self._tried: dict[str, str] = {}
        self._everything = False
        self._results: dict[str, Result] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Before anything is deselected."""
        self._everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        self._tried = {item.nodeid: mark.args[0] for item in items if (mark := item.get_closest_marker("soak"))}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Each phase of a test; the call counts, another one where it did not go well."""
        if report.nodeid not in self._tried or (report.when != "call" and report.outcome == "passed"):
            return
        self._results[report.nodeid] = Result(
            test=_short(report.nodeid),
            tried=self._tried[report.nodeid],
            count=str(dict(report.user_properties).get("count", "")),
            seconds=report.duration,
            outcome=report.outcome,
            date=time.strftime("%Y-%m-%d"),
            at=self._at,
        )
        self._write(None)

    def pytest_sessionfinish(self) -> None:
        """A run of all drops the lines of tests that are no more."""
        if self._results and self._everything:
            self._write({_short(nodeid) for nodeid in self._tried})

    def _write(self, existing: Collection[str] | None) -> None:
        text = merged(self._page.read_text(encoding="utf-8"), self._results.values(), existing)
        self._page.write_text(text, encoding="utf-8")


def _commit(root: Path) -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    return told.stdout.strip() or "-"


def _short(nodeid: str) -> str:
    return nodeid.removeprefix("tests/")
