"""Answers of the server: JSON, and refusals that say what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from edge_agent.facade import CommandResult

MAX_DEPTH = 32


class Refusal(Exception):
    """A request that is not carried out. `code` is stable and translated by the page; the words are for people."""

    def __init__(
        self,
        status: int,
        code: str,
        what: str,
        *,
        where: str = "",
        right: str = "",
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.what = what
        self.where = where
        self.right = right
        self.more = more or {}
        self.headers = headers
        super().__init__(what)

    def response(self) -> Response:
        """The answer."""
        body = {"ok": False, "error": self.code, "what": self.what, "where": self.where, "right": self.right}
        return reply({**body, **self.more}, self.status, self.headers)


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers=headers, media_type="application/json")


def command_reply(result: CommandResult) -> Response:
    """What became of a command: 200 with the records that are kept, 409 with the code of the refusal."""
    answer: dict[str, Any] = {"ok": result.refused is None, "refused": result.refused, "kept": list(result.kept)}
    if result.refused is None:
        return reply(answer)
    what = result.reason or f"refused: {result.refused}"
    return reply({**answer, "error": result.refused, "what": what, "where": "", "right": ""}, 409)


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object in a request. Raises `Refusal` for anything else."""
    try:
        body = await request.body()
    except ClientDisconnect:
        raise Refusal(400, "bad-request", "the request ended early", where="body") from None
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as problem:
        raise Refusal(400, "bad-request", f"this is no JSON: {problem}", where="body", right="a JSON object") from None
    if not isinstance(value, dict):
        raise Refusal(400, "bad-request", "this is no object", where="body", right='a JSON object, {"…": …}')
    return value


def text_in(
    body: Mapping[str, Any], name: str, *, longest: int = 500, needed: bool = True, where: str = "body"
) -> str | None:
    """A text in a request. Raises `Refusal` where it is something else, or where it is needed and missing."""
    value = body.get(name)
    if value is None or value == "":
        if needed:
            raise Refusal(400, "bad-request", f"{name} is missing", where=f"{where}.{name}", right="a text")
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise Refusal(
            400,
            "bad-request",
            f"{name} is no text of at most {longest} characters",
            where=f"{where}.{name}",
            right=f"a text of at most {longest} characters",
        )
    return value


def needed_text(body: Mapping[str, Any], name: str, *, longest: int = 500) -> str:
    """A text that must be there."""
    value = text_in(body, name, longest=longest)
    assert value is not None
    return value


def number_in(request: Request, name: str, default: int | None, low: int, high: int) -> int | None:
    """A whole number in the query. Raises `Refusal` where it is none or out of bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not low <= int(text) <= high:
        raise Refusal(
            400,
            "bad-request",
            f"{name} is {text[:40]!r}",
            where=f"query.{name}",
            right=f"a whole number from {low} to {high}",
        )
    return int(text)
