"""The proxy between real ends: paho and Mosquitto, or plain sockets where bytes must be counted."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from hwsim.chaos import ChaosProxy
from hwsim.mqtt_stream import PubackFilter


class Echo:
    """A server that sends back what it gets, and notes when a connection ended."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()[:2]
        self.ended = threading.Event()
        self.got = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while data := client.recv(65536):
                self.got += data
                client.sendall(data)
        self.ended.set()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def proxied(echo: Echo) -> Iterator[Callable[..., tuple[ChaosProxy, Callable[[], socket.socket]]]]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> tuple[ChaosProxy, Callable[[], socket.socket]]:
            proxy = stack.enter_context(ChaosProxy(echo.address, **options))

            def connect() -> socket.socket:
                return stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 5))

            return proxy, connect

        yield make


def says(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        chunk = client.recv(65536)
        if not chunk:
            break
        got += chunk
    return got


def read_to_the_end(client: socket.socket) -> None:
    while client.recv(100):
        pass


def counted(proxy: ChaosProxy, counter: str, least: int) -> None:
    """Wait until the proxy has counted so much."""
    deadline = time.monotonic() + 10
    while proxy.counters[counter] < least:
        assert time.monotonic() < deadline, proxy.counters
        time.sleep(0.005)


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    return False


def test_it_forwards_unharmed_until_it_is_asked(proxied: Any) -> None:
    proxy, connect = proxied()
    data = random.Random(1).randbytes(300_000)
    client = connect()
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    got = b""
    while len(got) < len(data):
        got += client.recv(65536)
    sender.join()
    assert got == data
    assert proxy.unhit == []
    assert (proxy.counters["bytes_up"], proxy.counters["bytes_down"]) == (300_000, 300_000)


def test_an_orderly_end_is_passed_on(proxied: Any, echo: Echo) -> None:
    _, connect = proxied()
    client = connect()
    assert says(client, b"hello") == b"hello"
    client.close()
    assert echo.ended.wait(5)


def test_cut_resets_and_welcomes_new_ones(proxied: Any) -> None:
    proxy, connect = proxied()
    client = connect()
    says(client, b"x")
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert says(connect(), b"again") == b"again"
    assert proxy.counters["cut"] == 1


def test_block_takes_the_network_away_and_unblock_brings_it_back_on_the_same_port(proxied: Any) -> None:
    proxy, connect = proxied()
    client = connect()
    says(client, b"x")
    port = proxy.port
    assert proxy.block() == 1
    assert proxy.mode == "block"
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect()
    proxy.unblock()
    assert proxy.port == port
    assert says(connect(), b"back") == b"back"


def test_half_open_swallows_without_a_word(proxied: Any, echo: Echo) -> None:
    proxy, connect = proxied()
    client = connect()
    says(client, b"x")
    assert proxy.half_open() == 1
    client.sendall(b"into the void")
    assert is_silent(client)
    late = connect()
    late.sendall(b"me too")
    assert is_silent(late)
    assert echo.got == b"x"
    assert not echo.ended.is_set()
    assert proxy.counters["half_open"] == 2
    counted(proxy, "half_open_bytes", 13 + 6)
    proxy.normal()
    for each in (client, late):
        each.settimeout(5)
        with pytest.raises(ConnectionResetError):
            each.recv(1)
    assert says(connect(), b"well") == b"well"


def test_half_open_hides_the_end_of_the_broker(proxied: Any) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with ChaosProxy(server.getsockname()[:2]) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port), 5)
        far, _ = server.accept()
        proxy.half_open()
        far.close()
        assert is_silent(client)
        client.close()
    server.close()


def test_a_stall_loses_nothing(proxied: Any, echo: Echo) -> None:
    proxy, connect = proxied()
    client = connect()
    says(client, b"x")
    proxy.stall()
    client.sendall(b"later")
    counted(proxy, "stall", 1)
    assert is_silent(client)
    proxy.normal()
    client.settimeout(5)
    assert client.recv(5) == b"later"


def test_cut_after_passes_exactly_so_many_bytes(proxied: Any, echo: Echo) -> None:
    proxy, connect = proxied(cut_after=10)
    client = connect()
    client.sendall(b"0123456789abcdef")
    with pytest.raises(ConnectionResetError):
        read_to_the_end(client)
    assert proxy.counters["cut_after"] == 1
    assert proxy.counters["bytes_up"] + proxy.counters["bytes_down"] == 10
    assert echo.ended.wait(5)
    assert echo.got == b"0123456789"[: len(echo.got)]


