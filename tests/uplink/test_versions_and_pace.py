"""Which MQTT version comes next, and how large messages may be."""

from __future__ import annotations

from edge_agent.uplink.pace import Pace
from edge_agent.uplink.versions import MqttVersion, Versions


def test_a_broker_that_refuses_5_gets_311_at_once() -> None:
    versions = Versions(None)
    assert versions.next is MqttVersion.V5
    assert versions.failed(suspect=True)
    assert versions.next is MqttVersion.V311
    versions.worked()
    assert versions.next is MqttVersion.V311


def test_a_dead_port_is_tried_with_both_in_turn_and_waited_for() -> None:
    versions = Versions(None)
    tried = [(versions.next.value, versions.failed(suspect=True)) for _ in range(6)]
    assert tried == [("5", True), ("3.1.1", False)] * 3


def test_an_unreachable_broker_says_nothing_about_versions() -> None:
    versions = Versions(None)
    assert not versions.failed(suspect=False)
    assert versions.next is MqttVersion.V5


def test_what_was_remembered_comes_first_and_5_gets_its_chance_again() -> None:
    versions = Versions("3.1.1")
    assert versions.next is MqttVersion.V311
    assert not versions.failed(suspect=False)
    assert versions.next is MqttVersion.V5
    assert versions.failed(suspect=True)
    assert versions.next is MqttVersion.V311
    assert Versions("nonsense").next is MqttVersion.V5


def test_a_choked_connection_makes_messages_smaller_down_to_one_record() -> None:
    pace = Pace(256 * 1024)
    for _ in range(20):
        pace.opened(256 * 1024)
        pace.closed(under_way=3)
    assert pace.max_bytes == 1
    for _ in range(2000):
        pace.acknowledged(0.1)
    assert pace.max_bytes == 256 * 1024


def test_an_idle_end_changes_nothing_and_a_slow_link_gets_smaller_messages() -> None:
    pace = Pace(256 * 1024)
    pace.closed(under_way=0)
    assert pace.max_bytes == 256 * 1024
    for _ in range(20):
        pace.acknowledged(30.0)
    assert pace.max_bytes == 16 * 1024
    pace.opened(2048)
    assert pace.max_bytes == 2048
