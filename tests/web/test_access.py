"""Every route with every role, as the table says; and who is let in at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stall_web import PINS, Client, WebStall, network_address, stall, with_people

from edge_agent.web.access import AT_THE_BOX, RIGHTS, ROUTES, Right, Role, Rule

ROLES = (None, *Role)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebStall]:
    import socket

    folder = tmp_path_factory.mktemp("stall")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with stall(folder, port, web=with_people(folder), host="0.0.0.0") as made:
        yield made


def path_of(rule: Rule) -> str:
    """A path of a route. What it names is not there: whoever may ask is told so, whoever may not is told that."""
    names = {"{name:path}": "page.css", "{station}": "A12", "{command}": "confirm", "{device}": "scale-1"}
    path = rule.path
    for name, value in names.items():
        path = path.replace(name, value)
    for name in ("{record}", "{person}", "{stop}", "{payment}", "{sha256}", "{job}"):
        path = path.replace(name, "77")
    return path


def answer_to(client: Client, rule: Rule) -> int:
    """The status of a route; of a stream only the beginning is read."""
    connection = client.connection()
    try:
        body = None if rule.method == "GET" else b"{}"
        connection.request(rule.method, path_of(rule), body, client.headers())
        return int(connection.getresponse().status)
    finally:
        connection.close()


LONG = frozenset({"/api/sign-out", "/api/sign-in/card"})
"""Routes that the matrix would end its own session with, or wait at."""


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "nobody")
def test_every_route_with_every_role(market: WebStall, role: Role | None) -> None:
    client = market.client(lan=True)
    client.get("/api/session")
    if role is not None:
        assert client.sign_in(str(role))[0] == 200
    mine = RIGHTS[role] if role is not None else frozenset({Right.ANYONE})
    seen = {}
    for rule in [rule for rule in ROUTES if rule.path not in LONG]:
        status = answer_to(client, rule)
        seen[rule] = status
        assert status < 500 or status == 503, (rule, status)
        if rule.right not in mine:
            assert status == (401 if role is None else 403), (rule, role, status)
        elif rule.at_scale:
            assert status == 403, (rule, "this page is not at the scale", status)
        elif rule.right is not Right.ANYONE:
            assert status not in (401, 403), (rule, role, status)
    assert any(status == 200 for rule, status in seen.items() if rule.method == "GET")
    assert len(seen) == len(ROUTES) - len(LONG)


def test_a_signed_in_operator_at_the_box_may_zero_the_scale_and_a_phone_may_not(market: WebStall) -> None:
    for lan in (False, True):
        client = market.client(lan=lan)
        client.sign_in("operator")
        status, refusal = client.post("/api/devices/scale-1/command", {"name": "zero"})
        if lan:
            assert (status, refusal["error"]) == (403, "not-at-scale")
        else:
            assert (status, refusal["refused"]) == (200, None)


@pytest.mark.parametrize(("command", "station"), [("release", "lab"), ("review", "door")])
def test_commands_that_need_more_than_work(market: WebStall, command: str, station: str) -> None:
    client = market.client(lan=True)
    client.sign_in("operator")
    assert client.do(command, station)[0] == 403
    client.sign_in("supervisor")
    assert client.do(command, station)[0] == 409


def test_nobody_is_shown_who_works_here_from_the_network(market: WebStall) -> None:
    _, there = market.client(lan=True).get("/api/session")
    assert there["people"] == []
    assert there["warning"] == "pin-in-clear"
    assert not there["signed_in"]
    _, here = market.client().get("/api/session")
    assert [person["id"] for person in here["people"]] == ["01", "02", "03"]
    assert here["warning"] is None
    assert not here["signed_in"], "with PINs the box itself asks for one too"


def test_who_may_ask_under_which_name(market: WebStall) -> None:
    client = market.client(lan=True)
    host = f"{network_address()}:{market.port}"
    assert client.get("/api/session", Host=host)[0] == 200
    assert client.get("/api/session", Host="evil.example")[0] == 403
    assert client.get("/api/session", Host=f"localhost:{market.port}")[0] == 403, "that name is for the box itself"
    assert client.get("/api/session", Host="")[0] in (400, 403)
    assert client.get("/api/session", Host=host, Origin=f"http://{host}")[0] == 200
    assert client.get("/api/session", Host=host, Origin="http://evil.example")[1]["error"] == "origin"
    assert client.get("/api/session", Host=host, Origin="null")[0] == 403
    assert client.get("/api/session", Host=host, Sec_Fetch_Site="cross-site")[0] == 403
    assert client.get("/", Host=host, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


def test_a_session_of_the_box_opens_nothing_on_the_network(market: WebStall) -> None:
    here, there = market.client(), market.client(lan=True)
    assert here.sign_in("supervisor")[0] == 200
    there.cookie, there.csrf = here.cookie, here.csrf
    assert there.get("/api/state")[0] == 401
    assert here.get("/api/state")[0] == 200


def test_signing_in_makes_the_old_cookie_worthless(market: WebStall) -> None:
    client = market.client(lan=True)
    client.get("/api/session")
    planted = client.cookie
    assert client.sign_in("operator")[0] == 200
    assert client.cookie != planted
    other = market.client(lan=True)
    other.cookie = planted
    assert other.get("/api/state")[0] == 401


def set_cookie_of(client: Client, method: str, path: str, body: bytes | None = None) -> str | None:
    """The Set-Cookie of an answer, which the client does not take: it is late."""
    connection = client.connection()
    try:
        connection.request(method, path, body, client.headers())
        answer = connection.getresponse()
        answer.read()
        return answer.getheader("set-cookie")
    finally:
        connection.close()


def test_a_late_answer_to_another_page_of_the_browser_signs_nobody_out(market: WebStall) -> None:
    """Whatever was asked before somebody signed in, and is answered after it, leaves them signed in."""
    browser = market.client(lan=True)
    late = [set_cookie_of(browser, "GET", "/api/session")]  # another page asks, and its answer is on its way
    browser.get("/api/session")
    assert browser.sign_in("operator")[0] == 200
    late.append(set_cookie_of(browser, "POST", "/api/session/touch", b"{}"))
    assert browser.sign_in("supervisor")[0] == 200  # somebody else takes over
    assert late[0] is not None
    for each in late:
        browser.take_cookie(each)
        assert browser.get("/api/session")[1]["role"] == "supervisor"
    # The page that was answered late has the token of a session that is not used any more, and is told to ask anew.
    browser.csrf = "x"
    assert browser.do("confirm")[1]["error"] == "csrf"
    # Signing out ends it, whatever cookies are left.
    browser.get("/api/session")
    assert browser.post("/api/sign-out")[1]["signed_in"] is False
    assert browser.get("/api/state")[0] == 401


def test_the_cookie_is_kept_from_scripts_and_other_sites(market: WebStall) -> None:
    connection = market.client(lan=True).connection()
    connection.request("GET", "/api/session")
    cookie = connection.getresponse().getheader("set-cookie") or ""
    connection.close()
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()


def test_a_post_needs_the_token_of_its_session(market: WebStall) -> None:
    client = market.client(lan=True)
    client.sign_in("operator")
    good = client.csrf
    for bad in ("", "x", good[:-1], good + "x"):
        client.csrf = bad
        assert client.do("confirm")[1]["error"] == "csrf"
    client.csrf = good
    assert client.do("confirm")[1]["refused"] == "no-goods"
    other = market.client(lan=True)
    other.sign_in("operator")
    client.csrf = other.csrf
    assert client.do("confirm")[1]["error"] == "csrf", "another session's token"


def test_without_pins_the_box_itself_is_an_operator(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with stall(tmp_path, free_port()) as made:
        client = made.client()
        _, session = client.get("/api/session")
        assert (session["signed_in"], session["role"], session["pins"], session["person"]) == (
            True,
            "operator",
            False,
            None,
        )
        assert session["at_scale"] == ["A12", "door", "lab"]
        assert set(session["rights"]) == AT_THE_BOX - {Right.ANYONE}
        for rule in [rule for rule in ROUTES if rule.path not in LONG and rule.right is not Right.ANYONE]:
            status = answer_to(client, rule)
            assert (status == 403) is (rule.right not in AT_THE_BOX), (rule, status)
            assert status != 401, rule
        # Its goods and what was refused are theirs; what needs somebody who proves who they are is not.
        assert client.post("/api/tiles", {"station": "A12", "order": ["1"]})[0] == 200
        assert client.get("/api/quarantine") == (200, {"rows": [], "total": 0})
        assert client.do("release", "lab")[0] == 403
        assert client.get("/api/log")[0] == 403
        assert client.post("/api/pairing", {"person": "9"})[0] == 403


def test_a_person_who_is_removed_is_out_at_once(tmp_path: Path, free_port: Callable[[], int]) -> None:
    with stall(tmp_path, free_port(), web=with_people(tmp_path), host="0.0.0.0") as made:
        boss, worker = made.client(lan=True), made.client(lan=True)
        boss.sign_in("supervisor")
        worker.sign_in("operator")
        assert worker.get("/api/state")[0] == 200
        assert boss.post("/api/people/02/remove")[1]["error"] == "yourself"
        assert boss.post("/api/people/01/remove") == (200, {"ok": True})
        assert worker.get("/api/state")[0] == 401
        assert worker.post("/api/sign-in", {"person": "01", "pin": PINS["operator"]})[0] == 401


def test_the_opener_policy_is_sent_where_browsers_take_it(market: WebStall) -> None:
    """Over plain HTTP on the network it counts for nothing, and a browser complains of it in its console."""
    for lan, sent in ((False, "same-origin"), (True, None)):
        connection = market.client(lan=lan).connection()
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("cross-origin-opener-policy")) == (200, sent)
        assert answer.getheader("cross-origin-resource-policy") == "same-origin"
        connection.close()
