"""Webhooks: every record in order, signed, again until it is taken, over restarts; and nobody waits for them."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from stall_web import WebStall, stall

from edge_agent.config import ConfigError
from edge_agent.preparing import prepare
from edge_agent.webhook import signature

SECRET = "a secret of some length"


class Receiver:
    """The other side. `answers` are the statuses of the next calls; 200 when there are no more. None: no answer."""

    def __init__(self) -> None:
        self.answers: list[int | None] = []
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.open = threading.Event()
        self.open.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.open.wait(60)
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                receiver.calls.append((dict(self.headers), body))
                if status is None:
                    self.connection.close()
                    return
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?shop=7"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()

    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.calls for event in json.loads(body)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def section(folder: Path, receiver: Receiver, more: str = "") -> str:
    (folder / "hook.secret").write_text(SECRET + "\n")
    return f'\n[[webhook]]\nid = "erp"\nurl = "{receiver.url}"\nsecret_file = "{folder}/hook.secret"\n{more}'


def sell(made: WebStall, count: int) -> list[str]:
    client = made.client()
    ids = []
    for n in range(count):
        status, answer = client.do("sell", code=f"g-{n}", price_per="each", price_fen=100)
        assert status == 200
        ids.append(answer["kept"][0]["id"])
    return ids


def told(receiver: Receiver) -> list[str]:
    """The ids of the sales in the order in which they came first."""
    return list(dict.fromkeys(e["id"] for e in receiver.events() if e["type"] == "trace.sale.v1"))


def test_every_record_in_order_and_signed(tmp_path: Path, free_port: Callable[[], int], receiver: Receiver) -> None:
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver)) as made:
        ids = sell(made, 25)
        made.until(lambda: told(receiver) == ids, "not all were told")
    for headers, body in receiver.calls:
        at, _, value = headers["Trace-Signature"].removeprefix("t=").partition(",v1=")
        wanted = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert value == wanted
        assert abs(int(at) - time.time()) < 300
        assert headers["Content-Type"] == "application/cloudevents-batch+json"
    assert signature(b"k", 1, b"x") != signature(b"k", 2, b"x")


def test_it_is_tried_again_until_it_is_taken(
    tmp_path: Path, free_port: Callable[[], int], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.webhook._LONGEST_PAUSE", 1.0)
    receiver.answers = [500, 302, 404, None] + [429] * 1000
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver)) as made:
        ids = sell(made, 3)
        made.until(lambda: "webhook erp" in made.agent.status()["alarms"], "no alarm after five refusals")
        refused = len(receiver.calls)
        receiver.answers = []
        made.until(lambda: "webhook erp" not in made.agent.status()["alarms"], "the alarm stays")
        made.until(lambda: told(receiver) == ids)
    assert refused >= 5, "the faults were not hit"
    assert len(receiver.calls) > refused, "nothing was tried again"


def test_what_was_not_taken_is_told_after_a_restart_and_nothing_twice(
    tmp_path: Path, free_port: Callable[[], int], receiver: Receiver
) -> None:
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver)) as made:
        before = sell(made, 5)
        made.until(lambda: told(receiver) == before)
        receiver.answers = [500] * 1000
        ids = sell(made, 5)
    receiver.answers = []
    receiver.calls.clear()
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver)) as made:
        made.until(lambda: told(receiver) == ids, "what was kept meanwhile was not told")
        assert not set(before) & {event["id"] for event in receiver.events()}


def test_a_side_that_does_not_answer_holds_no_sale_up(
    tmp_path: Path, free_port: Callable[[], int], receiver: Receiver
) -> None:
    receiver.open.clear()
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver)) as made:
        ids = sell(made, 20)
        assert told(receiver) == []
        receiver.open.set()
        made.until(lambda: told(receiver) == ids)


def test_only_the_wanted_types(tmp_path: Path, free_port: Callable[[], int], receiver: Receiver) -> None:
    more = 'types = ["trace.void.v1"]\n'
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver, more)) as made:
        (sale, *_) = sell(made, 3)
        made.client().post(f"/api/records/{sale}/void", {"reason": "按错"})
        made.until(lambda: receiver.calls)
    assert [event["type"] for event in receiver.events()] == ["trace.void.v1"]


def test_one_that_is_gone_is_left_alone(tmp_path: Path, free_port: Callable[[], int], receiver: Receiver) -> None:
    receiver.answers = [410]
    with stall(tmp_path, free_port(), more=section(tmp_path, receiver)) as made:
        sell(made, 1)
        made.until(lambda: "410" in made.agent.status()["alarms"].get("webhook erp", ""), "no alarm")
        sell(made, 3)
        time.sleep(0.5)
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("url", "secret", "key"),
    [
        ("ftp://x/y", SECRET, "webhook[erp].url"),
        ("https://user:pw@x/y", SECRET, "webhook[erp].url"),
        ("https://x/y", "short", "webhook[erp].secret_file"),
        ("https://x/y", None, "webhook[erp].secret_file"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said(tmp_path: Path, url: str, secret: str | None, key: str) -> None:
    if secret is not None:
        (tmp_path / "s").write_text(secret)
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[gateway]\nid = "b"\nsite = "m"\n[store]\npath = "{tmp_path}/r.db"\n'
        f'[[webhook]]\nid = "erp"\nurl = "{url}"\nsecret_file = "{tmp_path}/s"\n'
    )
    with pytest.raises(ConfigError) as caught:
        prepare(file)
    assert key in {problem.key for problem in caught.value.problems}
