"""The application: every route of the table gets its handler, every handler stands behind the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.facade import Facade
from edge_agent.web.access import ROUTES
from edge_agent.web.answers import Refusal
from edge_agent.web.api import OPERATIONS, Api
from edge_agent.web.door import Door, Handler
from edge_agent.web.guard import Guard
from edge_agent.web.live import Live
from edge_agent.web.looking import Looking
from edge_agent.web.maintaining import Maintaining
from edge_agent.web.page_files import PageFiles
from edge_agent.web.payments import Payments
from edge_agent.web.people import People
from edge_agent.web.proving import Proving
from edge_agent.web.sessions import Policy, Sessions
from edge_agent.web.signing import Cards, Signing
from edge_agent.web.slip_routes import SlipRoutes
from edge_agent.web.stream import Streams
from edge_agent.web.tokens import Tokens
from edge_agent.web.working import Working


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """What decides about the server. `url` is how the page is reached from outside; `names` are its host names,
    `local` says that only the box itself can ask.
    """

    url: str
    pay_key: bytes
    people: People | None = None
    tokens: Tokens | None = None
    names: frozenset[str] = frozenset()
    at_scale: frozenset[str] = frozenset()
    idle_lock: float = 600.0
    secure: bool = False
    local: bool = True
    public_board: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The application and the parts that live beside it."""

    app: Starlette
    live: Live
    sessions: Sessions
    streams: Streams
    signing: Signing
    cards: Cards | None


def make_web(agent: Facade, settings: WebSettings, stopping: Callable[[], bool]) -> Web:
    """The page's server. Raises ValueError where the table of routes and the handlers differ."""
    people = settings.people
    sessions = Sessions(
        Policy(
            pins=lambda: people is not None and bool(people.all()),
            idle_lock=settings.idle_lock,
            at_scale=settings.at_scale,
        )
    )
    door = Door(sessions, people, secure=settings.secure, public_board=settings.public_board)
    cards = None if people is None else Cards(people, agent.settings()["stations"])
    files = PageFiles()
    signing = Signing(agent, door, url=lambda: settings.url, secure=settings.secure, cards=cards, page=files.version)
    live = Live(agent, lambda person: _name_of(people, person), lambda: {"payments": payments.shown()})
    payments = Payments(agent, settings.pay_key, lambda shown: live.tell_part("payments", shown))
    live.on_sale = payments.sold
    streams = Streams()
    looking = Looking(agent, door, live, streams, files, signing.facts, stopping)
    working = Working(agent, door, payments)
    maintaining = Maintaining(agent, streams, stopping)
    proving = Proving(agent)
    slips = SlipRoutes(agent)
    handlers: Mapping[tuple[str, str], Handler] = {
        ("GET", "/"): looking.page,
        ("GET", "/static/{name:path}"): looking.static,
        ("GET", "/favicon.ico"): looking.no_icon,
        ("GET", "/api/session"): signing.session,
        ("POST", "/api/sign-in"): signing.sign_in,
        ("POST", "/api/sign-in/card"): signing.sign_in_by_card,
        ("POST", "/api/sign-out"): signing.sign_out,
        ("POST", "/api/session/touch"): signing.touch,
        ("POST", "/api/pair"): signing.pair,
        ("GET", "/api/pairing"): signing.pairing,
        ("GET", "/api/pairing.svg"): signing.pairing_svg,
        ("POST", "/api/pairing"): signing.invite,
        ("GET", "/api/pairing/{code}.svg"): signing.invitation_svg,
        ("GET", "/api/people"): signing.people,
        ("POST", "/api/people/{person}/remove"): signing.remove,
        ("POST", "/api/shift"): signing.shift,
        ("GET", "/api/events"): looking.events,
        ("GET", "/api/state"): looking.state,
        ("GET", "/api/records"): looking.records,
        ("GET", "/api/records/{record}"): looking.record,
        ("GET", "/api/records/{record}/receipt"): slips.show,
        ("GET", "/api/records/{record}/receipt.svg"): slips.picture,
        ("POST", "/api/records/{record}/print"): slips.print,
        ("GET", "/api/stations/{station}/weights"): looking.weights,
        ("GET", "/api/devices"): looking.devices,
        ("GET", "/api/trace"): looking.trace,
        ("GET", "/api/catalogue"): looking.catalogue,
        ("GET", "/api/board"): looking.board,
        ("GET", "/api/figures"): looking.figures,
        ("GET", "/api/payments"): working.payments,
        ("POST", "/api/stations/{station}/{command}"): working.command,
        ("POST", "/api/devices/{device}/command"): working.instrument,
        ("POST", "/api/records/{record}/void"): working.correct("void"),
        ("POST", "/api/records/{record}/amend"): working.correct("amend"),
        ("POST", "/api/records/{record}/return"): working.correct("return"),
        ("POST", "/api/stops/{stop}/confirm"): working.confirm_stop,
        ("POST", "/api/complaints"): working.complain,
        ("POST", "/api/attachments"): working.attach,
        ("GET", "/api/attachments/{sha256}"): looking.attachment,
        ("POST", "/api/payments/{payment}/assign"): working.assign,
        ("POST", "/api/catalogue"): working.import_catalogue,
        ("POST", "/api/tiles"): working.arrange,
        ("GET", "/api/quarantine"): maintaining.quarantine,
        ("POST", "/api/quarantine/requeue"): maintaining.requeue,
        ("GET", "/api/log"): maintaining.log,
        ("GET", "/api/config"): maintaining.configuration,
        ("POST", "/api/devices/{device}/restart"): maintaining.restart,
        ("GET", "/api/devices/{device}/watch"): maintaining.watch,
        ("POST", "/api/devices/probe"): proving.probe,
        ("GET", "/api/devices/probe/{job}"): proving.probing,
        ("POST", "/api/devices/probe/{job}/stop"): proving.stop_probing,
        ("POST", "/api/devices/{device}/commission"): proving.commission,
    }
    table = {(rule.method, rule.path): rule for rule in ROUTES}
    if set(table) != set(handlers):
        raise ValueError(f"routes without a rule or a handler: {sorted(set(table) ^ set(handlers))}")
    routes = [
        Route(path, door.wrap(rule, handlers[method, path]), methods=[method]) for (method, path), rule in table.items()
    ]
    if settings.tokens is not None:
        api = Api(agent, settings.tokens, live, streams, payments, stopping)
        routes += [Route(each.path, api.wrap(each), methods=[each.method]) for each in OPERATIONS]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, names=settings.names, secure=settings.secure)],
        exception_handlers={HTTPException: _http_exception},
    )
    return Web(app=app, live=live, sessions=sessions, streams=streams, signing=signing, cards=cards)


def _name_of(people: People | None, person_id: str) -> str | None:
    person = None if people is None else people.find(person_id)
    return None if person is None else person.name


async def _http_exception(_request: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    headers: Any = getattr(problem, "headers", None)
    codes = {404: "not-found", 405: "method"}
    right = (headers or {}).get("Allow", "") if status == 405 else "see docs/reference/api.md"
    what = "there is no such route" if status == 404 else "this route is asked otherwise"
    return Refusal(status, codes.get(status, "refused"), what, where="path", right=right, headers=headers).response()
