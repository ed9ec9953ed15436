"""The local API: tokens and scopes, one sale for one key, payments; and its OpenAPI document held against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from stall_web import Client, WebStall, new_token, stall

from edge_agent.web.api import OPERATIONS
from edge_agent.web.openapi import document

ALL = ("read", "sell", "intake", "pay")


@pytest.fixture
def market(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[WebStall]:
    with stall(tmp_path, free_port(), host="127.0.0.1") as made:
        yield made


class Program:
    """A program with a token."""

    def __init__(self, market: WebStall, *scopes: str, name: str = "pos-1") -> None:
        self.token = new_token(market.folder, *(scopes or ALL), name=name)
        self.client: Client = market.client()

    def get(self, path: str) -> tuple[int, Any]:
        return self.client.ask("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {self.token}"})

    def post(self, path: str, body: Any, key: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        return self.client.ask("POST", f"/api/v1{path}", body, headers)


SALE = {"station": "A12", "code": "cabbage", "name": "大白菜", "price_fen": 560, "price_per": "kg", "net_mg": 1_236_000}


def test_a_sale_is_kept_and_the_same_key_gives_the_same_record(market: WebStall) -> None:
    pos = Program(market)
    status, first = pos.post("/sales", SALE, "till-7/000123")
    assert status == 200, first
    again = [pos.post("/sales", SALE, "till-7/000123") for _ in range(3)]
    assert [answer for _, answer in again] == [first] * 3
    status, other = pos.post("/sales", {**SALE, "net_mg": 2_000_000}, "till-7/000123")
    assert (status, other["refused"]) == (409, "key-used")
    assert pos.post("/sales", SALE, "till-7/000124")[1]["kept"] != first["kept"], "another key, another sale"
    status, record = pos.get(f"/records/{first['kept'][0]['id']}")
    assert status == 200
    data = record["event"]["data"]
    assert (data["amount_fen"], data["captured_by"], data["indication"], data["unit"]) == (692, "import", "1.236", "kg")
    assert record["mark"] == "saved"


def test_a_key_holds_over_a_restart(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with stall(tmp_path, free_port()) as made:
        pos = Program(made)
        _, first = pos.post("/sales", SALE, "k1")
    with stall(tmp_path, free_port()) as made:
        pos.client = made.client()
        assert pos.post("/sales", SALE, "k1") == (200, first)
        assert pos.get("/records?type=trace.sale.v1")[1]["records"][0]["event"]["id"] == first["kept"][0]["id"]
        assert len(pos.get("/records?type=trace.sale.v1")[1]["records"]) == 1


def test_two_at_the_same_time_with_one_key_are_one_sale(market: WebStall) -> None:
    from concurrent.futures import ThreadPoolExecutor

    pos = Program(market)

    def sell(_n: int) -> Any:
        return pos.post("/sales", SALE, "same")[1].get("kept")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(sell, range(8)))
    assert len({json.dumps(answer) for answer in answers}) == 1
    assert len(pos.get("/records?type=trace.sale.v1")[1]["records"]) == 1


def test_a_program_does_not_disturb_the_counter(market: WebStall) -> None:
    pos, page = Program(market), market.client()
    page.get("/api/session")
    page.do("goods", code="carrot", name="胡萝卜", price_fen=300)
    assert pos.post("/sales", SALE, "k2")[0] == 200
    assert market.view().detail["goods_code"] == "carrot"
    door = market.client()
    door.do("set", "door", goods_code="potato")
    assert market.view("door").detail["form"] == {"goods_code": "potato"}
    told = {"station": "door", "goods_code": "carrot", "net_mg": 9_000_000, "batch": "B-1", "origin_name": "寿光"}
    status, kept = pos.post("/intakes", told, "i1")
    assert status == 200, kept
    assert market.view("door").detail["form"] == {"goods_code": "potato"}
    _, trace = pos.get("/trace?code=B-1")
    assert [node["kind"] for node in trace["nodes"]] == ["intake", "batch"]


def test_pieces_and_the_load_on_the_scale(market: WebStall) -> None:
    pos = Program(market)
    eggs = {"station": "A12", "code": "egg", "price_fen": 80, "price_per": "each", "qty": 30}
    assert pos.post("/sales", eggs, "e1")[0] == 200
    weighed = {name: value for name, value in SALE.items() if name != "net_mg"}
    assert pos.post("/sales", weighed, "w1")[1]["refused"] == "waiting"
    market.weigh("0.000", "0.000", "2.000", "2.000", "2.000")
    market.until(lambda: market.view().state == "stable")
    status, kept = pos.post("/sales", weighed, "w2")
    assert status == 200
    data = pos.get(f"/records/{kept['kept'][0]['sequence']}")[1]["event"]["data"]
    assert (data["net_mg"], data["amount_fen"], data["captured_by"]) == (2_000_000, 1120, "device")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"net_mg": "1236000"}, "body.net_mg"),
        ({"net_mg": 1.5}, "body.net_mg"),
        ({"net_mg": -1}, "body.net_mg"),
        ({"price_per": "斤"}, "body.price_per"),
        ({"station": ""}, "body.station"),
        ({"colour": "green"}, "body.colour"),
        ({"code": None}, "body.code"),
        ({"qty": 2}, "body"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(market: WebStall, change: dict[str, Any], where: str) -> None:
    status, refusal = Program(market).post("/sales", {**SALE, **change}, "k")
    assert (status, refusal["error"], refusal["where"]) == (400, "bad-request", where)
    assert refusal["what"]


def test_what_a_token_may_do(market: WebStall) -> None:
    reader, seller = Program(market, "read", name="erp"), Program(market, "sell", name="pos")
    assert reader.get("/state")[0] == 200
    assert reader.post("/sales", SALE, "k")[1]["error"] == "scope"
    assert seller.post("/sales", SALE, "k")[0] == 200
    assert seller.get("/state")[1]["error"] == "scope"
    for token in ("", "tea_wrong", reader.token[:-1]):
        reader.token = token
        status, refusal = reader.get("/state")
        assert (status, refusal["error"]) in ((401, "token"), (429, "too-many-attempts"))
    assert seller.post("/sales", {**SALE, "net_mg": 5}, "k9")[0] == 200, "wrong tokens of others hold up nobody"
    text = (market.folder / "tokens.json").read_text()
    assert seller.token not in text


def test_a_revoked_token_counts_no_more_and_its_stream_ends(market: WebStall) -> None:
    from edge_agent.web.tokens import Tokens

    erp = Program(market, "read", name="erp")
    client = market.client()
    client.csrf = ""
    headers = {"Authorization": f"Bearer {erp.token}"}
    connection = client.connection()
    connection.request("GET", "/api/v1/events", None, headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.readline() == b"retry: 500\n"
    Tokens(market.folder / "tokens.json").revoke("erp")
    assert erp.get("/state")[0] == 401
    while answer.readline():
        pass  # ends within the beat of the stream
    connection.close()


def test_without_a_token_file_there_is_no_api(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with stall(tmp_path, free_port(), api=False) as made:
        pos = Program(made)
        assert pos.get("/state")[0] == 404
        assert pos.post("/sales", SALE, "k")[0] == 404


def test_an_erp_reads_every_record_once(market: WebStall) -> None:
    pos = Program(market)
    ids = [pos.post("/sales", {**SALE, "net_mg": n}, f"k{n}")[1]["kept"][0]["id"] for n in range(1, 8)]
    found, after = [], 0
    while True:
        _, page = pos.get(f"/records?after={after}&limit=3")
        found += [each["event"] for each in page["records"]]
        after = page["next"]
        if not page["more"]:
            break
    assert [each["id"] for each in found if each["type"] == "trace.sale.v1"] == ids
    sequences = [int(each["sequence"]) for each in found]
    assert sequences == list(range(1, len(found) + 1))


def test_a_void_says_why(market: WebStall) -> None:
    pos = Program(market)
    sale = pos.post("/sales", SALE, "k")[1]["kept"][0]["id"]
    assert pos.post(f"/records/{sale}/void", {"reason": ""})[0] == 400
    assert pos.post(f"/records/{sale}/void", {"reason": "按错"})[0] == 200
    assert pos.post(f"/records/{sale}/void", {"reason": "按错"})[1]["refused"] == "already-void"
    assert pos.get(f"/records/{sale}")[1]["void_by"]
    assert pos.post("/records/999999/void", {"reason": "x"})[1]["refused"] == "unknown"


def test_the_document_names_every_operation_and_its_schemas_hold() -> None:
    made = document()
    told = {(method.upper(), path) for path, methods in made["paths"].items() for method in methods}
    assert told == {(each.method, each.path) for each in OPERATIONS}
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_operation_asks_for_a_token(market: WebStall) -> None:
    client = market.client()
    for each in OPERATIONS:
        path = each.path.replace("{record}", "1")
        status, _ = client.ask(each.method, path, {}, {})
        assert status == (200 if each.scope is None else 401), each
