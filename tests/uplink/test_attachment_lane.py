"""Attachments over the line: below every record, resumed where they were, and counted as delivered on the platform's
word only. With the real Mosquitto and the city's stand-in."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from real_broker import Mosquitto

from edge_agent import clock
from edge_agent.attachments import Attachments
from edge_agent.records.envelope import draft
from edge_agent.store import Store
from edge_agent.uplink import Identity, LinkSettings, Relay
from edge_agent.uplink.attachment_lane import LARGEST, MOST_ASKED, SMALLEST, AttachmentLane, Piece
from edge_agent.uplink.wire import AttachmentWord, Malformed, decode_attachments
from hwsim.chaos import ChaosProxy
from hwsim.city import City

IDENTITY = Identity(site="market-1", gateway="gw-1", source="/market-1/gw-1")
SETTINGS = LinkSettings(host="127.0.0.1", port=1883, verdict_timeout=10.0)


def picture(number: int, size: int) -> bytes:
    return b"\xff\xd8\xff" + hashlib.shake_256(b"%d" % number).digest(size - 3)


class Box:
    """A store, its attachments, and a relay that can be stopped and started again as after a restart."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.store = Store.open(folder / "records.db", source=IDENTITY.source, zone=UTC)
        self.files = self._files()
        self.relay: Relay | None = None

    def _files(self) -> Attachments:
        return Attachments(self.folder / "records.db.attachments", max_bytes=100_000_000)

    def connect(self, **changes: Any) -> Relay:
        self.files = self._files()
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "verdict_timeout": 0.5,
            "connect_timeout": 5.0,
            "reconnect_max": 0.2,
        }
        self.relay = Relay(
            self.store, LinkSettings(**(settings | changes)), IDENTITY, attachments=self.files, pulse=lambda: None
        )
        self.files.changed = self.relay.attached
        self.relay.start()
        return self.relay

    def leave(self) -> None:
        if self.relay is not None:
            assert self.relay.stop(10)
            self.relay = None

    def keep(self, count: int = 1) -> None:
        for number in range(count):
            data = {"net_mg": number, "raw": "02" * 40, "flags": []}
            self.store.keep(draft(type="trace.weighing.v1", subject="s", at=clock.now(), zone=UTC, data=data))

    def stop(self) -> None:
        self.leave()
        self.store.stop(20)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.kill()


@pytest.fixture
def box(tmp_path: Path, broker: Mosquitto) -> Iterator[Box]:
    box = Box(tmp_path, broker.port)
    yield box
    box.stop()


@pytest.fixture
def city(tmp_path: Path, broker: Mosquitto) -> Iterator[City]:
    with City(broker.address, store=tmp_path / "city.db") as city:
        city.wait_connected(20)
        yield city


class Monitor:
    """What went over the broker, in its order."""

    def __init__(self, port: int) -> None:
        self.topics: list[str] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _c, _u, message: self.topics.append(message.topic.rpartition("/")[2])
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("trace/v1/#", qos=0)
        self.client.loop_start()

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_files_arrive_whole_and_count_as_delivered_on_the_platforms_word(box: Box, city: City, wait: Any) -> None:
    contents = [picture(1, 700_001), picture(2, 5), picture(3, 64_000), b"%PDF-1.7" + b"x" * 100_000]
    names = [box.files.keep(data).sha256 for data in contents]
    box.connect()
    stats = city.wait(lambda s: s.attachments == 4, 60)
    assert stats.malformed == 0
    wait(lambda: box.files.counts()["delivered"] == 4)
    assert [city.attachment(name) for name in names] == contents
    types = [city.media_type(name) for name in names]
    assert types == ["image/jpeg", "image/jpeg", "image/jpeg", "application/pdf"]
    another = box.files.keep(picture(4, 1_000)).sha256  # wakes the relay by itself
    wait(lambda: city.attachment(another) == picture(4, 1_000))


def test_no_piece_goes_before_a_record_that_waits(box: Box, city: City, wait: Any, broker: Mosquitto) -> None:
    monitor = Monitor(broker.port)
    box.files.keep(picture(1, 300_000))
    box.keep(500)
    box.connect(batch_records=20, window=2)
    city.wait(lambda s: s.attachments == 1 and s.distinct == 501, 60)
    wait(lambda: "attachments" in monitor.topics)
    monitor.stop()
    order = [topic for topic in monitor.topics if topic in ("records", "attachments")]
    assert order.index("attachments") >= order.count("records") == 26
    assert "records" not in order[order.index("attachments") :]


