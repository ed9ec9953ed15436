"""Shared by all tests: the switches of the long runs, and times that are made up instead of waited for."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from soak_report import SoakReport

from edge_agent.model import Instant

# No example has a time of its own: on a busy machine each of them takes what it takes.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long fault and fuzz runs too")
    parser.addoption("--results", type=Path, help="write what the long runs found into this page")
    parser.addoption("--fuzz-seconds", type=float, default=600.0, help="the longest that one fuzz run may take")
    parser.addoption("--fuzz-seed", default="", help="repeat a fuzz run; by default each is another one")


def pytest_configure(config: pytest.Config) -> None:
    page = config.getoption("--results")
    if page is not None:
        config.pluginmanager.register(SoakReport(page, config.rootpath))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --soak the long runs are not collected at all: they are another target, not skipped tests."""
    for item in items:
        mark = item.get_closest_marker("soak")
        if mark is not None and not mark.args:
            raise pytest.UsageError(f"{item.nodeid}: the mark soak says what is tried")
    if config.getoption("--soak"):
        return
    chosen = [item for item in items if item.get_closest_marker("soak") is None]
    left_out = [item for item in items if item.get_closest_marker("soak") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Ports on loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def instants() -> Callable[[], Instant]:
    """Moments 100 ms apart."""
    ticks = itertools.count()

    def next_instant() -> Instant:
        step = next(ticks) * 100
        return Instant(wall_ms=1_795_400_000_000 + step, mono_ms=1_000 + step, boot="b00t", synced=True)

    return next_instant
