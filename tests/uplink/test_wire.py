"""Payloads: what goes out is an array of stored bytes, what comes in is understood or is a reason."""

from __future__ import annotations

import builtins
import gzip
import json
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Refusal, Verdict
from edge_agent.uplink import Identity, wire
from edge_agent.uplink.wire import Malformed, PlatformState

GOOD = {"v": 1, "chain": "c", "time": "t", "accepted": [[1, 5], [7, 7]], "rejected": []}


def test_topics() -> None:
    topics = wire.Topics.of(Identity(site="s", gateway="g", source="/s/g"))
    assert topics.records == "trace/v1/s/g/records"
    assert topics.platform_state == "trace/v1/s/platform/state"


def test_a_batch_is_the_stored_bytes_as_an_array() -> None:
    assert wire.batch([b'{"a":1}', b'{"b":2}']) == b'[{"a":1},{"b":2}]'


@pytest.mark.parametrize("name", ["none", "zstd", "gzip"])
def test_compression_is_told_by_the_first_bytes(name: Any) -> None:
    compress = wire.compressor(name)
    payload = wire.batch([b'{"a":"%d"}' % n for n in range(200)])
    packed, content_type = compress(payload)
    magic = {"none": b"[", "zstd": wire.ZSTD_MAGIC, "gzip": wire.GZIP_MAGIC}[name]
    assert packed.startswith(magic)
    assert content_type.startswith("application/cloudevents-batch+json")
    assert (content_type == wire.BATCH_TYPE) == (name == "none")
    assert wire.unpack(packed) == payload
    assert wire.unpack(packed, limit=len(payload) - 1) != payload


def test_what_does_not_shrink_goes_as_it_is() -> None:
    assert wire.compressor("gzip")(b"[{}]") == (b"[{}]", wire.BATCH_TYPE)


def test_gzip_stands_in_for_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_zstandard(name: str, *rest: Any, **more: Any) -> Any:
        if name == "zstandard":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_zstandard)
    assert wire.compressor("zstd").name == "gzip"
    assert isinstance(wire.unpack(wire.ZSTD_MAGIC + b"x"), Malformed)


def test_a_decompression_bomb_is_refused() -> None:
    bomb = b"0" * (64 * 1024 * 1024)
    for packed in (gzip.compress(bomb, 1), zstandard.compress(bomb)):
        assert len(packed) < wire.MAX_PAYLOAD
        assert isinstance(wire.unpack(packed), Malformed)
    assert isinstance(wire.unpack(b"[" * (wire.MAX_PAYLOAD + 1)), Malformed)


def test_a_verdict() -> None:
    payload = {
        **GOOD,
        "new_field": {"x": 1},
        "rejected": [{"sequence": 6, "id": "i", "code": "c", "reason": "r", "retryable": True, "more": 1}],
    }
    assert wire.decode_verdict(orjson.dumps(payload)) == Verdict(
        chain="c",
        accepted=((1, 5), (7, 7)),
        rejected=(Refusal(sequence=6, id="i", code="c", reason="r", retryable=True),),
    )
    assert wire.decode_verdict(gzip.compress(orjson.dumps({"v": 1, "chain": "c"}))) == Verdict(chain="c")


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 2},
        {"v": True},
        {"v": None},
        {"chain": None},
        {"chain": ""},
        {"accepted": 5},
        {"accepted": [[2, 1]]},
        {"accepted": [[0, 1]]},
        {"accepted": [[1]]},
        {"accepted": [[True, True]]},
        {"accepted": [[1, 2**60]]},
        {"accepted": [["1", "2"]]},
        {"rejected": {}},
        {"rejected": [{}]},
        {"rejected": [{"sequence": 1.5}]},
        {"rejected": [{"sequence": 1, "retryable": "yes"}]},
        {"rejected": [{"sequence": 1, "code": 5}]},
    ],
)
def test_one_wrong_part_makes_a_verdict_malformed(wrong: dict[str, Any]) -> None:
    decoded = wire.decode_verdict(json.dumps({**GOOD, **wrong}).encode())
    assert isinstance(decoded, Malformed)
    assert decoded.reason


@given(
    st.one_of(st.binary(), st.binary().map(lambda b: wire.ZSTD_MAGIC + b), st.binary().map(lambda b: b"\x1f\x8b" + b))
)
def test_no_bytes_raise(payload: bytes) -> None:
    wire.decode_verdict(payload)
    wire.decode_platform_state(payload)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["v", "chain", "accepted", "rejected", "sequence", "accepting", "drain_per_s"]), x
            )
        ),
    )
)
def test_no_json_raises(value: Any) -> None:
    payload = json.dumps({**value, "v": 1, "chain": "c"} if isinstance(value, dict) else value).encode()
    wire.decode_verdict(payload)
    wire.decode_platform_state(payload)


def test_platform_state() -> None:
    assert wire.decode_platform_state(b"") == PlatformState(True, None)
    assert wire.decode_platform_state(b'{"accepting":false,"drain_per_s":5,"time":"t"}') == PlatformState(False, 5.0)
    for wrong in (
        b"{}",
        b'{"accepting":1}',
        b'{"accepting":true,"drain_per_s":-1}',
        b'{"accepting":true,"drain_per_s":"5"}',
    ):
        assert isinstance(wire.decode_platform_state(wrong), Malformed)


def test_state_and_info() -> None:
    assert json.loads(wire.state(online=True, session="s", since="t")) == {"online": True, "session": "s", "since": "t"}
    assert json.loads(wire.info({"odd": object, 1: None}))["1"] is None
