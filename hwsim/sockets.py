"""A loopback or LAN TCP port that stays ours while nobody listens on it."""

from __future__ import annotations

import socket
import struct


class ReservedPort:
    """A port held by a bound socket that never listens.

    While no listener is open, connecting is refused, as with a device or a network that is away, and no other
    program can take the port. Port 0 takes a free one; `port` tells which.
    """

    def __init__(self, host: str, port: int) -> None:
        self._holder = self._bound(host, port)
        self.host = host
        self.port: int = self._holder.getsockname()[1]

    def listener(self) -> socket.socket:
        """A new non-blocking listening socket on the port; the caller closes it."""
        listener = self._bound(self.host, self.port)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def close(self) -> None:
        """Give the port up."""
        self._holder.close()

    @staticmethod
    def _bound(host: str, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Both the holder and the listener are bound to the port at once.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((host, port))
        except OSError:
            bound.close()
            raise
        return bound


def abort(connection: socket.socket) -> None:
    """Close with a reset instead of a FIN, as a peer that crashed would."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass  # already gone
    finally:
        connection.close()


def parse_address(text: str, *, default_host: str = "127.0.0.1") -> tuple[str, int]:
    """`HOST:PORT` or `PORT`. Raises ValueError with what would be right."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host or default_host, int(port)
