"""One-time codes by which a phone becomes somebody's: at the first start, and as invitations later.

A code is good once, for a quarter of an hour. The first code makes a supervisor, who invites the others.
"""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass
from typing import Final

from edge_agent.web.access import Role

GOOD_FOR: Final = 900.0
"""Seconds."""

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH: Final = 10
_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A code and what it makes of whoever brings it. `person` is None where they choose their own id."""

    code: str
    role: Role
    until: float
    person: str | None = None
    name: str | None = None


class Pairing:
    """The codes that are good now. Not thread-safe: the server's loop owns it."""

    def __init__(self) -> None:
        self._first: Invitation | None = None
        self._invitations: dict[str, Invitation] = {}

    def first(self, now: float) -> Invitation:
        """The code of the first start; a new one when the old one has run out."""
        if self._first is None or now >= self._first.until:
            self._first = Invitation(code=_code(), role=Role.SUPERVISOR, until=now + GOOD_FOR)
        return self._first

    def invite(self, person: str, name: str | None, role: Role, now: float) -> Invitation:
        """A code for somebody."""
        self._drop_old(now)
        while len(self._invitations) >= _MOST:
            del self._invitations[next(iter(self._invitations))]
        made = Invitation(code=_code(), role=role, until=now + GOOD_FOR, person=person, name=name)
        self._invitations[made.code] = made
        return made

    def invited(self, code: str, now: float) -> Invitation | None:
        """The invitation of a code; None where it is used up, has run out or never was."""
        self._drop_old(now)
        return self._invitations.get(code)

    def redeem(self, code: str, now: float, *, first: bool) -> Invitation | None:
        """The invitation of a code, which is used up by that; None where there is none."""
        self._drop_old(now)
        text = "".join(code.split()).upper()
        mine = self._first if first else None
        if mine is not None and now < mine.until and _same(text, mine.code):
            self._first = None
            return mine
        for known in list(self._invitations.values()):
            if _same(text, known.code):
                return self._invitations.pop(known.code)
        return None

    def put_back(self, invitation: Invitation) -> None:
        """What it was used for did not come about, so the code stays good."""
        if invitation.person is None:
            self._first = invitation
        else:
            self._invitations[invitation.code] = invitation

    def _drop_old(self, now: float) -> None:
        for code in [code for code, made in self._invitations.items() if now >= made.until]:
            del self._invitations[code]


def _same(text: str, code: str) -> bool:
    return secrets.compare_digest(text.encode("utf-8", "replace"), code.encode())


def _code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def qr_svg(text: str) -> bytes:
    """A QR code as an SVG document."""
    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", scale=6, border=3, svgclass=None, lineclass=None)
    return out.getvalue()


def qr_terminal(text: str) -> str:
    """A QR code in characters for a terminal."""
    import segno

    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, compact=True)
    return out.getvalue()
