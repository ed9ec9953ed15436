"""The board: latest values, and watchers that never hold anyone up."""

from __future__ import annotations

from edge_agent.board import Board


def test_only_changes_are_told() -> None:
    board = Board()
    with board.watch() as watcher:
        board.post("station/A", 1)
        board.post("station/A", 1)
        board.post("station/A", 2)
        board.tell("record", "x")
        assert [(e.topic, e.value) for e in watcher.take(0)] == [("station/A", 1), ("station/A", 2), ("record", "x")]
    assert board.latest("station/") == {"station/A": 2}


def test_a_slow_watcher_loses_the_oldest_and_is_told_how_many() -> None:
    board = Board()
    with board.watch() as watcher:
        for number in range(1_500):
            board.tell("n", number)
        events = watcher.take(0)
    assert (len(events), events[0].value, watcher.lost) == (1_000, 500, 500)
