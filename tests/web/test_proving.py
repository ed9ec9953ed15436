"""Setting devices up from the page, through a whole agent: simulated scales on ptys, probed and commissioned."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stall_web import IDS, Client, WebStall, stall, with_people

from edge_agent.preparing import prepare
from edge_agent.workshop import proving
from hwsim.device import Device
from hwsim.instruments import DIALECTS, Scale
from hwsim.load import Platter, ScaleSettings
from hwsim.ports import open_port

CAPACITY_MG = 15_000_000
WITHIN = 60.0
_DEVICE = """
[[device]]
id = "{id}"
driver = "{driver}"
port = "{port}"
{more}
"""
_STATION = """
[[station]]
id = "bench"
mode = "log"
devices = ["right", "shifted"]
"""


class Bench:
    """A simulated scale on a pty, and whoever stands before it."""

    def __init__(self, dialect: str) -> None:
        self.platter = Platter(ScaleSettings(capacity_mg=CAPACITY_MG))
        self.device = Device(Scale(DIALECTS[dialect], self.platter), open_port("pty")).start()

    @property
    def port(self) -> str:
        return self.device.port.name

    def put(self, milligrams: int, *, tare: bool = False) -> None:
        def act(now: float) -> None:
            self.platter.preset_tare(0)
            self.platter.set_load(milligrams, now)

        self.device.order(act)
        over = milligrams > CAPACITY_MG
        self._until(lambda now: self.platter.indication(now).condition == ("overload" if over else "ok"))
        self._until(lambda now: over or self.platter.stable(now))
        if tare:
            self.device.order(lambda now: self.platter.tare(now) and None)
            self._until(lambda now: self.platter.indication(now).net)

    def _until(self, holds: Callable[[float], bool]) -> None:
        until = time.monotonic() + WITHIN
        while not holds(time.monotonic()):
            assert time.monotonic() < until
            time.sleep(0.02)

    def display(self) -> str:
        indication = self.platter.indication(time.monotonic())
        return f"{indication.text.strip()} {indication.unit}" if indication.condition == "ok" else "OL"


class Room:
    """A stall with two scales on ptys, one of them set up wrongly, and a third that nobody has configured."""

    def __init__(self, folder: Path, port: int) -> None:
        self.right, self.shifted, self.loose = Bench("st-gs"), Bench("erte"), Bench("st-gs")
        sections = _DEVICE.format(id="right", driver="st-gs", port=self.right.port, more="")
        # The display shows three decimals; whoever wrote the configuration took it for two.
        sections += _DEVICE.format(
            id="shifted", driver="erte", port=self.shifted.port, more='unit = "kg"\noptions = { decimals = 2 }'
        )
        self.stall = WebStall(folder, port, web=with_people(folder), more=sections + _STATION, host="0.0.0.0")
        self.client = self.maintainer()
        for device in ("right", "shifted"):
            self.stall.until(lambda d=device: self.state(d) == "connected", f"{device} is not connected")

    def maintainer(self) -> Client:
        client = self.stall.client(lan=True)
        assert client.sign_in("maintainer")[0] == 200
        return client

    def state(self, device: str) -> str | None:
        found = self.stall.agent.status()["devices"].get(device)
        return None if found is None else found["state"]

    def probe(self, port: str, **more: Any) -> dict[str, Any]:
        status, job = self.client.post("/api/devices/probe", {"port": port, **more})
        assert (status, job["state"]) == (200, "running"), job
        return dict(job)

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + WITHIN
        while job["state"] == "running":
            assert time.monotonic() < until, job
            time.sleep(0.1)
            status, job = self.client.get(f"/api/devices/probe/{job['job']}")
            assert status == 200
        return job

    def step(self, device: str, step: str, **more: Any) -> tuple[int, Any]:
        return self.client.post(f"/api/devices/{device}/commission", {"step": step, **more})

    def asset(self, device: str) -> dict[str, Any]:
        return next(each for each in self.stall.agent.ledger() if each["device"] == device)

    def ledger_events(self) -> int:
        _, found = self.client.get("/api/records?type=trace.device_state.v1&limit=200")
        return len(found["records"])

    def close(self) -> None:
        self.stall.close()
        for bench in (self.right, self.shifted, self.loose):
            bench.device.stop()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    made = Room(tmp_path_factory.mktemp("room"), port)
    yield made
    made.close()


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """A port on which nothing is said but what a test writes: its name, and the far end."""
    far, near = os.openpty()
    tty.setraw(near)
    yield f"serial:{os.ttyname(near)}", far
    os.close(far)
    os.close(near)


def test_a_probe_finds_what_speaks_and_its_block_is_a_configuration(room: Room, tmp_path: Path) -> None:
    room.loose.put(2_340_000)
    job = room.ended(room.probe(room.loose.port, seconds=2))
    assert (job["state"], job["problem"], job["timed_out"], job["doing"]) == ("done", None, False, None)
    found = job["result"]
    best = found["fits"][0]
    assert (best["driver"], best["kind"], best["rejected"]) == ("st-gs", "scale", {})
    assert best["frames"] >= 3
    assert best["share"] > 0.9
    assert best["settings"] is None, "a pseudo-terminal has no line settings"
    assert any("2.340 kg" in said for said in best["said"]), best
    assert room.loose.device.report["bytes_received"] == 0, "it only listened"
    config = tmp_path / "agent.toml"
    config.write_text('[gateway]\nid = "b"\nsite = "s"\n' + found["device"])
    read, _ = prepare(config)
    assert (read.device[0].driver, read.device[0].port) == ("st-gs", room.loose.port)


def test_a_port_that_a_device_has_open_is_told_and_lent_when_asked_for(room: Room, tmp_path: Path) -> None:
    other_name = tmp_path / "scale"
    other_name.symlink_to(room.right.port.removeprefix("serial:"))
    for port in (room.right.port, f"serial:{other_name}"):
        status, refusal = room.client.post("/api/devices/probe", {"port": port})
        assert (status, refusal["error"], refusal["devices"]) == (409, "port-in-use", ["right"])
        assert refusal["can_pause"]
    room.right.put(1_235_000)
    with room.stall.agent.watch(("device/right",)) as watcher:
        job = room.ended(room.probe(room.right.port, seconds=2, pause=True))
        assert (job["paused"], job["result"]["fits"][0]["driver"]) == (["right"], "st-gs")
        room.stall.until(lambda: room.state("right") == "connected", "it was not opened again")
        states = [event.value["state"] for event in watcher.take(0)]
    assert states == ["lost", "connected"]


def test_there_is_one_at_a_time_and_it_can_be_stopped(room: Room, silent: tuple[str, int]) -> None:
    first = room.probe(silent[0], seconds=10)
    status, refusal = room.client.post("/api/devices/probe", {"port": room.loose.port})
    assert (status, refusal["error"], refusal["job"]) == (409, "busy", first["job"])
    assert room.step("right", "empty", shown="0")[1]["error"] == "busy"
    began = time.monotonic()
    status, asked = room.client.post(f"/api/devices/probe/{first['job']}/stop")
    assert (status, asked["job"]) == (200, first["job"])
    job = room.ended(asked)
    assert (job["state"], job["result"]["fits"], job["result"]["device"]) == ("stopped", [], None)
    assert time.monotonic() - began < 9, "it went on listening"
    assert [each["warning"] for each in job["result"]["warnings"]] == ["silent"]
    room.ended(room.probe(silent[0], seconds=0.2))
    assert room.client.get(f"/api/devices/probe/{first['job']}")[0] == 404


def test_it_asks_only_when_it_may(room: Room, silent: tuple[str, int]) -> None:
    os.set_blocking(silent[1], False)
    assert room.ended(room.probe(silent[0], seconds=0.2))["result"]["bytes"] == 0
    with pytest.raises(BlockingIOError):
        os.read(silent[1], 100)
    job = room.probe(silent[0], seconds=0.2, active=True)
    asked = b""
    until = time.monotonic() + WITHIN
    while not asked:
        assert time.monotonic() < until
        time.sleep(0.05)
        with contextlib.suppress(BlockingIOError):
            asked = os.read(silent[1], 100)
    doing = room.client.get(f"/api/devices/probe/{job['job']}")[1]["doing"]
    assert (doing["word"], doing["line"]) == ("asking", None)
    assert doing["driver"]
    room.client.post(f"/api/devices/probe/{job['job']}/stop")
    assert room.ended(job)["state"] == "stopped"


def test_it_ends_by_itself(room: Room, silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "LONGEST", 0.5)
    job = room.ended(room.probe(silent[0], seconds=10))
    assert (job["state"], job["timed_out"], job["result"]["bytes"]) == ("done", True, 0)
    assert job["elapsed_s"] < 9


def test_a_port_that_does_not_open_is_told(room: Room) -> None:
    job = room.ended(room.probe("serial:/dev/does-not-exist", seconds=0.2))
    assert job["state"] == "failed"
    assert "/dev/does-not-exist" in job["problem"]


def test_what_a_scanner_says_is_shown_as_its_shape(room: Room, silent: tuple[str, int]) -> None:
    over = threading.Event()

    def scan() -> None:
        while not over.wait(0.15):
            os.write(silent[1], b"134567890123456789\r\n")

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        job = room.ended(room.probe(silent[0], seconds=2.5))
    finally:
        over.set()
        thread.join()
    scanners = [fit for fit in job["result"]["fits"] if fit["kind"] == "scanner"]
    assert scanners, job
    assert scanners[0]["said"] == ["9" * 18]
    assert "134567890123456789" not in str(job)


def test_a_scale_that_is_read_right_passes_and_is_in_the_ledger(room: Room) -> None:
    bench = room.right
    assert "uncommissioned" in room.asset("right")["flags"]
    loads = (("empty", 0), ("mass", 3_250_000), ("tare", 500_000), ("overload", 40_000_000), ("removal", 0))
    answer: dict[str, Any] = {}
    for number, (step, load) in enumerate(loads):
        bench.put(load, tare=step == "tare")
        status, answer = room.step("right", step, shown=bench.display(), mass="3.25 kg")
        assert status == 200, answer
        assert (answer["step"]["step"], answer["step"]["result"], answer["step"]["finding"]) == (step, "good", [])
        assert answer["next"] == (loads[number + 1][0] if number < 4 else None)
        assert answer["may_skip"] is (answer["next"] in ("tare", "overload"))
        assert (answer["outcome"], len(answer["kept"])) == (("passed", 1) if number == 4 else (None, 0))
    assert [each["read"] for each in answer["steps"]][1:4] == ["3.250 kg gross", "0.000 kg net", "overload"]
    assert "uncommissioned" not in room.asset("right")["flags"]
    _, detail = room.client.get(f"/api/records/{answer['kept'][0]['id']}")
    data = detail["event"]["data"]
    assert (data["commissioning"], data["operator"], len(data["steps"])) == ("passed", IDS["maintainer"], 5)


def test_a_wrong_decimal_place_is_caught_and_the_scale_stays_uncommissioned(room: Room) -> None:
    bench = room.shifted
    bench.put(0)
    assert room.step("shifted", "empty", shown=bench.display())[1]["step"]["result"] == "good"
    bench.put(3_250_000)
    _, answer = room.step("shifted", "mass", shown="3.250 kg", mass="3.25 kg")
    assert (answer["step"]["read"], answer["step"]["result"], answer["step"]["finding"]) == (
        "32.50 kg gross",
        "bad",
        ["decimal"],
    )
    for step in ("tare", "overload"):
        assert room.step("shifted", step, skip=True)[1]["step"]["result"] == "skipped"
    bench.put(0)
    _, answer = room.step("shifted", "removal", shown=bench.display())
    assert (answer["outcome"], answer["next"], len(answer["kept"])) == ("failed", None, 1)
    assert "uncommissioned" in room.asset("shifted")["flags"]
    _, detail = room.client.get(f"/api/records/{answer['kept'][0]['id']}")
    assert detail["event"]["data"]["commissioning"] == "failed"


def test_what_does_not_fit_is_refused_and_the_step_is_still_due(room: Room) -> None:
    bench = room.right
    bench.put(0)
    before = room.ledger_events()
    assert room.step("right", "mass", shown="1 kg", mass="1 kg")[1]["error"] == "out-of-order"
    assert room.step("right", "empty", shown="0.000 kg")[1]["next"] == "mass"
    refused = [
        ({"step": "tare", "shown": "0"}, 409, "out-of-order"),
        ({"step": "mass", "shown": "1.000 kg"}, 400, "bad-mass"),
        ({"step": "mass", "shown": "1.000 kg", "mass": "heavy"}, 400, "bad-mass"),
        ({"step": "mass", "shown": "1.0.0", "mass": "1 kg"}, 400, "bad-shown"),
        ({"step": "mass", "shown": "", "mass": "1 kg"}, 400, "bad-shown"),
        ({"step": "mass", "skip": True, "mass": "1 kg"}, 400, "bad-step"),
        ({"step": "mass", "skip": "yes", "mass": "1 kg"}, 400, "bad-request"),
        ({"step": "dance", "shown": "1"}, 400, "bad-step"),
        ({}, 400, "bad-request"),
    ]
    for body, status, code in refused:
        answer = room.client.post("/api/devices/right/commission", body)
        assert (answer[0], answer[1]["error"]) == (status, code), body
    assert room.step("shifted", "empty", shown="0")[0] == 200, "another scale may be commissioned meanwhile"
    assert room.step("shifted", "stop")[0] == 200
    taken = {"port": room.right.port, "pause": True}
    assert room.client.post("/api/devices/probe", taken)[1]["device"] == "right", "its port is not taken from it"
    meanwhile = room.ended(room.probe(room.loose.port, seconds=0.2))
    assert (meanwhile["state"], meanwhile["problem"]) == ("done", None), "another port can be probed"
    bench.put(1_000_000)
    _, answer = room.step("right", "mass", shown=bench.display(), mass="1.2 kg")
    assert (answer["step"]["read"], answer["step"]["finding"]) == ("1.000 kg gross", ["scale-off"])
    assert room.step("right", "stop")[1]["next"] == "empty"
    assert room.step("right", "tare", skip=True)[1]["error"] == "out-of-order"
    bench.put(0)
    assert room.ledger_events() == before, "what was broken off is not in the ledger"
    for device, code in (("nobody", "not-found"), ("scanner-1", "not-a-scale")):
        assert room.step(device, "empty", shown="0")[1]["error"] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad-request"),
        ({"port": 7}, "bad-request"),
        ({"port": "nonsense"}, "bad-port"),
        ({"port": "smoke:signal"}, "bad-port"),
        ({"port": "tcp:x"}, "bad-port"),
        ({"port": "tcp:127.0.0.1:9", "seconds": 11}, "bad-request"),
        ({"port": "tcp:127.0.0.1:9", "seconds": True}, "bad-request"),
        ({"port": "tcp:127.0.0.1:9", "active": "yes"}, "bad-request"),
    ],
)
def test_a_probe_that_makes_no_sense_is_refused(room: Room, body: dict[str, Any], code: str) -> None:
    status, refusal = room.client.post("/api/devices/probe", body)
    assert (status, refusal["error"]) == (400, code)
    assert refusal["what"]
    assert refusal["where"].startswith("body")
    assert refusal["right"]


def test_a_scale_that_is_gone_is_not_commissioned_and_the_agent_stops_in_a_probe(
    tmp_path: Path, free_port: Callable[[], int], silent: tuple[str, int]
) -> None:
    lost = _DEVICE.format(id="lost", driver="st-gs", port="serial:/dev/does-not-exist", more="")
    with stall(tmp_path, free_port(), web=with_people(tmp_path), more=lost) as made:
        client = made.client()
        client.sign_in("maintainer")
        made.until(lambda: "lost" in made.agent.status()["devices"])
        status, refusal = client.post("/api/devices/lost/commission", {"step": "empty", "shown": "0"})
        assert (status, refusal["error"]) == (409, "not-connected")
        assert client.post("/api/devices/probe", {"port": silent[0], "seconds": 10})[0] == 200
    assert not [thread for thread in threading.enumerate() if thread.name == "probe"]
