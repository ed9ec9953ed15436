"""The facts of a sale, signed by the box that kept it, small enough for the QR code on a receipt.

Whoever has the public key can check a receipt with no network: goods, mass, price, amount, batch, time, and the hash
of the record on the chain, which the platform can compare later. It is made of

    TR1.<facts>.<key>.<signature>

facts: base64url of canonical JSON; key: the first 16 hexadecimal digits of the key's id; signature: base64url of
Ed25519 over the domain `trace-receipt-qr/v1` and the facts as they stand. Where the city's page has an address, the
code is that address with the trace code in it and this text behind `#`, which no browser sends to the server.

It proves that the box's key signed these facts. It does not prove that they are true, nor that the record was not
corrected later: a void is a later record.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from edge_agent.proof.signing import SIGNATURE_BYTES, PublicKey, Signer
from edge_agent.records import canonical

PREFIX: Final = "TR1"
DOMAIN: Final = b"trace-receipt-qr/v1"
_KEY_DIGITS: Final = 16
_HASH_DIGITS: Final = 32
_LONGEST: Final = 2_000
_NAMES: Final[Mapping[str, str]] = {
    "trace_code": "c",
    "goods_code": "g",
    "goods_name": "n",
    "batch": "b",
    "net_mg": "w",
    "qty": "q",
    "price_fen": "p",
    "price_per": "u",
    "amount_fen": "a",
    "seller": "s",
}
_LONG: Final[Mapping[str, str]] = {short: name for name, short in _NAMES.items()} | {
    "t": "time",
    "h": "hash",
    "k": "clock_synced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineProof:
    """What a checked code says. `problems` is empty where it holds; `facts` are as signed, in our fields' names."""

    facts: Mapping[str, Any]
    key: str
    problems: tuple[str, ...]


def of_sale(event: Mapping[str, Any], signer: Signer) -> str:
    """The signed facts of a kept sale."""
    data = event["data"]
    facts = {short: data[name] for name, short in _NAMES.items() if data.get(name) is not None}
    if data.get("mode") != "piece":
        facts.pop("q", None)
    facts |= {"t": event["time"], "h": event["hash"][:_HASH_DIGITS]}
    if "clock_unsynced" in data.get("flags", ()):
        facts["k"] = 0
    text = _encode(canonical.dumps(facts))
    return f"{PREFIX}.{text}.{signer.public.id[:_KEY_DIGITS]}.{_encode(signer.sign(DOMAIN, text.encode()))}"


def check(text: str, keys: Iterable[PublicKey]) -> OfflineProof:
    """Check a scanned code, alone or behind an address. Raises nothing: what is wrong is in `problems`."""
    text = text.strip().rpartition("#")[2]
    parts = text.split(".")
    if len(text) > _LONGEST or len(parts) != 4 or parts[0] != PREFIX:
        return _bad(f"not a receipt's code: {PREFIX}.facts.key.signature would be one")
    facts, signature = _decode(parts[1]), _decode(parts[3])
    if facts is None or signature is None or len(signature) != SIGNATURE_BYTES:
        return _bad("the code is damaged: its parts are not base64url", key=parts[2])
    try:
        said = orjson.loads(facts)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return _bad("the code is damaged: its facts cannot be read", key=parts[2])
    long = {_LONG.get(name, name): value for name, value in said.items()}
    known = [key for key in keys if key.id.startswith(parts[2]) and len(parts[2]) == _KEY_DIGITS]
    if not known:
        return OfflineProof(
            facts=long, key=parts[2], problems=(f"signed by the key {parts[2]}, which is not known here",)
        )
    if not any(key.verifies(DOMAIN, parts[1].encode(), signature) for key in known):
        return OfflineProof(facts=long, key=parts[2], problems=("the signature does not hold: the facts were changed",))
    return OfflineProof(facts=long, key=parts[2], problems=())


def _bad(problem: str, key: str = "") -> OfflineProof:
    return OfflineProof(facts={}, key=key, problems=(problem,))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes | None:
    """The bytes of base64url without padding; None unless the text is exactly what encoding them yields."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        return None
    return data if _encode(data) == text else None