def test_latency_delays_each_direction(proxied: Any) -> None:
    proxy, connect = proxied(latency_ms=60)
    client = connect()
    began = time.monotonic()
    assert says(client, b"x") == b"x"
    assert time.monotonic() - began >= 0.12
    assert proxy.counters["latency"] == 2


def test_a_fault_that_never_hit_is_seen(proxied: Any) -> None:
    proxy, _ = proxied(eat_pubacks=0.3, cut_after=100)
    assert proxy.unhit == ["cut_after", "eat_pubacks"]
    proxy.cut()
    assert proxy.unhit == ["cut", "cut_after", "eat_pubacks"]
    assert proxy.counters["cut"] == 0


def test_a_broker_that_is_away_ends_the_connection() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with ChaosProxy(nobody.getsockname()) as proxy:
            # The reset may come before the connection is ours.
            with (
                contextlib.suppress(ConnectionResetError),
                socket.create_connection(("127.0.0.1", proxy.port), 5) as client,
            ):
                assert client.recv(1) == b""
            assert proxy.counters["upstream_refused"] == 1


def test_the_port_may_be_taken(echo: Echo) -> None:
    with pytest.raises(OSError, match="in use"):
        ChaosProxy(echo.address, listen=echo.address[1]).start()
    with pytest.raises(ValueError, match="0 to 1"):
        ChaosProxy(echo.address, eat_pubacks=30)


def publish(port: int, count: int, protocol: int) -> tuple[mqtt.Client, set[int]]:
    """Publish on a connection and return the client and the message ids that were acknowledged so far."""
    acknowledged: set[int] = set()
    up = threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=protocol)
    client.max_inflight_messages_set(count)
    client.on_connect = lambda *_: up.set()
    client.on_publish = lambda _c, _u, mid, _r, _p: acknowledged.add(mid)
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert up.wait(10)
    for number in range(count):
        client.publish("a/b", str(number).encode(), qos=1)
    return client, acknowledged


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_pubacks_vanish_for_real(mosquitto: Any, protocol: int) -> None:
    with ChaosProxy(("127.0.0.1", mosquitto.port), eat_pubacks=0.3, seed=4) as proxy:
        client, acknowledged = publish(proxy.port, 200, protocol)
        deadline = time.monotonic() + 10
        while proxy.counters["pubacks_seen"] < 200 or len(acknowledged) + proxy.counters["eat_pubacks"] < 200:
            assert time.monotonic() < deadline, (proxy.counters, len(acknowledged))
            time.sleep(0.01)
        eaten = proxy.counters["eat_pubacks"]
        assert 30 <= eaten <= 90
        assert len(acknowledged) == 200 - eaten
        assert proxy.unhit == []
        client.disconnect()
        client.loop_stop()


def test_nothing_is_eaten_before_it_is_asked_for(mosquitto: Any) -> None:
    with ChaosProxy(("127.0.0.1", mosquitto.port)) as proxy:
        client, acknowledged = publish(proxy.port, 20, mqtt.MQTTv5)
        deadline = time.monotonic() + 10
        while len(acknowledged) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        proxy.eat_pubacks(1.0)
        assert not client.publish("a/b", b"x", qos=1).is_published()
        while not proxy.counters["eat_pubacks"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(acknowledged) == 20
        client.disconnect()
        client.loop_stop()


CONNACK = bytes.fromhex("20 03 00 00 00")
PUBACK = bytes.fromhex("40 02 00 07")
PUBACK_5 = bytes.fromhex("40 04 00 08 10 00")
PINGRESP = bytes.fromhex("D0 00")
LONG = bytes.fromhex("30 C8 01") + b"\x00\x03a/b" + b"\x40\x02\x00\x01" * 48 + b"@@@"


def test_only_whole_pubacks_are_taken_whatever_the_cut() -> None:
    assert len(LONG) == 3 + 200
    stream = CONNACK + PUBACK + LONG + PUBACK_5 + PINGRESP + PUBACK
    for seed in range(50):
        draw = random.Random(seed)
        turns = iter([True, False, True])
        stream_filter = PubackFilter(lambda turns=turns: next(turns))
        passed = b""
        position = 0
        while position < len(stream):
            step = draw.randint(1, 40) if seed else 1
            passed += stream_filter.feed(stream[position : position + step])
            position += step
        assert passed == CONNACK + LONG + PUBACK_5 + PINGRESP
        assert (stream_filter.seen, stream_filter.eaten, stream_filter.in_step) == (3, 2, True)


def test_what_is_no_mqtt_passes_untouched() -> None:
    stream_filter = PubackFilter(lambda: True)
    stream = b"@\xff\xff\xff\xff" + PUBACK
    assert stream_filter.feed(stream) == stream
    assert not stream_filter.in_step
