"""A whole agent with simulated devices and people, for tests that work on its page or its API."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import time
import tty
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.agent import Agent
from edge_agent.preparing import prepare

PARTY = "3706025690012"
SUPPLIER = "3706025690123"

STATIONS = """\
[[station]]
id = "A12"
mode = "sale"
devices = ["scale-1", "scanner-1"{printer}]
party = "3706025690012"
operator = "03"
rules = {{ crates = {{ blue = "1.5 kg" }}{rules} }}
[[station]]
id = "B1"
mode = "intake"
devices = ["scale-2"]
party = "3706025690012"
[[station]]
id = "C1"
mode = "inspection"
devices = ["scale-2"]
[[station]]
id = "D1"
mode = "transfer"
devices = ["scale-2"]
party = "3706025690012"
[[station]]
id = "E1"
mode = "filling"
devices = ["scale-2"]
[[station]]
id = "F1"
mode = "transform"
devices = ["scale-2"]
party = "3706025690012"
[[station]]
id = "G1"
mode = "log"
devices = ["scale-2"]
"""

CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
{uplink}
[[device]]
id = "scale-1"
driver = "st-gs"
port = "serial:{scale}"
[[device]]
id = "scale-2"
driver = "st-gs"
port = "serial:{scale2}"
[[device]]
id = "scanner-1"
driver = "serial-scanner"
port = "serial:{scanner}"
{stations}
[web]
listen = "{host}:{port}"
{web}
"""

PRINTER = """
[[device]]
id = "printer-1"
driver = "escpos"
port = "{port}"
"""

GOODS = (
    ("01210101", "大白菜", "叶菜", "2.80", "500g"),
    ("01210102", "菠菜", "叶菜", "6.00", "kg"),
    ("01220101", "土豆", "根茎", "3.60", "kg"),
    ("01230101", "番茄", "茄果", "7.98", "kg"),
    ("01350101", "苹果", "水果", "9.90", "kg"),
    ("21113001", "猪前腿肉", "肉", "26.00", "kg"),
    ("31010001", "鸡蛋", "蛋", "1.20", "each"),
)
INITIALS = {"大白菜": "dbc", "菠菜": "bc", "土豆": "td", "番茄": "fq", "苹果": "pg", "猪前腿肉": "zqtr", "鸡蛋": "jd"}
GTIN = "6901028225168"


def goods_csv(more: str = "") -> bytes:
    """The stall's goods as an operator would import them; 苹果 carries an article number."""
    lines = ["code,name,initials,plu,category,price,price_per,gtins"]
    for number, (code, name, category, price, per) in enumerate(GOODS, 1):
        gtin = GTIN if name == "苹果" else ""
        lines.append(f"{code},{name},{INITIALS[name]},{number},{category},{price},{per},{gtin}")
    return ("\n".join(lines) + "\n" + more).encode()


class Line:
    """The far end of a serial line; `port` is the near one's name.

    A name of its own, as /dev/serial/by-id has them: the kernel gives the number of a terminal that is gone to the next
    program that asks, and an agent that waits for it to come back would take that one.
    """

    def __init__(self) -> None:
        self._far, near = os.openpty()
        self._near = near
        tty.setraw(near)
        self._names = tempfile.TemporaryDirectory(prefix="line-")
        self.port = f"{self._names.name}/port"
        os.symlink(os.ttyname(near), self.port)

    def write(self, data: bytes) -> None:
        os.write(self._far, data)

    def unplug(self) -> None:
        """The cable is pulled: the port is gone for good."""
        self._names.cleanup()
        for end in (self._far, self._near):
            with contextlib.suppress(OSError):
                os.close(end)


