"""What every request must be before anything looks at it, and the headers that every answer carries.

Host must be a name of this box, so that a foreign name cannot be rebound to it; a page elsewhere can ask nothing
(Origin); a POST is JSON of bounded size, which no foreign form can send. What breaks a rule is answered with what would
be right. Nothing here knows who is asking.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_agent.web.answers import Refusal

LARGEST_BODY: Final = 64 * 1024
LARGEST_PICTURE: Final = 4 * 1024 * 1024
LARGEST_CATALOGUE: Final = 2 * 1024 * 1024
_PICTURES: Final = ("image/jpeg", "image/png", "image/webp", "application/pdf")
_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; media-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_OF_DOCUMENTS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"permissions-policy", b"geolocation=(), microphone=(), payment=()"),
)
"""What rules a page that is made of an answer. Scripts and style sheets make none, and there are many of them."""

_NO_DOCUMENTS: Final = (b"text/javascript", b"text/css")
_OPENER: Final = (b"cross-origin-opener-policy", b"same-origin")
"""Counts only where nobody can have changed the page on its way; elsewhere browsers complain of it in the console."""

_NO_STORE: Final = (b"cache-control", b"no-store")


def is_loopback(host: str) -> bool:
    """Whether an address is the box itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Guard:
    """ASGI middleware. `names` are further host names under which the page may be asked for, as configured."""

    def __init__(self, app: ASGIApp, names: frozenset[str] = frozenset(), *, secure: bool = False) -> None:
        self._app = app
        self._names = names
        self._scheme = "https" if secure else "http"
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *_HEADERS]
                kind = next((value for name, value in message["headers"] if name == b"content-type"), b"")
                if not kind.startswith(_NO_DOCUMENTS):
                    headers += _OF_DOCUMENTS
                    if self._is_trustworthy(scope):
                        headers.append(_OPENER)
                if not any(name == b"cache-control" for name, _ in message["headers"]):
                    headers.append(_NO_STORE)
                message = {**message, "headers": headers}
            await send(message)

        try:
            receive = self._checked(scope, receive)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """Raises `Refusal` for a request that may not be looked at; returns a receive that bounds the body."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_ours(host, scope):
            raise Refusal(
                403,
                "forbidden",
                "this is not the name of this box",
                where="header Host",
                right="the box's address, or a name listed under [web] names",
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        site = headers.get(b"sec-fetch-site", b"").decode("latin-1")
        if origin not in ("", f"{self._scheme}://{host}") or site in ("cross-site", "same-site"):
            # A link from elsewhere may open the page itself, and nothing else.
            top = headers.get(b"sec-fetch-mode") == b"navigate" and scope["path"] == "/" and not origin
            if not top:
                raise Refusal(
                    403,
                    "origin",
                    "the request comes from another page",
                    where="header Origin",
                    right="ask from the box's own page; programs use /api/v1 with a token",
                )
        if scope["method"] not in ("GET", "HEAD"):
            return self._checked_body(scope, headers, receive)
        return receive

    def _is_trustworthy(self, scope: Scope) -> bool:
        """Whether a browser holds the page for unchanged: under TLS, and on the box itself."""
        if self._scheme == "https":
            return True
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        return host.rpartition(":")[0] in _LOOPBACK_NAMES or host in _LOOPBACK_NAMES

    def _is_ours(self, host: str, scope: Scope) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit():
            name = host
        name = name.lower()
        if name in self._names:
            return True
        server = scope.get("server") or ("", None)
        if name in _LOOPBACK_NAMES:
            return is_loopback(str(server[0]))
        # The very address that the connection came to: an address cannot be rebound as a name can.
        return name.strip("[]") == str(server[0])

    def _checked_body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        picture = scope["path"] == "/api/attachments" and kind in _PICTURES
        if kind != "application/json" and not picture:
            raise Refusal(
                415,
                "not-json",
                f"the body is {kind[:80] or 'of no kind'}",
                where="header Content-Type",
                right="application/json",
            )
        largest = LARGEST_PICTURE if picture else LARGEST_BODY
        if scope["path"] == "/api/catalogue":
            largest = LARGEST_CATALOGUE
        length = headers.get(b"content-length", b"0").decode("latin-1")
        if not length.isdigit() or len(length) > 12 or int(length) > largest:
            raise _too_large(largest)
        got = 0

        async def bounded() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > largest:
                raise _too_large(largest)
            return message

        return bounded


def _too_large(largest: int) -> Refusal:
    return Refusal(413, "too-large", "the body is too large", where="body", right=f"at most {largest} bytes")
