"""A device behind a TCP port: scales with a network card, serial device servers in raw mode.

    tcp:192.168.1.50:4001?connect_timeout=5&keepalive=10&user_timeout=15
    tcp:192.168.1.60:5085?tls=/etc/trace-edge-agent/reader.pem              over TLS, see `drivers.transports.tls`

A device server that is set to eight bits while its instrument speaks seven with parity passes the parity on in bit 7 of
every byte: `bytesize=7&parity=E` (or O, M, S) takes it off and puts it on what is written. A byte with the wrong parity
becomes FF, which is part of no text, so that the frame around it is refused.

A peer that vanishes without a word (power cut, pulled cable) is noticed by keepalive probes, and by
TCP_USER_TIMEOUT while something written is unacknowledged (tcp(7)).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from drivers.port_settings import choice, host_and_port, number, refuse_unknown
from drivers.transports import tls
from edge_agent.driver import READ_LIMIT, Disconnected, PermissionDenied, PortUrl, TransportError, TransportSpec

_KEYS: Final = ("bytesize", "connect_timeout", "keepalive", "parity", "user_timeout", *tls.KEYS)
_HIGH_BIT: Final[Mapping[str, Callable[[int], int]]] = MappingProxyType(
    {
        "E": lambda byte: byte.bit_count() & 1,
        "O": lambda byte: ~byte.bit_count() & 1,
        "M": lambda _: 1,
        "S": lambda _: 0,
    }
)
_WRONG_PARITY: Final = 0xFF
_PROBES: Final = 3


class TcpTransport:
    """One TCP connection; see `edge_agent.driver.Transport`. All times are in seconds, `parity` one of E, O, M, S."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout: float,
        keepalive: float,
        user_timeout: float,
        parity: str | None = None,
        secured: tls.Tls | None = None,
    ) -> None:
        self._address = (host, port)
        self._secured = secured
        self._outwards = bytes(range(256))
        self._inwards = self._outwards
        if parity is not None:
            seven = [byte | _HIGH_BIT[parity](byte) << 7 for byte in range(128)]
            self._outwards = bytes(seven * 2)
            self._inwards = bytes(b & 0x7F if b == seven[b & 0x7F] else _WRONG_PARITY for b in range(256))
        self._connect_timeout = connect_timeout
        self._keepalive = keepalive
        self._user_timeout = user_timeout
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        where = f"{self._address[0]}:{self._address[1]}"
        try:
            connection = socket.create_connection(self._address, timeout=self._connect_timeout)
        except PermissionError as error:
            raise PermissionDenied(f"{where}: the system forbids this connection (firewall?)") from error
        except OSError as error:
            raise Disconnected(f"{where}: cannot connect: {error}") from error
        if self._secured is not None:
            try:
                connection = self._secured.secure(connection, self._address[0], where)
            except TransportError:
                connection.close()
                raise
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(self._keepalive)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(self._keepalive / _PROBES)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._user_timeout * 1000))
        self._socket = connection

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        connection = self._connected()
        try:
            if not _decrypted(connection) and not _wait(connection, select.POLLIN, timeout):
                return b""
            data = connection.recv(READ_LIMIT)
        except (BlockingIOError, *tls.WANTS_MORE):
            return b""
        except (OSError, ValueError) as error:
            raise Disconnected(f"the connection broke: {error}") from error
        if not data:
            raise Disconnected("the far end closed the connection")
        return data.translate(self._inwards)

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`."""
        connection = self._connected()
        until = time.monotonic() + timeout
        rest, event = memoryview(data.translate(self._outwards)), select.POLLOUT
        while rest:
            try:
                if not _wait(connection, event, until - time.monotonic()):
                    raise Disconnected(f"the far end took nothing for {timeout:g} s")
                event = select.POLLOUT
                rest = rest[connection.send(rest) :]
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except (BlockingIOError, ssl.SSLWantWriteError):
                continue
            except (OSError, ValueError) as error:
                raise Disconnected(f"the connection broke: {error}") from error

    def close(self) -> None:
        """See `Transport.close`."""
        connection, self._socket = self._socket, None
        if connection:
            with contextlib.suppress(OSError):
                connection.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise Disconnected("the connection is not open")
        return self._socket


def _decrypted(connection: socket.socket) -> bool:
    """Whether bytes wait that were received already; the system's poll does not know of them."""
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0


def _wait(connection: socket.socket, event: int, timeout: float) -> bool:
    poller = select.poll()
    poller.register(connection, event)
    return bool(poller.poll(max(0.0, timeout) * 1000))


def _make(url: PortUrl, line: Mapping[str, str]) -> TcpTransport:
    refuse_unknown(url, _KEYS)
    host, port = host_and_port(url.address, url.scheme)
    settings = url.settings()
    bits = choice(settings, "bytesize", "8", ("7", "8"))
    parity = choice(settings, "parity", "N", ("N", *_HIGH_BIT))
    if (bits == "7") != (parity != "N"):
        raise ValueError(
            f"bytesize={bits}&parity={parity} is not possible on tcp; bytesize=7 with a parity of E, O, M or S, or "
            "neither, would be right"
        )
    return TcpTransport(
        host,
        port,
        connect_timeout=number(settings, "connect_timeout", 5, 0.1, 60),
        keepalive=number(settings, "keepalive", 10, 1, 3600),
        user_timeout=number(settings, "user_timeout", 15, 1, 3600),
        parity=None if parity == "N" else parity,
        secured=tls.Tls.of(settings),
    )


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)
    secured = tls.Tls.of(url.settings())
    if secured is not None:
        secured.context()  # the files are there


SPEC = TransportSpec(scheme="tcp", title="TCP connection, tcp:HOST:PORT", check=_check, make=_make)