class Scale(Line):
    """A scale that streams as real ones do, ten frames a second, of what lies on it."""

    def __init__(self) -> None:
        super().__init__()
        self._frames: deque[bytes] = deque()
        self._says = b"ST,GS,+  0.000kg\r\n"
        self._mute = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scale", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(0.08):
            if self._frames:
                self._says = self._frames.popleft()
            if not self._mute.is_set():
                with contextlib.suppress(OSError):
                    self.write(self._says)

    def show(self, *frames: bytes) -> None:
        """Frames to send one after another; the last one again and again."""
        self._frames.extend(frames)

    def silent(self, now: bool) -> None:
        """Say nothing more, or go on."""
        (self._mute.set if now else self._mute.clear)()

    def unplug(self) -> None:
        """It ends with its cable."""
        self._end.set()
        self._thread.join(5)
        super().unplug()


def frame(text: str, stability: str = "ST") -> bytes:
    """One reading in kilograms."""
    return f"{stability},GS,{'-' if text.startswith('-') else '+'}{text.lstrip('-'):>7}kg\r\n".encode()


class Stall:
    """An agent in this process, and the hands that work its scale and its scanner."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        host: str = "127.0.0.1",
        uplink: str = "",
        web: str = "",
        printer: str | None = None,
        scale: str | None = None,
    ) -> None:
        """`printer` is the port of one, `scale` that of another scale-1 than the one that is worked by hand here."""
        self.folder = folder
        self.scale, self.scale2, self.scanner = Scale(), Scale(), Line()
        self.host, self.port = host, port
        self.url = f"http://127.0.0.1:{port}"
        self.file = folder / "agent.toml"
        self.file.write_text(
            CONFIG.format(
                folder=folder,
                uplink=uplink,
                scale=self.scale.port if scale is None else scale.removeprefix("serial:"),
                scale2=self.scale2.port,
                scanner=self.scanner.port,
                stations=STATIONS.format(
                    printer="" if printer is None else ', "printer-1"',
                    rules="" if printer is None else ", trace_first = 100",
                ),
                host=host,
                port=port,
                web=web,
            )
            + ("" if printer is None else PRINTER.format(port=printer))
        )
        self.agent = Agent(*prepare(self.file))
        self.agent.start()
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, "the page is not served"
            time.sleep(0.02)
        answer = self.agent.import_catalogue(goods_csv(), kind="goods")
        assert answer["faults"] == [] or answer["faults"] == (), answer

    # -- hands

    def weigh(self, text: str, scale: Scale | None = None) -> None:
        """The scale stands still at this, such as `1.236`."""
        (scale or self.scale).show(frame(text), frame(text))

    def moving(self, text: str) -> None:
        self.scale.show(frame(text, "US"))

    def overload(self) -> None:
        self.scale.show(b"OL,GS,+ 99.999kg\r\n")

    def put_on(self, text: str, scale: Scale | None = None) -> None:
        """The platter is emptied, then this is put on it."""
        self.weigh("0.000", scale)
        self.weigh(text, scale)

    def settle(self, text: str, station: str = "A12") -> None:
        """Wait until the station has taken this weight for stable (or for zero)."""
        deadline = time.monotonic() + 20
        while True:
            view = self.agent.views()[station]
            if view.weight == text and view.state in ("stable", "empty"):
                return
            assert time.monotonic() < deadline, view
            time.sleep(0.02)

    def scan(self, text: str) -> None:
        self.scanner.write(text.encode() + b"\r")

    def do(self, station: str, name: str, /, **arguments: Any) -> Any:
        """A command as another page would give it; it must be carried out."""
        result = self.agent.command(station, name, arguments)
        assert result.refused is None, (name, result.refused)
        return result

    def take_in(self, goods: str, batch: str, net_mg: int, **more: Any) -> str:
        """A batch comes in; returns the id of its record."""
        kept = self.do("B1", "confirm", goods_code=goods, batch=batch, net_mg=net_mg, supplier=SUPPLIER, **more).kept
        return str(kept[-1]["id"])

    def kept(self, type_name: str = "sale") -> list[Mapping[str, Any]]:
        """The kept records of a type, oldest first, as events."""
        import orjson

        events = [orjson.loads(row.body) for row in self.agent.store.read(1, limit=100_000)]
        return [event for event in events if event["type"] == f"trace.{type_name}.v1"]

    def close(self) -> None:
        self.agent.stop()
        for line in (self.scale, self.scale2, self.scanner):
            line.unplug()
