"""kill -9 at random moments: what a ticket promised is there, whatever else is not."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.records.envelope import Draft
from edge_agent.store import Store

HAMMER = Path(__file__).with_name("hammer.py")
CheckChain = Callable[..., list[dict[str, Any]]]


def hammer(path: Path, seconds: float) -> list[str]:
    """Run the child, kill it `seconds` after its first line; the complete lines it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, str(HAMMER), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    assert child.stderr is not None
    first = child.stdout.readline()
    killer = time.monotonic() + seconds
    lines = [first]
    while time.monotonic() < killer and (line := child.stdout.readline()):
        lines.append(line)
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.readlines()
    errors = child.stderr.read()
    child.wait(30)
    assert first, errors.decode()
    return [line.decode().strip() for line in lines if line.endswith(b"\n")]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "cuts", [6, pytest.param(200, marks=pytest.mark.soak("kill -9 of a process that writes to the store flat out"))]
)
def test_every_resolved_ticket_is_kept(
    cuts: int,
    path: Path,
    open_store: Any,
    check_chain: CheckChain,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(7)
    promised: dict[int, tuple[str, str]] = {}
    for cut in range(1, cuts + 1):
        lines = hammer(path, chance.uniform(0.01, 0.25))
        for line in lines:
            sequence, value, identity = line.split()
            assert promised.setdefault(int(sequence), (value, identity)) == (value, identity)
        if cut % 25 and cut < cuts and cuts > 10:
            continue  # to look through everything after each of many cuts would take the square of their time
        events = check_chain(path)
        for sequence, (value, identity) in promised.items():
            event = events[sequence - 1]
            assert (event["hash"], event["id"]) == (value, identity), f"record {sequence} was promised and is not there"
    assert len(promised) > cuts * 5
    record_property("count", f"{cuts} kills, {len(promised):,} tickets")
    store: Store = open_store()
    counts = store.outbox().counts()
    assert counts.kept == len(check_chain(path)) == counts.delivered + counts.pending


def test_a_file_that_may_not_grow(path: Path, check_chain: CheckChain) -> None:
    """RLIMIT_FSIZE makes the write of a page fail in the middle of anything, and go on failing."""
    limit = 400_000
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, str(HAMMER), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert child.stdout is not None
    promised: dict[int, str] = {}
    failed = 0
    while failed < 50 and (line := child.stdout.readline()):
        if line.startswith(b"FAILED"):
            failed += 1
        else:
            sequence, value, _ = line.decode().split()
            promised[int(sequence)] = value
    child.kill()
    child.wait(30)
    assert failed >= 50, "the fault was never met"
    assert len(promised) > 100
    events = check_chain(path)
    assert {sequence: events[sequence - 1]["hash"] for sequence in promised} == promised


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 14 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system; RLIMIT_FSIZE is tested in any case")
    yield where
    subprocess.run(["umount", str(where)], check=True)


def test_a_full_disk(
    small_disk: Path, open_store: Any, make_draft: Callable[..., Draft], check_chain: CheckChain, eventually: Any
) -> None:
    from edge_agent import clock
    from edge_agent.store import CommitFailed, StoreFull

    beats: list[None] = []
    path = small_disk / "records.db"
    store: Store = open_store(path, limits={"reserve_bytes": 5 << 20}, pulse=lambda: beats.append(None))
    kept = [store.head.sequence]
    with pytest.raises((CommitFailed, StoreFull)):
        kept.extend(store.keep(make_draft(number, size=400)).sequence for number in range(20_000))
    eventually(lambda: store.trouble is not None and "full" in store.trouble)
    with pytest.raises(StoreFull, match="nothing more is delivered"):
        store.submit(make_draft())
    assert [json.loads(row.body)["sequence"] for row in store.read(1, limit=3)]
    assert store.outbox().counts().kept == len(kept), "unsent records are never deleted"
    count = len(beats)
    eventually(lambda: len(beats) > count)  # full is a state, not a hang: no watchdog shall kill the agent for it
    # Verdicts come in, and the box goes on by itself, with what was delivered purged.
    store.outbox().settle([(1, len(kept) // 2)], [], clock.now())
    eventually(lambda: store.trouble is None)
    kept += [store.keep(make_draft(number, size=400), timeout=20).sequence for number in range(1000)]
    assert kept == list(range(1, len(kept) + 1))
    anchor = store.anchor
    assert 0 < anchor.sequence < len(kept)
    store.stop(20)
    assert check_chain(path, start=anchor)[-1]["sequence"] == f"{len(kept):016d}"
