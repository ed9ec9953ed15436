"""The other side: the city platform, and whoever tells of payments."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hwsim.cli.common import BAD_DATA, CANNOT_CREATE, IO_ERROR, UNAVAILABLE, fail, seconds_option, seed_option, usage


@click.command()
@click.option("--broker", "address", help="HOST:PORT; needed but for --import alone.")
@click.option(
    "--import",
    "courier",
    type=click.Path(path_type=Path),
    help="First take the records of a courier file; without --broker, only that.",
)
@click.option(
    "--verdicts", type=click.Path(path_type=Path), help="Where the verdicts on it go; FILE.verdicts by default."
)
@click.option("--store", default="", help="sqlite:FILE; in memory by default.")
@click.option(
    "--reject", multiple=True, help="type=T, id=I, subject=S, chain=C, sequence=N or sequence%N [:retryable][:once]"
)
@click.option(
    "--silent",
    is_flag=False,
    flag_value=float("inf"),
    type=float,
    default=0.0,
    help="No verdicts [for so many seconds].",
)
@click.option("--slow", default=0.0, help="Milliseconds of pause before each message.")
@click.option("--client-id", default="hwsim-city", show_default=True)
@seconds_option
def city(
    address: str | None,
    courier: Path | None,
    verdicts: Path | None,
    store: str,
    reject: tuple[str, ...],
    silent: float,
    slow: float,
    client_id: str,
    seconds: float | None,
) -> None:
    """A stand-in for the city platform: takes records, stores each once, gives verdicts, prints figures each second."""
    import sqlite3

    from hwsim.city import City
    from hwsim.running import Halt, say

    with usage():
        path = _store_path(store)
    if courier is not None:
        _take_courier(courier, verdicts, path, reject)
        if address is None:
            return
    if address is None:
        raise click.UsageError("--broker HOST:PORT is missing")
    try:
        with usage():
            platform = City(address, store=path, reject=reject, silent=silent, slow_ms=slow, client_id=client_id)
    except sqlite3.Error as problem:
        fail(CANNOT_CREATE, f"{path}: {problem}")
    halt = Halt()
    with platform:
        halt.wait(seconds, each_second=lambda: say(platform.stats.line()), over=lambda: platform.failure is not None)
    say(platform.stats.line())
    if platform.failure is not None:
        fail(IO_ERROR, platform.failure)


def _take_courier(file: Path, answer: Path | None, store: Path | None, reject: tuple[str, ...]) -> None:
    import sqlite3

    from hwsim.city import Rule
    from hwsim.city.archive import Archive
    from hwsim.city.courier import Malformed, Refused, take
    from hwsim.running import say

    answer = answer or file.with_name(f"{file.name}.verdicts")
    if answer.exists():
        fail(CANNOT_CREATE, f"{answer}: is there already")
    with usage():
        rules = [Rule.parse(rule) for rule in reject]
    try:
        archive = Archive(store, rules)
        try:
            say(take(file, archive, answer) | {"verdicts": str(answer)})
        finally:
            archive.close()
    except (Refused, Malformed) as problem:
        fail(BAD_DATA, f"{file}: {problem}; nothing was taken")
    except sqlite3.Error as problem:
        fail(CANNOT_CREATE, f"{store}: {problem}")
    except OSError as problem:
        fail(IO_ERROR, f"{problem.filename or file}: {problem.strerror}")


def _store_path(store: str) -> Path | None:
    scheme, _, rest = store.partition(":")
    if not store or store == "sqlite::memory:":
        return None
    if scheme == "sqlite" and rest:
        return Path(rest)
    if scheme in ("postgresql", "postgres"):
        raise ValueError("a PostgreSQL store is not available in this version; use sqlite:FILE")
    raise ValueError(f"store {store!r} is not sqlite:FILE")


@click.command("pay")
@click.option("--to", "url", required=True, help="The box's page, such as http://127.0.0.1:8080.")
@click.option("--token", required=True, help="A token with the scope `pay`; `@FILE` reads it from a file.")
@click.option("--amount-fen", type=click.IntRange(min=1), multiple=True, required=True, help="Repeat for more.")
@click.option("--method", default="wechat", show_default=True, help="wechat, alipay, unionpay, ecny or card.")
@click.option("--station", help="The counter, where the provider knows it.")
@click.option("--reference", "number", help="The payment's number; default: a new one each time.")
@click.option("--repeat", type=click.IntRange(min=0), default=0, help="Tell of each so many times more.")
@seed_option
def pay_(
    url: str,
    token: str,
    amount_fen: tuple[int, ...],
    method: str,
    station: str | None,
    number: str | None,
    repeat: int,
    seed: int,
) -> None:
    """Tell a box of payments, as a provider's callback does; one JSON line for each answer."""
    import json
    import random

    from hwsim.pay import METHODS, Till, pay, reference

    if method not in METHODS:
        raise click.UsageError(f"{method!r} is no method; one of {', '.join(METHODS)}")
    if token.startswith("@"):
        token = Path(token[1:]).read_text().strip()
    chance = random.Random(seed) if seed else random.SystemRandom()
    till = Till(url=url.rstrip("/") + "/api/v1/payments", token=token, station=station)
    heard = True
    for amount in amount_fen:
        status = 0
        for answer in pay(till, amount_fen=amount, method=method, number=number or reference(chance), repeat=repeat):
            click.echo(json.dumps(answer, ensure_ascii=False))
            status = answer["status"]
        heard = heard and status == 200
    if not heard:
        sys.exit(UNAVAILABLE)
