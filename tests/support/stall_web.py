"""A whole agent with its page for tests, its scale, scanner and card reader at the near ends of memory ports; and a
client that keeps its cookie and token as a browser does."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from drivers.transports.memory import offer
from edge_agent.agent import Agent
from edge_agent.preparing import prepare
from edge_agent.web.access import Role
from edge_agent.web.people import People
from edge_agent.web.setup import lan_address
from edge_agent.web.tokens import Tokens

PINS = {"operator": "7301", "supervisor": "7302", "maintainer": "7303"}
IDS = {"operator": "01", "supervisor": "02", "maintainer": "03"}
PATIENCE = 30.0

_names = itertools.count()

_CONFIG = """\
[gateway]
id = "box-1"
site = "market-3"
[store]
path = "{folder}/records.db"
[[device]]
id = "scale-1"
driver = "st-gs"
port = "memory:{name}-scale"
[[device]]
id = "scanner-1"
driver = "serial-scanner"
port = "memory:{name}-scanner"
[[station]]
id = "A12"
mode = "sale"
party = "1234567890123"
devices = ["scale-1", "scanner-1"]
[[station]]
id = "door"
mode = "intake"
party = "1234567890123"
devices = ["scanner-1"]
[[station]]
id = "lab"
mode = "inspection"
devices = ["scanner-1"]
[web]
listen = "{listen}"
{web}
"""


class WebStall:
    """An agent in this process and its page. `web` is more of the section [web], `more` further sections."""

    def __init__(
        self, folder: Path, port: int, *, web: str = "", more: str = "", host: str = "127.0.0.1", api: bool = True
    ) -> None:
        name = f"stall-{next(_names)}"
        self.folder = folder
        self.port = port
        self.scale, self.scanner = offer(f"{name}-scale"), offer(f"{name}-scanner")
        self.file = folder / "agent.toml"
        if api:
            web += f'\ntoken_file = "{folder}/tokens.json"'
        config = _CONFIG.format(folder=folder, name=name, listen=f"{host}:{port}", web=web) + more
        self.file.write_text(config)
        self.agent = Agent(*prepare(self.file))
        self.agent.start()
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, "the page is not served"
            time.sleep(0.02)

    def weigh(self, *texts: str) -> None:
        """What the scale shows, frame by frame."""
        for text in texts:
            self.scale.write(f"ST,GS,+{text:>7}kg\r\n".encode())

    def scan(self, text: str) -> None:
        """What the scanner reads."""
        self.scanner.write(text.encode() + b"\r")

    def client(self, *, lan: bool = False, tls: bool = False, address: str | None = None) -> Client:
        """A browser, at the box itself or on the network."""
        return Client(address or (network_address() if lan else "127.0.0.1"), self.port, tls=tls)

    def until(self, holds: Callable[[], Any], what: str = "it did not come about") -> Any:
        """Wait until something holds, and give what it gave."""
        deadline = time.monotonic() + PATIENCE
        while True:
            value = holds()
            if value:
                return value
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    def view(self, station: str = "A12") -> Any:
        """The newest view of a station."""
        return self.agent.views()[station]

    def close(self) -> None:
        """Stop everything."""
        self.agent.stop()
        self.scale.close()
        self.scanner.close()


def network_address() -> str:
    """An address of this machine that is not loopback."""
    found = lan_address()
    assert not found.startswith("127."), (
        "this machine has no network besides loopback: a page on the LAN cannot be tried"
    )
    return found


def with_people(folder: Path) -> str:
    """A PIN file with one person of each role; returns the line of [web] that names it."""
    people = People(folder / "pins.json")
    for role, pin in PINS.items():
        people.put(IDS[role], name=f"{role} 王", role=Role(role), pin=pin)
    return f'pin_file = "{folder}/pins.json"'


def new_token(folder: Path, *scopes: str, name: str = "pos-1") -> str:
    """A token for the local API."""
    return Tokens(folder / "tokens.json").new(name, scopes, "2026-11-26T00:00:00.000+08:00")


class Client:
    """Asks the page's server as a browser does: cookie, CSRF token, JSON."""

    def __init__(self, host: str, port: int, *, tls: bool = False) -> None:
        self.host, self.port, self.tls = host, port, tls
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    @property
    def cookie(self) -> str | None:
        """The header that a browser would send."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None

    @cookie.setter
    def cookie(self, header: str | None) -> None:
        pairs = (each.strip().partition("=") for each in (header or "").split(";") if each.strip())
        self.cookies = {name: value for name, _, value in pairs}

    def take_cookie(self, header: str | None) -> None:
        """An answer's Set-Cookie."""
        if header is not None:
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        """A connection to the server."""
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """The headers of a request."""
        mine = {"X-CSRF-Token": self.csrf, "Content-Type": "application/json"}
        if self.cookie is not None:
            mine["Cookie"] = self.cookie
        return {**mine, **(more or {})}

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """One request; the answer's status and JSON."""
        connection = self.connection()
        try:
            data = None if method == "GET" else json.dumps({} if body is None else body).encode()
            connection.request(method, path, data, self.headers(headers))
            answer = connection.getresponse()
            self.take_cookie(answer.getheader("set-cookie"))
            text = answer.read()
        finally:
            connection.close()
        value = json.loads(text) if text[:1] in (b"{", b"[") else text
        if isinstance(value, dict) and "csrf" in value:
            self.csrf = value["csrf"]
        return answer.status, value

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """GET."""
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """POST; a session is opened first where there is none."""
        if self.cookie is None:
            self.get("/api/session")
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def sign_in(self, role: str, **more: Any) -> tuple[int, Any]:
        """Sign in as the person of a role."""
        return self.post("/api/sign-in", {"person": IDS[role], "pin": PINS[role], **more})

    def do(self, command: str, station: str = "A12", **arguments: Any) -> tuple[int, Any]:
        """A command of a station."""
        return self.post(f"/api/stations/{station}/{command}", {"arguments": arguments})


