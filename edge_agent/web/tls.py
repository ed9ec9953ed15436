"""The agent's own certificate for its page: made once, made anew when a name is missing or it runs out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.web.people import write_secret

_DAYS: Final = 820  # what browsers accept of a certificate that a person trusts by hand
_RENEW: Final = timedelta(days=30)
_UNTIL_CLOCK_IS_SET: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Valid from here on, so that a box whose clock was lost serves its page all the same."""


def own_certificate(folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """Certificate and key for these names and addresses, in `folder`. Raises OSError where they cannot be written."""
    cert, key = folder / "web-cert.pem", folder / "web-key.pem"
    wanted = _alternatives({"localhost", "127.0.0.1", *names})
    if not _still_good(cert, key, wanted):
        _make(cert, key, wanted)
    return cert, key


def fingerprint(cert: Path) -> str:
    """The SHA-256 fingerprint of a certificate, as browsers show it."""
    digest = x509.load_pem_x509_certificate(cert.read_bytes()).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in sorted(set(names)):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            found.append(x509.DNSName(name))
        else:
            if not address.is_unspecified:
                found.append(x509.IPAddress(address))
    return found


def _still_good(cert: Path, key: Path, wanted: list[x509.GeneralName]) -> bool:
    try:
        made = x509.load_pem_x509_certificate(cert.read_bytes())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    # cryptography 42 has the first, Debian 12's 38 the second only.
    ends = (
        made.not_valid_after_utc if hasattr(made, "not_valid_after_utc") else made.not_valid_after.replace(tzinfo=UTC)
    )
    return set(wanted) <= set(names) and datetime.now(UTC) < ends - _RENEW


def _make(cert: Path, key: Path, names: list[x509.GeneralName]) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trace-edge-agent")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, _UNTIL_CLOCK_IS_SET))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    write_secret(
        key,
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
    write_secret(cert, made.public_bytes(serialization.Encoding.PEM).decode())
