"""Who may do what: the one table of routes and rights, and of rights and roles.

A right is what a person may do, not a screen. Every route of the page is in `ROUTES`, and `app.make_app` refuses to
start with a route that is not; the tests try every row with every role.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final, NamedTuple


class Role(enum.StrEnum):
    """What a person is at the stall. On the box itself, where nobody has a PIN, everybody is an operator with
    somewhat more: `AT_THE_BOX`.
    """

    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    MAINTAINER = "maintainer"


class Right(enum.StrEnum):
    """What somebody may do.

    `anyone` needs no sign-in; `view` looks; `work` weighs, sells, takes in, corrects with a reason; `release` lifts
    stops of sale, decides on intakes and invites people; `quarantine` sees and resends what the platform refused;
    `arrange` says how the tiles of a stall lie and look; `correct` is work's or quarantine's share in corrections;
    `maintain` sees the log and the configuration and handles devices.
    """

    ANYONE = "anyone"
    VIEW = "view"
    WORK = "work"
    CORRECT = "correct"
    ARRANGE = "arrange"
    RELEASE = "release"
    QUARANTINE = "quarantine"
    MAINTAIN = "maintain"


RIGHTS: Final = MappingProxyType(
    {
        Role.OPERATOR: frozenset({Right.ANYONE, Right.VIEW, Right.WORK, Right.CORRECT}),
        Role.SUPERVISOR: frozenset(
            {Right.ANYONE, Right.VIEW, Right.WORK, Right.CORRECT, Right.ARRANGE, Right.RELEASE, Right.QUARANTINE}
        ),
        Role.MAINTAINER: frozenset({Right.ANYONE, Right.VIEW, Right.CORRECT, Right.QUARANTINE, Right.MAINTAIN}),
    }
)
"""What each role may do. A maintainer repairs and does not sell; a supervisor sells and does not repair."""


AT_THE_BOX: Final = RIGHTS[Role.OPERATOR] | {Right.ARRANGE, Right.QUARANTINE}
"""What whoever sits at a box may do where nobody has a PIN: it is their stall, so they lay out its goods and put right
what was refused. Lifting stops of sale, inviting people and handling devices wants somebody who proves who they are."""


class Rule(NamedTuple):
    """One route: its method and path, the right it needs, and whether only somebody at the scale may use it."""

    method: str
    path: str
    right: Right
    at_scale: bool = False


ROUTES: Final = (
    Rule("GET", "/", Right.ANYONE),
    Rule("GET", "/static/{name:path}", Right.ANYONE),
    Rule("GET", "/favicon.ico", Right.ANYONE),
    # who is there
    Rule("GET", "/api/session", Right.ANYONE),
    Rule("POST", "/api/sign-in", Right.ANYONE),
    Rule("POST", "/api/sign-in/card", Right.ANYONE),
    Rule("POST", "/api/sign-out", Right.ANYONE),
    Rule("POST", "/api/session/touch", Right.VIEW),
    Rule("POST", "/api/pair", Right.ANYONE),
    Rule("GET", "/api/pairing", Right.ANYONE),
    Rule("GET", "/api/pairing.svg", Right.ANYONE),
    Rule("POST", "/api/pairing", Right.RELEASE),
    Rule("GET", "/api/pairing/{code}.svg", Right.RELEASE),
    Rule("GET", "/api/people", Right.RELEASE),
    Rule("POST", "/api/people/{person}/remove", Right.RELEASE),
    Rule("POST", "/api/shift", Right.WORK),
    # looking
    Rule("GET", "/api/events", Right.VIEW),
    Rule("GET", "/api/state", Right.VIEW),
    Rule("GET", "/api/records", Right.VIEW),
    Rule("GET", "/api/records/{record}", Right.VIEW),
    Rule("GET", "/api/records/{record}/receipt", Right.VIEW),
    Rule("GET", "/api/records/{record}/receipt.svg", Right.VIEW),
    Rule("GET", "/api/stations/{station}/weights", Right.VIEW),
    Rule("GET", "/api/devices", Right.VIEW),
    Rule("GET", "/api/trace", Right.VIEW),
    Rule("GET", "/api/catalogue", Right.VIEW),
    Rule("GET", "/api/board", Right.VIEW),
    Rule("GET", "/api/figures", Right.VIEW),
    Rule("GET", "/api/payments", Right.VIEW),
    Rule("GET", "/api/attachments/{sha256}", Right.VIEW),
    # working
    Rule("POST", "/api/stations/{station}/{command}", Right.WORK),
    Rule("POST", "/api/devices/{device}/command", Right.WORK, at_scale=True),
    Rule("POST", "/api/records/{record}/void", Right.CORRECT),
    Rule("POST", "/api/records/{record}/amend", Right.CORRECT),
    Rule("POST", "/api/records/{record}/return", Right.CORRECT),
    Rule("POST", "/api/records/{record}/print", Right.WORK),
    Rule("POST", "/api/stops/{stop}/confirm", Right.WORK),
    Rule("POST", "/api/complaints", Right.WORK),
    Rule("POST", "/api/attachments", Right.WORK),
    Rule("POST", "/api/payments/{payment}/assign", Right.WORK),
    Rule("POST", "/api/catalogue", Right.RELEASE),
    Rule("POST", "/api/tiles", Right.ARRANGE),
    # repairing
    Rule("GET", "/api/quarantine", Right.QUARANTINE),
    Rule("POST", "/api/quarantine/requeue", Right.QUARANTINE),
    Rule("GET", "/api/log", Right.MAINTAIN),
    Rule("GET", "/api/config", Right.MAINTAIN),
    Rule("POST", "/api/devices/{device}/restart", Right.MAINTAIN),
    Rule("GET", "/api/devices/{device}/watch", Right.MAINTAIN),
    Rule("POST", "/api/devices/probe", Right.MAINTAIN),
    Rule("GET", "/api/devices/probe/{job}", Right.MAINTAIN),
    Rule("POST", "/api/devices/probe/{job}/stop", Right.MAINTAIN),
    Rule("POST", "/api/devices/{device}/commission", Right.MAINTAIN),
)
"""Every route of the page. What a route asks of its arguments beyond this is in `NARROWER`."""

NARROWER: Final = MappingProxyType({"release": Right.RELEASE, "review": Right.RELEASE})
"""Commands of stations that need more than `work`: lifting a stop of sale, and the market's decision on an intake."""
