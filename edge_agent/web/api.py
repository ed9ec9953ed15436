"""The local API: how a POS, an ERP or a warehouse system joins in, with a token.

`OPERATIONS` is the one table of it: the routes, the scope that each needs, what goes in and what comes out. The
OpenAPI document is made from it (`openapi.document`), so the two cannot differ.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from pydantic import ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from edge_agent import clock
from edge_agent.facade import CommandResult, Facade, RecentRecord
from edge_agent.store import StoreError
from edge_agent.web.answers import Refusal, command_reply, json_body, number_in, reply
from edge_agent.web.api_requests import IntakeRequest, PaymentRequest, Request, SaleRequest, VoidRequest
from edge_agent.web.door import not_saved
from edge_agent.web.guard import is_loopback
from edge_agent.web.live import Live
from edge_agent.web.payments import Payments
from edge_agent.web.stream import EventStream, Streams, page_events
from edge_agent.web.throttle import Throttle, bucket_address
from edge_agent.web.tokens import BadTokens, Scope, Token, Tokens

KEY: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[!-~]{1,200}")
_TYPE: Final = re.compile(r"trace\.[a-z_]{1,40}\.v1")

Handler = Callable[["Asked"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be answered: its token, its checked body, and the rest."""

    http: HttpRequest
    token: Token | None
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route of the API. `query` names its query parameters; `answers` their statuses and schemas by name."""

    method: str
    path: str
    scope: Scope | None
    summary: str
    handler: str
    body: type[Request] | None = None
    keyed: bool = False
    query: tuple[str, ...] = ()
    answers: tuple[tuple[int, str], ...] = ()
    stream: bool = False


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/openapi.json",
        scope=None,
        summary="This document",
        handler="document",
        answers=((200, "Document"),),
    ),
    Operation(
        method="GET",
        path="/api/v1/state",
        scope=Scope.READ,
        handler="state",
        summary="Stations, devices, link, stops, figures of today, the newest records",
        answers=((200, "State"),),
    ),
    Operation(
        method="GET",
        path="/api/v1/events",
        scope=Scope.READ,
        handler="events",
        stream=True,
        summary="The stream of what changes (server-sent events); Last-Event-ID goes on where it ended",
        answers=((200, "Stream"), (503, "Error")),
    ),
    Operation(
        method="GET",
        path="/api/v1/catalogue",
        scope=Scope.READ,
        handler="catalogue",
        query=("station",),
        summary="Goods with today's price and open batches, and the parties",
        answers=((200, "Catalogue"), (404, "Error")),
    ),
    Operation(
        method="GET",
        path="/api/v1/records",
        scope=Scope.READ,
        handler="records",
        query=("after", "limit", "type"),
        summary="Records after a sequence, oldest first, whole, each with its mark",
        answers=((200, "Records"),),
    ),
    Operation(
        method="GET",
        path="/api/v1/records/{record}",
        scope=Scope.READ,
        handler="record",
        summary="One record by its id or sequence",
        answers=((200, "Record"), (404, "Error")),
    ),
    Operation(
        method="GET",
        path="/api/v1/trace",
        scope=Scope.READ,
        handler="trace",
        query=("code",),
        summary="Where something came from and where it went",
        answers=((200, "Trace"),),
    ),
    Operation(
        method="GET",
        path="/api/v1/stops",
        scope=Scope.READ,
        handler="stops",
        summary="The stops of sale in force",
        answers=((200, "Stops"),),
    ),
    Operation(
        method="GET",
        path="/api/v1/figures",
        scope=Scope.READ,
        handler="figures",
        query=("days",),
        summary="The figures of the last days",
        answers=((200, "Figures"),),
    ),
    Operation(
        method="POST",
        path="/api/v1/sales",
        scope=Scope.SELL,
        handler="sell",
        body=SaleRequest,
        keyed=True,
        summary="Sell one line; the same Idempotency-Key again gives the same record",
        answers=((200, "Kept"), (404, "Error"), (409, "Refused")),
    ),
    Operation(
        method="POST",
        path="/api/v1/records/{record}/void",
        scope=Scope.SELL,
        handler="void",
        body=VoidRequest,
        summary="Make a record void, with the reason",
        answers=((200, "Kept"), (409, "Refused")),
    ),
    Operation(
        method="POST",
        path="/api/v1/intakes",
        scope=Scope.INTAKE,
        handler="take_in",
        body=IntakeRequest,
        keyed=True,
        summary="Take goods in; the same Idempotency-Key again gives the same record",
        answers=((200, "Kept"), (404, "Error"), (409, "Refused")),
    ),
    Operation(
        method="POST",
        path="/api/v1/payments",
        scope=Scope.PAY,
        handler="pay",
        body=PaymentRequest,
        summary="Tell of a payment: it is matched by its amount to the open ticket or a sale, or shown as open",
        answers=((200, "Payment"), (404, "Error")),
    ),
)


class Api:
    """The handlers of the API."""

    def __init__(
        self,
        agent: Facade,
        tokens: Tokens,
        live: Live,
        streams: Streams,
        payments: Payments,
        stopping: Callable[[], bool],
    ) -> None:
        self._agent = agent
        self._tokens = tokens
        self._live = live
        self._streams = streams
        self._payments = payments
        self._stopping = stopping
        self._throttle = Throttle()
        self._log = structlog.get_logger()

    def wrap(self, operation: Operation) -> Callable[[HttpRequest], Awaitable[Response]]:
        """The endpoint of an operation."""
        handler: Handler = getattr(self, operation.handler)

        async def endpoint(request: HttpRequest) -> Response:
            try:
                token = await self._token(request, operation)
                body = await _checked_body(request, operation.body) if operation.body is not None else None
                return await handler(Asked(request, token, body))
            except Refusal as refusal:
                return refusal.response()
            except (TimeoutError, StoreError) as problem:
                return not_saved(problem).response()
            except Exception as problem:  # noqa: BLE001 -- whatever a request leads to, the API goes on
                self._log.error(
                    "api.request_failed",
                    path=operation.path,
                    reason=f"{type(problem).__name__}: {problem}",
                    exc_info=problem,
                )
                return Refusal(500, "fault", "a fault of the agent; the log says more").response()

        return endpoint

    async def _token(self, request: HttpRequest, operation: Operation) -> Token | None:
        if operation.scope is None:
            return None
        client = request.client.host if request.client is not None else ""
        address = bucket_address(client, loopback=is_loopback(client))
        now = clock.monotonic()
        wait = self._throttle.wait(address, None, now)
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            token = self._tokens.find(text.strip()) if kind.lower() == "bearer" and text else None
        except (OSError, BadTokens) as problem:
            self._log.error("tokens.unreadable", reason=str(problem))
            token = None
        if token is None:
            # A right token is let in however many wrong ones came from there: 256 bits are not guessed.
            if text and wait > 0:
                raise Refusal(
                    429,
                    "too-many-attempts",
                    "too many wrong tokens",
                    more={"retry_after_s": int(wait) + 1},
                    headers={"Retry-After": str(int(wait) + 1)},
                )
            if text:
                self._throttle.wrong(address, None, now)
            raise Refusal(
                401,
                "token",
                "a token is missing or counts no more",
                where="header Authorization",
                right="Bearer TOKEN, made by `edge-agent web token new`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if operation.scope not in token.scopes:
            raise Refusal(
                403,
                "scope",
                f"the token {token.name} may not do this",
                where="header Authorization",
                right=f"a token with the scope {operation.scope}",
            )
        return token

    # --- looking

    async def document(self, _asked: Asked) -> Response:
        """The OpenAPI document."""
        from edge_agent.web.openapi import document

        return reply(document())

    async def state(self, _asked: Asked) -> Response:
        """The whole state, once."""
        return reply(self._live.snapshot())

    async def events(self, asked: Asked) -> Response:
        """The stream."""
        if self._streams.full():
            raise Refusal(503, "too-many-pages", "too many streams are open", right="close some")
        token = asked.token
        assert token is not None
        last = asked.http.headers.get("last-event-id") or asked.http.query_params.get("last")
        number, ended = self._streams.enter(f"token {token.name}")

        def facts() -> tuple[int, Mapping[str, Any] | None]:
            known = any(each.name == token.name and Scope.READ in each.scopes for each in self._tokens.all())
            return 0, {"token": token.name} if known else None

        chunks = page_events(self._live, last, facts, ended, self._stopping)
        return EventStream(chunks, lambda: self._streams.leave(number))

    async def catalogue(self, asked: Asked) -> Response:
        """Goods and parties."""
        station = asked.http.query_params.get("station")
        self._known_station(station)
        return reply(await asyncio.to_thread(self._agent.catalogue, station))

    async def records(self, asked: Asked) -> Response:
        """Records after a sequence."""
        after = number_in(asked.http, "after", 0, 0, 2**53) or 0
        limit = number_in(asked.http, "limit", 100, 1, 500) or 100
        types = [t for t in asked.http.query_params.get("type", "").split(",") if t]
        if len(types) > 20 or not all(_TYPE.fullmatch(each) for each in types):
            raise Refusal(
                400,
                "bad-request",
                "this is no list of types",
                where="query.type",
                right="trace.sale.v1,trace.return.v1",
            )
        found = await asyncio.to_thread(self._agent.lookups.since, after, limit)
        shown = [_whole(record) for record in found]
        following = shown[-1]["sequence"] if shown else after
        wanted = [each for each in shown if not types or each["event"]["type"] in types]
        return reply({"records": wanted, "next": following, "more": len(shown) == limit})

    async def record(self, asked: Asked) -> Response:
        """One record."""
        detail = await asyncio.to_thread(self._agent.lookups.record, asked.http.path_params["record"])
        if detail is None:
            raise Refusal(404, "not-found", "there is no such record", where="path", right="its id or sequence")
        standing = {"void_by": detail.void_by, "amended_by": detail.amended_by, "returns": detail.returns}
        return reply({**_whole(detail.record), **standing})

    async def trace(self, asked: Asked) -> Response:
        """A trace."""
        code = asked.http.query_params.get("code", "").strip()
        if not 0 < len(code) <= 200:
            raise Refusal(
                400,
                "bad-request",
                "code is missing or too long",
                where="query.code",
                right="a trace code, batch number, receipt number or record id",
            )
        return reply(await asyncio.to_thread(self._agent.lookups.trace, code))

    async def stops(self, _asked: Asked) -> Response:
        """Stops of sale."""
        return reply({"stops": list(await asyncio.to_thread(self._agent.stops))})

    async def figures(self, asked: Asked) -> Response:
        """Figures."""
        days = number_in(asked.http, "days", 31, 1, 62) or 31
        return reply({"days": list(await asyncio.to_thread(self._agent.lookups.figures, days))})

    # --- doing

    async def sell(self, asked: Asked) -> Response:
        """A sale."""
        told = asked.body.model_dump(exclude_none=True)
        if "qty" in told:
            told.setdefault("price_per", "each")
        return await self._at_station(asked, "sell", told)

    async def take_in(self, asked: Asked) -> Response:
        """An intake."""
        return await self._at_station(asked, "take", asked.body.model_dump(exclude_none=True))

    async def _at_station(self, asked: Asked, name: str, told: dict[str, Any]) -> Response:
        station, operator = told.pop("station"), told.pop("operator", None)
        self._known_station(station)
        key = _key(asked.http)
        assert asked.token is not None

        def do() -> CommandResult:
            return self._agent.command(station, name, told, operator, key=f"{asked.token and asked.token.name}\n{key}")

        return command_reply(await asyncio.to_thread(do))

    async def void(self, asked: Asked) -> Response:
        """A void."""
        body: VoidRequest = asked.body
        record = asked.http.path_params["record"]

        def do() -> CommandResult:
            return self._agent.correct("void", record, reason=body.reason, operator=body.operator, details={})

        return command_reply(await asyncio.to_thread(do))

    async def pay(self, asked: Asked) -> Response:
        """A payment."""
        body: PaymentRequest = asked.body
        self._known_station(body.station)
        return reply(await self._payments.take(body))

    def _known_station(self, station: str | None) -> None:
        if station is not None and station not in self._agent.settings()["stations"]:
            raise Refusal(404, "no-such-station", f"there is no station {station[:40]!r}", where="station")


async def _checked_body(request: HttpRequest, model: type[Request]) -> Request:
    body = await json_body(request)
    try:
        return model.model_validate(body)
    except ValidationError as problem:
        faults = [
            {"where": ".".join(str(part) for part in ("body", *fault["loc"])), "what": fault["msg"]}
            for fault in problem.errors(include_url=False, include_context=False, include_input=False)[:20]
        ]
        first = faults[0]
        raise Refusal(
            400,
            "bad-request",
            first["what"],
            where=first["where"],
            right="see /api/v1/openapi.json",
            more={"faults": faults},
        ) from None


def _key(request: HttpRequest) -> str:
    key = request.headers.get(KEY, "")
    if not _KEY.fullmatch(key):
        raise Refusal(
            400,
            "bad-request",
            f"{KEY} is missing, too long or not plain",
            where=f"header {KEY}",
            right="1 to 200 visible ASCII characters, new for each sale and the same when it is asked again",
        )
    return key


def _whole(record: RecentRecord) -> dict[str, Any]:
    event = orjson.loads(record.body)
    mark = record.mark
    return {
        "sequence": int(event["sequence"]),
        "mark": mark.state,
        "reason": mark.reason,
        "code": mark.code,
        "event": event,
    }


def scopes_of(operations: Sequence[Operation] = OPERATIONS) -> dict[tuple[str, str], Scope | None]:
    """Which scope each route needs."""
    return {(each.method, each.path): each.scope for each in operations}
