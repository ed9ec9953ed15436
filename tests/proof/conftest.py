"""Shared by the tests of the proof: chains as the store makes them, keys, statements."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from edge_agent import clock
from edge_agent.proof import GENESIS, AnyStatement, Place, Signer
from edge_agent.proof.days import Days, EndedDay
from edge_agent.proof.statements import DayRoot, sign_checkpoint, sign_day_root, sign_purged
from edge_agent.records import canonical
from edge_agent.records.envelope import CHAIN_TYPE, Draft, hash_of, seal

ZONE = ZoneInfo("Asia/Shanghai")
CHAIN = "019e0000-0000-7000-8000-000000000001"
SOURCE = "/dongmen/gw-1"
NOON = int(datetime(2026, 11, 23, 4, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000


@dataclass
class World:
    """A chain over several days, and what the box signed about it."""

    signer: Signer
    bodies: list[bytes] = field(default_factory=list)
    statements: list[AnyStatement] = field(default_factory=list)
    days: list[EndedDay] = field(default_factory=list)
    roots: list[DayRoot] = field(default_factory=list)

    @property
    def hashes(self) -> list[str]:
        return [orjson.loads(body)["hash"] for body in self.bodies]

    def place(self, sequence: int) -> Place:
        return Place(sequence, self.hashes[sequence - 1]) if sequence else GENESIS

    def checkpoint(self, sequence: int) -> None:
        self.statements.append(sign_checkpoint(self.signer, chain=CHAIN, place=self.place(sequence), time=TIME))

    def purge(self, sequence: int) -> None:
        self.statements.append(sign_purged(self.signer, chain=CHAIN, place=self.place(sequence), time=TIME))


TIME = "2026-11-25T23:00:00.000+08:00"


def sealed(draft: Draft, sequence: int, prevhash: str, chain: str = CHAIN) -> bytes:
    return seal(draft, source=SOURCE, chain=chain, sequence=sequence, prevhash=prevhash).body


def reseal(event: dict[str, Any]) -> bytes:
    """An event written down again with the hash that fits its content: what a forger does."""
    return canonical.dumps({**event, "hash": hash_of(event)})


def build(
    records: int, *, seed: int = 1, step_ms: int = HOUR, chain: str = CHAIN, signer: Signer | None = None
) -> World:
    rng = random.Random(seed)
    world = World(signer or Signer.from_seed(bytes([seed]) * 32))
    prevhash = GENESIS.hash
    days = Days()
    for number in range(records):
        time = clock.rfc3339(NOON + number * step_ms, ZONE)
        data = {"net_mg": rng.randrange(10**7), "goods_name": "白菜", "flags": [], "raw": rng.randbytes(8).hex()}
        ident = f"019e0000-0000-7000-8000-{rng.getrandbits(48):012x}"
        type_ = CHAIN_TYPE if number == 0 else "trace.sale.v1"
        draft = Draft(id=ident, type=type_, subject="A12", time=time, data=canonical.dumps(data))
        body = sealed(draft, number + 1, prevhash, chain)
        world.bodies.append(body)
        prevhash = orjson.loads(body)["hash"]
        ended = days.add(number + 1, prevhash, time)
        if ended is not None:
            world.days.append(ended)
            root = sign_day_root(
                world.signer, chain=chain, day=ended.day, first=ended.first, last=ended.last, root=ended.root, time=TIME
            )
            world.roots.append(root)
            world.statements.append(root)
    return world


@pytest.fixture(scope="session")
def make_world() -> Any:
    return build


@pytest.fixture(scope="session")
def world() -> World:
    """60 records over three days, two of which have ended; checkpoints at 20, 41 and the end."""
    made = build(60)
    for sequence in (20, 41, 60):
        made.checkpoint(sequence)
    return made


@pytest.fixture(scope="session")
def forge() -> Any:
    return reseal
