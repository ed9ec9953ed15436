"""The proof in a receipt's code: it holds, and nothing in it can be changed unseen."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.proof.signing import Signer
from edge_agent.receipts import check, of_sale

MakeSale = Callable[..., dict[str, Any]]

SIGNER = Signer.from_seed(bytes(range(32)))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


@pytest.fixture
def proof_text(sale: MakeSale) -> str:
    return of_sale(sale(), SIGNER)


def test_the_facts_come_back_as_they_were_signed(proof_text: str) -> None:
    for text in (proof_text, f"https://trace.example/t/37060256900120000058#{proof_text}", f" {proof_text}\n"):
        proof = check(text, [SIGNER.public])
        assert proof.problems == ()
        assert proof.facts["trace_code"] == "37060256900120000058"
        assert proof.facts["net_mg"] == 2_345_000
        assert proof.facts["amount_fen"] == 1310
        assert proof.facts["goods_name"] == "大白菜"
        assert proof.facts["time"] == "2026-11-23T09:15:02.412+08:00"
        assert proof.facts["hash"] == "ab" * 16
        assert "clock_synced" not in proof.facts


def test_it_fits_into_a_code_that_a_phone_reads(proof_text: str) -> None:
    assert len(proof_text) < 450


def test_a_doubtful_time_is_said(sale: MakeSale) -> None:
    doubtful = check(of_sale(sale(flags=["clock_unsynced"]), SIGNER), [SIGNER.public])
    assert doubtful.facts["clock_synced"] == 0


def test_another_key_is_not_known_and_does_not_fit(proof_text: str) -> None:
    other = Signer.from_seed(bytes(32))
    assert "not known" in check(proof_text, [other.public]).problems[0]
    forged = proof_text.replace(SIGNER.public.id[:16], other.public.id[:16])
    assert check(forged, [SIGNER.public, other.public]).problems


def test_no_change_of_a_character_goes_unseen(proof_text: str) -> None:
    chance = random.Random(7)
    for _ in range(3_000):
        at = chance.randrange(len(proof_text))
        match chance.randrange(3):
            case 0:
                hurt = proof_text[:at] + chance.choice(ALPHABET) + proof_text[at + 1 :]
            case 1:
                hurt = proof_text[:at] + proof_text[at + 1 :]
            case _:
                hurt = proof_text[:at] + chance.choice(ALPHABET) + proof_text[at:]
        if hurt != proof_text:
            assert check(hurt, [SIGNER.public]).problems, hurt


def test_what_is_no_proof_is_told_so() -> None:
    for text in ("", "37060256900120000058", "TR1", "TR1...", "TR2.a.b.c", "x" * 10_000, "TR1.é.b.c", "TR1.AA.b.AA"):
        assert check(text, [SIGNER.public]).problems
