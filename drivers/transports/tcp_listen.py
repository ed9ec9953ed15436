"""A device that connects to the agent: label scales with a network card that push what they weigh.

    tcp-listen:0.0.0.0:8899?keepalive=10

One device at a time. Where it connects anew while an older connection is still held, for it had lost its power, the
old one is given up and the new one read. Before the first connection there is simply nothing to read.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from collections.abc import Mapping
from typing import Final

from drivers.port_settings import host_and_port, number, refuse_unknown
from edge_agent.driver import READ_LIMIT, BadSettings, Busy, Disconnected, PermissionDenied, PortUrl, TransportSpec

_PROBES: Final = 3


class TcpListenTransport:
    """One listening port; see `edge_agent.driver.Transport`. `keepalive` is in seconds."""

    def __init__(self, host: str, port: int, keepalive: float) -> None:
        self._address = (host, port)
        self._keepalive = keepalive
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        where = f"{self._address[0]}:{self._address[1]}"
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._address)
            listener.listen(4)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise Busy(f"port {where} is in use by another program") from error
            if error.errno == errno.EACCES:
                raise PermissionDenied(f"port {where} may not be used by this user; one above 1023 may") from error
            raise BadSettings(f"cannot listen on {where}: {error}") from error
        listener.setblocking(False)
        self._listener = listener

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`."""
        if self._listener is None:
            raise Disconnected("the port is not open")
        until = time.monotonic() + timeout
        while True:
            wanted = [one for one in (self._listener, self._peer) if one is not None]
            ready, _, _ = select.select(wanted, [], [], max(0.0, until - time.monotonic()))
            if self._peer in ready:
                return self._receive(self._peer)
            if self._listener not in ready:
                return b""
            self._accept(self._listener)

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`. What nobody is there to hear is lost: the device asks again."""
        peer, until = self._peer, time.monotonic() + timeout
        while data and peer is not None:
            _, ready, _ = select.select([], [peer], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise Disconnected(f"the device took nothing for {timeout:g} s")
            try:
                data = data[peer.send(data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Disconnected(f"the connection broke: {error}") from error

    def close(self) -> None:
        """See `Transport.close`."""
        for one in (self._peer, self._listener):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.close()
        self._peer = self._listener = None

    def _receive(self, peer: socket.socket | None) -> bytes:
        assert peer is not None
        try:
            data = peer.recv(READ_LIMIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Disconnected(f"the connection broke: {error}") from error
        if not data:
            raise Disconnected("the device closed the connection")
        return data

    def _accept(self, listener: socket.socket) -> None:
        if self._peer is not None:
            # Its half a packet must not be joined to the new connection's: everything begins anew.
            raise Disconnected("the device connected anew; its old connection is given up")
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(self._keepalive)))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(self._keepalive / _PROBES)))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        self._peer = peer


def _make(url: PortUrl, line: Mapping[str, str]) -> TcpListenTransport:
    refuse_unknown(url, ("keepalive",))
    host, port = host_and_port(url.address, url.scheme)
    return TcpListenTransport(host, port, number(url.settings(), "keepalive", 10, 1, 3600))


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(
    scheme="tcp-listen", title="A device that connects to the agent, tcp-listen:ADDRESS:PORT", check=_check, make=_make
)
