"""The control socket: its name is there when somebody listens, never before."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control import ControlClient, ControlServer


class NoAgent:
    """Nothing is asked here: who answers is not the question."""


def test_whoever_sees_the_socket_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.db.sock"
    path.touch()  # what an agent that was killed leaves behind
    seen: list[bool] = []
    listen = socket.socket.listen

    def late(self: socket.socket, *backlog: int) -> None:
        seen.append(path.is_socket())
        listen(self, *backlog)
        seen.append(path.is_socket())

    monkeypatch.setattr(socket.socket, "listen", late)
    agent: Any = NoAgent()
    server = ControlServer(path, agent)
    server.start()
    try:
        assert seen == [False, False]
        assert path.stat().st_mode & 0o777 == 0o660
        ControlClient(path).close()
    finally:
        server.stop(5.0)
    assert os.listdir(tmp_path) == []


def test_a_client_without_an_agent_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="no agent answers at"):
        ControlClient(tmp_path / "records.db.sock")
