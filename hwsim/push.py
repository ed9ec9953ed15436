"""Trace scales that push the sales which they made by themselves: files with tabs in a folder, or lines over TCP.

Sources: published field lists of the exchange between trace scales and front-end computers (前置机);
KKBalta/carnitrack-edge, "TCP Server API Contract".
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

PUSHERS: Final = {
    "sale-files": "trace scale or front-end computer that leaves its sales in a folder as text files with tabs",
    "dp-401": "label scale that connects to the agent and pushes a line for each weighing and again for its label",
}
GOODS: Final = (
    ("2000000000017", "猪后腿肉", 2496),
    ("2000000000024", "土豆", 450),
    ("2000000000031", "大白菜", 260),
)
_CRLF: Final = "\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """One sale as the scale made it. The amount is rounded half-up to the fen, then off to the jiao (抹零)."""

    number: str
    at: datetime
    goods: str
    name: str
    grams: int
    price_fen: int

    @property
    def raw_fen(self) -> int:
        return (2 * self.grams * self.price_fen + 1000) // 2000

    @property
    def paid_fen(self) -> int:
        return self.raw_fen // 10 * 10


def sales(seed: int, begin: datetime) -> Iterator[Sold]:
    """Sales without end, one every half minute by the scale's clock."""
    chance = random.Random(seed)
    for count in itertools.count(1):
        goods, name, price = chance.choice(GOODS)
        yield Sold(
            number=f"1101010000001{seed % 100:02d}{count:05d}",
            at=begin + timedelta(seconds=30 * count),
            goods=goods,
            name=name,
            grams=chance.randrange(50, 15_000),
            price_fen=price,
        )


def file_line(sold: Sold, *, batch: str = "11010100000020000003", seller: str = "1101010000001") -> str:
    """A sale as one line: fifteen fields, the amounts in fen before and after rounding off."""
    fields = (
        *("192.168.1.31", seller, f"{sold.at:%Y-%m-%d}", f"{sold.at:%H:%M:%S}", batch, sold.number, str(sold.grams)),
        *(sold.goods, sold.goods[-3:-1], batch, str(sold.raw_fen), str(sold.paid_fen), "1", "", ""),
    )
    return "\t".join(fields) + _CRLF


def write_file(folder: Path, name: str, content: str, *, slowly: float = 0.0) -> Path:
    """Leave a file there. `slowly`: in pieces, so many seconds apart, as a machine that writes in place does."""
    path = folder / name
    if not slowly:
        hidden = folder / f".{name}.tmp"
        hidden.write_text(content, encoding="utf-8", newline="")
        hidden.replace(path)
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        for at in range(0, len(content), 97):
            file.write(content[at : at + 97])
            file.flush()
            os.fsync(file.fileno())
            time.sleep(slowly)
    return path


def label_line(sold: Sold, *, later: int = 0) -> bytes:
    """A DP-401 line: ten digits of grams for gross, tare and net. `later`: seconds until the label."""
    at = sold.at + timedelta(seconds=later)
    fields = (
        *("00001", f"{at:%H:%M:%S}", f"{at:%d.%m.%Y}", "BONFILE", sold.goods[-12:], "0000", "KAAN"),
        *(f"{sold.grams + 120:010d}", f"{120:010d}", f"{sold.grams:010d}", "2", "0", "2", "1", "N", "FIRMA"),
    )
    return (",".join(fields) + _CRLF).encode("cp1254")


class LabelScale:
    """A DP-401 on a connection: registers, asks, sends each sale twice and again until it is answered."""

    def __init__(self, host: str, port: int, *, answer_within: float = 5.0) -> None:
        self._address = (host, port)
        self._within = answer_within
        self._connection: socket.socket | None = None
        self.answered = 0
        self.repeated = 0

    def push(self, sold: Sold, *, tries: int = 20) -> bool:
        """Send one sale until the answer comes; False when none did."""
        for attempt in range(tries):
            self.repeated += attempt > 0
            try:
                connection = self._connected()
                connection.sendall(label_line(sold))
                if self._answer(connection):
                    connection.sendall(label_line(sold, later=1))
                    self.answered += 1
                    return self._answer(connection)
            except OSError:
                self.close()
                time.sleep(0.2)
        return False

    def close(self) -> None:
        """Lose power."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> socket.socket:
        if self._connection is None:
            connection = socket.create_connection(self._address, timeout=self._within)
            connection.settimeout(self._within)
            connection.sendall(b"SCALE-01HB")
            self._connection = connection
        return self._connection

    @staticmethod
    def _answer(connection: socket.socket) -> bool:
        said = b""
        while not said.endswith(b"\n"):
            piece = connection.recv(64)
            if not piece:
                raise ConnectionError("closed")
            said += piece
        return b"OK" in said
