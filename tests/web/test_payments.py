"""Payments that a provider tells of (`hwsim pay`): never guessed, never twice, never in a sale's way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stall_web import Client, Stream, WebStall, new_token, stall


@pytest.fixture
def market(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[WebStall]:
    with stall(tmp_path, free_port()) as made:
        yield made


class Provider:
    """The provider's callbacks."""

    def __init__(self, market: WebStall) -> None:
        self._token = new_token(market.folder, "pay", name="provider")
        self.port = market.port

    def tell(self, amount_fen: int, reference: str, *more: str) -> list[Any]:
        command = [
            str(Path(sys.executable).parent / "hwsim"),
            "pay",
            "--to",
            f"http://127.0.0.1:{self.port}",
            "--token",
            self._token,
        ]
        command += ["--amount-fen", str(amount_fen), "--reference", reference, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert answers, done.stderr
        assert all(answer["status"] == 200 for answer in answers), answers
        return [answer["answer"] for answer in answers]


def sell(client: Client, fen: int) -> str:
    status, answer = client.do("sell", code="egg", price_per="each", price_fen=fen)
    assert status == 200, answer
    return str(answer["kept"][0]["id"])


def settlements(client: Client) -> list[Any]:
    return list(client.get("/api/records?type=trace.settlement.v1")[1]["records"])


def test_a_payment_settles_the_one_sale_of_its_amount_once(market: WebStall) -> None:
    client, provider = market.client(), Provider(market)
    stream = Stream(client)
    sell(client, 500)
    sale = sell(client, 1313)
    answers = provider.tell(1313, "4200001234567890123456789012", "--repeat", "3")
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers), "a repeated call gets the same answer"
    assert (answers[0]["state"], answers[0]["lines"]) == ("matched", [sale])
    (settled,) = settlements(client)
    assert (settled["pay_method"], settled["total_fen"], settled["lines"]) == ("wechat", 1313, [sale])
    body = client.get(f"/api/records/{settled['id']}")[1]["event"]
    assert len(body["data"]["pay_digest"]) == 64
    market.until(lambda: any(p and p[0]["state"] == "matched" for p in stream.named("payments")), "no page was told")
    stream.close()
    for file in [each for each in market.folder.glob("records.db*") if each.is_file()]:
        assert b"4200001234567890123456789012" not in file.read_bytes(), f"the reference is kept in {file}"


def test_of_two_sales_of_the_amount_a_person_chooses(market: WebStall) -> None:
    client, provider = market.client(), Provider(market)
    first, second = sell(client, 800), sell(client, 800)
    (payment,) = provider.tell(800, "pay-0001")
    assert payment["state"] == "ambiguous"
    assert payment["candidates"] == [[first], [second]]
    assert settlements(client) == []
    wrong = client.post(f"/api/payments/{payment['id']}/assign", {"lines": ["nothing"], "station": "A12"})
    assert (wrong[0], wrong[1]["refused"]) == (409, "unknown-sale")
    status, _ = client.post(f"/api/payments/{payment['id']}/assign", {"lines": [second], "station": "A12"})
    assert status == 200
    assert [s["lines"] for s in settlements(client)] == [[second]]
    again = client.post(f"/api/payments/{payment['id']}/assign", {"lines": [first], "station": "A12"})
    assert again[0] == 404, "a payment pays once"
    assert provider.tell(800, "pay-0001")[0]["state"] == "assigned"


def test_a_payment_before_its_sale_waits_for_it_and_holds_nothing_up(market: WebStall) -> None:
    client, provider = market.client(), Provider(market)
    (payment,) = provider.tell(950, "pay-0002")
    assert payment["state"] == "unmatched"
    sell(client, 100)
    assert settlements(client) == []
    sale = sell(client, 950)
    market.until(
        lambda: [s["lines"] for s in settlements(client)] == [[sale]], "it was not matched to the sale after it"
    )


def test_the_lines_of_an_open_ticket_are_paid_together(market: WebStall) -> None:
    client, provider = market.client(), Provider(market)
    client.do("ticket")
    lines = [sell(client, 300), sell(client, 450)]
    assert market.view().detail["ticket_fen"] == 750
    (payment,) = provider.tell(750, "pay-0003", "--station", "A12")
    assert (payment["state"], payment["lines"]) == ("matched", lines)
    assert market.view().detail["ticket"] is None
    # The same amount again, by another customer: nothing is open any more.
    assert provider.tell(750, "pay-0004")[0]["state"] == "unmatched"


def test_a_repeated_call_is_known_after_a_restart(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with stall(tmp_path, free_port()) as made:
        provider = Provider(made)
        sale = sell(made.client(), 640)
        provider.tell(640, "pay-0005")
    with stall(tmp_path, free_port()) as made:
        provider.port = made.port
        other = sell(made.client(), 640)
        (payment,) = provider.tell(640, "pay-0005")
        assert payment["lines"] == [sale], "it must not pay another sale of the same amount"
        assert other not in str(settlements(made.client()))


def test_a_provider_without_the_right_token_changes_nothing(market: WebStall) -> None:
    client = market.client()
    sell(client, 700)
    reader = new_token(market.folder, "read", name="reader")
    body = {"amount_fen": 700, "method": "wechat", "reference": "pay-0006"}
    status, _ = client.ask("POST", "/api/v1/payments", body, {"Authorization": f"Bearer {reader}"})
    assert status == 403
    assert settlements(client) == []
