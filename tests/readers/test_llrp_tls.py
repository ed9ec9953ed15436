"""A reader that takes TLS only (LLRP's port 5085): socat and OpenSSL in front of the simulated one."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from drivers import bundle
from drivers.session import DeviceSession
from edge_agent.driver import BadSettings, Disconnected, PortUrl
from edge_agent.model import DeviceEvent, TagRead
from hwsim.rfid.field import Field, make_tags
from hwsim.rfid.llrp import LlrpReader
from hwsim.sockets import ReservedPort

PATIENCE = 30.0
SPECS = {spec.id: spec for spec in bundle().drivers}
TCP = {spec.scheme: spec for spec in bundle().transports}["tcp"]


def certificate(file: Path, name: str, *, address: str | None = None) -> Path:
    """A certificate that signs itself, with its key, as readers bring one along."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if address is not None:
        names.append(x509.IPAddress(ipaddress.ip_address(address)))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + secret)
    return file


class Secured:
    """A reader behind TLS."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.own = certificate(folder / "reader.pem", "gate-1", address="127.0.0.1")
        self.reader = LlrpReader(Field(make_tags(10), missed=0.2, rate=100.0)).start()
        reserved = ReservedPort("127.0.0.1", 0)
        self.port = reserved.port
        reserved.close()
        words = ",".join([f"OPENSSL-LISTEN:{self.port}", "reuseaddr", "fork", "bind=127.0.0.1", f"cert={self.own}"])
        listen = ",".join([words, *(options or ("verify=0",))])
        self._socat = subprocess.Popen(["socat", listen, f"TCP:{self.reader.name.removeprefix('tcp:')}"])

    def session(self, **settings: str) -> DeviceSession:
        query = "&".join(f"{key}={value}" for key, value in settings.items())
        url = PortUrl.parse(f"tcp:127.0.0.1:{self.port}?{query}")
        return DeviceSession(TCP.make(url, {}), SPECS["llrp"].make({"keepalive_s": 1}))

    def opened(self, **settings: str) -> DeviceSession:
        """A session, however long socat takes to listen."""
        until = time.monotonic() + PATIENCE
        while True:
            reading = self.session(**settings)
            try:
                reading.open()
                return reading
            except Disconnected:
                assert time.monotonic() < until
                time.sleep(0.05)

    def close(self) -> None:
        self._socat.terminate()
        self._socat.wait(10)
        self.reader.stop()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    made = Secured(tmp_path)
    yield made
    made.close()


def read_until(reading: DeviceSession, enough: Callable[[list[DeviceEvent]], bool]) -> list[DeviceEvent]:
    events: list[DeviceEvent] = []
    until = time.monotonic() + PATIENCE
    while not enough(events):
        assert time.monotonic() < until, len(events)
        events += reading.read(0.2)
    return events


def all_ten(events: list[DeviceEvent]) -> bool:
    return len({event.tag_id for event in events if isinstance(event, TagRead)}) == 10


def test_a_reader_is_read_over_tls_and_its_end_is_noticed(secured: Secured) -> None:
    reading = secured.opened(tls=str(secured.own))
    read_until(reading, lambda events: all_ten(events) and secured.reader.keepalives > 1)
    assert secured.reader.wrong == []
    secured.reader.drop()
    with pytest.raises(Disconnected):
        read_until(reading, lambda _: False)
    reading.close()


def test_a_silence_under_tls_is_a_silence(secured: Secured) -> None:
    reading = secured.opened(tls=str(secured.own), tls_name="gate-1")
    read_until(reading, all_ten)
    secured.reader.silence()
    with pytest.raises(Disconnected, match="no keepalive came"):
        read_until(reading, lambda _: False)
    reading.close()


@pytest.mark.parametrize(
    ("trust", "name", "why"),
    [
        ("other.pem", "gate-1", "self-signed certificate|self signed certificate"),
        ("reader.pem", "gate-2", "gate-2"),
        ("system", "any", "self-signed certificate|self signed certificate"),
    ],
)
def test_a_certificate_that_is_not_believed_is_told(
    secured: Secured, tmp_path: Path, trust: str, name: str, why: str
) -> None:
    certificate(tmp_path / "other.pem", "gate-1")
    secured.opened(tls=str(secured.own)).close()
    reading = secured.session(tls="system" if trust == "system" else str(tmp_path / trust), tls_name=name)
    with pytest.raises(BadSettings, match=f"its certificate is not believed: .*({why})"):
        reading.open()


def test_a_reader_may_ask_for_the_box_s_certificate(tmp_path: Path) -> None:
    box = certificate(tmp_path / "box.pem", "box-1")
    secured = Secured(tmp_path, f"cafile={box}", "verify=1")
    try:
        reading = secured.opened(tls=str(secured.own), tls_name="any", tls_cert=str(box))
        read_until(reading, all_ten)
        reading.close()
        without = secured.session(tls=str(secured.own))
        with pytest.raises(Disconnected):
            without.open()
            read_until(without, lambda _: False)
        without.close()
    finally:
        secured.close()


def test_a_port_without_tls_is_told(tmp_path: Path) -> None:
    own = certificate(tmp_path / "reader.pem", "gate-1")
    with LlrpReader(Field([])) as reader:
        url = PortUrl.parse(f"{reader.name}?tls={own}&connect_timeout=2")
        with pytest.raises(Disconnected, match="no TLS handshake"):
            TCP.make(url, {}).open()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("tls=/nowhere.pem", "tls=/nowhere.pem: there is no such file; one with certificates in PEM form"),
        ("tls={empty}", "does not hold certificates in PEM form"),
        ("tls={own}&tls_cert={empty}", "does not hold a certificate and its key in PEM form"),
        ("tls_name=x", "tls_name: is of no use without tls=FILE"),
    ],
)
def test_files_that_do_not_fit_are_found_when_the_configuration_is_read(query: str, told: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    own = certificate(tmp_path / "own.pem", "gate-1")
    url = PortUrl.parse(f"tcp:127.0.0.1:5085?{query.format(empty=empty, own=own)}")
    with pytest.raises(ValueError, match=told):
        TCP.check(url, {})


def test_a_file_that_is_gone_later_is_told_and_not_a_crash(secured: Secured) -> None:
    secured.opened(tls=str(secured.own)).close()
    secured.own.unlink()
    with pytest.raises(BadSettings, match="there is no such file"):
        secured.session(tls=str(secured.own)).open()
