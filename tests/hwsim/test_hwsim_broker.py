"""The embedded broker with a real client, and the city behind it: MQTT 5 is refused, 3.1.1 works."""

from __future__ import annotations

import socket
import sys
import threading

import paho.mqtt.client as mqtt
import pytest

from hwsim.broker import BrokerMissing, EmbeddedBroker
from hwsim.city import City


def test_mqtt_5_is_refused_at_once_and_311_carries_messages() -> None:
    with EmbeddedBroker() as broker:
        reasons: list[str] = []
        refused = threading.Event()
        five = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        five.on_connect = lambda _c, _u, _f, reason, _p: (reasons.append(str(reason)), refused.set())
        five.connect(broker.host, broker.port)
        five.loop_start()
        assert refused.wait(10)
        five.loop_stop()
        assert reasons[0] == "Unsupported protocol version"

        arrived, subscribed = threading.Event(), threading.Event()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda *_: arrived.set()
        client.connect(broker.host, broker.port)
        client.loop_start()
        client.subscribe("a/+", qos=1)
        assert subscribed.wait(10)
        client.publish("a/b", b"x", qos=1)
        assert arrived.wait(10)
        client.disconnect()
        client.loop_stop()


def test_an_mqtt_5_connect_with_properties_is_never_answered() -> None:
    # Not what a broker should do; whoever connects to this one must not wait for ever.
    body = b"\x00\x04MQTT\x05\x00\x00\x0f" + bytes([5, 0x11, 0, 0, 0, 60]) + b"\x00\x04city"
    with EmbeddedBroker() as broker, socket.create_connection((broker.host, broker.port), 5) as client:
        client.sendall(bytes([0x10, len(body)]) + body)
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(10)


def test_the_city_falls_back_to_311() -> None:
    with EmbeddedBroker() as broker, City(f"127.0.0.1:{broker.port}") as city:
        city.wait_connected(15)
        assert city.stats.protocol == "3.1.1"


def test_without_amqtt_the_one_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(BrokerMissing, match="pip install"):
        EmbeddedBroker()


def test_the_port_may_be_taken() -> None:
    with EmbeddedBroker() as broker, pytest.raises(OSError, match="in use"):
        EmbeddedBroker(broker.port).start()