def test_a_record_overtakes_a_file_that_is_under_way(tmp_path: Path, box: Box, city: City, wait: Any) -> None:
    size = 6_000_000
    with ChaosProxy(("127.0.0.1", box.port), latency_ms=20.0) as proxy:
        box.port = proxy.port
        box.files.keep(picture(1, size))
        box.connect()
        city.wait(lambda s: s.pieces >= 5 and s.distinct == 1, 60)
        for number in range(2, 12):
            before = city.stats.pieces
            box.keep()
            stats = city.wait(lambda s, n=number: s.distinct == n, 60)  # type: ignore[misc]
            # Whatever the machine's pace: at most what was under way when it was kept, and what came in meanwhile.
            assert stats.pieces - before <= 20
        assert stats.attachments == 0
        assert city.wait(lambda s: s.attachments == 1, 120).chain_ok
        box.leave()


def test_a_broken_connection_resumes_where_the_platform_is(box: Box, city: City, wait: Any) -> None:
    data = picture(1, 3_000_000)
    with ChaosProxy(("127.0.0.1", box.port), latency_ms=5.0) as proxy:
        box.port = proxy.port
        name = box.files.keep(data).sha256
        box.connect()
        for cut in range(4):
            seen = city.stats.pieces
            city.wait(lambda s, n=seen: s.pieces >= n + 4, 60)  # type: ignore[misc]
            if cut == 2:
                box.leave()  # a restart of the agent: it knows nothing of what it sent
                box.connect()
            else:
                assert proxy.cut() >= 1
        city.wait(lambda s: s.attachments == 1, 60)
        wait(lambda: box.files.counts()["delivered"] == 1)
        box.leave()
    assert city.attachment(name) == data
    assert city.bytes_again <= 6 * LARGEST  # and not the whole file four times


def test_a_platform_that_lost_its_half_gets_it_again(box: Box, broker: Mosquitto, tmp_path: Path, wait: Any) -> None:
    data = picture(1, 2_000_000)
    name = box.files.keep(data).sha256
    with City(broker.address, store=tmp_path / "first.db", slow_ms=20) as first:
        first.wait_connected(20)
        box.connect()
        first.wait(lambda s: s.pieces >= 5, 60)
    with City(broker.address, store=tmp_path / "second.db") as second:
        second.wait(lambda s: s.attachments == 1, 60)
        assert second.attachment(name) == data
        wait(lambda: box.files.counts()["delivered"] == 1)


