"""Signing in: by PIN, card and pairing; wrong PINs are slowed down and nobody at the stall is locked out."""

from __future__ import annotations

import json
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stall_web import IDS, PINS, Stream, WebStall, stall, with_people

from edge_agent.web.access import Role
from edge_agent.web.people import BadPeople, People, hash_pin, pin_fits
from edge_agent.web.throttle import FREE, LONGEST, LOOPBACK, Throttle, bucket_address
from edge_agent.web.tls import fingerprint, own_certificate


@pytest.fixture
def market(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[WebStall]:
    with stall(tmp_path, free_port(), web=with_people(tmp_path), host="0.0.0.0") as made:
        yield made


# --- the throttle, by made-up times


def test_delays_grow_and_are_bounded() -> None:
    throttle, now, waits = Throttle(), 0.0, []
    for _ in range(20):
        waits.append(throttle.wrong("192.0.2.9", "01", now))
        now += waits[-1]
    assert waits[: FREE - 1] == [0.0] * (FREE - 1)
    assert waits[FREE - 1 : FREE + 3] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST
    assert waits == sorted(waits)


def test_a_person_is_slowed_down_wherever_the_attempts_come_from() -> None:
    throttle = Throttle()
    for n in range(40):
        throttle.wrong(f"192.0.2.{n}", "01", 0.0)
    assert throttle.wait("192.0.2.200", "01", 0.0) == LONGEST
    assert throttle.wait("192.0.2.200", "02", 0.0) == 0.0


def test_who_is_known_at_an_address_is_not_held_up_by_attempts_elsewhere() -> None:
    throttle = Throttle()
    throttle.right("192.0.2.20", "01")
    for n in range(40):
        throttle.wrong(f"192.0.2.{n + 100}", "01", 0.0)
    assert throttle.wait("192.0.2.20", "01", 0.0) == 0.0
    assert throttle.wait(LOOPBACK, "01", 0.0) == 0.0
    assert throttle.wait("192.0.2.21", "01", 0.0) == LONGEST


def test_memory_of_attempts_is_bounded_and_ends() -> None:
    throttle = Throttle()
    for n in range(20_000):
        throttle.wrong(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", None, 0.0)
    assert len(throttle._buckets) <= 4_096
    assert throttle.wait("10.0.78.31", None, 4_000.0) == 0.0


def test_an_address_of_version_6_counts_with_its_network() -> None:
    first = bucket_address("2001:db8:1:2:3::5", loopback=False)
    assert first == bucket_address("2001:db8:1:2:ffff::9", loopback=False)
    assert first != bucket_address("2001:db8:1:3::5", loopback=False)
    assert bucket_address("::1", loopback=True) == LOOPBACK


# --- PINs


def test_a_hash_is_salted_and_says_nothing() -> None:
    first, second = hash_pin("7301"), hash_pin("7301")
    assert first != second
    assert "7301" not in first
    assert pin_fits("7301", first)
    assert pin_fits("7301", second)
    assert not pin_fits("7302", first)
    for broken in ("", "x", "scrypt$14$8$1$zz$00", "scrypt$40$8$1$00$00", first[:-1]):
        assert not pin_fits("7301", broken)


def test_the_file_is_for_the_agent_only_and_holds_no_pin_and_no_card(tmp_path: Path) -> None:
    people = People(tmp_path / "pins.json")
    people.put("01", name="王芳", pin="730146", card="04A1B2C3D4")
    text = people.path.read_text()
    assert stat.S_IMODE(people.path.stat().st_mode) == 0o600
    assert "730146" not in text
    assert "04A1B2C3D4" not in text
    found = people.with_card("04a1b2c3d4")
    assert found is not None
    assert found.id == "01"
    assert people.with_card("04A1B2C3D5") is None
    with pytest.raises(BadPeople, match="somebody else"):
        people.put("02", card="04A1B2C3D4")


@pytest.mark.parametrize("pin", ["123", "1234", "0000", "7777777", "x" * 65])
def test_a_pin_that_anybody_tries_first_is_refused(tmp_path: Path, pin: str) -> None:
    with pytest.raises(BadPeople):
        People(tmp_path / "pins.json").put("01", pin=pin)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"people":[{}]}', '{"people":[{"id":"1","role":"king"}]}', "\x00"])
def test_a_file_that_is_none_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pins.json").write_text(text)
    with pytest.raises(BadPeople):
        People(tmp_path / "pins.json").all()


# --- through the server


def test_brute_force_is_slowed_down_and_the_stall_goes_on(market: WebStall) -> None:
    operator, box, attacker = market.client(lan=True), market.client(), market.client(lan=True)
    assert operator.sign_in("operator")[0] == 200
    assert box.sign_in("operator")[0] == 200
    attacker.get("/api/session")
    began = time.monotonic()
    answers = [attacker.post("/api/sign-in", {"person": "02", "pin": f"{n:04}"})[0] for n in range(1000, 1060)]
    tried = answers.count(401)
    # Some attempts may pass as the first delays of 1, 2, 4 s run out while the others are made.
    assert tried <= FREE + 1 + int(time.monotonic() - began).bit_length()
    assert answers.count(429) == len(answers) - tried
    status, refusal = attacker.post("/api/sign-in", {"person": "02", "pin": PINS["supervisor"]})
    assert status == 429, "even the right PIN has to wait, or a delay would tell"
    assert refusal["retry_after_s"] >= 1
    # The stall goes on: who is signed in works, and the box itself lets its people in, the attacked one too.
    assert operator.do("confirm")[1]["refused"] == "no-goods"
    assert box.do("confirm")[1]["refused"] == "no-goods"
    assert market.client().sign_in("supervisor")[0] == 200


def test_an_unknown_person_is_refused_as_a_wrong_pin_is(market: WebStall) -> None:
    client = market.client(lan=True)
    unknown = client.post("/api/sign-in", {"person": "99", "pin": "5555"})
    wrong = client.post("/api/sign-in", {"person": "01", "pin": "5556"})
    assert unknown[0] == wrong[0] == 401
    assert {**unknown[1], "retry_after_s": 0} == {**wrong[1], "retry_after_s": 0}


def test_signing_in_at_a_station_hands_it_over_and_the_records_say_so(market: WebStall) -> None:
    client = market.client(lan=True)
    assert client.sign_in("operator", station="A12")[0] == 200
    assert market.view().duty["person"] == IDS["operator"]
    assert client.sign_in("supervisor", station="A12")[0] == 200
    _, records = client.get("/api/records?type=trace.shift.v1")
    told = [(r["action"], r["operator"]) for r in records["records"]]
    assert told == [("begin", "02"), ("end", "01"), ("begin", "01")]
    market.weigh("0.000", "0.000", "1.236", "1.236", "1.236")
    market.until(lambda: market.view().state == "stable", "the load is not stable")
    client.do("goods", code="6901028225168", name="大白菜", price_fen=300)
    assert client.do("confirm")[0] == 200
    sale = client.get("/api/records?type=trace.sale.v1&limit=1")[1]["records"][0]
    assert sale["operator"] == "02"


def test_another_takes_over_a_shared_scale_by_pin_without_changing_the_page(market: WebStall) -> None:
    client = market.client()
    client.sign_in("operator", station="A12")
    status, _ = client.post(
        "/api/shift", {"station": "A12", "action": "begin", "person": "02", "pin": PINS["supervisor"], "cash_fen": 5000}
    )
    assert status == 200
    assert market.view().duty["person"] == "02"
    assert client.get("/api/session")[1]["person"]["id"] == "01"
    wrong = client.post("/api/shift", {"station": "A12", "action": "begin", "person": "01", "pin": "9999"})
    assert (wrong[0], wrong[1]["error"]) == (401, "wrong-pin")


def test_who_is_on_duty_is_known_over_a_restart(tmp_path: Path, free_port: Callable[[], int]) -> None:
    web = with_people(tmp_path)
    with stall(tmp_path, free_port(), web=web) as made:
        made.client().sign_in("operator", station="A12")
        since = made.view().duty["since"]
    with stall(tmp_path, free_port(), web=web) as made:
        made.scan("6901028225168")
        made.until(lambda: "A12" in made.agent.views())
        assert made.view().duty == {"person": "01", "since": since}


def test_a_card_at_the_reader_signs_the_waiting_page_in(market: WebStall) -> None:
    People(market.folder / "pins.json").put("01", card="0012345678")
    page = market.client(lan=True)
    page.get("/api/session")
    answers: list[tuple[int, object]] = []
    import threading

    waiting = threading.Thread(target=lambda: answers.append(page.post("/api/sign-in/card", {"station": "A12"})))
    waiting.start()
    time.sleep(0.3)
    market.scan("0012345678")
    waiting.join(30)
    assert [status for status, _ in answers] == [200]
    _, session = page.get("/api/session")
    assert session["person"]["id"] == "01"
    assert session["at_scale"] == ["A12"], "whose card was read at the scale's reader stands there"
    assert market.view().duty["person"] == "01"
    assert "0012345678" not in json.dumps(page.get("/api/records")[1]), "the card's number goes no further"
    assert market.view().detail["goods_code"] is None


def test_a_card_for_which_no_page_waits_hands_the_station_over(market: WebStall) -> None:
    People(market.folder / "pins.json").put("02", card="0087654321")
    market.scan("0087654321")
    market.until(lambda: "A12" in market.agent.views() and market.view().duty)
    assert market.view().duty["person"] == "02"
    market.scan("6901028225168")
    market.until(lambda: market.view().detail["goods_code"] == "6901028225168", "other scans go on as ever")


def test_a_typed_card_and_a_wrong_one(market: WebStall) -> None:
    People(market.folder / "pins.json").put("03", card="04A1B2C3D4")
    client = market.client(lan=True)
    assert client.post("/api/sign-in/card", {"card": "04a1 b2c3 d4"})[1]["person"]["id"] == "03"
    other = market.client(lan=True)
    statuses = [other.post("/api/sign-in/card", {"card": f"0000000{n}"})[0] for n in range(10)]
    assert 429 in statuses


def test_the_first_phone_is_paired_once(tmp_path: Path, free_port: Callable[[], int]) -> None:
    web = f'pin_file = "{tmp_path}/pins.json"'
    with stall(tmp_path, free_port(), web=web, host="0.0.0.0") as made:
        box, phone, other = made.client(), made.client(lan=True), made.client(lan=True)
        assert box.get("/api/session")[1]["first"]
        assert box.get("/api/session")[1]["role"] == "operator", "the stall works before anybody has a PIN"
        assert phone.get("/api/state")[0] == 401
        assert phone.get("/api/pairing")[0] == 403, "the code is shown on the box only"
        _, shown = box.get("/api/pairing")
        assert shown["url"].endswith(f"#pair={shown['code']}")
        assert b"<svg" in box.get("/api/pairing.svg")[1]
        assert phone.post("/api/pair", {"code": "WRONGCODE2", "pin": "7301"})[1]["error"] == "wrong-code"
        weak = phone.post("/api/pair", {"code": shown["code"], "pin": "1111", "person": "01", "name": "王芳"})
        assert weak[1]["error"] == "bad-pin"
        paired = phone.post("/api/pair", {"code": shown["code"], "pin": "7301", "person": "01", "name": "王芳"})
        assert (paired[0], paired[1]["role"], paired[1]["person"]["name"]) == (200, "supervisor", "王芳")
        assert other.post("/api/pair", {"code": shown["code"], "pin": "7302", "person": "02"})[0] == 401, "once"
        assert box.get("/api/pairing")[0] == 409
        assert box.get("/api/session")[1]["role"] is None, "now the box asks for a PIN, too"
        # An invitation for somebody else's phone.
        _, invitation = phone.post("/api/pairing", {"person": "07", "name": "李", "role": "operator"})
        picture = f"/api/pairing/{invitation['code']}.svg"
        assert b"<svg" in phone.get(picture)[1]
        assert (other.get(picture)[0], phone.get("/api/pairing/ABCDEFGHJK.svg")[0]) == (401, 404)
        joined = other.post("/api/pair", {"code": invitation["code"].lower(), "pin": "7307"})
        assert (joined[1]["person"]["id"], joined[1]["role"]) == ("07", "operator")
        assert phone.get(picture)[0] == 404, "used up"
        assert other.post("/api/pairing", {"person": "08"})[0] == 403


def test_an_idle_page_is_locked_and_goes_on_showing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    web = with_people(tmp_path) + "\nidle_lock = 1"
    with stall(tmp_path, free_port(), web=web, host="0.0.0.0") as made:
        client = made.client(lan=True)
        client.sign_in("operator")
        stream = Stream(client)
        made.until(lambda: any(s["locked"] for s in stream.named("session")), "the stream does not tell of the lock")
        assert client.get("/api/state")[0] == 200
        assert client.do("confirm")[1]["error"] == "locked"
        assert client.post("/api/session/touch")[1]["error"] == "locked"
        assert client.sign_in("operator")[0] == 200
        assert client.do("confirm")[1]["refused"] == "no-goods"
        stream.close()


def test_https_with_the_agents_own_certificate(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with stall(tmp_path, free_port(), web=with_people(tmp_path) + "\ntls = true", host="0.0.0.0") as made:
        client = made.client(lan=True, tls=True)
        assert client.sign_in("operator")[0] == 200
        assert client.get("/api/session")[1]["warning"] is None
        assert client.get("/api/session")[1]["secure"]
        connection = client.connection()
        connection.request("GET", "/api/session")
        assert "; secure" in (connection.getresponse().getheader("set-cookie") or "").lower()
        connection.close()
        assert stat.S_IMODE((tmp_path / "web-key.pem").stat().st_mode) == 0o600
        trusting = ssl.create_default_context(cafile=str(tmp_path / "web-cert.pem"))
        import socket

        from stall_web import network_address

        with (
            socket.create_connection((network_address(), made.port), 20) as raw,
            trusting.wrap_socket(raw, server_hostname=network_address()) as secure,
        ):
            assert secure.version() in ("TLSv1.2", "TLSv1.3"), "whoever trusts the certificate needs no exception"


def test_a_certificate_is_made_once_and_again_for_a_new_name(tmp_path: Path) -> None:
    cert, _ = own_certificate(tmp_path, ["192.0.2.5"])
    first = fingerprint(cert)
    own_certificate(tmp_path, ["192.0.2.5"])
    assert fingerprint(cert) == first
    own_certificate(tmp_path, ["192.0.2.6"])
    assert fingerprint(cert) != first
    cert.write_text("rubbish")
    own_certificate(tmp_path, ["192.0.2.6"])
    assert fingerprint(cert)


def test_roles_are_words_of_the_file(tmp_path: Path) -> None:
    people = People(tmp_path / "pins.json")
    for role in Role:
        people.put(f"p-{role}", role=role, pin="7301")
    assert [str(person.role) for person in people.all()] == ["maintainer", "operator", "supervisor"]
    fresh = People(tmp_path / "pins.json")
    assert fresh.with_pin("p-operator", "7301") is not None
    assert fresh.with_pin("p-operator", "7302") is None
    # What the command line changes counts at once in a running agent.
    people.put("p-operator", pin="8402")
    assert fresh.with_pin("p-operator", "8402") is not None
    assert fresh.with_pin("p-operator", "7301") is None
