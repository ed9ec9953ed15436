"""The udev rules give the agent each device that its drivers are known to work with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RULES = (Path(__file__).parents[2] / "systemd" / "60-trace-edge-agent.rules").read_text(encoding="utf-8")
SCALES = [
    "0922:8003",
    "0922:8004",
    "0922:8009",
    "1446:6a73",
    "1446:6a78",
    "1446:6a79",
    "2474:0550",
    "2474:3550",
    "0eb8:f000",
    "0eb8:f001",
    "0eb8:2200",
    "0b67:555e",
    "7b7c:0100",
    "6096:0158",
    "0d8f:0200",
    "2233:6323",
]
SCANNERS = ["0c2e:0b61", "05e0:1300", "05f9:2202", "1eab:0010", "f126:0288"]


def granted(vendor: str, product: str) -> bool:
    """Whether a rule for whole USB devices matches these ids and gives them to the agent's group."""
    for rule in RULES.splitlines():
        if rule.startswith("#") or 'GROUP="plugdev"' not in rule:
            continue
        terms = dict(re.findall(r'ATTR\{(\w+)\}=="([^"]*)"', rule))
        asked = {"idVendor": vendor, "idProduct": product}
        if all(asked[name] in text.split("|") for name, text in terms.items()):
            return True
    return False


@pytest.mark.parametrize("ids", [*SCALES, *SCANNERS])
def test_a_known_device_may_be_opened(ids: str) -> None:
    assert granted(*ids.split(":"))


def test_not_every_device_is_given_away() -> None:
    assert not granted("0781", "5567")
    assert not granted("0922", "1001")


def test_every_rule_is_a_list_of_terms() -> None:
    term = re.compile(r'(?:[A-Z]+(?:\{\w+\})?)(?:==|!=|\+=|=)"[^"]*"')
    for line in RULES.splitlines():
        if line and not line.startswith("#"):
            assert all(term.fullmatch(part.strip()) for part in line.split(",")), line
