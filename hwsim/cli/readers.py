"""Readers of tags and cards, with what lies before them."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import click

from hwsim.cli.common import (
    CANNOT_CREATE,
    UNAVAILABLE,
    fail,
    fault_option,
    link_option,
    play,
    port_option,
    seconds_option,
    seed_option,
    usage,
)


@click.command()
@click.argument("family")
@port_option
@link_option
@fault_option
@seed_option
@seconds_option
@click.option("--tag", "numbers", multiple=True, help="The number of a tag, hexadecimal; again for more.")
@click.option("--tags", "count", default=5, show_default=True, help="How many tags, where none is named.")
@click.option("--antennas", default=1, show_default=True, help="Antennas over which the tags lie.")
@click.option("--missed", default=0.3, show_default=True, help="Share of the rounds that miss a tag.")
@click.option("--noise-db", default=3.0, show_default=True, help="Standard deviation of each RSSI.")
@click.option("--bad-check", default=0.0, show_default=True, help="Share of the frames with a wrong check.")
@click.option("--rate", default=50.0, show_default=True, help="Reads a second of a reader that reads by itself.")
@click.option("--stay", type=float, help="Seconds that a tag is there; always by default.")
@click.option("--away", default=5.0, show_default=True, help="Seconds until it comes again.")
@click.option("--spread", default=0.0, show_default=True, help="Seconds within which the tags come at first.")
@click.option("--password", default="00000000", show_default=True, help="The tags' access password, hexadecimal.")
@click.option(
    "--locked", "locked", multiple=True, type=click.Choice(("epc", "user")), help="A locked bank; again for more."
)
@click.option("--leaves-after", type=int, help="A tag is taken away after so many accesses to its memory.")
@click.option("--power-for", type=int, help="A tag writes so many words at once, then its power fails.")
@click.option("--silent-after", type=float, help="llrp: hang after so many seconds, the connection open.")
@click.option("--taken", is_flag=True, help="llrp: refuse every client, as if an older one were still there.")
def rfid(family: str, link: Path | None, **given: Any) -> None:
    """A reader of FAMILY with tags before it."""
    from hwsim.rfid import ID_BYTES, READERS, TITLES
    from hwsim.rfid.field import Field, Tag, make_tags
    from hwsim.rfid.memory import BANKS, PASSWORD_BYTES

    if family == "pcsc":
        raise click.UsageError("the reader is that of a real pcscd; put a card on it with `hwsim card`")
    if family not in TITLES:
        raise click.UsageError(f"reader {family!r} is not one of {', '.join(TITLES)}")
    with usage():
        stay, away, seed = given["stay"], given["away"], given["seed"]
        if family == "wiegand" and stay is None:
            stay, away = 1.0, 1.0  # a card is told when it comes, never again while it stays
        password = bytes.fromhex(given["password"])
        if len(password) != PASSWORD_BYTES:
            raise ValueError("--password: four bytes")
        tags = [Tag(number=bytes.fromhex(number), stay=stay, away=away) for number in given["numbers"]] or make_tags(
            given["count"],
            size=ID_BYTES.get(family, 12),
            antennas=given["antennas"],
            stay=stay,
            away=away,
            spread=given["spread"],
            seed=seed,
        )
        memory = {
            "password": password,
            "locked": frozenset(BANKS[name] for name in given["locked"]),
            "accesses": given["leaves_after"],
            "words": given["power_for"],
        }
        field = Field(
            [dataclasses.replace(tag, **memory) for tag in tags],
            missed=given["missed"],
            noise_db=given["noise_db"],
            spoiled=given["bad_check"],
            rate=given["rate"],
            seed=seed,
        )
    if family == "llrp":
        _run_llrp(field, given)
    else:
        play(family, READERS[family](field), given["port"], link, given["faults"], seed, given["seconds"])


def _run_llrp(field: Any, given: dict[str, Any]) -> None:
    from hwsim.faults import Fault, Line
    from hwsim.rfid.llrp import LlrpReader
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    scheme, _, address = given["port"].partition(":")
    if scheme != "tcp":
        raise click.UsageError("an LLRP reader is on the network: --port tcp:PORT")
    with usage():
        line = Line([Fault.parse(text) for text in given["faults"]], seed=given["seed"])
        try:
            reader = LlrpReader(field, *parse_address(address), line=line)
        except OSError as problem:
            fail(CANNOT_CREATE, f"{given['port']}: {problem}")
    halt = Halt()
    reader.hold(given["taken"])
    with reader:
        say({"device": "llrp", "port": reader.name})
        seconds, silent_after = given["seconds"], given["silent_after"]
        if silent_after is not None:
            halt.wait(silent_after)
            reader.silence()
            seconds = None if seconds is None else max(0.0, seconds - silent_after)
        halt.wait(seconds)
    say({"device": "llrp", "played": reader.report, "unhit": line.unhit})


@click.command()
@click.option("--to", default="127.0.0.1:35963", show_default=True, help="HOST:PORT of vsmartcard's virtual reader.")
@click.option("--uid", default="047A3C1A", show_default=True, help="The card's number.")
@click.option("--ats", default="", help="Its ATS; a CPU card has one.")
@click.option("--stay", default=2.0, show_default=True, help="Seconds that it lies on the reader.")
@click.option("--away", default=1.0, show_default=True, help="Seconds until it is put there again.")
@seconds_option
def card(to: str, uid: str, ats: str, stay: float, away: float, seconds: float | None) -> None:
    """A contactless card, put on the virtual reader of a real pcscd and taken away, again and again."""
    from hwsim.rfid.card import CPU, M1_1K, VirtualCard
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    with usage():
        number, host_and_port = bytes.fromhex(uid), parse_address(to)
        played = VirtualCard(
            number,
            ats=bytes.fromhex(ats),
            atr=CPU if ats else M1_1K,
            host=host_and_port[0],
            port=host_and_port[1],
        )
    halt = Halt()
    until = None if seconds is None else time.monotonic() + seconds
    times = 0
    try:
        while not halt.asked and (until is None or time.monotonic() < until):
            with played:
                times += 1
                say({"card": uid.upper(), "reader": to, "times": times})
                halt.wait(stay)
            halt.wait(away)
    except OSError as problem:
        fail(UNAVAILABLE, f"{to}: {problem}; is pcscd running with vsmartcard-vpcd?")
    say({"card": uid.upper(), "commands": len(played.commands)})
