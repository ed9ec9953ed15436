"""The stand-in's connection to the broker: one persistent subscription, MQTT 5 or else 3.1.1, until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

TOPICS: Final = ("trace/v1/+/+/records", "trace/v1/+/+/attachments", "trace/v1/+/+/checkpoint", "trace/v1/+/+/info")
ANSWER_TIMEOUT: Final = 3.0  # a broker that says nothing to a CONNECT for so long gets the other protocol
RECEIVE_MAXIMUM: Final = 100  # messages that the broker hands over before the first of them is acknowledged
MAX_QUEUED: Final = 10_000  # verdicts that wait for the broker; the agent asks again for what gets lost
SESSION_EXPIRY: Final = 7 * 24 * 3600
KEEPALIVE: Final = 15

Message = Callable[[str, bytes, Callable[[], None]], None]
"""Called with topic, payload and what acknowledges it; on paho's thread."""


class BrokerLink:
    """Stays connected and subscribed. A message is acknowledged to the broker only when the caller says so."""

    def __init__(self, host: str, port: int, *, client_id: str, on_message: Message, on_up: Callable[[], None]) -> None:
        self._address = host, port
        self._client_id = client_id
        self._on_message = on_message
        self._on_up = on_up
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._client: mqtt.Client | None = None
        self._asked_at: float | None = None
        self._change_protocol = threading.Event()
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="hwsim-city-link", daemon=True)

    def start(self) -> None:
        """Begin to connect; does not wait for the broker."""
        self._client = self._begin()
        self._keeper.start()

    def stop(self) -> None:
        """Send what is queued and disconnect; the broker keeps the session."""
        self._stopping.set()
        self._keeper.join(10.0)
        self._end()

    @property
    def subscribed(self) -> bool:
        """Whether the broker has confirmed the subscription on the present connection."""
        return self._subscribed.is_set()

    def wait_subscribed(self, timeout: float) -> bool:
        """Wait for that."""
        return self._subscribed.wait(timeout)

    @property
    def protocol(self) -> str:
        """The protocol in use: `5` or `3.1.1`."""
        return "5" if self._protocol is MQTTProtocolVersion.MQTTv5 else "3.1.1"

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker at QoS 1, now or when it is back."""
        client = self._client
        if client is not None:
            client.publish(topic, payload, qos=1, retain=retain)

    def _begin(self) -> mqtt.Client:
        five = self._protocol is MQTTProtocolVersion.MQTTv5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=self._protocol,
            clean_session=None if five else False,
            manual_ack=True,
        )
        client.max_queued_messages_set(MAX_QUEUED)
        client.max_inflight_messages_set(RECEIVE_MAXIMUM)
        client.reconnect_delay_set(1, 2)
        client.on_socket_open = self._opened
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._confirmed
        client.on_message = self._arrived
        host, port = self._address
        if five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            client.connect_async(host, port, KEEPALIVE, clean_start=False, properties=properties)
        else:
            client.connect_async(host, port, KEEPALIVE)
        client.loop_start()
        return client

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _keep(self) -> None:
        """Go over to the other protocol when the broker refuses this one or never answers."""
        while not self._stopping.wait(0.1):
            asked = self._asked_at
            silent = asked is not None and time.monotonic() - asked > ANSWER_TIMEOUT
            if silent or self._change_protocol.is_set():
                self._end()
                self._asked_at = None
                self._change_protocol.clear()
                five = self._protocol is MQTTProtocolVersion.MQTTv5
                self._protocol = MQTTProtocolVersion.MQTTv311 if five else MQTTProtocolVersion.MQTTv5
                self._client = self._begin()

    def _opened(self, client: mqtt.Client, userdata: Any, socket: Any) -> None:
        self._asked_at = time.monotonic()

    def _connected(
        self, client: mqtt.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._asked_at = None
        if reason.is_failure:
            if reason.getName() == "Unsupported protocol version":
                self._change_protocol.set()
            return
        # Also when the broker kept the session: one that lost only the subscription exists too.
        client.subscribe([(topic, 1) for topic in TOPICS])

    def _confirmed(
        self,
        client: mqtt.Client,
        userdata: Any,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if not any(reason.is_failure for reason in reasons):
            self._subscribed.set()
            self._on_up()

    def _disconnected(
        self, client: mqtt.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._asked_at = None
        self._subscribed.clear()

    def _arrived(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        def acknowledge() -> None:
            if client.ack(message.mid, message.qos) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return  # the connection is gone; the broker sends the message again and it counts as a duplicate

        self._on_message(message.topic, bytes(message.payload), acknowledge)
