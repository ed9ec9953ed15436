"""Nothing of a payment code or a personal number leaves the classifier."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from edge_agent.codes import Classified, CodeProfile, answer, classify, to_json
from edge_agent.codes.check_digits import resident_character

KEYED = CodeProfile(digest_key=b"a secret of the box")


def _resident(chance: random.Random) -> str:
    region = chance.choice(["110101", "370602", "440305", "510104", "650102"])
    birth = f"{chance.randrange(1930, 2020)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"
    body = f"{region}{birth}{chance.randrange(1000):03d}"
    return body + resident_character(body)


def _mobile(chance: random.Random) -> str:
    return f"1{chance.randrange(3, 10)}{chance.randrange(10**9):09d}"


def _payer(chance: random.Random) -> str:
    prefix, size = chance.choice([("13", 18), ("10", 18), ("28", 18), ("25", 16), ("30", 24), ("62", 19), ("01", 19)])
    return prefix + "".join(chance.choices("0123456789", k=size - 2))


def _leaks(found: Classified, secret: str) -> bool:
    everything = (
        repr(found)
        + json.dumps(to_json(found), ensure_ascii=False)
        + repr(dataclasses.asdict(dataclasses.replace(found, fields=dict(found.fields))))
    )
    return any(secret[start : start + 7] in everything for start in range(len(secret) - 6))


@pytest.mark.parametrize("make", [_resident, _mobile, _payer])
@pytest.mark.parametrize("around", ["{}", "{}\r\n", "\x02{}\x03", "]Q1{}", "]C0{}", "]C1{}", "]E0{}", "\ufeff{} "])
def test_a_bare_private_number_is_forgotten(make: object, around: str) -> None:
    chance = random.Random(7)
    for _ in range(200):
        secret = make(chance)  # type: ignore[operator]
        found = classify(around.format(secret))
        if around.startswith("]C1") and found.code_class == "gs1" and found.valid:
            continue  # a GS1 symbol with sound element strings is one, whatever its digits look like
        assert not _leaks(found, secret), (found, secret)
        if not around.startswith(("]E0", "]C1")):
            assert found.private
            assert found.code_class == ("payment-code" if make is _payer else "personal-id")


@pytest.mark.parametrize(
    "text",
    [
        "wxp://f2f0AbCdEf123456",
        "weixin://wxpay/bizpayurl?pr=AbCdEf1",
        "https://qr.alipay.com/fkx12345abcdef",
        "HTTPS://QR.ALIPAY.COM/FKX12345ABCDEF",
        "https://qr.95516.com/00010000/62512345678901234567890",
        "00020101021226580014A0000000000000010109123456789520400005303156540510.005802CN6304ABCD",
        "6222021234567890128",
        "BEGIN:VCARD\nN:Zhang;San\nTEL:13812345678\nEND:VCARD",
        "tel:+8613812345678",
        "138 1234 5678",
    ],
)
def test_links_and_cards_are_forgotten(text: str) -> None:
    found = classify(text)
    assert found.private
    assert not _leaks(found, text)
    assert not _leaks(found, "13812345678") or "13812345678" not in text


def test_numbers_inside_longer_texts_are_masked() -> None:
    chance = random.Random(9)
    for _ in range(200):
        person, phone = _resident(chance), _mobile(chance)
        for text in (
            f"承诺达标合格证 生产者:张三 身份证:{person} 电话:{phone}",
            f"https://example.cn/c?phone={phone}&id={person}",
            f"联系电话{phone},https://example.cn/12017123410010000000000000000001",
            f"隆平001\n某公司{phone}\n43010000100000000001\nhttp://example.cn/t",
            f"x{phone}y",
        ):
            found = classify(text)
            assert not any(_leaks(found, secret) for secret in (phone, person) if secret in text), found
            assert found.has("personal_masked")


def test_telephones_in_element_strings_are_masked() -> None:
    found = classify("]C100123456789012345675430813987604321\x1d4302Main+Street+1")
    assert found.code_class == "gs1"
    assert not _leaks(found, "13987604321")
    assert not _leaks(found, "Main+Street+1")
    assert found.fields["00"] == "123456789012345675"
    link = classify("https://id.gs1.org/00/123456789012345675?4308=13987604321")
    assert link.code_class == "gs1-digital-link"
    assert not _leaks(link, "13987604321")


def test_two_scans_of_one_code_can_be_told_with_a_key_only() -> None:
    first, second = (classify("281234567890123456", profile=KEYED) for _ in range(2))
    other = classify("281234567890123457", profile=KEYED)
    assert first.fields["digest"] == second.fields["digest"] != other.fields["digest"]
    assert "digest" not in classify("281234567890123456").fields
    assert "secret" not in repr(KEYED)


def test_a_wrong_check_character_does_not_make_a_person_public() -> None:
    chance = random.Random(11)
    person = _resident(chance)
    wrong = person[:17] + ("0" if person[17] != "0" else "1")
    found = classify(wrong)
    assert (found.code_class, found.valid) == ("personal-id", False)
    assert not _leaks(found, person[:17])


def test_a_broken_batch_line_is_not_repeated() -> None:
    assert "13812345678" not in json.dumps(answer('{"text":"13812345678","profile":{"name":'))
    assert "13812345678" not in json.dumps(answer('{"txt":"13812345678"}'))
