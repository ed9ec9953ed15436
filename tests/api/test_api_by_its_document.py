"""schemathesis asks the local API everything that its OpenAPI document allows and much that it does not: never a fault
of the agent, and always the statuses and shapes that the document promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from stall_web import WebStall, new_token, stall

from edge_agent.web.openapi import document

_document = document()
# The stream has no end, so it is tried by itself (test_stream.py, test_api.py).
del _document["paths"]["/api/v1/events"]
schema = schemathesis.openapi.from_dict(_document)

EXAMPLES = 25


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebStall]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with stall(tmp_path_factory.mktemp("api"), port) as made:
        yield made


@pytest.fixture(scope="module")
def token(market: WebStall) -> str:
    return new_token(market.folder, "read", "sell", "intake", "pay")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_document(case: Any, market: WebStall, token: str) -> None:
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
    answer = case.call(base_url=f"http://127.0.0.1:{market.port}")
    assert answer.status_code < 500 or answer.status_code == 503
    case.validate_response(answer, checks=[CHECKS.get_one(name) for name in NAMES])
    if answer.status_code >= 400:
        refusal = answer.json()
        assert refusal["error"]
        assert refusal["what"]


NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
