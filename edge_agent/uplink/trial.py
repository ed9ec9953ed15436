"""Trying the link once, for a person who sets up a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_agent import clock
from edge_agent.uplink import wire
from edge_agent.uplink.dispatch import FAILURE
from edge_agent.uplink.mqtt import Acknowledged, Closed, Connected, Connection, Event, Subscribed
from edge_agent.uplink.settings import Identity, LinkSettings
from edge_agent.uplink.versions import MqttVersion, Versions
from edge_agent.uplink.waker import Waker

_ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How it went. `round_trip` is the time in seconds from publishing to PUBACK; `reason` says what failed."""

    ok: bool
    reason: str = ""
    protocol: str | None = None
    round_trip: float = 0.0


def try_link(settings: LinkSettings, identity: Identity) -> Trial:
    """Connect, subscribe to the verdicts, and publish once on the gateway's topic `test`.

    Under a client id of its own and without a session or a will, so that the running agent keeps its
    connection. Takes at most a few times `connect_timeout`.
    """
    versions = Versions(None)
    trial = Trial(ok=False)
    for _ in range(_ATTEMPTS):
        version = versions.next
        trial, suspect = _try_version(settings, identity, version)
        if trial.ok or not versions.failed(suspect=suspect):
            break
    return trial


def _try_version(settings: LinkSettings, identity: Identity, version: MqttVersion) -> tuple[Trial, bool]:
    topics = wire.Topics.of(identity)
    connection = Connection(settings, f"{identity.client_id}-test", version, will=None, waker=Waker())
    published = 0.0
    try:
        until = clock.monotonic() + 4 * settings.connect_timeout
        while clock.monotonic() < until:
            for event in connection.turn(0.1):
                match event:
                    case Connected():
                        connection.subscribe([topics.verdicts])
                    case Subscribed() if event.codes[0] < FAILURE:
                        published = clock.monotonic()
                        connection.publish(topics.test, wire.state(online=True, session="test", since=""))
                    case Acknowledged() if event.code < FAILURE:
                        took = clock.monotonic() - published
                        return Trial(ok=True, protocol=str(version), round_trip=took), False
                    case _:
                        failure = _failure(event, topics)
                        if failure is not None:
                            suspect = isinstance(event, Closed) and event.suspect
                            return Trial(ok=False, reason=failure, protocol=str(version)), suspect
    finally:
        connection.disconnect()
        connection.close()
    return Trial(ok=False, reason="the broker stopped answering", protocol=str(version)), False


def _failure(event: Event, topics: wire.Topics) -> str | None:
    match event:
        case Closed():
            return event.reason
        case Subscribed():
            return f"the broker refuses the subscription to {topics.verdicts}, reason {event.codes[0]}"
        case Acknowledged():
            return f"the broker refuses what is published on {topics.test}, reason {event.code}"
        case _:
            return None
