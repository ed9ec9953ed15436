"""Other store-and-forward gateways, measured beside ours in the same run.

Measured are those that a package index brings: ThingsBoard Gateway with each storage that survives a restart (an
environment of its own, from peers.txt), and a Mosquitto that bridges, which is what most boxes in the field do. For
each:

    ingest_per_s    400-byte records handed over as fast as it takes them, until all are on disk (Mosquitto, which
                    says nothing about its disk: until all are acknowledged)
    drain_per_s     from the first to the last record at a subscriber, after an outage
    lost_in_drain   records of that outage that never came, without any kill
    cpu_s_per_10k   CPU of both, for 10,000 records, without its start
    lost_at_kill9   records that it had taken (put returned, PUBACK came) at 100 a second, and that were not there
                    after kill -9 and a new start; the sum of KILLS kills. Ours is measured the same way.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from peer_thingsboard import settings
from real_broker import Mosquitto

HERE = Path(__file__).parent
WANTED = HERE / "peers.txt"
RECORDS = 20_000
KILLS = 5
PER_SECOND = 100.0
QUEUE = ["max_queued_messages 100000"]
_PATIENCE = 120.0
_REQUEST = "v1/devices/me/rpc/request/"
_ANSWER = "v1/devices/me/rpc/response/"


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Every peer that can be had here, and our own loss at kill -9; a peer that cannot be had is named with the
    reason."""
    figures: dict[str, Any] = {"lost_at_kill9": killed(folder / "ours", [sys.executable, str(HERE / "peer_ours.py")])}
    peers: dict[str, Any] = {}
    say("peer mosquitto-bridge …")
    peers["mosquitto-bridge"] = bridge(folder / "bridge")
    try:
        python = environment(Path(".venv-peers"), say)
    except (OSError, subprocess.SubprocessError) as problem:
        say(f"ThingsBoard Gateway could not be installed, and is not measured: {problem}")
    else:
        for kind in ("sqlite", "file"):
            say(f"peer thingsboard-gateway-{kind} …")
            peers[f"thingsboard-gateway-{kind}"] = thingsboard(python, kind, folder / kind)
    return figures | {"peers": peers}


def environment(home: Path, say: Callable[[str], None]) -> str:
    """A Python with the peers in it; made once, and again when their versions change."""
    python, mark = home / "bin" / "python", home / "peers.txt"
    if not mark.exists() or mark.read_bytes() != WANTED.read_bytes():
        say("installing ThingsBoard Gateway into .venv-peers …")
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True, timeout=120)
        command = [python, "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check", "-r", WANTED]
        subprocess.run(command, check=True, timeout=600)
        shutil.copy(WANTED, mark)
    return str(python.absolute())


def killed(folder: Path, driver: list[str], *kind: str) -> int:
    """Kill -9 while records come, and count those that were taken and are gone. `driver` is a program that knows
    `trickle [KIND] FOLDER PER_SECOND` and `count [KIND] FOLDER`.

    Raises RuntimeError where a kill hit nothing: then nothing was measured.
    """
    lost = 0
    chance = random.Random(1)
    for number in range(KILLS):
        place = folder / f"kill-{number}"
        place.mkdir(parents=True)
        command = [*driver, "trickle", *kind, str(place), str(PER_SECOND)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        first = process.stdout.readline()
        killer = threading.Timer(chance.uniform(1.0, 3.0), process.kill)
        killer.start()
        lines = [first, *process.stdout.readlines()]
        process.wait(10)
        taken = max(int(line) for line in lines if line.endswith(b"\n"))
        if taken < PER_SECOND / 2:
            raise RuntimeError(f"only {taken} records were taken before the kill")
        lost += max(0, taken - ask([*driver, "count", *kind, str(place)]))
    return lost


def ask(command: list[str]) -> Any:
    """What a driver answers."""
    return json.loads(subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True).stdout)


class Platform:
    """A subscriber that counts, and says to a ThingsBoard Gateway that it may send without limits."""

    def __init__(self, port: int, topic: str, count: Callable[[str, bytes], set[int]]) -> None:
        self.seen: set[int] = set()
        self.first = self.last = 0.0
        self.on_first: Callable[[], None] = lambda: None
        self._count = count
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bench-platform")
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(topic, 1), (_REQUEST + "+", 1)])
        self._client.loop_start()

    def _message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith(_REQUEST):
            limits = {"maxPayloadSize": 65_536, "maxInflightMessages": 100, "rateLimits": {}, "gateway": {}}
            client.publish(_ANSWER + message.topic.removeprefix(_REQUEST), json.dumps(limits), 1)
            return
        numbers = self._count(message.topic, message.payload)
        if numbers - self.seen:
            self.seen |= numbers
            self.last = time.monotonic()
            if not self.first:
                self.first = self.last
                self.on_first()

    def wait(self, count: int) -> int:
        """Until so many different ones are there; gives what there is when none has come for 20 seconds."""
        until = time.monotonic() + _PATIENCE
        while len(self.seen) < count and time.monotonic() < (self.last + 20.0 if self.last else until):
            time.sleep(0.02)
        return len(self.seen)

    def wait_for(self, number: int) -> None:
        """Until a certain one is there. Raises TimeoutError."""
        until = time.monotonic() + _PATIENCE
        while number not in self.seen:
            if time.monotonic() > until:
                raise TimeoutError(f"record {number} did not arrive")
            time.sleep(0.02)

    def close(self) -> None:
        """End."""
        self._client.disconnect()
        self._client.loop_stop()


