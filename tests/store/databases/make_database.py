"""Make the test database of the present schema: make_database.py NAME (as the newest migration is called)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.model import Instant, Refusal
from edge_agent.records.envelope import draft
from edge_agent.store import Store, key_path

GOODS = '[{"code":"01210101","name":"大白菜","plu":"12"}]'.encode()
ZONE = ZoneInfo("Asia/Shanghai")


def main(path: Path) -> None:
    store = Store.open(path, source="/dongmen/gw-1", zone=ZONE)
    at = Instant(wall_ms=1_795_395_600_000, mono_ms=1, boot="0" * 36, synced=True)
    for number in range(12):
        data = {"net_mg": number * 1000, "note": "白菜", "flags": []}
        store.keep(draft(type="trace.weighing.v1", subject="stall-7", at=at, zone=ZONE, data=data))
    refusals = [Refusal(sequence=n, id=str(n), code="E1", reason="不合格", retryable=False) for n in (6, 9)]
    store.outbox().settle([(1, 5), (8, 8)], refusals, at)
    store.set_note("mqtt.version", "5")
    store.keep_catalogue("goods", GOODS, rows=1, source="goods.csv", at=at)
    checkpoint = store.checkpoint()
    assert checkpoint is not None
    counts = store.outbox().counts()
    facts = {
        "chain": store.chain,
        "sequence": store.head.sequence,
        "hash": store.head.hash,
        "counts": [counts.kept, counts.delivered, counts.rejected, counts.pending],
        "quarantine": [6, 9],
        "checkpoint": checkpoint.decode(),
        "key": str(store.attestor.signer.public),
        "catalogue": {"goods": [1, GOODS.decode()]},
    }
    store.stop()
    for suffix in (".lock", ".reserve"):
        path.with_name(path.name + suffix).unlink()
    key_path(path).unlink()
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


main(Path(__file__).with_name(sys.argv[1] + ".db"))
