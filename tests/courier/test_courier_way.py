"""The whole way: box, stick, platform, verdict file, box. Real stores, agent and broker, and the city's stand-in."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from real_broker import Mosquitto

from edge_agent import clock
from edge_agent.cli.app import run
from edge_agent.control import ControlClient
from edge_agent.records.bodies import ScanBody, clock_facts
from edge_agent.records.envelope import draft
from edge_agent.store import Store
from hwsim.city import City
from hwsim.cli import main as hwsim

ZONE = ZoneInfo("Asia/Shanghai")
SOURCE = "/market-1/gw-1"
DEADLINE = 120.0


class Box:
    """A box with its configuration; it may run as a process of its own."""

    def __init__(self, folder: Path, *, gateway: str = "gw-1", port: int | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.source = f"/market-1/{gateway}"
        self.path = folder / "records.db"
        self.config = folder / "agent.toml"
        uplink = f'[uplink]\nhost = "127.0.0.1"\nport = {port}\ntls = false\nverdict_timeout = 1\n' if port else ""
        self.config.write_text(
            f'[gateway]\nid = "{gateway}"\nsite = "market-1"\n[store]\npath = "{self.path}"\n{uplink}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def fill(self, count: int, raw: int = 20) -> None:
        with self.store() as store:
            at = clock.now()
            for ticket in [store.submit(self._scan(number, at, raw)) for number in range(count)]:
                ticket.wait(30)

    def _scan(self, number: int, at: Any, raw: int) -> Any:
        body = ScanBody(clock=clock_facts(at), text=f"code {number}", raw=os.urandom(raw).hex())
        return draft(type=ScanBody.TYPE, subject="A12", at=at, zone=ZONE, data=body.to_data())

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        store = Store.open(self.path, source=self.source, zone=ZONE)
        try:
            yield store
        finally:
            store.stop(30)

    def bodies(self) -> list[bytes]:
        with self.store() as store:
            return [row.body for row in store.read(1, limit=10**6)]

    def counts(self) -> tuple[int, int, int]:
        """Delivered, rejected, pending."""
        if self.process is not None:
            status = self.ask(do="status")["status"]
            return status["delivered"], status["rejected"], status["pending"]
        with self.store() as store:
            counts = store.outbox().counts()
            return counts.delivered, counts.rejected, counts.pending

    def ask(self, **request: Any) -> dict[str, Any]:
        with ControlClient(Path(f"{self.path}.sock"), timeout=60.0) as client:
            return client.ask(**request)

    def start(self) -> None:
        command = [sys.executable, "-m", "edge_agent", "run", "--config", str(self.config)]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, "the agent answers")

    def _answers(self) -> bool:
        try:
            return bool(self.ask(do="status")["ok"])
        except ConnectionError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == 0, (self.folder / "log").read_text()
            self.process = None


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "box")
    yield box
    box.stop()


def edge_agent(*arguments: object) -> int:
    return run(["--lang", "en", *map(str, arguments)])


def city_takes(file: Path, store: Path, *more: str) -> Path:
    hwsim.main(["city", "--import", str(file), "--store", f"sqlite:{store}", *more], standalone_mode=False)
    return file.with_name(f"{file.name}.verdicts")


def at_the_platform(store: Path) -> list[bytes]:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return [body for (body,) in connection.execute("SELECT body FROM records ORDER BY chain, sequence")]


@pytest.mark.parametrize("running", [False, True])
def test_there_and_back_counts_once(box: Box, tmp_path: Path, running: bool, capfd: Any) -> None:
    box.fill(700)
    whole = box.bodies()
    if running:
        box.start()
    stick = tmp_path / "stick.courier"
    assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
    assert "701 records" in capfd.readouterr().out
    assert box.counts() == (0, 0, 701)
    verdicts = city_takes(stick, tmp_path / "city.db", "--reject", "sequence=300")
    assert at_the_platform(tmp_path / "city.db") == [body for n, body in enumerate(whole, 1) if n != 300]
    for again in (False, True):
        assert edge_agent("buffer", "import", verdicts, "--config", box.config) == 0
        words = "newly delivered: 0, newly refused: 0" if again else "newly delivered: 700, newly refused: 1"
        assert words in capfd.readouterr().out
        assert box.counts() == (700, 1, 0)
    box.stop()
    assert box.counts() == (700, 1, 0)  # also on disk
    assert edge_agent("buffer", "export", tmp_path / "next.courier", "--config", box.config) == 0
    assert not (tmp_path / "next.courier").exists()


def test_by_courier_and_by_network_stay_one(tmp_path: Path) -> None:
    """Two of three go by courier while the link is away; then everything comes by network as well."""
    broker = Mosquitto(tmp_path)
    box = Box(tmp_path / "box", port=broker.port)
    box.fill(200)
    box.start()
    try:
        stick, archive = tmp_path / "stick.courier", tmp_path / "city.db"
        assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
        verdicts = city_takes(stick, archive)
        broker.start()
        with City(broker.address, store=archive) as city:
            stats = city.wait(lambda s: s.duplicates >= 201, DEADLINE)
            until(lambda: box.counts() == (201, 0, 0), "the network's verdict settles all")
            assert edge_agent("buffer", "import", verdicts, "--config", box.config) == 0
            assert box.counts() == (201, 0, 0)
            assert (city.stats.distinct, stats.gaps, stats.chain_ok) == (201, 0, True)
        assert len(at_the_platform(archive)) == 201
    finally:
        box.stop()
        broker.kill()


def test_verdicts_by_courier_end_the_sending_of_a_running_agent(tmp_path: Path) -> None:
    """The platform takes what comes and is silent; the verdict file ends it, and nothing is sent again and again."""
    broker = Mosquitto(tmp_path).start()
    box = Box(tmp_path / "box", port=broker.port)
    box.fill(50)
    box.start()
    try:
        with City(broker.address, store=tmp_path / "live.db", silent=float("inf")) as city:
            city.wait(lambda s: s.distinct == 51, DEADLINE)
            stick = tmp_path / "stick.courier"
            assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
            verdicts = city_takes(stick, tmp_path / "office.db")
            assert edge_agent("buffer", "import", verdicts, "--config", box.config) == 0
            assert box.counts() == (51, 0, 0)

            def quiet() -> bool:  # verdict_timeout is one second: what still waited would come again
                before = city.stats.received
                time.sleep(3.0)
                return city.stats.received == before

            until(quiet, "nothing is sent any more")
    finally:
        box.stop()
        broker.kill()


@pytest.mark.parametrize("running", [False, True])
def test_another_box_delivers_what_was_brought_to_it(tmp_path: Path, running: bool, capfd: Any) -> None:
    broker = Mosquitto(tmp_path).start()
    far, near = Box(tmp_path / "far"), Box(tmp_path / "near", gateway="gw-2", port=broker.port)
    far.fill(120)
    near.fill(3)
    stick, archive = tmp_path / "stick.courier", tmp_path / "city.db"
    assert edge_agent("buffer", "export", stick, "--config", far.config) == 0
    try:
        with City(broker.address, store=archive) as city:
            if running:
                near.start()
                city.wait(lambda s: s.distinct == 4, DEADLINE)
            capfd.readouterr()
            for again in (False, True):
                assert edge_agent("buffer", "import", stick, "--config", near.config) == 0
                if not again:
                    assert "to be delivered: 121 new, 0 known already" in capfd.readouterr().out
            if not running:
                near.start()
            stats = city.wait(lambda s: s.distinct == 125, DEADLINE)
            until(lambda: near.ask(do="status")["status"]["salvaged"] == 0, "the verdicts came back")
            assert (stats.chains, stats.gaps, stats.rejected, stats.chain_ok) == (2, 0, 0, True)
        assert set(far.bodies()) <= set(at_the_platform(archive))
    finally:
        near.stop()
        broker.kill()


def test_a_file_brought_home_again_is_known(box: Box, tmp_path: Path, capfd: Any) -> None:
    box.fill(5)
    stick = tmp_path / "s"
    assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
    assert edge_agent("buffer", "import", stick, "--config", box.config) == 0
    assert "0 new, 6 known already" in capfd.readouterr().out
    assert box.counts() == (0, 0, 6)


def test_an_interrupted_export_goes_on_and_the_file_is_never_half(box: Box, tmp_path: Path, capfd: Any) -> None:
    """The kernel lets the process write so many bytes and no more, as a full stick does; then there is room."""
    box.fill(1_500, raw=400)
    stick = tmp_path / "stick.courier"
    command = f"exec {sys.executable} -m edge_agent --lang en buffer export {stick} --config {box.config}"
    for kib, code in ((200, 74), (400, 74), (4_000, 0)):
        done = subprocess.run(["bash", "-c", f"ulimit -f {kib}; {command}"], capture_output=True, timeout=120)
        assert done.returncode == code, done.stderr
        assert stick.exists() == (code == 0)
        if code:
            assert b"run the command again" in done.stderr
    assert b"going on with the unfinished file" in done.stderr
    assert not stick.with_name(stick.name + ".part").exists()
    lines = gzip.decompress(stick.read_bytes()).splitlines()
    assert lines[1:-1] == box.bodies()
    assert edge_agent("buffer", "export", stick, "--config", box.config) == 73


def test_an_unfinished_file_of_something_else_is_begun_anew(box: Box, tmp_path: Path) -> None:
    box.fill(10)
    stick = tmp_path / "stick.courier"
    for rubbish in (b"", b"rubbish", gzip.compress(b'{"courier":1,"kind":"records","file":"f","source":"/a/b",')):
        stick.with_name("stick.courier.part").write_bytes(rubbish)
        assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
        assert gzip.decompress(stick.read_bytes()).splitlines()[1:-1] == box.bodies()
        stick.unlink()


def rewritten(file: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """A file whose lines were changed by somebody who makes the checksum anew."""
    import hashlib

    *lines, _ = [orjson.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    change(lines)
    text = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    end = {"end": True, "lines": len(lines), "sha256": hashlib.sha256(text).hexdigest()}
    made = file.with_name("changed")
    made.write_bytes(gzip.compress(text + orjson.dumps(end) + b"\n"))
    return made


def further(lines: list[dict[str, Any]]) -> None:
    lines[1]["accepted"] = [[1, 12]]


def another(lines: list[dict[str, Any]]) -> None:
    lines[1]["digests"][0][2] = "ab" * 32


def wider(lines: list[dict[str, Any]]) -> None:
    assert lines[1]["accepted"] == [[1, 2], [4, 6]]
    lines[1]["accepted"], lines[1]["rejected"] = [[1, 6]], []


def bare(lines: list[dict[str, Any]]) -> None:
    del lines[1]["digests"]


def not_ours(lines: list[dict[str, Any]]) -> None:
    lines[0]["source"] = "/market-1/gw-9"


def broken(lines: list[dict[str, Any]]) -> None:
    lines[1]["accepted"] = [[5, 1]]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (further, "line 2: the platform has record 12 of chain"),
        (another, "line 2: records 1 to 2 here are not those that the platform has"),
        (wider, "line 2: no digest stands behind the accepted records 1 to 6"),
        (bare, "line 2: no digest stands behind the accepted records 1 to 2"),
        (not_ours, "line 1: these are verdicts for /market-1/gw-9, this box is /market-1/gw-1"),
        (broken, "line 2: no verdict: accepted has"),
    ],
)
def test_verdicts_that_cannot_be_are_refused_and_nothing_changes(
    box: Box, tmp_path: Path, capfd: Any, change: Any, words: str, running: bool
) -> None:
    box.fill(5)
    stick = tmp_path / "s"
    assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
    bad = rewritten(city_takes(stick, tmp_path / "city.db", "--reject", "sequence=3"), change)
    if running:
        box.start()
    assert edge_agent("buffer", "import", bad, "--config", box.config) == 65
    err = capfd.readouterr().err
    assert words in err
    assert "nothing was taken" in err
    assert box.counts() == (0, 0, 6)


def test_torn_and_foreign_files_are_refused_by_box_and_platform(box: Box, tmp_path: Path, capfd: Any) -> None:
    box.fill(5)
    stick = tmp_path / "s"
    assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
    data = stick.read_bytes()
    bad = tmp_path / "bad"
    spoiled = bytearray(data)
    spoiled[len(data) // 2] ^= 4
    for content in (data[:-20], data[: len(data) // 2], bytes(spoiled), b"foreign", b""):
        bad.write_bytes(content)
        assert edge_agent("buffer", "import", bad, "--config", box.config) == 65
        assert "nothing was taken" in capfd.readouterr().err
        with pytest.raises(SystemExit) as ended:
            city_takes(bad, tmp_path / "city.db")
        assert ended.value.code == 65
    assert not bad.with_name("bad.verdicts").exists()
    assert at_the_platform(tmp_path / "city.db") == []
    assert edge_agent("buffer", "import", tmp_path / "none", "--config", box.config) == 65


def test_a_verdict_on_what_was_brought_from_an_earlier_chain_needs_its_digest(box: Box, tmp_path: Path) -> None:
    """The box was set up anew under its name; its old records came back to it on a stick and wait."""
    box.fill(10)
    stick = tmp_path / "s"
    assert edge_agent("buffer", "export", stick, "--config", box.config) == 0
    verdicts = city_takes(stick, tmp_path / "city.db")
    for file in box.folder.glob("records.db*"):
        file.unlink()
    box.fill(1)
    assert edge_agent("buffer", "import", stick, "--config", box.config) == 0

    def waiting() -> int:
        with box.store() as store:
            return len(store.salvaged.pending(100))

    assert waiting() == 11

    def spoiled(lines: list[dict[str, Any]]) -> None:
        lines[1]["digests"][0][2] = "ab" * 32

    assert edge_agent("buffer", "import", rewritten(verdicts, spoiled), "--config", box.config) == 65
    assert waiting() == 11
    for _ in range(2):
        assert edge_agent("buffer", "import", verdicts, "--config", box.config) == 0
        assert waiting() == 0
    assert box.counts() == (0, 0, 2)
