"""Signing in and out: PIN, card, pairing, invitations, shifts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from edge_agent import clock
from edge_agent.facade import Facade
from edge_agent.model import Observation, Scan, TagRead
from edge_agent.web.access import Right, Role
from edge_agent.web.answers import Refusal, command_reply, json_body, needed_text, reply, text_in
from edge_agent.web.door import Door, Who, session_facts
from edge_agent.web.pairing import Invitation, Pairing, qr_svg, qr_terminal
from edge_agent.web.people import BadPeople, People, Person
from edge_agent.web.sessions import Session
from edge_agent.web.throttle import Throttle, bucket_address

_CARD_WAIT: Final = 25.0
_CHECKS: Final = 4


class Cards:
    """Cards read at the stations' readers, and the pages that wait for one.

    The devices' threads ask `is_card`; whoever waits is in the server's loop. Nobody else's card signs a page in:
    where several pages wait at one station, none of them gets it unless one sits at the box itself.
    """

    def __init__(self, people: People, stations: Mapping[str, Any]) -> None:
        self._people = people
        self._stations_of: dict[str, list[str]] = {}
        for station, facts in stations.items():
            for device in facts["devices"]:
                self._stations_of.setdefault(device, []).append(station)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, list[tuple[bool, asyncio.Future[Person | None]]]] = {}
        self._hand_over: Callable[[str, Person], None] = lambda _station, _person: None
        self._log = structlog.get_logger()

    def bind(self, loop: asyncio.AbstractEventLoop, hand_over: Callable[[str, Person], None]) -> None:
        """The server's loop, and what to do with a card for which no page waits."""
        self._loop = loop
        self._hand_over = hand_over

    def is_card(self, observation: Observation) -> bool:
        """Whether what was read is somebody's card; then it goes no further. Called by the devices' threads."""
        event = observation.event
        text = event.text if isinstance(event, Scan) else event.tag_id if isinstance(event, TagRead) else None
        if text is None or self._loop is None or not 4 <= len(text) <= 200:
            return False
        try:
            person = self._people.with_card(text)
        except (OSError, BadPeople) as problem:
            self._log.error("people.unreadable", reason=str(problem))
            return False
        if person is None:
            return False
        self._loop.call_soon_threadsafe(self._read, observation.device, person)
        return True

    def _read(self, device: str, person: Person) -> None:
        for station in self._stations_of.get(device, ()):
            waiting = [each for each in self._waiting.get(station, ()) if not each[1].done()]
            local = [each for each in waiting if each[0]]
            chosen = local[:1] or (waiting if len(waiting) == 1 else [])
            if chosen:
                chosen[0][1].set_result(person)
            elif not waiting:
                self._hand_over(station, person)

    async def wait(self, station: str, *, loopback: bool) -> Person | None:
        """Wait for a card at a station's reader; None where none came."""
        future: asyncio.Future[Person | None] = asyncio.get_running_loop().create_future()
        entry = (loopback, future)
        queue = self._waiting.setdefault(station, [])
        queue.append(entry)
        try:
            return await asyncio.wait_for(future, _CARD_WAIT)
        except TimeoutError:
            return None
        finally:
            queue.remove(entry)

    def end_all(self) -> None:
        """The server stops: nobody waits any longer."""
        for queue in self._waiting.values():
            for _, future in queue:
                if not future.done():
                    future.set_result(None)


