"""A dock door on the bench: what 300 tags in view at 500 reads a second cost the agent.

    python tests/bench/door.py            prints the figures as JSON

The reader is simulated in this process and reached over TCP; the agent is a process of its own and alone counted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hwsim.rfid.field import Field, make_tags
from hwsim.rfid.llrp import LlrpReader

CONFIG = """\
[gateway]
id = "box-1"
site = "bench"
[store]
path = "{folder}/door.db"
[[device]]
id = "gate"
driver = "llrp"
port = "{port}"
[[station]]
id = "dock"
mode = "log"
devices = ["gate"]
rules = {{ tag_lost_ms = 10000 }}
"""


def door(folder: Path, *, tags: int = 300, per_second: float = 500.0, seconds: float = 20.0) -> dict[str, Any]:
    """Share of one core, and microseconds for each read; raises RuntimeError when reads are left behind."""
    with LlrpReader(Field(make_tags(tags, antennas=4), noise_db=3.0, rate=per_second)) as reader:
        (folder / "door.toml").write_text(CONFIG.format(folder=folder, port=reader.name))
        command = [sys.executable, "-m", "edge_agent", "--log-level", "warning", "run", "--config", "door.toml"]
        process = subprocess.Popen(command, cwd=folder)
        try:
            until = time.monotonic() + 60
            while reader.reports < per_second:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the agent does not read")
                time.sleep(0.05)
            reads, used, began = reader.reports, _cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            reads, used = reader.reports - reads, _cpu_seconds(process.pid) - used
            took = time.monotonic() - began
            if reader.waiting:
                raise RuntimeError(f"{reader.waiting} bytes wait in the reader")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    return {
        "door_reads_per_s": round(reads / took),
        "door_cpu_percent": round(100 * used / took, 1),
        "door_us_per_read": round(used * 1e6 / reads),
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trace-door-") as name:
        print(json.dumps(door(Path(name))))
