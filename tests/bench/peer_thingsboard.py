"""ThingsBoard Gateway as it comes from the package index, driven for the bench. Runs in an environment of its own.

    python peer_thingsboard.py fill    KIND FOLDER COUNT        hand over COUNT events, until all are on disk
    python peer_thingsboard.py trickle KIND FOLDER PER_SECOND   hand over, and say after each, until killed
    python peer_thingsboard.py count   KIND FOLDER              how many different ones its storage gives back
    python peer_thingsboard.py gateway FOLDER                   the whole gateway, with FOLDER/tb_gateway.json

KIND is `sqlite` or `file`: its two storages that survive a restart (`memory`, its default, does not). Everything that
is not named here is as its own defaults are. An event is handed over when `put` has returned True: that is all that
its connectors wait for.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any


def event(number: int) -> str:
    """An event of 400 bytes, as the gateway's own converters hand it over."""
    values = {"n": number, "net_mg": 1_236_000, "indication": "1.236", "unit": "kg", "stability": "stable"}
    telemetry = [{"ts": 1_795_708_316_000 + number, "values": values}]
    made = {"deviceName": "scale-1", "deviceType": "default", "telemetry": telemetry, "attributes": {}}
    values["raw"] = ""
    values["raw"] = "53" * ((400 - len(json.dumps(made))) // 2)
    return json.dumps(made)


def storage(kind: str, folder: Path) -> Any:
    """One of its storages in a folder."""
    from thingsboard_gateway.storage.file.file_event_storage import FileEventStorage
    from thingsboard_gateway.storage.sqlite.sqlite_event_storage import SQLiteEventStorage
    from thingsboard_gateway.tb_utility.tb_logger import TbLogger

    logging.setLoggerClass(TbLogger)
    log = logging.getLogger("storage")
    log.setLevel(logging.WARNING)
    made = {"sqlite": SQLiteEventStorage, "file": FileEventStorage}[kind]
    return made(settings(kind, folder), log, threading.Event())


def settings(kind: str, folder: Path) -> dict[str, Any]:
    """The storage's part of the configuration; the sizes are those of the configuration that comes with it."""
    if kind == "sqlite":
        return {"type": "sqlite", "data_file_path": f"{folder}/", "max_read_records_count": 1000}
    return {
        "type": "file",
        "data_folder_path": f"{folder}/",
        "max_file_count": 10,
        "max_read_records_count": 1000,
        "max_records_per_file": 10_000,
    }


def fill(kind: str, folder: Path, count: int) -> dict[str, float]:
    """Hand over as fast as it takes them; the time ends when the last one is on disk."""
    kept = storage(kind, folder)
    events = [event(number) for number in range(count)]
    began, used = time.monotonic(), time.process_time()
    for text in events:
        if not kept.put(text):
            raise RuntimeError("an event was not taken")
    if kind == "sqlite":
        with sqlite3.connect(folder / "data.db", timeout=30) as reader:
            while reader.execute("SELECT max(id) FROM messages").fetchone()[0] != count:
                time.sleep(0.005)
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - used}


def trickle(kind: str, folder: Path, per_second: float) -> None:
    """One after the other, as a stall's devices bring them; each is told only after the storage has taken it."""
    kept = storage(kind, folder)
    for number in range(1_000_000):
        if kept.put(event(number)):
            print(number + 1, flush=True)
        time.sleep(1 / per_second)


def count(kind: str, folder: Path) -> int:
    """What a new start finds in the storage."""
    kept = storage(kind, folder)
    found: set[int] = set()
    quiet = 0
    while quiet < 20:
        pack = kept.get_event_pack()
        quiet = 0 if pack else quiet + 1
        found |= {json.loads(text)["telemetry"][0]["values"]["n"] for text in pack}
        kept.event_pack_processing_done()
        time.sleep(0 if pack else 0.1)
    return len(found)


def gateway(folder: Path) -> None:
    """The whole gateway, until it is killed."""
    from thingsboard_gateway.gateway.tb_gateway_service import TBGatewayService

    os.chdir(folder)
    (folder / "logs").mkdir(exist_ok=True)
    TBGatewayService(str(folder / "tb_gateway.json"))


def main() -> None:
    """One of the four."""
    match sys.argv[1:]:
        case ["fill", kind, folder, number]:
            print(json.dumps(fill(kind, Path(folder), int(number))))
        case ["trickle", kind, folder, number]:
            trickle(kind, Path(folder), float(number))
        case ["count", kind, folder]:
            print(json.dumps(count(kind, Path(folder))), flush=True)
            os._exit(0)  # its threads are no daemons
        case ["gateway", folder]:
            gateway(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
