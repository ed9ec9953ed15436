"""The broker, and a bad network before it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hwsim.cli.common import CANNOT_CREATE, UNAVAILABLE, fail, seconds_option, seed_option, usage

if TYPE_CHECKING:
    from hwsim.chaos import ChaosProxy


@click.command()
@click.option("--listen", type=int, required=True, help="The port on loopback; 0 = a free one.")
@seconds_option
def broker(listen: int, seconds: float | None) -> None:
    """The demo's embedded MQTT broker (amqtt, 3.1.1, anonymous, on loopback only)."""
    from hwsim.broker import BrokerMissing, EmbeddedBroker
    from hwsim.running import Halt, say

    halt = Halt()
    try:
        with EmbeddedBroker(listen) as embedded:
            say({"broker": f"{embedded.host}:{embedded.port}"})
            halt.wait(seconds)
    except BrokerMissing as missing:
        fail(UNAVAILABLE, str(missing))
    except OSError as problem:
        fail(CANNOT_CREATE, f"port {listen}: {problem}")


@click.command()
@click.option("--listen", type=int, required=True, help="The port on loopback; 0 = a free one.")
@click.option("--to", required=True, help="HOST:PORT of the broker.")
@click.option("--latency", default=0.0, help="Milliseconds in each direction.")
@click.option("--stall", is_flag=True, help="Accept and forward nothing until `normal`.")
@click.option("--cut-after", type=int, help="Reset each connection after so many bytes.")
@click.option("--half-open", is_flag=True, help="Accept, swallow everything, send no FIN.")
@click.option("--eat-pubacks", default=0.0, help="Share of the broker's PUBACKs that vanish, 0 to 1.")
@seed_option
@seconds_option
def chaos(listen: int, to: str, stall: bool, half_open: bool, seconds: float | None, **given: Any) -> None:
    """A TCP proxy that plays a bad network.

    Lines on stdin change it: cut, block, unblock, half-open, stall, normal, eat-pubacks P, counters. Each is
    answered with a line of JSON, and so is the end, with the faults that were asked for and never hit.
    """
    from hwsim.chaos import ChaosProxy
    from hwsim.running import Halt, say
    from hwsim.sockets import parse_address

    with usage():
        proxy = ChaosProxy(
            parse_address(to),
            listen=listen,
            latency_ms=given["latency"],
            cut_after=given["cut_after"],
            eat_pubacks=given["eat_pubacks"],
            seed=given["seed"],
        )
    try:
        proxy.start()
    except OSError as problem:
        fail(CANNOT_CREATE, f"port {listen}: {problem}")
    halt = Halt()
    try:
        if stall:
            proxy.stall()
        if half_open:
            proxy.half_open()
        say({"listen": f"127.0.0.1:{proxy.port}", "to": to, "mode": proxy.mode})
        _listen_to_stdin(proxy)
        halt.wait(seconds)
        say({"mode": proxy.mode, "counters": proxy.counters, "unhit": proxy.unhit})
    finally:
        proxy.stop()


def _listen_to_stdin(proxy: ChaosProxy) -> None:
    import threading

    def run() -> None:
        # The thread ends with the process: reading a terminal cannot be interrupted.
        for line in sys.stdin:
            _obey(proxy, line.split())

    threading.Thread(target=run, name="hwsim-chaos-stdin", daemon=True).start()


def _obey(proxy: ChaosProxy, words: list[str]) -> None:
    from hwsim.running import say

    orders = {
        "cut": proxy.cut,
        "block": proxy.block,
        "unblock": proxy.unblock,
        "half-open": proxy.half_open,
        "stall": proxy.stall,
        "normal": proxy.normal,
    }
    try:
        match words:
            case []:
                return
            case ["eat-pubacks", share]:
                proxy.eat_pubacks(float(share))
            case ["counters"]:
                pass
            case [name] if name in orders:
                orders[name]()
            case _:
                raise ValueError(f"say {', '.join(orders)}, eat-pubacks P or counters")
    except ValueError as problem:
        click.echo(f"hwsim: {problem}", err=True)
        return
    say({"order": " ".join(words), "mode": proxy.mode, "counters": proxy.counters})
