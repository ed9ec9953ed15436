"""Receipts through the whole agent, printed by a simulated printer on a real TCP port and a real terminal."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import Agent
from edge_agent.cli.app import run
from edge_agent.facade import NotPrinted
from edge_agent.preparing import prepare
from hwsim.device import Device
from hwsim.ports import open_port
from hwsim.printer import Printer, Slip

CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
[store]
path = "{folder}/records.db"
[receipt]
market = "南门农贸市场"
complaint = "12315"
stalls = {{ A12 = "A12 王记蔬菜" }}
[[device]]
id = "s"
driver = "st-gs"
port = "memory:s"
[[device]]
id = "p"
driver = "{driver}"
port = "{port}"
options = {options}
[[station]]
id = "A12"
mode = "sale"
devices = ["s", "p"]
party = "3706025690012"
rules = {{ trace_first = 100, print = "{rule}" }}
[[station]]
id = "bare"
mode = "sale"
devices = ["s"]
party = "3706025690012"
"""
PATIENCE = 20.0


def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (value := what()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return value


@pytest.fixture
def printer() -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def plug_in(port: str = "tcp:0", **given: Any) -> Device:
        made.append(Device(Printer(**given), open_port(port), name="printer").start())
        return made[-1]

    yield plug_in
    for device in made:
        device.stop()


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    made: list[Agent] = []

    def start(port: str, *, driver: str = "escpos", rule: str = "receipt", options: str = "{}") -> Agent:
        text = CONFIG.format(folder=tmp_path, port=port, driver=driver, rule=rule, options=options)
        (tmp_path / "agent.toml").write_text(text)
        made.append(Agent(*prepare(tmp_path / "agent.toml")))
        made[-1].start()
        return made[-1]

    yield start
    for agent in made:
        agent.stop()


def sell(agent: Agent, name: str = "鸡蛋", station: str = "A12") -> str:
    agent.command(station, "goods", {"code": "egg", "name": name, "price_fen": 150, "price_per": "each"})
    result = agent.command(station, "confirm", {"qty": 4})
    assert result.refused is None
    return str(result.kept[0]["id"])


def paper(device: Device) -> Printer:
    assert isinstance(device.instrument, Printer)
    return device.instrument


def slips(device: Device, count: int) -> list[Slip]:
    until(lambda: len(paper(device).slips) >= count)
    return paper(device).slips


@pytest.mark.parametrize("port", ["tcp", "serial", "lp"])
def test_a_sale_prints_its_receipt_by_itself(
    printer: Callable[..., Device], stall: Callable[..., Agent], port: str
) -> None:
    device = printer("tcp:0" if port == "tcp" else "pty")
    sell(stall(port + device.port.name[device.port.name.index(":") :]))
    (slip,) = slips(device, 1)
    assert slip.lines[0] == "南门农贸市场"
    assert "【补打】" not in slip.lines
    for words in ("A12 王记蔬菜", "鸡蛋", "4 件", "6.00 元", "12315", "370602569001200"):
        assert words in slip.text
    assert slip.codes[0].startswith("TR1.")


def test_the_code_on_a_receipt_is_signed_and_can_be_checked_anywhere(
    printer: Callable[..., Device], stall: Callable[..., Agent], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = printer()
    agent = stall(device.port.name)
    sell(agent)
    (text,) = slips(device, 1)[0].codes
    key = str(agent.store.attestor.signer.public)
    arguments = ["receipt", "check", "--config", str(tmp_path / "agent.toml"), "--output", "json"]
    capsys.readouterr()
    assert run([*arguments, text]) == 0
    told = {row["fact"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert (told["goods_name"], told["amount_fen"], told["qty"]) == ("鸡蛋", 600, 4)
    assert run([*arguments, "--key", key, text]) == 0
    facts = text.split(".")[1]
    changed = text.replace(facts, facts[:-4] + ("AAAA" if facts[-4:] != "AAAA" else "BBBB"))
    assert run([*arguments, changed]) == 1
    assert run([*arguments, "--key", "x", text]) == 65


def test_a_receipt_is_printed_from_the_command_line(
    printer: Callable[..., Device], stall: Callable[..., Agent], tmp_path: Path
) -> None:
    device = printer()
    agent = stall(device.port.name, rule="none")
    arguments = ["receipt", "print", "--config", str(tmp_path / "agent.toml")]
    assert run([*arguments, sell(agent)]) == 0
    slips(device, 1)
    assert run([*arguments, "nothing"]) == 65
    agent.stop()
    assert run([*arguments, "1"]) == 69


def test_a_second_print_says_so(printer: Callable[..., Device], stall: Callable[..., Agent]) -> None:
    device = printer()
    agent = stall(device.port.name)
    sale = sell(agent)
    slips(device, 1)
    assert agent.slips.print(sale, "receipt")["printer"] == "p"
    assert "【补打】" in slips(device, 2)[1].lines


def test_a_ticket_is_printed_once_when_it_is_paid(printer: Callable[..., Device], stall: Callable[..., Agent]) -> None:
    device = printer()
    agent = stall(device.port.name)
    agent.command("A12", "ticket", {"ticket": "T-1"})
    sell(agent, "鸡蛋")
    sell(agent, "鸭蛋")
    assert agent.command("A12", "settle", {"ticket": "T-1", "pay_method": "cash"}).refused is None
    sell(agent, "鹅蛋")
    first, second = slips(device, 2)[:2]
    assert "鸡蛋" in first.text
    assert "鸭蛋" in first.text
    assert "12.00 元" in first.text
    assert "鹅蛋" in second.text


def test_a_printer_that_is_away_never_holds_up_a_sale_and_prints_when_it_is_back(
    printer: Callable[..., Device], stall: Callable[..., Agent]
) -> None:
    device = printer()
    device.unplug()
    agent = stall(device.port.name)
    sale = sell(agent)
    assert agent.store.find(sale) is not None
    until(lambda: agent.board.latest("device/p").get("device/p", {}).get("state") == "lost")
    assert paper(device).slips == []
    device.plug()
    assert "鸡蛋" in slips(device, 1)[0].text


def test_without_paper_nothing_is_lost_and_the_page_is_told(
    printer: Callable[..., Device], stall: Callable[..., Agent]
) -> None:
    device = printer(trouble={"paper"})
    agent = stall(device.port.name)
    sell(agent)
    until(lambda: "out of paper" in str(agent.board.latest("device/p")))
    assert paper(device).slips == []
    paper(device).trouble.clear()
    assert "鸡蛋" in slips(device, 1)[0].text
    done = until(lambda: agent.board.latest("printer/p")["printer/p"]["done"])
    assert done[0]["state"] == "printed"


def test_labels_go_to_a_label_printer(printer: Callable[..., Device], stall: Callable[..., Agent]) -> None:
    device = printer(language="tspl")
    agent = stall(device.port.name, driver="tspl", rule="label", options="{ height = 80 }")
    sell(agent)
    (slip,) = slips(device, 1)
    assert slip.lines[0] == "鸡蛋"
    assert len(slip.codes) == 1


def test_what_cannot_be_printed_says_why(printer: Callable[..., Device], stall: Callable[..., Agent]) -> None:
    device = printer(language="tspl")
    agent = stall(device.port.name, driver="tspl", rule="label", options="{ height = 15 }")
    sale = sell(agent)
    done = until(lambda: agent.board.latest("printer/p")["printer/p"]["done"])
    assert done[0]["state"] == "failed"
    assert "the label is 15 mm high" in done[0]["reason"]
    for record, what, station, code in (
        (sale, "certificate", None, "no-intake"),
        ("no-such-record", "receipt", None, "unknown"),
        (sale, "receipt", "bare", "no-printer"),
        ("1", "receipt", "A12", "not-a-sale"),
    ):
        with pytest.raises(NotPrinted) as told:
            agent.slips.print(record, what, station)
        assert told.value.code == code


def test_the_certificate_of_a_batch_is_printed_again(
    printer: Callable[..., Device], stall: Callable[..., Agent], tmp_path: Path
) -> None:
    device = printer()
    agent = stall(device.port.name, rule="none")
    agent.stop()
    text = (tmp_path / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_text(
        text + '[[station]]\nid = "door"\nmode = "intake"\ndevices = ["s"]\nparty = "3706025690012"\n'
    )
    agent = Agent(*prepare(tmp_path / "agent.toml"))
    agent.start()
    agent.command("door", "voucher", {"type": "commitment", "no": "C-9", "issuer": "寿光合作社"})
    taken = agent.command(
        "door", "confirm", {"goods_code": "egg", "qty": 30, "batch": "B-1", "origin_name": "山东寿光"}
    )
    assert taken.refused is None
    sale = sell(agent)
    agent.slips.print(sale, "certificate")
    assert "C-9" in slips(device, 1)[0].text
    shown = agent.slips.show(sale)
    assert {"left": "产地", "right": "山东寿光", "size": 1, "bold": False} in shown["lines"]
    assert agent.slips.picture(sale).startswith(b"<svg")
    agent.stop()


def test_the_page_shows_and_prints_receipts(
    printer: Callable[..., Device], stall: Callable[..., Agent], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    device, page = printer(), free_port()
    stall(device.port.name, rule="none").stop()
    with (tmp_path / "agent.toml").open("a") as file:
        file.write(f'[web]\nlisten = "127.0.0.1:{page}"\n')
    agent = Agent(*prepare(tmp_path / "agent.toml"))
    agent.start()
    try:
        sale = sell(agent)
        client = Client(page)
        shown = client.get(f"/api/records/{sale}/receipt")
        assert {"left": "数量", "right": "4 件", "size": 1, "bold": False} in shown["lines"]
        assert client.raw(f"/api/records/{sale}/receipt.svg").startswith(b"<svg")
        assert client.post(f"/api/records/{sale}/print", {"what": "receipt"}) == (
            200,
            {"ok": True, "printer": "p", "job": 1},
        )
        assert "鸡蛋" in slips(device, 1)[0].text
        for path, body, status, error in (
            ("/api/records/nothing/print", {}, 404, "unknown"),
            (f"/api/records/{sale}/print", {"what": "money"}, 400, "bad-request"),
            (f"/api/records/{sale}/print", {"station": "bare"}, 409, "no-printer"),
            (f"/api/records/{sale}/print", {"what": "certificate"}, 409, "no-intake"),
        ):
            got, answer = client.post(path, body)
            assert (got, answer["error"]) == (status, error)
            assert answer["what"]
    finally:
        agent.stop()


class Client:
    """A page, as far as cookies and the token of its session go."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
        )
        self._token = until(self._session)["csrf"]

    def _session(self) -> Any:
        try:
            return self.get("/api/session")
        except urllib.error.URLError:  # it is not listening yet
            return None

    def raw(self, path: str) -> bytes:
        with self._opener.open(self._base + path, timeout=PATIENCE) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> Any:
        return json.loads(self.raw(path))

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        request = urllib.request.Request(
            self._base + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-CSRF-Token": self._token, "Origin": self._base},
        )
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as problem:
            return problem.code, json.loads(problem.read())
