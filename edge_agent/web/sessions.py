"""Server-side sessions: who is at which page, since when, and whether the page is locked; monotonic seconds passed in.

A cookie holds nothing but a random name. A session without a person may be anybody's; it is there for its CSRF token,
and has a cookie of its own: what is answered to a page that asks who is there, however late, can never take the place
of the cookie of somebody who has signed in meanwhile on another page of the same browser. Sessions live in memory:
after a restart of the agent people sign in again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from edge_agent.web.access import AT_THE_BOX, RIGHTS, Right, Role
from edge_agent.web.people import Person

COOKIE: Final = "trace_session"
"""The cookie of a person; only signing in sets it."""

VISIT: Final = "trace_visit"
"""The cookie of a session without a person."""

_MOST: Final = 256
_NAMELESS: Final = 12 * 3600.0
_LONGEST: Final = 7 * 24 * 3600.0


@dataclass(slots=True, kw_only=True)
class Session:
    """One browser's session. `here` names the stations at whose reader this person's card was read."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    address: str
    loopback: bool
    began: float
    seen: float
    person: Person | None = None
    locked: bool = False
    here: set[str] = field(default_factory=set)
    ended: bool = False
    version: int = 0

    @property
    def public(self) -> str:
        """A name for the log that opens nothing."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decides about rights. `pins`: whether people have to sign in at the box itself too; `idle_lock`: seconds,
    0 never locks. `at_scale` holds the addresses of pages that stand beside a scale, besides the box itself.
    """

    pins: Callable[[], bool]
    idle_lock: float = 600.0
    at_scale: frozenset[str] = frozenset()


class Sessions:
    """All sessions. Not thread-safe: the server's loop owns it."""

    def __init__(self, policy: Policy, *, changed: Callable[[Session], None] = lambda _session: None) -> None:
        self.policy = policy
        self._changed = changed
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, token: str | None, now: float) -> Session | None:
        """The session of a cookie; None where it is unknown or over."""
        session = self._sessions.get(token) if token else None
        if session is None:
            return None
        age = now - session.began
        if age > _LONGEST or (session.person is None and now - session.seen > _NAMELESS):
            self._end(session)
            return None
        self._lock_idle(session, now)
        return session

    def make(self, address: str, *, loopback: bool, now: float, person: Person | None = None) -> Session:
        """A new session. Where there are too many, the oldest one without a person ends, else the oldest."""
        session = self.loose(address, loopback=loopback, now=now, person=person)
        self._sessions[session.token] = session
        while len(self._sessions) > _MOST:
            nameless = (s for s in self._sessions.values() if s.person is None and s is not session)
            self._end(next(nameless, None) or next(iter(self._sessions.values())))
        return session

    def loose(self, address: str, *, loopback: bool, now: float, person: Person | None = None) -> Session:
        """A session that is not remembered: for a request that brought none."""
        return Session(
            token=secrets.token_urlsafe(32),
            csrf=secrets.token_urlsafe(24),
            address=address,
            loopback=loopback,
            began=now,
            seen=now,
            person=person,
        )

    def sign_in(self, old: Session | None, person: Person, address: str, *, loopback: bool, now: float) -> Session:
        """Begin a person's session. The old cookie opens nothing from now on: a planted one is worth nothing."""
        session = self.make(address, loopback=loopback, now=now, person=person)
        if old is not None:
            self._end(old)
        return session

    def sign_out(self, session: Session, now: float) -> Session:
        """End a session; what takes its place has no person."""
        self._end(session)
        return self.make(session.address, loopback=session.loopback, now=now)

    def forget_person(self, person_id: str) -> None:
        """Somebody was removed or has a new PIN: their sessions end."""
        for session in [s for s in self._sessions.values() if s.person is not None and s.person.id == person_id]:
            self._end(session)

    def touch(self, session: Session, now: float) -> None:
        """The person did something."""
        session.seen = now

    def lock_idle(self, now: float) -> None:
        """Lock every session in which nothing was done for too long."""
        for session in list(self._sessions.values()):
            self._lock_idle(session, now)

    def _lock_idle(self, session: Session, now: float) -> None:
        idle = self.policy.idle_lock
        if session.person is not None and not session.locked and idle > 0 and now - session.seen > idle:
            session.locked = True
            session.version += 1
            self._changed(session)

    def _end(self, session: Session) -> None:
        self._sessions.pop(session.token, None)
        session.ended = True
        session.version += 1
        self._changed(session)

    # --- what a session may do

    def role(self, session: Session) -> Role | None:
        """The role that counts; None for somebody who has not signed in where that is needed."""
        if session.person is not None:
            return session.person.role
        return Role.OPERATOR if session.loopback and not self.policy.pins() else None

    def rights(self, session: Session) -> frozenset[Right]:
        """What the session may do."""
        role = self.role(session)
        if role is None:
            return frozenset({Right.ANYONE})
        return AT_THE_BOX if session.person is None else RIGHTS[role]

    def at_scale(self, session: Session, station: str) -> bool:
        """Whether whoever uses this page stands at this station's scale and sees its display."""
        return session.loopback or session.address in self.policy.at_scale or station in session.here


def csrf_fits(session: Session, token: str | None) -> bool:
    """Whether a request carries this session's token."""
    return token is not None and hmac.compare_digest(session.csrf.encode(), token.encode("utf-8", "replace"))
