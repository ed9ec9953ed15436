"""`edge-agent demo`: the main job on simulated devices, with the network going away and coming back.

The simulators run as processes of their own, as hardware would: an embedded broker, a stand-in for the city
platform, a network that can be cut, two scales and a scanner. The agent knows none of this; it is configured by
`config/demo.toml` as it would be on a stall.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent import clock
from edge_agent.cli import exits
from edge_agent.cli.output import write
from edge_agent.cli.words import say

if TYPE_CHECKING:
    from edge_agent.agent import Agent

_START_WITHIN: Final = 30.0
_DRAIN_WITHIN: Final = 45.0
_DRAIN_AFTER_CTRL_C: Final = 10.0
_INTAKE: Final = "B1"


class Simulator:
    """One `hwsim` process. Its first line says where it listens; the newest line is kept."""

    def __init__(self, *arguments: str) -> None:
        command = shutil.which("hwsim", path=str(Path(sys.executable).parent)) or "hwsim"
        self._name = f"hwsim {arguments[0]}"
        self._process = subprocess.Popen(
            [command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C ends the demo, and the demo ends its simulators in order
        )
        self._lines: deque[dict[str, Any]] = deque(maxlen=1)
        self._errors: deque[str] = deque(maxlen=5)
        self._first = threading.Event()
        for target in (self._read_lines, self._read_errors):
            threading.Thread(target=target, name=self._name, daemon=True).start()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(orjson.JSONDecodeError):
                self._lines.append(orjson.loads(line))
                self._first.set()
        self._first.set()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.strip())

    def first(self) -> dict[str, Any]:
        """The line it starts with. Raises Exit when it does not come."""
        if not self._first.wait(_START_WITHIN) or not self._lines:
            raise exits.Exit(exits.UNAVAILABLE, f"{self._name} did not start: {' '.join(self._errors)}")
        return self._lines[-1]

    def order(self, text: str) -> None:
        """Give it an order on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End the process within five seconds."""
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5.0)


@contextlib.contextmanager
def _simulator(*arguments: str) -> Iterator[Simulator]:
    simulator = Simulator(*arguments)
    try:
        yield simulator
    finally:
        simulator.stop()


@click.command()
@click.option("--seconds", type=click.FloatRange(0), default=0.0, help="Stop by itself; 0: until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port of the page.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Default: the demo's own.")
def command(seconds: float, port: int, config_path: Path | None) -> None:
    """Weigh and scan simulated goods, lose the network and get it back, deliver everything."""
    from edge_agent.agent import Agent
    from edge_agent.cli.examples import example
    from edge_agent.preparing import prepare

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trace-demo-")))
        broker = stack.enter_context(_simulator("broker", "--listen", "0")).first()["broker"]
        network = stack.enter_context(_simulator("chaos", "--listen", "0", "--to", broker))
        stack.enter_context(_simulator("city", "--broker", broker, "--store", f"sqlite:{folder / 'city.db'}"))
        goods = Simulator("bench", "stall", "--links", str(folder))
        stack.callback(goods.stop)
        ports = goods.first()["ports"]
        overrides = [
            f"store.path={folder / 'agent.db'}",
            f"uplink.port={network.first()['listen'].rpartition(':')[2]}",
            f"web.listen=127.0.0.1:{port}",
            *(f"device.{device}.port={place}" for device, place in ports.items()),
        ]
        config, registry = prepare(config_path or example("demo.toml"), overrides)
        agent = Agent(config, registry)
        show = Show(agent, network, goods, seconds, len(ports))
        click.echo(say("demo.start", url=f"http://127.0.0.1:{port}/"), err=True)
        agent.run(until=show.play)
        write(orjson.dumps(show.result))


class Show:
    """What happens when: goods all the time, an outage in the middle, and at the end a wait for the last verdicts."""

    def __init__(self, agent: Agent, network: Simulator, goods: Simulator, seconds: float, devices: int) -> None:
        self._agent = agent
        self._network = network
        self._goods = goods
        self._seconds = seconds
        self._devices = devices
        self._away = 0.0
        self.result: dict[str, Any] = {}

    def play(self, ended: threading.Event) -> None:
        """Play until the time is up or `ended` is set; `result` holds the last line."""
        self._open_stall()
        start = last = clock.monotonic()
        outage_at, outage_for = self._plan()
        cut = False
        while not ended.wait(0.25):
            now = clock.monotonic()
            self._count_outage(now - last)
            elapsed, last = now - start, now
            away = outage_at <= (elapsed % self._cycle) < outage_at + outage_for
            if away != cut:
                cut = away
                self._network.order("block" if away else "unblock")
                click.echo(say("demo.away") if away else say("demo.back"), err=True)
            if int(elapsed) != int(elapsed - 0.25):
                self._print()
            if self._seconds and elapsed >= self._seconds:
                break
        if cut:
            self._network.order("unblock")
        self._finish(ended, last)

    def _open_stall(self) -> None:
        """What a stall has in the morning: a catalogue of goods, and a batch of each that came in with its papers."""
        from edge_agent.cli.examples import example

        if _INTAKE not in self._agent.views():
            return  # somebody's own configuration
        day = datetime.fromtimestamp(clock.now().wall_ms / 1000, self._agent.config.gateway.zone)
        self._agent.import_catalogue(example("demo-goods.csv").read_bytes(), kind="goods", source="demo")
        for goods in self._agent.catalogue()["goods"]:
            amount = {"qty": 200} if goods["mode"] == "piece" else {"net_mg": 60_000_000}
            batch = f"{day:%Y%m%d}-{goods['order']:02d}"
            paper = {"type": "commitment", "no": f"HG{batch.replace('-', '')}"}
            told = {"goods_code": goods["code"], "goods_name": goods["name"], "batch": batch, "vouchers": [paper]}
            told |= {"supplier_name": "寿光蔬菜合作社", "origin_name": "山东寿光"}
            self._agent.command(_INTAKE, "confirm", told | amount)

    def _plan(self) -> tuple[float, float]:
        """When the outage begins and how long it lasts; without an end there is one every minute."""
        length = self._seconds or 60.0
        return length * 0.3, max(5.5, length * 0.2)

    @property
    def _cycle(self) -> float:
        return self._seconds + _DRAIN_WITHIN if self._seconds else 60.0

    def _count_outage(self, step: float) -> None:
        link = self._agent.link()
        counts = self._agent.store.outbox().counts()
        if link is not None and link.state != "connected" and counts.delivered:
            self._away += step

    def _finish(self, ended: threading.Event, last: float) -> None:
        click.echo(say("demo.end"), err=True)
        self._goods.stop()
        until = last + (_DRAIN_AFTER_CTRL_C if ended.is_set() else _DRAIN_WITHIN)
        settled = 0
        while clock.monotonic() < until and settled < 4:
            now = clock.monotonic()
            self._count_outage(now - last)
            last = now
            settled = settled + 1 if self._agent.store.outbox().counts().pending == 0 else 0
            time.sleep(0.25)
        counts = self._agent.store.outbox().counts()
        self.result = {
            "kept": counts.kept,
            "delivered": counts.delivered,
            "rejected": counts.rejected,
            "pending": counts.pending,
            "devices": self._devices,
            "outage_s": round(self._away, 1),
        }

    def _print(self) -> None:
        status = self._agent.status()
        scales = "  ".join(
            f"{view.station} {view.weight if view.weight is not None else '-'} {view.state}"
            for view in self._agent.views().values()
        )
        click.echo(
            say(
                "demo.line",
                kept=status["kept"],
                delivered=status["delivered"],
                pending=status["pending"],
                rejected=status["rejected"],
                link=(status["link"] or {}).get("state", "-"),
                scales=scales,
            ),
            err=True,
        )
