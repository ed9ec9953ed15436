"""Where a simulated device is plugged in: a pseudo terminal or a TCP port. Both can be unplugged and plugged again."""

from __future__ import annotations

import os
import select
import socket
import termios
import tty
from pathlib import Path
from typing import Final, Protocol

from hwsim.sockets import ReservedPort, abort, parse_address

CHUNK: Final = 4096
MAX_CLIENTS: Final = 4
GADGET_PATIENCE: Final = 5.0  # seconds that a report waits for a host that does not ask


class Port(Protocol):
    """One end of a line; the agent holds the other."""

    @property
    def name(self) -> str:
        """How the agent's configuration names it: `serial:PATH` or `tcp:HOST:PORT`."""

    def read(self, timeout: float) -> bytes:
        """What the host sent, waiting at most `timeout` seconds; `b""` when nothing came."""

    def write(self, data: bytes) -> int:
        """Send what somebody can hear, and return how many bytes that were; a line has no memory."""

    def unplug(self) -> None:
        """Pull the plug; the host's end goes dead."""

    def plug(self) -> None:
        """Put it in again; a pty gets another name, a link to it moves."""

    def close(self) -> None:
        """The end; may be called twice."""


class PtyPort:
    """A pseudo terminal in raw mode, with an optional symbolic link that plays the part of a by-id name."""

    def __init__(self, link: Path | None = None) -> None:
        self._link = link
        self._master, self._path = _open_pty()
        self._spare: tuple[int, str] | None = None
        self._plugged = True
        self._heard = False
        if link is not None:
            _point(link, self._path)

    @property
    def path(self) -> str:
        """The terminal's present path, e.g. `/dev/pts/7`."""
        return self._path

    @property
    def name(self) -> str:
        return f"serial:{self._link or self._path}"

    def read(self, timeout: float) -> bytes:
        if not self._plugged or not self._listening():
            if self._plugged and (left := self._left_behind()):
                return left
            # Without a listener the terminal reports a hang-up at once, so that waiting on it would spin.
            select.select([], [], [], min(timeout, 0.02))
            return b""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return b""
        try:
            return os.read(self._master, CHUNK)
        except (BlockingIOError, OSError):  # the host closed its end between poll and read (EIO)
            return b""

    def write(self, data: bytes) -> int:
        if not self._plugged or not self._listening():
            return 0
        try:
            return os.write(self._master, data)
        except OSError:  # the host does not read (EAGAIN) or has just closed (EIO): the bytes are lost on the line
            return 0

    def unplug(self) -> None:
        if not self._plugged:
            return
        self._plugged = False
        # Opened before the old one goes, so that the kernel cannot give the old name again.
        self._spare = _open_pty()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(self._master)

    def plug(self) -> None:
        if self._spare is None:
            return
        (self._master, self._path), self._spare = self._spare, None
        self._plugged = True
        self._heard = False
        if self._link is not None:
            _point(self._link, self._path)

    def close(self) -> None:
        self.unplug()
        if self._spare is not None:
            os.close(self._spare[0])
            self._spare = None

    def _listening(self) -> bool:
        poll = select.poll()
        poll.register(self._master, 0)
        heard = not any(event & select.POLLHUP for _, event in poll.poll(0))
        if self._heard and not heard:
            self._forget()
        self._heard = heard
        return heard

    def _left_behind(self) -> bytes:
        """What the host wrote before it closed its end: it is on the line and arrives."""
        try:
            return os.read(self._master, CHUNK)
        except OSError:
            return b""

    def _forget(self) -> None:
        """Throw away what the last listener left unread: the next one must not find old weights."""
        try:
            slave = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return  # somebody holds it exclusively; that one reads what there is
        try:
            termios.tcflush(slave, termios.TCIFLUSH)
        finally:
            os.close(slave)


def _open_pty() -> tuple[int, str]:
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        path = os.ttyname(slave)
    finally:
        os.close(slave)
    os.set_blocking(master, False)
    return master, path


def _point(link: Path, target: str) -> None:
    """Make or move a symbolic link in one step."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


class TcpPort:
    """A TCP server, as on a scale with Ethernet or a serial device server; up to four hosts hear the same bytes."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._reserved = ReservedPort(host, port)
        self._listener: socket.socket | None = self._reserved.listener()
        self._clients: list[socket.socket] = []
        self._closed = False

    @property
    def name(self) -> str:
        return f"tcp:{self._reserved.host}:{self._reserved.port}"

    def read(self, timeout: float) -> bytes:
        sources = [*self._clients, *([self._listener] if self._listener else [])]
        ready, _, _ = select.select(sources, [], [], min(timeout, 0.02) if not sources else timeout)
        received = b""
        for source in ready:
            if source is self._listener:
                self._accept(source)
            else:
                received += self._take(source)
        return received

    def write(self, data: bytes) -> int:
        written = 0
        for client in list(self._clients):
            try:
                written = max(written, client.send(data))
            except BlockingIOError:
                continue  # this host does not read; the bytes are lost for it
            except OSError:
                self._drop(client)
        return written

    def unplug(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for client in self._clients:
            abort(client)
        self._clients.clear()

    def plug(self) -> None:
        if self._listener is None and not self._closed:
            self._listener = self._reserved.listener()

    def close(self) -> None:
        self._closed = True
        self.unplug()
        self._reserved.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if len(self._clients) == MAX_CLIENTS:
            abort(client)
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients.append(client)

    def _take(self, client: socket.socket) -> bytes:
        try:
            data = client.recv(CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop(client)
        return data

    def _drop(self, client: socket.socket) -> None:
        self._clients.remove(client)
        client.close()


class GadgetPort:
    """The device's side of a USB HID gadget (`/dev/hidg0`): each write is one report of a real USB device.

    The kernel's Documentation/usb/gadget_hid.rst says how the gadget itself is made; here reports go through it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    @property
    def name(self) -> str:
        return f"hidg:{self._path}"

    def read(self, timeout: float) -> bytes:
        poll = select.poll()
        if self._fd < 0:
            return b""
        poll.register(self._fd, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return b""
        try:
            return os.read(self._fd, CHUNK)
        except OSError:  # nobody has the device open, or it is unplugged
            return b""

    def write(self, data: bytes) -> int:
        if self._fd < 0:
            return 0
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll(GADGET_PATIENCE * 1000)  # the host takes one report at a time
        try:
            return os.write(self._fd, data)
        except OSError:  # unplugged, or the host does not ask
            return 0

    def unplug(self) -> None:
        self.close()

    def plug(self) -> None:
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_port(text: str, *, link: Path | None = None) -> PtyPort | TcpPort | GadgetPort:
    """`pty`, `tcp:PORT`, `tcp:HOST:PORT` (port 0 = a free one) or `hidg:PATH`.

    Raises ValueError, or OSError when it is taken.
    """
    if text == "pty":
        return PtyPort(link)
    scheme, _, address = text.partition(":")
    if scheme == "hidg" and address:
        return GadgetPort(address)
    if scheme != "tcp" or not address:
        raise ValueError(f"port {text!r} is neither pty nor tcp:PORT nor hidg:/dev/hidg0")
    if link is not None:
        raise ValueError("a link can only point to a pty")
    return TcpPort(*parse_address(address))
