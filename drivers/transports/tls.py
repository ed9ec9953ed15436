"""TLS over a device's TCP connection: which certificates are believed, and what its troubles mean.

tls=/etc/trace-edge-agent/reader.pem     certificates to believe: of an authority, or the device's own
tls=system                               those of the operating system
tls_name=gate-1.example                  the name that the certificate must bear; without it the host of the port;
                                         any: none, for a device's own certificate
tls_cert=/etc/trace-edge-agent/box.pem   this box's certificate and key, where the device asks for one
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.driver import BadSettings, Disconnected

KEYS: Final = ("tls", "tls_name", "tls_cert")
WANTS_MORE: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_SYSTEM, _ANY = "system", "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a connection is secured."""

    trust: str
    name: str | None
    certificate: str | None

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Tls | None:
        """What a port says; None without TLS. Raises ValueError for settings that do not go together."""
        trust = settings.get("tls")
        if trust is None:
            for key in KEYS[1:]:
                if key in settings:
                    raise ValueError(f"{key}: is of no use without tls=FILE or tls={_SYSTEM}")
            return None
        return cls(trust=trust, name=settings.get("tls_name"), certificate=settings.get("tls_cert"))

    def context(self) -> ssl.SSLContext:
        """Raises ValueError, with the file, where one of them is not there or holds no certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.name != _ANY
        if self.trust == _SYSTEM:
            context.load_default_certs()
        else:
            _loaded(self.trust, "tls", "certificates", lambda: context.load_verify_locations(self.trust))
        own = self.certificate
        if own is not None:
            _loaded(own, "tls_cert", "a certificate and its key", lambda: context.load_cert_chain(own))
        return context

    def secure(self, connection: socket.socket, host: str, where: str) -> ssl.SSLSocket:
        """Shake hands within the connection's time-out. Raises `BadSettings` or `Disconnected`."""
        try:
            name = host if self.name in (None, _ANY) else self.name
            return self.context().wrap_socket(connection, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise BadSettings(
                f"{where}: its certificate is not believed: {error.verify_message}; tls={self.trust} tells which are, "
                f"tls_name the name in it ({self.name or host})"
            ) from error
        except ValueError as error:
            raise BadSettings(f"{where}: {error}") from error
        except TimeoutError as error:
            raise Disconnected(f"{where}: no TLS handshake came about in time; is this a port with TLS?") from error
        except OSError as error:
            raise Disconnected(f"{where}: no TLS handshake: {error}") from error


def _loaded(file: str, key: str, what: str, load: Callable[[], None]) -> None:
    if not Path(file).is_file():
        raise ValueError(f"{key}={file}: there is no such file; one with {what} in PEM form would be right")
    try:
        load()
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{key}={file}: does not hold {what} in PEM form: {error}") from error