def thingsboard(python: str, kind: str, folder: Path) -> dict[str, Any]:
    """ThingsBoard Gateway with one of its storages."""
    driver = [python, str(HERE / "peer_thingsboard.py")]
    data = folder / "data"
    data.mkdir(parents=True)
    filled = ask([*driver, "fill", kind, str(data), str(RECORDS)])
    broker = Mosquitto(folder, QUEUE).start()
    platform = Platform(broker.port, "v1/gateway/telemetry", _telemetry)
    (folder / "tb_gateway.json").write_text(json.dumps(_gateway_settings(kind, data, broker.port)))
    command = [*driver, "gateway", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used = [0.0]
    platform.on_first = lambda: used.__setitem__(0, cpu_seconds(process.pid))
    try:
        came = platform.wait(RECORDS)
        cpu = cpu_seconds(process.pid) - used[0]
    finally:
        process.kill()
        process.wait(10)
        platform.close()
        broker.kill()
    figures = _figures(filled, came, platform, cpu)
    figures["lost_at_kill9"] = killed(folder, driver, kind)
    return figures


def _figures(filled: dict[str, float], came: int, platform: Platform, cpu: float) -> dict[str, Any]:
    if not came:
        raise RuntimeError("no record arrived: the peer was not measured")
    return {
        "ingest_per_s": round(RECORDS / filled["seconds"]),
        "drain_per_s": round(came / (platform.last - platform.first)),
        "cpu_s_per_10k": round((filled["cpu"] / RECORDS + cpu / came) * 10_000, 2),
        "lost_in_drain": RECORDS - came,
    }


def _telemetry(_topic: str, payload: bytes) -> set[int]:
    entries: list[dict[str, Any]] = json.loads(payload).get("scale-1", [])
    return {entry["values"]["n"] for entry in entries if "n" in entry["values"]}


def _gateway_settings(kind: str, data: Path, port: int) -> dict[str, Any]:
    """Its own configuration, pointed here; what would only add to its work is off."""
    return {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "maxPayloadSizeBytes": 65_536,
            "minPackSendDelayMS": 50,
            "minPackSizeToSend": 500,
            "security": {"type": "accessToken", "accessToken": "bench"},
            "qos": 1,
        },
        "storage": settings(kind, data),
        "grpc": {"enabled": False},
        "connectors": [],
    }


@contextlib.contextmanager
def bridging(folder: Path, far: int) -> Iterator[Mosquitto]:
    """A Mosquitto with persistence, as Debian brings it, that bridges to the port `far`."""
    lines = ["persistence true", f"persistence_location {folder}/", "max_queued_messages 0", "max_inflight_messages 20"]
    link = [
        "connection city",
        f"address 127.0.0.1:{far}",
        "topic bench/# out 1",
        "cleansession false",
        "restart_timeout 1 2",
    ]
    broker = Mosquitto(folder, lines, link)
    try:
        yield broker
    finally:
        broker.kill()


def bridge(folder: Path) -> dict[str, Any]:
    """A Mosquitto that bridges: the usual way without a gateway of one's own."""
    folder.mkdir(parents=True)
    city = Mosquitto(folder, QUEUE)  # has its port, and is away
    try:
        figures = _bridge_drained(folder, city)
        city.kill()
        figures["lost_at_kill9"] = _bridge_killed(folder, city)
    finally:
        city.kill()
    return figures


def _bridge_drained(folder: Path, city: Mosquitto) -> dict[str, Any]:
    with bridging(folder, city.port) as local:
        local.start()
        assert local.process is not None
        pid = local.process.pid
        before, began = cpu_seconds(pid), time.monotonic()
        publish(local.port, range(RECORDS))
        filled = {"seconds": time.monotonic() - began, "cpu": cpu_seconds(pid) - before}
        city.start()
        platform = Platform(city.port, "bench/#", _number)
        used = cpu_seconds(pid)
        came = platform.wait(RECORDS)
        figures = _figures(filled, came, platform, cpu_seconds(pid) - used)
        platform.close()
    return figures


def _bridge_killed(folder: Path, city: Mosquitto) -> int:
    lost = 0
    chance = random.Random(1)
    for number in range(KILLS):
        place = folder / f"kill-{number}"
        place.mkdir()
        with bridging(place, city.port) as local:
            local.start()
            count = round(PER_SECOND * chance.uniform(1.0, 3.0))
            publish(local.port, range(count), per_second=PER_SECOND)
            local.kill()
            city.start()
            platform = Platform(city.port, "bench/#", _number)
            local.start()
            publish(local.port, range(count, count + 1))  # comes last: what has not come before it will not come
            platform.wait_for(count)
            lost += count - len(platform.seen - {count})
            platform.close()
            city.kill()
    return lost


def _number(_topic: str, payload: bytes) -> set[int]:
    return {int(payload[:8])} if payload[:8].isdigit() else set()


def publish(port: int, numbers: range, per_second: float | None = None) -> None:
    """Publish records of 400 bytes at QoS 1, and wait until each is acknowledged."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bench-device")
    client.max_inflight_messages_set(20)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = []
    for number in numbers:
        sent.append(client.publish("bench/records", b"%08d" % number + b"x" * 392, qos=1))
        if per_second is not None:
            sent[-1].wait_for_publish(30)
            time.sleep(1 / per_second)
    for message in sent:
        message.wait_for_publish(60)
        if not message.is_published():
            raise RuntimeError("the broker did not acknowledge")
    client.disconnect()
    client.loop_stop()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
