"""The guest of these tests, and what it says when one of them fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from guest_floor import Floor, a_floor


@pytest.fixture(scope="session")
def floor() -> Iterator[Floor]:
    """One guest for all of these tests: each makes what it needs, in whatever order they run."""
    with a_floor() as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the agent, the kernel and udev said in the guest to the report of a failure."""
    report = yield
    made = getattr(item, "funcargs", {}).get("floor")
    if report.when == "call" and report.failed and isinstance(made, Floor):
        report.sections += [(f"guest: {title}", text) for title, text in made.evidence().items()]
    return report
