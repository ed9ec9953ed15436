"""Keeps a guest up, so that its tests can be run again and again without a boot in between.

python tests/guest/keep.py                  up until Ctrl-C
pytest --soak tests/guest -k twins          from another terminal: takes the guest that is up
python tests/guest/keep.py ask sh 'dmesg | tail'
python tests/guest/keep.py ask evidence     whatever `Inside` can do, with its arguments as JSON or text
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]

from guest_floor import BOOT, Floor  # noqa: E402 -- its folder has to be known first
from guest_machine import ROOT, GuestFailed, build, kept_folder, missing, power_off, power_on  # noqa: E402


def up() -> None:
    if missing():
        sys.exit(f"apt-get install -y --no-install-recommends {' '.join(missing())}")
    folder = kept_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    kernel, initramfs = build(ROOT / "build" / "guest")
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):  # one that was started in the background ignores the first
        signal.signal(number, signal.default_int_handler)
    process = power_on(kernel, initramfs, folder, python=Path(sys.executable))
    try:
        with Floor(folder, process) as floor:
            print(json.dumps({"up": floor.call("hello"), "took_s": round(time.monotonic() - began)}), flush=True)
        print(f"console: {folder / 'console.log'}; Ctrl-C ends it", flush=True)
        process.wait()
    except KeyboardInterrupt:
        pass
    except GuestFailed as problem:
        sys.exit(str(problem))
    finally:
        power_off(process)
        shutil.rmtree(folder)


def ask(verb: str, *given: str) -> None:
    try:
        with Floor(kept_folder()) as floor:
            told = floor.call(verb, *(_argument(text) for text in given), within=BOOT)
    except TimeoutError:
        sys.exit("somebody else is talking to the guest")
    except GuestFailed as problem:
        sys.exit(str(problem))
    if isinstance(told, dict) and all(isinstance(text, str) for text in told.values()):
        for title, text in told.items():
            print(f"--- {title}\n{text}")
    else:
        print(json.dumps(told, indent=1, ensure_ascii=False))


def _argument(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            up()
        case ["ask", verb, *given]:
            ask(verb, *given)
        case _:
            sys.exit(__doc__)