class Signing:
    """The routes of signing in."""

    def __init__(
        self, agent: Facade, door: Door, *, url: Callable[[], str], secure: bool, cards: Cards | None, page: str
    ) -> None:
        """`page` is the version of the page's files, which an open page compares with its own."""
        self._agent = agent
        self._door = door
        self._url = url
        self._secure = secure
        self._cards = cards
        self._page = page
        self._throttle = Throttle()
        self._pairing = Pairing()
        self._checks = asyncio.Semaphore(_CHECKS)
        self._log = structlog.get_logger()
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- who is there

    def facts(self, session: Session) -> dict[str, Any]:
        """The session object without the CSRF token."""
        people = self._door.people
        everybody = [] if people is None else people.all()
        exposed = not session.loopback and not self._secure
        return session_facts(
            self._door.sessions,
            session,
            sorted(self._agent.settings()["stations"]),
            secure=self._secure,
            page=self._page,
            first=people is not None and not everybody,
            pairing=people is not None and not everybody,
            warning="pin-in-clear" if exposed else None,
            people=[person.facts() for person in everybody] if session.loopback else [],
            stations=sorted(self._agent.settings()["stations"]) if session.loopback else [],
        )

    def answer(self, session: Session) -> Response:
        """The session object, with its cookie."""
        return self._door.cookie(reply(self._told(session)), session)

    def _told(self, session: Session) -> dict[str, Any]:
        return {**self.facts(session), "csrf": session.csrf}

    async def session(self, request: Request, who: Who) -> Response:
        """The session of this browser, a new one where it has none."""
        sessions = self._door.sessions
        now = clock.monotonic()
        session = sessions.find(who.session.token, now)
        if session is None:
            return self.answer(sessions.make(who.address, loopback=who.loopback, now=now))
        return reply(self._told(session))

    async def touch(self, _request: Request, who: Who) -> Response:
        """The person is still there. No cookie: late, it would be put over that of whoever took over meanwhile."""
        return reply(self._told(who.session))

    async def sign_out(self, _request: Request, who: Who) -> Response:
        """End the session."""
        return self.answer(self._door.sessions.sign_out(who.session, clock.monotonic()))

    # --- signing in

    async def sign_in(self, request: Request, who: Who) -> Response:
        """By PIN."""
        body = await json_body(request)
        person_id, pin = needed_text(body, "person", longest=32), needed_text(body, "pin", longest=64)
        station = self._station(body)
        person = await self._proven(who, person_id, pin)
        return await self._signed_in(who, person, station)

    async def sign_in_by_card(self, request: Request, who: Who) -> Response:
        """By a card: read at a station's reader, or typed by a wedge into the page."""
        people = self._people()
        body = await json_body(request)
        station = self._station(body)
        typed = text_in(body, "card", longest=200, needed=False)
        if typed is not None:
            self._may_try(who, None)
            person = await asyncio.to_thread(people.with_card, typed)
            if person is None:
                raise self._wrong(who, None, "wrong-card", "this is nobody's card")
            self._throttle.right(self._bucket(who), person.id)
            return await self._signed_in(who, person, station)
        if station is None:
            raise Refusal(400, "bad-request", "station is missing", where="body.station", right="the station's id")
        if self._cards is None:
            raise Refusal(409, "no-people", "nobody has a card here")
        person = await self._cards.wait(station, loopback=who.loopback)
        if person is None:
            raise Refusal(408, "no-card", "no card was read", where=station, right="ask again")
        return await self._signed_in(who, person, station, here=True)

    async def _signed_in(self, who: Who, person: Person, station: str | None, *, here: bool = False) -> Response:
        old = who.session if not who.session.ended else None
        session = self._door.sessions.sign_in(old, person, who.address, loopback=who.loopback, now=clock.monotonic())
        if here and station is not None:
            session.here.add(station)
        self._log.info("page.signed_in", person=person.id, role=str(person.role), address=who.address)
        if station is not None and Right.WORK in self._door.sessions.rights(session):
            await asyncio.to_thread(self._agent.command, station, "shift", {"action": "begin"}, person.id)
        return self.answer(session)

    def hand_over(self, station: str, person: Person) -> None:
        """A card was read and no page waits for it: whoever it is takes over the shift at the station."""
        if person.role is Role.MAINTAINER:
            return
        task = asyncio.ensure_future(
            asyncio.to_thread(self._agent.command, station, "shift", {"action": "begin"}, person.id)
        )
        self._tasks.add(task)
        task.add_done_callback(self._handed_over)

    def _handed_over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._log.error("shift.failed", reason=f"{type(problem).__name__}: {problem}")

    async def shift(self, request: Request, who: Who) -> Response:
        """Begin or end work at a station. Another person may take over with their PIN without this page changing."""
        body = await json_body(request)
        station = self._station(body)
        if station is None:
            raise Refusal(400, "bad-request", "station is missing", where="body.station", right="the station's id")
        operator = who.operator
        if body.get("person") is not None:
            person_id, pin = needed_text(body, "person", longest=32), needed_text(body, "pin", longest=64)
            operator = (await self._proven(who, person_id, pin)).id
        arguments: dict[str, Any] = {name: body[name] for name in ("action", "cash_fen") if name in body}
        return command_reply(await asyncio.to_thread(self._agent.command, station, "shift", arguments, operator))

    # --- pairing

    async def pairing(self, _request: Request, who: Who) -> Response:
        """The code of the first start, for whoever sits at the box."""
        return reply(self._shown(self._first(who)))

    async def pairing_svg(self, _request: Request, who: Who) -> Response:
        """Its QR code."""
        return Response(qr_svg(self._link(self._first(who))), media_type="image/svg+xml")

    async def invite(self, request: Request, _who: Who) -> Response:
        """A code by which somebody's phone sets their PIN."""
        self._people()
        body = await json_body(request)
        role = body.get("role", "operator")
        if role not in tuple(Role):
            raise Refusal(
                400, "bad-request", f"{str(role)[:40]!r} is no role", where="body.role", right=", ".join(Role)
            )
        person, name = needed_text(body, "person", longest=32), text_in(body, "name", longest=60, needed=False)
        return reply(self._shown(self._pairing.invite(person, name, Role(role), clock.monotonic())))

    async def invitation_svg(self, request: Request, _who: Who) -> Response:
        """The QR code of an invitation that is still good."""
        found = self._pairing.invited(request.path_params["code"], clock.monotonic())
        if found is None:
            raise Refusal(404, "not-found", "there is no such invitation", where="path", right="invite the person anew")
        return Response(qr_svg(self._link(found)), media_type="image/svg+xml")

    async def pair(self, request: Request, who: Who) -> Response:
        """Bring a code, choose a PIN, and be signed in."""
        people = self._people()
        body = await json_body(request)
        code, pin = needed_text(body, "code", longest=40), needed_text(body, "pin", longest=64)
        self._may_try(who, None)
        now = clock.monotonic()
        invitation = self._pairing.redeem(code, now, first=not people.all())
        if invitation is None:
            raise self._wrong(who, None, "wrong-code", "this code is wrong, used up or has run out")
        person_id = invitation.person or text_in(body, "person", longest=32, needed=False) or "01"
        name = text_in(body, "name", longest=60, needed=False) or invitation.name
        try:
            person = await asyncio.to_thread(people.put, person_id, name=name, role=invitation.role, pin=pin)
        except BadPeople as problem:
            self._pairing.put_back(invitation)
            raise Refusal(400, "bad-pin", str(problem), where="body", right="another PIN, id or name") from None
        self._door.sessions.forget_person(person_id)
        self._throttle.right(self._bucket(who), person_id)
        return await self._signed_in(who, person, None)

    async def people(self, _request: Request, _who: Who) -> Response:
        """Everybody who may sign in."""
        everybody = [{**p.facts(), "card": bool(p.cards)} for p in self._people().all()]
        return reply({"people": everybody})

    async def remove(self, request: Request, who: Who) -> Response:
        """Somebody may sign in no more."""
        people = self._people()
        person_id = request.path_params["person"]
        if person_id == who.operator:
            raise Refusal(409, "yourself", "nobody removes themselves", right="another supervisor")
        if not await asyncio.to_thread(people.remove, person_id):
            raise Refusal(404, "not-found", "there is no such person", where="person")
        self._door.sessions.forget_person(person_id)
        return reply({"ok": True})

    def first_start(self) -> None:
        """Where nobody has a PIN yet: say in the log how to pair, and show it on a terminal."""
        people = self._door.people
        if people is None or people.all():
            return
        import sys

        link = self._link(self._pairing.first(clock.monotonic()))
        self._log.warning("page.pairing", url=link, good_for_s=900, reason="nobody has a PIN yet: open this once")
        if sys.stderr.isatty():
            sys.stderr.write(f"\n{qr_terminal(link)}\n{link}\n")

    # --- helpers

    def _people(self) -> People:
        if self._door.people is None:
            raise Refusal(
                409, "no-people", "no PIN file is configured", where="[web] pin_file", right="a file for PINs"
            )
        return self._door.people

    def _station(self, body: Mapping[str, Any]) -> str | None:
        station = text_in(body, "station", longest=64, needed=False)
        if station is not None and station not in self._agent.settings()["stations"]:
            raise Refusal(404, "no-such-station", f"there is no station {station[:40]!r}", where="body.station")
        return station

    def _first(self, who: Who) -> Invitation:
        people = self._people()
        if people.all():
            raise Refusal(
                409, "paired", "there are people with PINs already", right="POST /api/pairing invites another"
            )
        if not who.loopback:
            raise Refusal(
                403, "forbidden", "the first code is shown on the box only", right="the box's own screen or log"
            )
        return self._pairing.first(clock.monotonic())

    def _link(self, invitation: Invitation) -> str:
        return f"{self._url()}#pair={invitation.code}"

    def _shown(self, invitation: Invitation) -> dict[str, Any]:
        link = self._link(invitation)
        left = max(0, int(invitation.until - clock.monotonic()))
        return {"code": invitation.code, "url": link, "expires_s": left}

    def _bucket(self, who: Who) -> str:
        return bucket_address(who.address, loopback=who.loopback)

    async def _proven(self, who: Who, person_id: str, pin: str) -> Person:
        """The person whose PIN this is. Raises `Refusal`, and makes the next attempt wait."""
        people = self._people()
        self._may_try(who, person_id)
        if self._checks.locked() and not who.loopback:
            raise Refusal(429, "too-many-attempts", "others are signing in", more={"retry_after_s": 1})
        async with self._checks:
            person = await asyncio.to_thread(people.with_pin, person_id, pin)
        if person is None:
            raise self._wrong(who, person_id, "wrong-pin", "the PIN or the person is wrong")
        self._throttle.right(self._bucket(who), person_id)
        return person

    def _may_try(self, who: Who, person_id: str | None) -> None:
        wait = self._throttle.wait(self._bucket(who), person_id, clock.monotonic())
        if wait > 0:
            seconds = math.ceil(wait)
            raise Refusal(
                429,
                "too-many-attempts",
                f"too many wrong attempts; the next in {seconds} s",
                more={"retry_after_s": seconds},
                headers={"Retry-After": str(seconds)},
            )

    def _wrong(self, who: Who, person_id: str | None, code: str, what: str) -> Refusal:
        wait = self._throttle.wrong(self._bucket(who), person_id, clock.monotonic())
        self._log.warning("page.refused", reason=code, address=who.address, wait_s=round(wait))
        return Refusal(401, code, what, more={"retry_after_s": math.ceil(wait)})
