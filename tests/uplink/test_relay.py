"""The relay against a real Mosquitto."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge_agent.uplink import Identity, LinkSettings, LinkState, Relay, try_link
from edge_agent.uplink.mqtt import Closed, Connection
from edge_agent.uplink.versions import MqttVersion
from edge_agent.uplink.waker import Waker

Start = Callable[..., Any]
IDENTITY = Identity(site="market-1", gateway="gw-1", source="/market-1/gw-1")


def delivered(store: Any, count: int) -> Callable[[], bool]:
    return lambda: store.box.counts().delivered == count


def connected(relay: Relay) -> Callable[[], bool]:
    return lambda: relay.status().state is LinkState.CONNECTED


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_is_kept_arrives_and_is_settled_by_the_verdict(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start, compression: str
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    store.keep(500)
    pulses: list[int] = []
    with capture_logs() as logs:
        link = relay(
            store, broker.port, compression=compression, info=lambda: {"version": "1"}, pulse=lambda: pulses.append(1)
        )
        wait(delivered(store, 500))
        store.keep(3)
        wait(delivered(store, 503))
        status = link.status()
        assert status.state is LinkState.CONNECTED
        assert status.protocol == "5"
        assert status.unverdicted == 0
        assert status.last_verdict_age is not None
        assert link.stop(5)
    assert set(city.stored) == set(range(1, 504))
    assert city.duplicates == 0
    assert max(city.sizes) <= 200
    assert all(text.startswith("application/cloudevents-batch+json") for text in city.content_types)
    assert sum(line["accepted"] for line in logs if line["event"] == "verdict") == 503
    assert [line["state"] for line in logs if line["event"] == "link.state"] == ["connected", "offline"]
    assert json.loads(city.messages("info")[0][0]) == {"version": "1"}
    states = [json.loads(payload) for payload, _ in city.messages("state")]
    wait(lambda: len(city.messages("state")) == 2)
    states = [json.loads(payload) for payload, _ in city.messages("state")]
    assert [state["online"] for state in states] == [True, False]
    assert states[0]["session"] == states[1]["session"] == status.session
    assert pulses
    assert store.notes == {f"uplink.mqtt_version 127.0.0.1:{broker.port}": "5"}


def test_the_will_says_offline_when_the_box_vanishes(
    store: Any, mosquitto: Start, platform: Start, relay: Start, proxy: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    middle = proxy(broker.port)
    link = relay(store, middle.port)
    wait(connected(link))
    wait(lambda: len(city.messages("state")) == 1)
    middle.close()
    wait(lambda: len(city.messages("state")) == 2)
    birth, will = (json.loads(payload) for payload, _ in city.messages("state"))
    assert (birth["online"], will["online"]) == (True, False)
    assert birth["session"] == will["session"]


def test_verdicts_that_came_while_we_were_away_count(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    city.silent = True
    store.keep(10)
    link = relay(store, broker.port, verdict_timeout=60.0, progress_timeout=60.0)
    wait(lambda: link.status().unverdicted == 10 and link.status().in_flight == 0)
    assert link.stop(5)
    city.say({"v": 1, "chain": store.chain, "accepted": [[1, 10]]})
    again = relay(store, broker.port)
    wait(delivered(store, 10))
    assert again.status().unverdicted == 0


def test_the_window_follows_the_brokers_receive_maximum(
    store: Any, mosquitto: Start, platform: Start, relay: Start, proxy: Start, wait: Start
) -> None:
    broker = mosquitto(["max_inflight_messages 3"])
    city = platform(broker.port)
    middle = proxy(broker.port)
    store.keep(400)
    relay(store, middle.port, batch_records=5)
    wait(delivered(store, 400))
    assert 1 <= middle.most_under_way <= 3
    assert city.duplicates == 0


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"", None], ids=["refuses", "closes", "is silent"])
def test_a_broker_that_takes_311_only_is_found_and_remembered(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start, answer: bytes | None
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    refuser = Refuser(broker.port, answer)
    store.keep(20)
    link = relay(store, refuser.port)
    wait(delivered(store, 20))
    assert link.status().protocol == "3.1.1"
    assert link.stop(5)
    assert refuser.levels == [5, 4]
    link = relay(store, refuser.port)
    wait(connected(link))
    assert refuser.levels == [5, 4, 4]  # what worked comes first
    assert link.stop(5)
    refuser.upgraded = True
    link = relay(store, refuser.port)
    wait(connected(link))
    assert link.status().protocol == "5"
    assert refuser.levels == [5, 4, 4, 4, 5]
    assert list(store.notes.values()) == ["5"]
    refuser.close()
    assert city.duplicates == 0


class Refuser:
    """A front of a broker that takes MQTT 3.1.1 only, later MQTT 5 only.

    To the other version it answers something and closes; with None it says nothing for ever.
    """

    def __init__(self, target: int, answer: bytes | None) -> None:
        self.target = target
        self.answer = answer
        self.unanswered: list[socket.socket] = []
        self.upgraded = False
        self.levels: list[int] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(10)
            first = client.recv(4096)
            level = first[first.index(b"MQTT") + 4]
            self.levels.append(level)
            if (level == 4 and not self.upgraded) or (level == 5 and self.upgraded):
                client.settimeout(None)
                broker = socket.create_connection(("127.0.0.1", self.target))
                broker.sendall(first)
                threading.Thread(target=_join, args=(client, broker), daemon=True).start()
                continue
            if self.answer is None:
                self.unanswered.append(client)
                continue
            client.sendall(self.answer)
            client.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for sock in self.unanswered:
            sock.close()


def _join(one: socket.socket, other: socket.socket) -> None:
    with one, other:
        while True:
            for sock in select.select([one, other], [], [], 60)[0]:
                try:
                    data = sock.recv(65536)
                    (other if sock is one else one).sendall(data)
                except OSError:
                    data = b""
                if not data:
                    return


def test_a_port_that_never_answers_is_given_up_and_both_versions_are_tried(
    store: Any, relay: Start, wait: Start
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hellos: list[bytes] = []
        kept: list[socket.socket] = []

        def listen() -> None:
            for _ in range(3):
                client, _ = listener.accept()
                kept.append(client)
                hellos.append(client.recv(4096))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        link = relay(store, listener.getsockname()[1], connect_timeout=0.2)
        wait(lambda: len(hellos) == 3)
        assert [hello[hello.index(b"MQTT") + 4] for hello in hellos] == [5, 4, 5]
        assert link.status().state is not LinkState.CONNECTED
        assert "no answer to CONNECT" in link.status().reason
        assert link.stop(5)
        for sock in kept:
            sock.close()


def test_a_broker_killed_and_restarted_without_memory_loses_nothing(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    link = relay(store, broker.port, batch_records=20)
    kept = 0
    for _ in range(3):
        store.keep(300)
        kept += 300
        wait(lambda before=kept - 300: len(city.stored) > before)
        broker.kill()
        store.keep(50)
        kept += 50
        broker.start()
        wait(city.up.is_set)
    wait(delivered(store, kept))
    assert set(city.stored) == set(range(1, kept + 1))
    assert link.status().unverdicted == 0


def test_eaten_pubacks_do_not_stop_the_line(
    store: Any, mosquitto: Start, platform: Start, relay: Start, proxy: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    middle = proxy(broker.port)
    chance = random.Random(1)
    middle.eat = lambda: chance.random() < 0.3
    store.keep(600)
    relay(store, middle.port, batch_records=10, window=4)
    wait(delivered(store, 600), 60)
    assert set(city.stored) == set(range(1, 601))
    assert middle.eaten > 4
    assert middle.connections > 1


def test_a_half_open_connection_is_renewed(
    store: Any, mosquitto: Start, platform: Start, relay: Start, proxy: Start, wait: Start
) -> None:
    broker = mosquitto()
    platform(broker.port)
    middle = proxy(broker.port)
    link = relay(store, middle.port)
    wait(connected(link))
    middle.frozen.set()
    store.keep(5)
    wait(lambda: link.status().state is not LinkState.CONNECTED)
    assert "no progress" in link.status().reason
    middle.frozen.clear()
    wait(delivered(store, 5))


def test_a_silent_platform_is_asked_again_within_bounds_and_heard_when_it_is_back(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    city.silent = True
    store.keep(500)
    link = relay(store, broker.port, unverdicted_max=100, batch_records=20)
    wait(lambda: sum(1 for topic, _, _ in city.seen if topic.endswith("/records")) > 12)
    wait(lambda: sum(json.loads(p)["online"] for p, _ in city.messages("state")) >= 2)  # the watchdog renewed it
    assert link.status().unverdicted <= 100
    assert store.box.counts().delivered == 0
    city.silent = False
    wait(delivered(store, 500))
    assert set(city.stored) == set(range(1, 501))


def test_without_a_platform_nothing_counts_as_delivered(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    store.keep(50)
    for mode in ("platform", "broker"):
        link = relay(store, broker.port, acknowledgement=mode, progress_timeout=60.0)
        wait(lambda link=link: link.status().warning is not None)
        assert store.box.counts().delivered == 0
        assert link.stop(5)
    platform(broker.port)
    relay(store, broker.port, acknowledgement="broker")
    wait(delivered(store, 50))


def test_refused_records_go_to_quarantine_and_the_queue_goes_on(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    platform(broker.port, reject=lambda sequence: ("bad-batch", False) if sequence % 10 == 0 else None)
    store.keep(100)
    relay(store, broker.port, batch_records=7)
    wait(delivered(store, 90))
    assert store.box.counts().rejected == 10
    assert store.box.refusals[10].code == "bad-batch"


def test_refused_for_now_is_sent_again(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    refusals = iter([("no-such-party", True)])
    city = platform(broker.port, reject=lambda sequence: next(refusals, None) if sequence == 3 else None)
    store.keep(10)
    relay(store, broker.port, progress_timeout=60.0)
    wait(delivered(store, 9))
    wait(delivered(store, 10))
    assert city.order.index(3) == 9


def test_strange_verdicts_do_not_stop_the_relay(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    with capture_logs() as logs:
        link = relay(store, broker.port)
        wait(connected(link))
        for payload in (b"", b"\xff\xfe", b"[]", {"v": 9}, {"v": 1, "chain": "other", "accepted": [[1, 1]]}):
            city.say(payload)
        city.say({"v": 1, "chain": store.chain, "accepted": [[1, 10**12]]})
        store.keep(5)
        wait(delivered(store, 5))
        assert link.stop(5)
    events = [line["event"] for line in logs]
    assert events.count("verdict.malformed") == 4
    assert events.count("verdict.unknown") == 2


def test_a_verdict_is_acknowledged_only_after_the_outbox_has_it(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    store.keep(5)
    link = relay(store, broker.port, begin=False, verdict_timeout=60.0, progress_timeout=60.0)
    settle = store.box.settle

    def broken(*_: Any) -> None:
        city.silent = True  # from now on only a verdict that the broker still holds can help
        monkeypatch.setattr(store.box, "settle", settle)
        raise OSError("no such luck")

    monkeypatch.setattr(store.box, "settle", broken)
    with capture_logs() as logs:
        link.start()
        wait(delivered(store, 5))
    assert [line["reason"] for line in logs if line["event"] == "relay.failed"] == ["OSError: no such luck"]
    assert len(city.sizes) == 1


def test_the_platform_can_hold_us_off(store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    city.state({"accepting": False, "drain_per_s": None, "time": "t"})
    link = relay(store, broker.port)
    wait(lambda: not link.status().platform_accepting)
    store.keep(5)
    time.sleep(0.2)
    assert not city.stored
    city.state({"accepting": True, "drain_per_s": None, "time": "t"})
    wait(delivered(store, 5))


def test_a_broker_that_forbids_the_topic_is_reported_and_is_no_poison(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start, tmp_path: Path
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite trace/v1/market-1/gw-1/state\ntopic readwrite trace/v1/market-1/gw-1/verdicts\n")
    rules.chmod(0o644)
    broker = mosquitto([f"acl_file {rules}"])
    store.keep(10)
    link = relay(store, broker.port, progress_timeout=60.0)
    wait(lambda: link.status().warning is not None)
    assert "135" in link.status().warning
    assert store.box.counts().pending == 10
    rules.write_text("topic readwrite #\n")
    assert broker.process is not None
    os.kill(broker.process.pid, signal.SIGHUP)
    platform(broker.port)
    wait(delivered(store, 10))
    assert link.status().warning is None


def test_a_record_the_store_cannot_read_is_passed_over(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    platform(broker.port)
    store.missing.add(4)
    store.keep(10)
    relay(store, broker.port, progress_timeout=60.0)
    wait(delivered(store, 9))
    assert store.box.pending(1, 10) == [(4, 4)]


def test_a_message_stays_under_its_bound_and_a_record_beyond_it_goes_alone(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    store.keep(10, size=1000)
    store.keep(1, size=20_000)
    store.keep(10, size=1000)
    relay(store, broker.port, batch_bytes=4096, compression="none")
    wait(delivered(store, 21))
    payloads = [payload for payload, _ in city.messages("records")]
    assert sorted(map(len, payloads))[-1] > 20_000
    assert sorted(map(len, payloads))[-2] <= 4096
    assert json.loads(max(payloads, key=len))[0]["sequence"].endswith("11")


def test_stop_is_quick_whatever_the_link_does(store: Any, mosquitto: Start, relay: Start, wait: Start) -> None:
    broker = mosquitto()
    link = relay(store, broker.port)
    wait(connected(link))
    assert broker.process is not None
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        assert link.stop(1.0)
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)
    never = relay(store, 1)
    wait(lambda: "cannot reach" in never.status().reason)
    assert never.stop(1.0)


def test_the_link_can_be_tried_beside_the_running_agent(
    store: Any, mosquitto: Start, platform: Start, relay: Start, wait: Start
) -> None:
    broker = mosquitto()
    city = platform(broker.port)
    link = relay(store, broker.port)
    wait(connected(link))
    since = link.status().since
    trial = try_link(LinkSettings(host="127.0.0.1", port=broker.port), IDENTITY)
    assert trial.ok
    assert trial.protocol == "5"
    assert trial.round_trip > 0
    store.keep(1)
    wait(delivered(store, 1))
    assert link.status().since == since
    assert len(city.messages("state")) == 1
    broker.kill()
    trial = try_link(LinkSettings(host="127.0.0.1", port=broker.port), IDENTITY)
    assert not trial.ok
    assert "cannot reach" in trial.reason


def test_a_failed_dialling_is_told_as_such_whenever_it_is_looked_at(free_port: Callable[[], int]) -> None:
    settings = LinkSettings(host="127.0.0.1", port=free_port())
    connection = Connection(settings, "gw-1-test", MqttVersion.V5, will=None, waker=Waker())
    deadline = time.monotonic() + 20
    while connection.dialling:  # it fails between two looks, not during one
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (closed,) = connection.turn(1.0)
    assert isinstance(closed, Closed)
    assert "cannot reach" in closed.reason
    assert not closed.suspect  # nobody was reached: that says nothing of the version


def test_a_link_with_311_only_passes_the_trial(mosquitto: Start) -> None:
    refuser = Refuser(mosquitto().port, b"")
    trial = try_link(LinkSettings(host="127.0.0.1", port=refuser.port), IDENTITY)
    refuser.close()
    assert trial.ok
    assert trial.protocol == "3.1.1"
