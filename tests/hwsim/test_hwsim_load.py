"""The platter: swinging, settling, range, tare, zero, scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.load import Platter, ScaleSettings, parse_script, random_goods, read_script, weighings
from hwsim.mass import parse_mass, shown

KG = 1_000_000


def settled(platter: Platter, milligrams: int, now: float = 0.0) -> float:
    platter.set_load(milligrams, now)
    return platter.settled_at() + 0.001


def test_a_load_swings_and_then_stands_exactly() -> None:
    platter = Platter(ScaleSettings())
    at = settled(platter, KG, 1.0)
    seen = [platter.indication(1.0 + i / 100) for i in range(60)]
    assert max(each.value_mg for each in seen) > KG, "no overshoot: nothing swings"
    assert not any(each.stable for each in seen if each.value_mg != KG)
    assert not platter.indication(1.05).stable
    standing = platter.indication(at)
    assert (standing.value_mg, standing.stable, standing.text) == (KG, True, "1.000")


def test_taking_off_swings_too_and_ends_at_nothing() -> None:
    platter = Platter(ScaleSettings())
    at = settled(platter, KG)
    later = settled(platter, 0, at)
    assert not platter.indication(at + 0.05).stable
    assert platter.indication(later).text == "0.000"


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    def run(seed: int) -> list[int]:
        platter = Platter(ScaleSettings(noise_mg=8_000), seed=seed)
        return [platter.indication(i / 10).value_mg for i in range(50)]

    assert run(1) == run(1) != run(2)
    assert len(set(run(1))) > 1


def test_drift_is_off_until_it_is_asked_for() -> None:
    assert Platter(ScaleSettings()).indication(1e5).value_mg == 0
    creeping = Platter(ScaleSettings(drift_mg_per_s=100))
    creeping.indication(0.0)
    assert creeping.indication(100.0).value_mg == 10_000


@pytest.mark.parametrize(
    ("milligrams", "condition"),
    [
        (30 * KG + 9 * 5_000, "ok"),
        (30 * KG + 10 * 5_000, "overload"),
        (-20 * 5_000, "ok"),
        (-21 * 5_000, "underload"),
    ],
)
def test_range(milligrams: int, condition: str) -> None:
    platter = Platter(ScaleSettings())
    indication = platter.indication(settled(platter, milligrams))
    assert indication.condition == condition
    assert indication.stable == (condition == "ok")


def test_tare_makes_net_and_needs_rest() -> None:
    platter = Platter(ScaleSettings())
    at = settled(platter, KG)
    assert not platter.tare(0.05)
    assert platter.tare(at)
    at = settled(platter, 3 * KG, at)
    indication = platter.indication(at)
    assert (indication.text, indication.tare_text, indication.net) == ("2.000", "1.000", True)
    platter.preset_tare(0)
    assert platter.indication(at).text == "3.000"
    with pytest.raises(ValueError, match="between divisions"):
        platter.preset_tare(1)


def test_zero_takes_two_percent_and_no_more() -> None:
    platter = Platter(ScaleSettings())
    at = settled(platter, 600_000)
    assert platter.zero(at)
    assert platter.indication(at).text == "0.000"
    at = settled(platter, 605_000, at)
    assert not platter.zero(at)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "stone"}, "unit"),
        ({"decimals": 6}, "decimals"),
        ({"division_mg": 0}, "division"),
        ({"division_mg": 5_500}, "cannot be shown"),
    ],
)
def test_impossible_scales_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ScaleSettings(**changes)  # type: ignore[arg-type]


def test_masses_are_exact() -> None:
    assert [parse_mass(text) for text in ("1.234 kg", "2.5jin", "-3 g", "1 t")] == [
        1_234_000,
        1_250_000,
        -3_000,
        1_000_000_000,
    ]
    assert shown(-1_000, "kg", 3) == "-0.001"
    assert shown(0, "kg", 2) == "0.00"
    for wrong in ("1,5 kg", "1 stone", "0.0001 g", "kg"):
        with pytest.raises(ValueError, match="is not a mass|finer"):
            parse_mass(wrong)


def test_a_script_is_read_and_repeats(tmp_path: Path) -> None:
    file = tmp_path / "goods.toml"
    file.write_text('every = 3\n[[step]]\nat = 0.5\nput = "1 kg"\n[[step]]\nat = 2\nload = "0 kg"\n')
    times = read_script(file).times()
    assert [(at, step.action, step.mass_mg) for at, step in (next(times) for _ in range(3))] == [
        (0.5, "put", KG),
        (2.0, "load", 0),
        (3.5, "put", KG),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[[step]]\nat = 1\nput = "1 stone"',
        "[[step]]\nat = 1",
        '[[step]]\nat = 1\nput = "1 kg"\ntake = "1 kg"',
        '[[step]]\nat = 2\nput = "1 kg"\n[[step]]\nat = 1\nzero = true',
        "[[step]",
    ],
)
def test_a_broken_script_names_its_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "goods.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"goods\.toml"):
        read_script(file)


def test_weighings_leave_the_platter_empty_between_goods() -> None:
    plan = weighings([KG, KG], every=2.0, hold=1.2, offset=0.5)
    assert [(step.at, step.mass_mg) for step in plan.steps] == [(0.5, KG), (1.7, 0), (2.5, KG), (3.7, 0)]
    assert plan.every == 4.0
    goods = random_goods(50, settings=ScaleSettings(), seed=3)
    assert goods == random_goods(50, settings=ScaleSettings(), seed=3)
    assert all(100_000 <= each <= 10 * KG and each % 5_000 == 0 for each in goods)
    with pytest.raises(ValueError, match="hold"):
        weighings([KG], every=1.0, hold=1.0)
    with pytest.raises(ValueError, match="in the order"):
        parse_script({"step": [{"at": -1, "zero": True}]})
