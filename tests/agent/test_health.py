"""The watchdog is fed only while every part makes progress, over a real notify socket."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from edge_agent.health import Health, Notifier, Watchdog


@pytest.fixture
def notify_socket(tmp_path: Path) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.settimeout(10)
    return receiver


def test_the_watchdog_is_fed_while_all_is_well_and_not_when_a_part_is_held_up(
    notify_socket: socket.socket, tmp_path: Path
) -> None:
    health = Health()
    beat = health.part("committer", patience=0.3)
    notifier = Notifier(str(tmp_path / "notify"), watchdog_usec="100000")
    watchdog = Watchdog(health, notifier, lambda: "kept 1")
    watchdog.start()
    try:
        fed = 0
        while fed < 3:  # beating keeps it fed
            beat()
            fed += b"WATCHDOG=1" in notify_socket.recv(1000)
        deadline = time.monotonic() + 10
        while b"held up: committer" not in notify_socket.recv(1000):  # then the part stops beating
            assert time.monotonic() < deadline
        assert b"WATCHDOG=1" not in notify_socket.recv(1000)
        beat()
        while b"WATCHDOG=1" not in notify_socket.recv(1000):
            assert time.monotonic() < deadline
            beat()
    finally:
        watchdog.stop(5)
        notify_socket.close()


def test_a_part_that_ended_as_it_should_holds_nothing_up() -> None:
    health = Health()
    health.part("device", patience=-1.0)
    assert "device" in health.held_up()
    health.forget("device")
    assert health.held_up() == {}


def test_without_a_notify_socket_nothing_happens() -> None:
    Notifier("").send("READY=1")
