"""A stall as the page's tests work at it: people with PINs, a real broker the city behind it, hands that sign in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Page, expect
from real_broker import Mosquitto
from stall import Stall

from edge_agent.web.access import Role
from edge_agent.web.people import People
from hwsim.chaos import ChaosProxy
from hwsim.city import City

LOST = (
    *("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_", "ERR_CONNECTION_", "ERR_SOCKET_NOT_CONNECTED", "ERR_FAILED"),
    *("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_TIMED_OUT", "ERR_ADDRESS_UNREACHABLE"),
)
"""What Chromium notes in its console of a connection that is gone. Which of them depends on the moment: an answer under
way, a socket that was kept, a new one."""


class Someone(NamedTuple):
    """A person with a PIN."""

    name: str
    role: Role
    pin: str


PEOPLE = {
    "03": Someone("王芳", Role.OPERATOR, "270318"),
    "05": Someone("李强", Role.SUPERVISOR, "618033"),
    "09": Someone("赵敏", Role.MAINTAINER, "141421"),
}
CARD = "0012345678"
"""The card of 05."""

_UPLINK = """\
[uplink]
host = "127.0.0.1"
port = {port}
tls = false
verdict_timeout = 3
progress_timeout = 10
connect_timeout = 3
reconnect_max = 2
"""


@dataclass(frozen=True)
class Stand:
    """The stall, its network and the city."""

    stall: Stall
    network: ChaosProxy
    city: City


def people_of(folder: Path) -> str:
    """A file with everybody's PIN; returns the line of [web] that names it."""
    people = People(folder / "pins.json")
    for number, someone in PEOPLE.items():
        people.put(number, name=someone.name, role=someone.role, pin=someone.pin)
    people.put("05", card=CARD)
    return f'pin_file = "{folder}/pins.json"\n'


@contextlib.contextmanager
def stand(folder: Path, port: int, *, reject: Sequence[str], web: str = "", **more: Any) -> Iterator[Stand]:
    """A stall with everything behind it, for as long as the block runs."""
    with contextlib.ExitStack() as open_now:
        broker = Mosquitto(folder).start()
        open_now.callback(broker.kill)
        network = open_now.enter_context(ChaosProxy(("127.0.0.1", broker.port)))
        city = open_now.enter_context(City(broker.address, store=folder / "city.db", reject=list(reject)))
        uplink = _UPLINK.format(port=network.port)
        stall = Stall(folder, port, uplink=uplink, web=people_of(folder) + web, **more)
        open_now.callback(stall.close)
        yield Stand(stall, network, city)


def enter_pin(page: Page, person: str, pin: str | None = None) -> None:
    """Fill in who somebody is, and send it. At the box itself the people are shown, on the network they are not."""
    field = page.locator(".sign #pin")
    expect(field).to_be_visible()
    shown = page.locator(".sign .reasons button", has_text=PEOPLE[person].name)
    if shown.count():
        shown.click()
    else:
        page.locator(".sign #person").fill(person)
    field.fill(pin or PEOPLE[person].pin)
    page.locator(".sign button[type=submit]").click()


def sign_in(page: Page, person: str) -> None:
    """Somebody signs in, and is signed in when this returns."""
    enter_pin(page, person)
    expect(page.locator(".who")).to_contain_text(PEOPLE[person].name)
