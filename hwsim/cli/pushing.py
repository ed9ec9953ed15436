"""Trace scales that push their sales."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from hwsim.cli.common import IO_ERROR, fail, seconds_option, seed_option, usage


@click.command()
@click.argument("kind")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="sale-files: where they are left.")
@click.option("--to", help="dp-401: HOST:PORT of the agent.")
@click.option("--count", type=click.IntRange(1), help="How many sales; endless by default.")
@click.option("--every", default=2.0, show_default=True, help="Seconds from one sale, or file, to the next.")
@click.option("--per-file", default=5, show_default=True, help="Sales in a file.")
@click.option("--slowly", default=0.0, help="Write files in pieces, so many seconds apart.")
@seed_option
@seconds_option
def push(kind: str, folder: Path | None, to: str | None, seed: int, seconds: float | None, **given: Any) -> None:
    """A trace scale of KIND that pushes the sales which it made by itself."""
    from datetime import datetime

    from hwsim.push import PUSHERS, LabelScale, file_line, sales, write_file
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    if kind not in PUSHERS or (kind == "sale-files") != (folder is not None) or (kind == "dp-401") != (to is not None):
        raise click.UsageError("say sale-files with --folder, or dp-401 with --to")
    halt = Halt()
    stream = sales(seed, datetime.now().replace(microsecond=0))
    sold = answered = 0
    with usage():
        scale = LabelScale(*parse_address(to)) if to is not None else None
    began = time.monotonic()

    def over() -> bool:
        late = seconds is not None and time.monotonic() - began >= seconds
        return late or (given["count"] is not None and sold >= given["count"])

    while not over() and not halt.asked:
        if folder is not None:
            lines = [file_line(next(stream)) for _ in range(given["per_file"])]
            name = f"sales-{seed}-{sold:06d}.txt"
            try:
                write_file(folder, name, "".join(lines), slowly=given["slowly"])
            except OSError as problem:
                fail(IO_ERROR, f"{folder}: {problem}")
            sold += len(lines)
            say({"file": name, "sales": len(lines)})
        elif scale is not None:
            answered += scale.push(next(stream))
            sold += 1
            say({"sold": sold, "answered": answered})
        halt.wait(given["every"], over=over)
    say({"sold": sold, **({} if scale is None else {"answered": answered, "repeated": scale.repeated})})
