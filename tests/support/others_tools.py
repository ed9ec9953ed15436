"""What programs of others say of our documents: epcis2.js (npm) and the event hash generator (PyPI)."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import orjson
from epcis_event_hash_generator import hash_generator, json_to_py

NODE = Path(__file__).parents[1] / "node"


def epcis2js(*files: Path) -> list[dict[str, Any]]:
    """What epcis2.js says of each EPCIS document: its number of events, and the problems."""
    done = subprocess.run(
        ["node", "epcis.cjs", *map(str, files)], capture_output=True, timeout=120, check=True, cwd=NODE
    )
    verdicts = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == len(files)
    return verdicts


def generated_ids(document: bytes) -> list[str]:
    """The ids of a document's events as the reference implementation computes them."""
    logging.disable(logging.CRITICAL)
    try:
        events = json_to_py.event_list_from_epcis_document_json(orjson.loads(document))
        ids: list[str] = hash_generator.epcis_hashes_from_events(events)
    finally:
        logging.disable(logging.NOTSET)
    return ids
