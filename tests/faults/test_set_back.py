"""A store that was set back to an old image: found at the next connect, nothing lost, no sequence used twice.

The whole agent, a real broker that keeps the retained checkpoint, and the city's stand-in.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent import clock
from edge_agent.records.envelope import draft
from edge_agent.store import Reader, Store

World = Any
ZONE = ZoneInfo("Asia/Shanghai")


def settle(world: World) -> int:
    """At rest, everything kept is delivered and the head is signed at the city; returns the head."""
    world.scale.rest()
    world.agent.wait(lambda: world.agent.status()["pending"] == 0, 40, "all is delivered")
    head: int = world.agent.head()
    return head


def image_of(world: World, name: str) -> Path:
    """A copy of the store's file while no agent has it."""
    image: Path = world.folder / name
    shutil.copy(world.agent.database, image)
    return image


def restore(world: World, image: Path) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{world.agent.database}{suffix}").unlink(missing_ok=True)
    shutil.copy(image, world.agent.database)


def keep_offline(world: World, count: int) -> list[str]:
    """Records kept on the restored store before it meets the platform: their sequences are used a second time."""
    store = Store.open(world.agent.database, source="/market-3/box-1", zone=ZONE)
    try:
        kept = []
        for number in range(count):
            at = clock.now()
            data = {
                "captured_by": "device",
                "clock": {"synced": at.synced, "boot": at.boot, "mono_ms": at.mono_ms},
                "flags": [],
                "net_mg": number,
            }
            made = draft(type="trace.weighing.v1", subject="A12", at=at, zone=ZONE, data=data)
            kept.append(store.keep(made).id)
        return kept
    finally:
        store.stop(20)


def stored(world: World) -> list[tuple[str, int, str]]:
    with contextlib.closing(sqlite3.connect(world.city_file)) as connection:
        query = "SELECT c.name, r.sequence, r.id FROM records r JOIN chains c ON c.number = r.chain"
        return list(connection.execute(query).fetchall())


def edge_agent(world: World, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edge_agent", "--lang", "en", *arguments, "--config", str(world.agent.config)]
    return subprocess.run(command, capture_output=True, cwd=world.folder, timeout=60, check=False)


def test_a_restored_old_image_is_found_at_the_next_connect(world: World) -> None:
    world.agent.start()
    world.weigh_until(40)
    settle(world)
    world.agent.terminate()
    image = image_of(world, "old.db")
    old_head = world.agent.head()
    world.agent.start()
    world.weigh_until(60)
    head = settle(world)
    world.agent.terminate()  # publishes the last checkpoint
    world.city.wait(lambda stats: stats.checkpoints > 0 and stats.checkpoints_waiting == 0, 20)
    with Reader.open(world.agent.database) as reader:
        chain = reader.chain()
    assert head > old_head

    restore(world, image)
    forked = keep_offline(world, 5)
    assert world.agent.head() == old_head + 5  # the fault is there: five sequences are used a second time
    before = world.city.stats
    world.agent.start()
    world.agent.wait(lambda: world.agent.count("agent.started") >= 4, 30, "the agent begins again by itself")
    world.weigh_until(30)
    settle(world)
    world.agent.wait(lambda: world.agent.status()["salvaged"] == 0, 40, "what is left of the old chain is settled")
    status = world.agent.status()
    assert status["chain"] != chain
    assert "this box signed record" in status["alarms"]["signing"]

    # The platform has everything once, and nothing of the old chain was said twice.
    stats = world.city.wait(lambda stats: stats.gaps == 0, 20)
    assert (stats.chain_ok, stats.rejected, stats.malformed, stats.chains) == (True, 0, 0, 2), stats
    rows = stored(world)
    assert len({(name, sequence) for name, sequence, _ in rows}) == len(rows)
    assert max(sequence for name, sequence, _ in rows if name == chain) == head
    ids = {ident for _, _, ident in rows}
    assert set(world.agent.kept()) <= ids
    assert set(forked) <= {ident for name, _, ident in rows if name == status["chain"]}
    assert stats.checkpoints == before.checkpoints  # nothing was signed since

    # The new chain names the place that the platform holds.
    with Reader.open(world.agent.database) as reader:
        first = json.loads(reader.read(1, limit=1)[0].body)["data"]
    assert (first["old_chain"], first["old_sequence"]) == (chain, head)

    # People see it, and say when it is right; then signing goes on, on the new chain.
    shown = edge_agent(world, "buffer", "status")
    assert shown.returncode == 1
    assert b"! signing: this box signed record" in shown.stdout
    checked = edge_agent(world, "records", "verify", "--output", "json")
    assert checked.returncode == 0, checked
    assert edge_agent(world, "keys", "accept").returncode == 0
    world.weigh_until(5)
    world.city.wait(lambda stats: stats.checkpoints > before.checkpoints and stats.checkpoint_ok, 30)
    assert world.agent.status()["alarms"] == {}
    assert edge_agent(world, "keys", "show").returncode == 0


def test_lost_flushes_are_found_by_a_verdict_that_waits_at_the_broker(world: World) -> None:
    """A card that lost what it had promised to hold: the newest checkpoint may be older than the loss."""
    world.agent.start()
    world.weigh_until(40)
    settle(world)
    world.agent.terminate()
    image = image_of(world, "old.db")
    head = world.agent.head()
    restore(world, image)
    # The platform's word on records that the store has lost, as it waits for a session that was away.
    chain = chain_of(world)
    verdict = {"v": 1, "chain": chain, "time": "2026-01-01T00:00:00.000+08:00", "accepted": [[1, head + 7]]}
    world.city._link.publish("trace/v1/market-3/box-1/verdicts", json.dumps(verdict).encode())
    world.agent.start()
    world.agent.wait(lambda: world.agent.count("agent.started") >= 3, 30, "the agent begins again by itself")
    assert world.agent.status()["chain"] != chain
    assert f"accepted record {head + 7}" in world.agent.status()["alarms"]["signing"]


def test_a_verdict_on_what_does_not_exist_is_ignored_on_a_standing_connection(world: World) -> None:
    world.agent.start()
    world.weigh_until(5)
    settle(world)
    chain = chain_of(world)
    verdict = {"v": 1, "chain": chain, "time": "2026-01-01T00:00:00.000+08:00", "accepted": [[1, 999_999]]}
    world.city._link.publish("trace/v1/market-3/box-1/verdicts", json.dumps(verdict).encode())
    world.agent.wait(lambda: world.agent.count("verdict.unknown") > 0, 20, "the verdict is there")
    world.weigh_until(5)
    settle(world)
    assert world.agent.status()["chain"] == chain
    assert world.agent.status()["alarms"] == {}
    assert world.agent.count("agent.started") == 1


def chain_of(world: World) -> str:
    with Reader.open(world.agent.database) as reader:
        chain = reader.chain()
    assert chain is not None
    return chain
