"""The door: who is asking, and whether they may. Every route of the page goes through `Door.wrap`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from edge_agent import clock
from edge_agent.store import StoreClosed, StoreError, StoreFull
from edge_agent.web.access import Right, Rule
from edge_agent.web.answers import Refusal
from edge_agent.web.guard import is_loopback
from edge_agent.web.people import People
from edge_agent.web.sessions import COOKIE, VISIT, Session, Sessions, csrf_fits

_LOCKED_MAY: Final = frozenset({"/api/sign-in", "/api/sign-in/card", "/api/sign-out", "/api/pair"})


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who asks: their session, the address as it counts, and whether they sit at the box itself."""

    session: Session
    address: str
    loopback: bool

    @property
    def operator(self) -> str | None:
        """The id that goes into records; None where nobody has signed in."""
        return None if self.session.person is None else self.session.person.id


Handler = Callable[[Request, Who], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Door:
    """Finds the session of a request, checks its rights and its CSRF token, and turns refusals into answers."""

    def __init__(self, sessions: Sessions, people: People | None, *, secure: bool, public_board: bool) -> None:
        self.sessions = sessions
        self.people = people
        self._secure = secure
        self._public_board = public_board
        self._log = structlog.get_logger()

    def wrap(self, rule: Rule, handler: Handler) -> Endpoint:
        """The endpoint of a route."""

        async def endpoint(request: Request) -> Response:
            try:
                who = self._who(request, rule)
                self._check(request, rule, who)
                answer = await handler(request, who)
            except Refusal as refusal:
                return refusal.response()
            except (TimeoutError, StoreError) as problem:
                return not_saved(problem).response()
            except Exception as problem:  # noqa: BLE001 -- whatever a request leads to, the page goes on
                self._log.error(
                    "page.request_failed",
                    path=rule.path,
                    reason=f"{type(problem).__name__}: {problem}",
                    exc_info=problem,
                )
                return Refusal(500, "fault", "a fault of the agent; the log says more").response()
            return answer

        return endpoint

    def cookie(self, answer: Response, session: Session) -> Response:
        """The answer, with the session's cookie: a person's only where there is one, see `sessions`."""
        name = VISIT if session.person is None else COOKIE
        answer.set_cookie(name, session.token, path="/", httponly=True, samesite="strict", secure=self._secure)
        return answer

    def _who(self, request: Request, rule: Rule) -> Who:
        client = request.client
        address = client.host if client is not None else ""
        loopback = is_loopback(address)
        now = clock.monotonic()
        of_person, of_visit = (self.sessions.find(request.cookies.get(name), now) for name in (COOKIE, VISIT))
        session = of_person or of_visit
        if session is None or session.loopback != loopback:
            # Somebody without a cookie may look where nobody has to sign in; a session of their own comes with
            # /api/session. This one is kept nowhere.
            session = self.sessions.loose(address, loopback=loopback, now=now)
        return Who(session, address, loopback)

    def _check(self, request: Request, rule: Rule, who: Who) -> None:
        session = who.session
        if rule.right is not Right.ANYONE and not (self._public_board and rule.path == "/api/board"):
            if self.sessions.role(session) is None:
                raise Refusal(401, "sign-in", "nobody has signed in", right="POST /api/sign-in with a PIN or a card")
            self.require(who, rule.right)
        if request.method in ("GET", "HEAD"):
            return
        if not csrf_fits(session, request.headers.get("x-csrf-token")):
            raise Refusal(
                401,
                "csrf",
                "the token of the session is missing or old",
                where="header X-CSRF-Token",
                right="the csrf of GET /api/session",
            )
        if session.locked and rule.path not in _LOCKED_MAY:
            raise Refusal(401, "locked", "the page was idle and is locked", right="sign in again")
        self.sessions.touch(session, clock.monotonic())

    def require(self, who: Who, right: Right) -> None:
        """Raises `Refusal` where this right is missing."""
        if right not in self.sessions.rights(who.session):
            role = self.sessions.role(who.session)
            raise Refusal(403, "forbidden", f"{role} may not do this", right=f"somebody with the right {right}")

    def require_at_scale(self, who: Who, station: str) -> None:
        """Raises `Refusal` for a page that does not stand at the station's scale."""
        if not self.sessions.at_scale(who.session, station):
            raise Refusal(
                403,
                "not-at-scale",
                "zero and tare are for whoever sees the scale's own display",
                where=station,
                right="the box's own screen, a card at the station's reader, or an address in [web] at_scale",
            )


def not_saved(problem: Exception) -> Refusal:
    """The refusal for a record that could not be kept now."""
    if isinstance(problem, StoreFull):
        return Refusal(503, "store-full", str(problem))
    if isinstance(problem, StoreClosed):
        return Refusal(503, "stopping", "the agent is stopping")
    return Refusal(
        503, "not-saved-in-time", str(problem) or "it took too long; look whether it is kept before asking again"
    )


def session_facts(sessions: Sessions, session: Session, stations: list[str], /, **more: Any) -> dict[str, Any]:
    """The session object without the CSRF token."""
    role = sessions.role(session)
    rights = sessions.rights(session)
    return {
        "signed_in": role is not None,
        "person": None if session.person is None else session.person.facts(),
        "role": role,
        "rights": [str(right) for right in Right if right in rights and right is not Right.ANYONE],
        "at_scale": [station for station in stations if sessions.at_scale(session, station)],
        "locked": session.locked,
        "idle_lock_s": int(sessions.policy.idle_lock),
        "loopback": session.loopback,
        "pins": sessions.policy.pins(),
        **more,
    }
