"""A payment provider's callbacks, simulated: it tells the stall's box that money came in, again until it is heard.

As the providers do, it repeats a call with the same reference when no 200 comes, with growing pauses; and it can be
made to repeat calls that were heard (`repeat`), as happens in the field.
"""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

METHODS: Final = ("wechat", "alipay", "unionpay", "ecny", "card")
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """Where the callbacks go: the address of `/api/v1/payments` and a token with the scope `pay`."""

    url: str
    token: str
    station: str | None = None
    timeout: float = 10.0


def reference(chance: random.Random) -> str:
    """A number such as providers give their payments."""
    return "42000" + "".join(chance.choice("0123456789") for _ in range(23))


def pay(till: Till, *, amount_fen: int, method: str, number: str, repeat: int = 0) -> Iterator[dict[str, Any]]:
    """Tell of one payment until it is heard, and `repeat` times more. Yields each answer; `status` 0 is none."""
    body: dict[str, Any] = {"amount_fen": amount_fen, "method": method, "reference": number}
    if till.station is not None:
        body["station"] = till.station
    for pause in (*_PAUSES, None):
        answer = _tell(till, body)
        yield answer
        if answer["status"] == 200:
            break
        if pause is None or 400 <= answer["status"] < 500:
            return
        time.sleep(pause)
    else:
        return
    for _ in range(repeat):
        yield _tell(till, body)


def _tell(till: Till, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        till.url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {till.token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=till.timeout) as answer:
            return {"status": answer.status, "answer": json.loads(answer.read())}
    except urllib.error.HTTPError as refusal:
        return {"status": refusal.code, "answer": refusal.read().decode(errors="replace")[:500]}
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return {"status": 0, "answer": f"{type(problem).__name__}: {problem}"}
