"""The demo as a newcomer runs it: goods, an outage, everything delivered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_the_demo_delivers_everything_it_kept(tmp_path: Path, free_port: Callable[[], int]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "--lang", "zh", "demo", "--seconds", "14", "--port", str(free_port())],
        capture_output=True,
        timeout=200,
        cwd=tmp_path,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    result = json.loads(lines[0])
    assert result["kept"] == result["delivered"] + result["pending"] > 3
    assert (result["rejected"], result["pending"], result["devices"]) == (0, 0, 3)
    assert result["outage_s"] >= 5
    said = done.stderr.decode()
    assert "网络断开" in said
    assert "网络恢复" in said
