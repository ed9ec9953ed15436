"""TLS and passwords against a real Mosquitto, with a certificate authority of our own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.uplink import LinkState, TlsSettings

Start = Callable[..., Any]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, other-ca.pem, and server.pem for `localhost` with its key."""
    folder = tmp_path_factory.mktemp("keys")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        openssl(
            folder,
            "req",
            "-x509",
            *ec,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
        )
    for name, subject in (("server", "localhost"), ("client", "gw-1")):
        openssl(folder, "req", *ec, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        (folder / "names").write_text(f"subjectAltName=DNS:{subject}\n")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o755)
    return folder


def listener(keys: Path, *more: str) -> list[str]:
    return [f"cafile {keys}/ca.pem", f"certfile {keys}/server.pem", f"keyfile {keys}/server.key", *more]


def test_a_certificate_of_the_right_authority_and_name_is_accepted(
    store: Any, mosquitto: Start, relay: Start, wait: Start, keys: Path
) -> None:
    broker = mosquitto(listener=listener(keys, "require_certificate true"))
    own = TlsSettings(ca=keys / "ca.pem", cert=keys / "client.pem", key=keys / "client.key")
    link = relay(store, broker.port, host="localhost", tls=own)
    wait(lambda: link.status().state is LinkState.CONNECTED)
    assert link.stop(5)
    without = relay(store, broker.port, host="localhost", tls=TlsSettings(ca=keys / "ca.pem"))
    wait(lambda: without.status().reason != "not started")
    assert without.status().state is not LinkState.CONNECTED


@pytest.mark.parametrize(
    ("host", "ca", "words"),
    [
        ("localhost", "other-ca.pem", "CERTIFICATE_VERIFY_FAILED"),
        ("127.0.0.1", "ca.pem", "IP address mismatch"),
        ("localhost", None, "CERTIFICATE_VERIFY_FAILED"),
        ("localhost", "missing.pem", "No such file"),
    ],
)
def test_anything_else_is_refused_and_the_records_stay(
    store: Any, mosquitto: Start, relay: Start, wait: Start, keys: Path, host: str, ca: str | None, words: str
) -> None:
    broker = mosquitto(listener=listener(keys))
    store.keep(3)
    link = relay(store, broker.port, host=host, tls=TlsSettings(ca=keys / ca if ca else None))
    wait(lambda: words in link.status().reason)
    assert link.status().state is not LinkState.CONNECTED
    assert store.box.counts().pending == 3


def test_a_password_is_read_from_its_file_and_a_wrong_one_is_told(
    store: Any, mosquitto: Start, relay: Start, wait: Start, tmp_path: Path
) -> None:
    secrets = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(secrets), "gw-1", "right"], check=True, capture_output=True)
    secrets.chmod(0o644)
    broker = mosquitto([f"password_file {secrets}", "allow_anonymous false"])
    file = tmp_path / "password"
    file.write_text("wrong\n")
    link = relay(store, broker.port, username="gw-1", password_file=file)
    wait(lambda: "Not authorized" in link.status().reason)
    file.write_text("right\n")
    wait(lambda: link.status().state is LinkState.CONNECTED)
