"""From the configuration to a server: certificate, people, names."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from edge_agent.config import Web as WebSection
from edge_agent.facade import Facade
from edge_agent.web.app import WebSettings
from edge_agent.web.people import People, write_secret
from edge_agent.web.server import Listen, WebServer
from edge_agent.web.tls import own_certificate
from edge_agent.web.tokens import Tokens


def make_server(section: WebSection, store: Path, agent: Facade, beat: Callable[[], None]) -> WebServer:
    """The page's server. Raises OSError where its certificate cannot be read or made."""
    host, port = section.address
    reached = lan_address() if host in ("0.0.0.0", "::") else host
    certificate = None
    if section.tls is True:
        certificate = own_certificate(store.parent, [reached, host, *section.names])
    elif section.tls is not False:
        certificate = (Path(section.tls.cert), Path(section.tls.key))
    scheme = "https" if certificate is not None else "http"
    name = f"[{reached}]" if ":" in reached else reached
    settings = WebSettings(
        url=f"{scheme}://{name}:{port}/",
        pay_key=_pay_key(Path(f"{store}.pay-key")),
        tokens=None if section.token_file is None else Tokens(Path(section.token_file)),
        people=None if section.pin_file is None else People(Path(section.pin_file)),
        names=frozenset(each.lower() for each in section.names),
        at_scale=frozenset(section.at_scale),
        idle_lock=float(section.idle_lock),
        secure=certificate is not None,
        local=not section.on_lan,
        public_board=section.public_board,
    )
    return WebServer(Listen(host=host, port=port, certificate=certificate), agent, settings, beat)


def _pay_key(path: Path) -> bytes:
    """The key under which references of payments are digested; made with the first start. Raises OSError."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (FileNotFoundError, ValueError):
        key = b""
    if len(key) < 32:
        key = secrets.token_bytes(32)
        write_secret(path, key.hex() + "\n")
    return key


def lan_address() -> str:
    """The address by which this box is reached on its network; the loopback address where it is on none.

    Nothing is sent: connecting a datagram socket only chooses a route.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
