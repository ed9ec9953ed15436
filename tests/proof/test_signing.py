"""Keys, signatures and statements."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.proof import Checkpoint, DayRoot, NotAKey, Place, PublicKey, Purged, Signer, statements
from edge_agent.proof.signing import from_base64
from edge_agent.proof.statements import sign_checkpoint, sign_day_root, sign_purged

# RFC 8032, 7.1, TEST 1 to 3: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
        "eeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2"
        "8dc027beceea1ec40a",
    ),
]
TIME = "2026-11-23T18:00:00.000+08:00"


@pytest.fixture
def signer() -> Signer:
    return Signer.from_seed(bytes(32))


@pytest.fixture
def checkpoint(signer: Signer) -> Checkpoint:
    return sign_checkpoint(signer, chain="c-1", place=Place(7, "ab" * 32), time=TIME)


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032(
    monkeypatch: pytest.MonkeyPatch, secret: str, public: str, message: str, signature: str
) -> None:
    import edge_agent.proof.signing as signing

    monkeypatch.setattr(signing, "_framed", lambda _domain, text: text)
    key = Signer.from_seed(bytes.fromhex(secret))
    assert key.public.raw.hex() == public
    assert key.sign(b"", bytes.fromhex(message)).hex() == signature
    assert key.public.verifies(b"", bytes.fromhex(message), bytes.fromhex(signature))
    assert not key.public.verifies(b"", bytes.fromhex(message) + b"x", bytes.fromhex(signature))


def test_a_checkpoint_has_exactly_the_published_form(checkpoint: Checkpoint, signer: Signer) -> None:
    line = checkpoint.dumps()
    facts = orjson.loads(line)
    assert list(facts) == ["chain", "hash", "key", "sequence", "sig", "time"]
    assert facts["sequence"] == 7
    assert facts["key"] == signer.public.id
    assert len(base64.b64decode(facts["sig"])) == 64
    # By hand, as another program would check it: the canonical form without `sig`, behind the domain.
    import rfc8785

    signature = base64.b64decode(facts.pop("sig"))
    signed = b"trace-edge-agent/checkpoint/v1\n" + rfc8785.dumps(facts)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(signer.public.raw).verify(signature, signed)
    assert statements.parse(line) == checkpoint


def test_every_kind_of_statement_goes_there_and_back(signer: Signer) -> None:
    made = [
        sign_checkpoint(signer, chain="c", place=Place(1, "00" * 32), time=TIME),
        sign_day_root(signer, chain="c", day="2026-11-23", first=1, last=9, root=bytes(32), time=TIME),
        sign_purged(signer, chain="c", place=Place(9, "00" * 32), time=TIME),
    ]
    assert [type(each) for each in made] == [Checkpoint, DayRoot, Purged]
    for each in made:
        assert statements.parse(each.dumps()) == each
        assert each.signed_by(signer.public)
        assert not each.signed_by(Signer.from_seed(b"\x01" * 32).public)


def test_a_signature_does_not_pass_to_another_kind_of_statement(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two kinds with the same fields would have the same signature, were it not for the domain."""
    purged = sign_purged(signer, chain="c", place=Place(9, "00" * 32), time=TIME)
    assert purged.signed_by(signer.public)
    monkeypatch.setattr(Purged, "DOMAIN", Checkpoint.DOMAIN)
    assert not purged.signed_by(signer.public)


@pytest.mark.parametrize(
    "spoil",
    [
        {"sequence": 8},
        {"sequence": 0},
        {"sequence": True},
        {"sequence": "7"},
        {"sequence": 2**53},
        {"hash": "AB" * 32},
        {"hash": "ab" * 31},
        {"time": "2026-11-23T18:00:00.000Z"},
        {"time": "2026-13-23T18:00:00.000+08:00"},
        {"chain": "c-2"},
        {"chain": ""},
        {"chain": None},
        {"key": "0" * 32},
        {"sig": ""},
        {"extra": 1},
        {"sig": None},
    ],
)
def test_what_was_not_signed_like_this_is_none_of_ours(checkpoint: Checkpoint, signer: Signer, spoil: Any) -> None:
    facts = orjson.loads(checkpoint.dumps()) | spoil
    found = statements.parse(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
    assert found is None or not found.signed_by(signer.public)


@given(st.binary(max_size=300))
def test_anything_may_be_parsed(data: bytes) -> None:
    assert statements.parse(data) is None


def test_deeply_nested_json_is_no_error() -> None:
    assert statements.parse(b'{"a":' * 900 + b"1" + b"}" * 900) is None


@given(st.binary(min_size=1, max_size=70))
def test_base64_has_one_form(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert from_base64(text) == data
    for other in (text + "\n", " " + text, text.rstrip("=") + "===", text + "=", text[:-1] + "é"):
        assert other == text or from_base64(other) is None


def test_unused_bits_of_base64_are_not_ignored() -> None:
    assert base64.b64decode("QUI=") == base64.b64decode("QUJ=")
    assert (from_base64("QUI="), from_base64("QUJ=")) == (b"AB", None)


def test_a_key_never_shows_in_text(signer: Signer) -> None:
    secret = base64.b64encode(signer.pem()).decode()
    assert repr(signer) == str(signer) == f"Signer({signer.public.id})"
    assert secret[40:60] not in repr(vars(signer))


def test_keys_are_read_strictly(signer: Signer) -> None:
    assert PublicKey.parse(f" {signer.public}\n") == signer.public
    assert Signer.from_pem(signer.pem()).public == signer.public
    for wrong in ("", "AAAA", "é" * 44, str(signer.public)[:-2] + "=="):
        with pytest.raises(NotAKey):
            PublicKey.parse(wrong)
    secret = "MC4CAQAwBQYDK2VwBCIEIHRoaXNpc25vdGFrZXlhdGFsbGJ1dGxvbmdlbm91"
    for wrong_pem in (b"", b"text", f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----".encode()):
        with pytest.raises(NotAKey) as problem:
            Signer.from_pem(wrong_pem)
        assert "aXNub3Rh" not in str(problem.value)
        assert problem.value.__suppress_context__ or problem.value.__context__ is None


def test_a_key_of_another_kind_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(NotAKey):
        Signer.from_pem(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