class Stream:
    """An open stream of events, read by a thread of its own."""

    def __init__(self, client: Client, path: str = "/api/events", last: str | None = None) -> None:
        self.events: list[tuple[str, str, Any]] = []
        self.times: list[float] = []
        self.ended = threading.Event()
        self.newest_id = last or ""
        """The newest id that was drained."""
        self._connection = client.connection(timeout=60.0)
        headers = client.headers({} if last is None else {"Last-Event-ID": last})
        self._connection.request("GET", path, None, headers)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.status == 200:
            self._thread.start()

    def _read(self) -> None:
        event_id = name = ""
        try:
            for raw in self._answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("id: "):
                    event_id = line[4:]
                elif line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.times.append(time.perf_counter())
                    self.events.append((name, event_id, json.loads(line[6:])))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        finally:
            self.ended.set()

    def drain(self) -> list[tuple[str, str, Any]]:
        """What has come since the last time, forgotten by that."""
        count = len(self.events)
        taken = self.events[:count]
        del self.events[:count], self.times[:count]
        self.newest_id = next((event_id for _, event_id, _ in reversed(taken) if event_id), self.newest_id)
        return taken

    def named(self, name: str) -> list[Any]:
        """The data of the events of this name that have come."""
        return [data for each, _, data in list(self.events) if each == name]

    @property
    def last_id(self) -> str:
        """The id of the newest event that has one."""
        return next((event_id for _, event_id, _ in reversed(list(self.events)) if event_id), "")

    def close(self) -> None:
        """Close the connection, as a phone does that goes to sleep."""
        sock = self._connection.sock
        with contextlib.suppress(OSError, AttributeError):
            (sock or self._answer.fp.raw._sock).shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self.ended.wait(PATIENCE)


@contextlib.contextmanager
def stall(folder: Path, port: int, **more: Any) -> Iterator[WebStall]:
    """A stall for as long as the block runs."""
    made = WebStall(folder, port, **more)
    try:
        yield made
    finally:
        made.close()