def test_a_file_that_is_not_what_its_name_says_is_given_up_and_records_go_on(
    box: Box, city: City, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.uplink.attachment_lane._PAUSE", 0.05)
    bad, good = picture(1, 50_000), picture(2, 50_000)
    name = box.files.keep(bad).sha256
    (box.files.folder / "waiting" / name).write_bytes(bad[:-1] + b"\x00")
    box.files.keep(good)
    box.connect()
    wait(lambda: box.files.counts()["refused"] == 1)
    box.keep(3)
    city.wait(lambda s: s.attachments == 1 and s.distinct == 4, 60)
    assert (box.files.counts()["waiting"], city.stats.attachments) == (0, 1)


def test_without_a_platform_nothing_counts_as_delivered(box: Box, broker: Mosquitto, wait: Any) -> None:
    box.files.keep(picture(1, 10_000))
    monitor = Monitor(broker.port)  # somebody listens, but says nothing
    box.connect(verdict_timeout=0.1)
    wait(lambda: monitor.topics.count("attachments") >= 4)  # sent, and asked for
    monitor.stop()
    assert box.files.counts()["waiting"] == 1


def test_where_the_brokers_word_counts_its_word_for_the_last_piece_is_enough_and_memory_is_bounded(
    box: Box, broker: Mosquitto, wait: Any
) -> None:
    box.files.keep(picture(1, 9_000_000))
    monitor = Monitor(broker.port)
    box.connect(acknowledgement="broker")
    wait(lambda: "attachments" in monitor.topics)
    tracemalloc.start()
    wait(lambda: box.files.counts()["delivered"] == 1, 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    monitor.stop()
    assert peak < 3_000_000


# -- the lane alone ---------------------------------------------------------------------------------------------------


class Files:
    """What the lane needs of a folder."""

    def __init__(self, *sizes: int) -> None:
        self.left = {f"{n:064x}": size for n, size in enumerate(sizes, 1)}
        self.done: list[str] = []
        self.unwanted: list[str] = []

    def waiting(self) -> Iterator[tuple[str, int]]:
        return iter(list(self.left.items()))

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        return bytes(min(length, self.left[name] - offset))

    def delivered(self, name: str) -> None:
        self.done.append(name)
        del self.left[name]

    def refused(self, name: str) -> None:
        self.unwanted.append(name)
        del self.left[name]


def lane(files: Files, settings: LinkSettings = SETTINGS) -> AttachmentLane:
    made = AttachmentLane(files, settings)
    made.opened()
    return made


def send(lane: AttachmentLane, now: float, took: float = 0.0, code: int = 0) -> Piece | None:
    piece = lane.next(now)
    if piece is not None:
        lane.published(piece, 7, now)
        assert lane.next(now) is None  # one at a time
        assert not lane.acknowledged(8, 0, now)
        assert lane.acknowledged(7, code, now + took)
    return piece


def test_pieces_grow_on_a_quick_link_and_shrink_on_a_slow_one() -> None:
    quick = lane(Files(10_000_000))
    lengths = [piece.length for n in range(8) if (piece := send(quick, float(n)))]
    assert lengths == [4096, 8192, 16384, 32768, LARGEST, LARGEST, LARGEST, LARGEST]
    slow = lane(Files(10_000_000))
    lengths = [piece.length for n in range(4) if (piece := send(slow, 10.0 * n, took=2.0))]
    assert lengths == [4096, 2048, SMALLEST, SMALLEST]


def test_a_broker_that_forbids_the_topic_is_asked_ever_more_rarely() -> None:
    forbidden = lane(Files(1_000))
    now, waits = 0.0, []
    for _ in range(11):
        assert send(forbidden, now, code=0x87) is not None
        assert forbidden.next(now) is None
        waits.append(forbidden.deadline(now) - now)
        now = forbidden.deadline(now)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
    cut = lane(Files(1_000))  # or ends the connection over it
    for number, wanted in enumerate((1.0, 2.0, 4.0)):
        cut.opened()
        piece = cut.next(1000.0 * number)
        assert piece is not None
        cut.published(piece, 1, 1000.0 * number)
        cut.closed(1000.0 * number)
        cut.opened()
        assert cut.deadline(1000.0 * number) - 1000.0 * number == wanted


def test_a_silent_platform_is_asked_without_bytes_and_gets_only_so_many_files() -> None:
    files = Files(*[100] * (MOST_ASKED + 10))
    silent = lane(files)
    sent = [piece for _ in range(MOST_ASKED + 5) if (piece := send(silent, 0.0))]
    assert len(sent) == MOST_ASKED
    assert silent.deadline(0.0) == 10.0
    asked = [piece for _ in range(MOST_ASKED + 5) if (piece := send(silent, 11.0))]
    assert {piece.length for piece in asked} == {0}
    assert silent.deadline(11.0) == 11.0 + 20.0
    silent.heard([AttachmentWord(sha256=sent[0].sha256, have=100, complete=True)], 12.0)
    assert files.done == [sent[0].sha256]
    following = send(silent, 12.0)
    assert following is not None
    assert (following.sha256, following.length) == (f"{MOST_ASKED + 1:064x}", 100)


def test_what_the_platform_says_of_other_files_changes_nothing() -> None:
    files = Files(5_000)
    some = lane(files)
    assert send(some, 0.0) is not None
    name = next(iter(files.left))
    some.heard([AttachmentWord(sha256="f" * 64, complete=True), AttachmentWord(sha256=name, have=2**40)], 0.0)
    assert files.done == []
    answer = send(some, 100.0)
    assert answer is not None
    assert answer.length == 0  # it says it has all, and not that it is whole: it is asked
    some.heard([AttachmentWord(sha256=name, refused="no", retryable=False)], 100.0)
    assert files.unwanted == [name]


@pytest.mark.parametrize(
    "payload",
    [
        b"no",
        b'{"attachments":{}}',
        b'{"attachments":[1]}',
        b'{"attachments":[{"sha256":1}]}',
        b'{"attachments":[{"sha256":"a","have":-1}]}',
        b'{"attachments":[{"sha256":"a","have":true}]}',
        b'{"attachments":[{"sha256":"a","complete":1}]}',
        b'{"attachments":[{"sha256":"a","refused":1}]}',
    ],
)
def test_a_word_that_cannot_be_understood_is_said_to_be_so(payload: bytes) -> None:
    assert isinstance(decode_attachments(payload), Malformed)
    assert decode_attachments(b'{"accepted":[]}') == ()
