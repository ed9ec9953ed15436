"""A whole agent with simulated devices and people, for tests that work on its page or its API."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.agent import Agent, prepare

PARTY = "3706025690012"
SUPPLIER = "3706025690123"

STATIONS = """\
[[station]]
id = "A12"
mode = "sale"
devices = ["scale-1", "scanner-1"]
party = "3706025690012"
operator = "03"
rules = { crates = { blue = "1.5 kg" } }
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
    """The far end of a serial line; `port` is the near one's name."""

    def __init__(self) -> None:
        self.near, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)

    def write(self, data: bytes) -> None:
        os.write(self.near, data)

    def close(self) -> None:
        for end in (self.near, self._far):
            with contextlib.suppress(OSError):
                os.close(end)


class Stall:
    """An agent in this process, and the hands that work its scale and its scanner."""

    def __init__(self, folder: Path, port: int, *, host: str = "127.0.0.1", uplink: str = "", web: str = "") -> None:
        self.folder = folder
        self.scale, self.scale2, self.scanner = Line(), Line(), Line()
        self.host, self.port = host, port
        self.url = f"http://127.0.0.1:{port}"
        self.file = folder / "agent.toml"
        self.file.write_text(
            CONFIG.format(
                folder=folder,
                uplink=uplink,
                scale=self.scale.port,
                scale2=self.scale2.port,
                scanner=self.scanner.port,
                stations=STATIONS,
                host=host,
                port=port,
                web=web,
            )
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

    def weigh(self, *texts: str, line: Line | None = None) -> None:
        """Stable readings, such as `1.236`."""
        for text in texts:
            (line or self.scale).write(f"ST,GS,+{text:>7}kg\r\n".encode())

    def moving(self, text: str) -> None:
        self.scale.write(f"US,GS,+{text:>7}kg\r\n".encode())

    def overload(self) -> None:
        self.scale.write(b"OL,GS,+       kg\r\n")

    def put_on(self, text: str) -> None:
        """Empty the platter, then put this on it."""
        self.weigh("0.000", "0.000", text, text)

    def scan(self, text: str) -> None:
        self.scanner.write(text.encode() + b"\r")

    def do(self, station: str, name: str, **arguments: Any) -> Any:
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
            line.close()
