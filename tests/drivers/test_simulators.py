"""`hwsim list` names something to play for every driver of the bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson

from drivers import bundle

ROOT = Path(__file__).parents[2]
REPLAYED = {"pcsc"}
"""Played from vectors: cards in a PC/SC reader, which vsmartcard plays whole."""


def test_every_driver_has_a_simulator() -> None:
    hwsim = Path(sys.executable).with_name("hwsim")
    done = subprocess.run([hwsim, "list"], cwd=ROOT, capture_output=True, timeout=60, check=True)
    listed = [orjson.loads(line) for line in done.stdout.splitlines()]
    names = {entry[key] for entry in listed for key in ("name", "driver") if key in entry}
    missing = {spec.id for spec in bundle().drivers} - names
    assert missing == set()
    assert {entry["name"] for entry in listed if entry["kind"] == "replay"} <= REPLAYED
