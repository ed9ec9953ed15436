"""City profiles: those that come with the agent, a site's own, what is wrong in one, and what the agent takes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from edge_agent.agent import Agent
from edge_agent.city import DEFAULT_CITY, load_city
from edge_agent.city.files import known_profiles
from edge_agent.codes import classify
from edge_agent.config import ConfigError
from edge_agent.exports.national import profile_of
from edge_agent.preparing import prepare
from edge_agent.settings import station_settings

CONFIG = """
[gateway]
id = "gw-1"
site = "market-1"
city_profile = "{city}"
[store]
path = "{folder}/records.db"
[[device]]
id = "s"
driver = "st-gs"
port = "memory:s"
[[station]]
id = "A12"
mode = "sale"
devices = ["s"]
party = "3706025690012"
{more}
"""


def write(folder: Path, city: str, more: str = "") -> Path:
    file = folder / "agent.toml"
    file.write_text(CONFIG.format(folder=folder, city=city, more=more))
    return file


def own(folder: Path, text: str, name: str = "ours") -> Path:
    (folder / "profiles.d").mkdir(exist_ok=True)
    file = folder / "profiles.d" / f"{name}.toml"
    file.write_text(text)
    return file


def problems(folder: Path, city: str = "ours") -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as wrong:
        prepare(write(folder, city))
    assert all(each.what and each.hint for each in wrong.value.problems)
    return [(Path(each.file).name, each.key) for each in wrong.value.problems]


@pytest.mark.parametrize("name", known_profiles(None))
def test_every_profile_that_comes_with_the_agent_is_whole_and_says_its_sources(name: str) -> None:
    city, settings, faults = load_city(name, None)
    assert faults == []
    assert profile_of(settings, name).messages
    assert {each.type for each in city.vouchers} >= {"1", "2", "3", "4", "5", "6", "commitment"}
    assert city.operators
    assert city.source
    assert all(rule.source and rule.says for rule in city.law)
    assert (rule := city.rule("no-new-trace-scales")) is not None
    assert rule.since == "2018-08-27"


def test_the_default_assumes_no_labels_and_the_sample_reads_both_lengths_in_both_orders() -> None:
    plain, _, _ = load_city(None, None)
    assert (plain.name, plain.codes.labels, plain.price_per) == (DEFAULT_CITY, (), "kg")
    assert classify("2100012012348", None, "goods", plain.codes).code_class == "gtin"
    city, _, _ = load_city("sample-city", None)
    seen = {
        text: classify(text, None, "goods", city.codes)
        for text in ("2100012012348", "2200012015803", "260001201580012347")
    }
    assert {each.code_class for each in seen.values()} == {"in-store"}
    assert {each.fields["plu"] for each in seen.values()} == {"00012"}
    assert seen["260001201580012347"].fields["weight_kg"] == "1.234"
    assert seen["260001201580012347"].fields["amount"] == "15.80"
    assert city.price_per == "500g"
    assert (city.vouchers[1].code, city.vouchers[0].code) == ("02", "1")  # only what differs is said
    assert {"0003", "1004"} <= {each.code for each in city.operators}


def test_a_station_says_more_than_its_city_and_less_specific_than_its_rules(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "sample-city",
        '[[station]]\nid = "B"\nmode = "sale"\ndevices = ["s"]\n'
        'rules = { balance_tolerance = 5, balance_tolerances = { "01210101" = 7 } }\n'
        'codes = { labels = [{ prefix = "20", layout = "PPIIIIIWWWWWC" }] }\n',
    )
    config, registry = prepare(file)
    first, second = (station_settings(section, config, registry) for section in config.station)
    assert (first.batches.tolerance_permille, second.batches.tolerance_permille) == (30, 5)
    assert first.batches.tolerances == {"01210101": 80, "01220201": 100}
    assert second.batches.tolerances == {"01210101": 7, "01220201": 100}
    assert [label.prefix for label in first.codes.labels] == ["21", "22", "26", "27"]
    assert [label.prefix for label in second.codes.labels] == ["20"]
    assert second.codes.separators == ("|", "{GS}")
    assert first.price_per == "500g"


def test_prices_are_for_what_the_city_says_where_nobody_does(tmp_path: Path) -> None:
    agent = Agent(*prepare(write(tmp_path, "sample-city")))
    agent.start()
    agent.import_catalogue(b"code,name,plu\n01210101,cabbage,12\n")
    agent.command("A12", "goods", {"code": "x", "price_fen": 300})
    assert agent.views()["A12"].detail["goods_code"] == "x"
    assert agent.city()["price_per"] == "500g"
    assert agent.city()["law"][0]["source"]
    agent.stop()


def test_a_profile_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    assert problems(tmp_path, "atlantis") == [("agent.toml", "gateway.city_profile")]
    assert problems(tmp_path, "../agent") == [("agent.toml", "gateway.city_profile")]
    own(tmp_path, 'base = "atlantis"\nname = "ours"\n')
    assert problems(tmp_path) == [("ours.toml", "base")]
    own(tmp_path, 'base = "ours"\nname = "ours"\n')
    assert problems(tmp_path) == [("ours.toml", "base")]


BASE = 'base = "meat-vegetables"\nname = "ours"\n'


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("base = 1\n", ["base"]),
        ("x = \n", ["line 1"]),
        (BASE + "city = 1\n", ["city"]),
        (BASE + '[city]\nprice_per = "斤"\n', ["city.price_per"]),
        (BASE + '[city]\nprize_per = "kg"\n', ["city.prize_per"]),
        (BASE + "[city]\nbalance_tolerance = 2000\n", ["city.balance_tolerance"]),
        (BASE + '[city.balance_tolerances]\nx = "5"\n', ["city.balance_tolerances.x"]),
        (BASE + '[[city.labels]]\nprefix = "21"\nlayout = "PPIIIIC"\n', ["city.labels"]),
        (BASE + '[city.vouchers]\n9 = { name = "x", name_en = "y" }\n', ["city.vouchers.9"]),
        (BASE + "[city.vouchers]\n1 = { name = 3, colour = 1 }\n", ["city.vouchers.1.colour", "city.vouchers.1.name"]),
        (BASE + '[city.operators]\n7 = "x"\n', ["city.operators.7"]),
        (
            BASE + '[city.law.x]\nsays = "y"\nsince = "2018-13-01"\nvalue = 3\n',
            ["city.law.x.since", "city.law.x.unit", "city.law.x.source"],
        ),
        ('name = "ours"\n', ["gateway.city_profile"]),  # it stands on nothing and has no messages
        (BASE + "messages = 1\n", ["gateway.city_profile"]),
    ],
)
def test_what_is_wrong_in_a_profile_is_told_with_file_and_key(tmp_path: Path, text: str, keys: list[str]) -> None:
    own(tmp_path, text)
    found = problems(tmp_path)
    assert [key for _, key in found] == keys
    assert {file for file, _ in found} <= {"ours.toml", "agent.toml"}


def test_a_sites_own_profile_comes_before_the_agents_of_the_same_name(tmp_path: Path) -> None:
    own(tmp_path, 'base = "meat-vegetables"\nname = "sample-city"\n[city]\nbalance_tolerance = 7\n', "sample-city")
    city, _, faults = load_city("sample-city", tmp_path / "profiles.d")
    assert (faults, city.tolerance_permille, city.price_per) == ([], 7, "kg")


# -- what the plate of a scale says -----------------------------------------------------------------------------------


def test_the_plate_of_a_scale_is_held_against_its_weighings(tmp_path: Path) -> None:
    from edge_agent.station.base import Capacity

    plate = Capacity(min_mg=100_000, max_mg=15_000_000, e_mg=5_000, d_mg=5_000)
    cases: dict[tuple[int, int | None], list[Any]] = {
        (99_999, 100_000): ["below_min"],
        (100_000, 100_000): [],
        (15_045_000, 15_045_000): [],
        (15_050_000, 15_050_000): ["above_max"],
        (1_000_000, 1_002_000): ["off_step"],
        (1_000_000, None): [],
    }
    for (gross, shown), flags in cases.items():
        assert plate.doubts(gross, shown) == flags, (gross, shown)
    assert plate.doubts(50_000, 50_000, 20_000) == []  # the station's rule comes before the plate
    assert Capacity().doubts(10**12, 3) == []


def test_the_ledger_tells_the_station_what_the_plate_says(tmp_path: Path) -> None:
    more = '[[station]]\nid = "log"\nmode = "log"\ndevices = ["s"]\n'
    file = write(tmp_path, "sample-city", more)
    text = file.read_text().replace(
        'port = "memory:s"\n', 'port = "memory:s"\nasset = { max_mg = 6000000, d_mg = 2000 }\n'
    )
    file.write_text(text)
    agent = Agent(*prepare(file))
    agent.start()
    from edge_agent.model import Instant, Observation, Reading

    log = agent._supervisor.stations["log"]  # type: ignore[union-attr]
    for number, weight in enumerate(("0.000", "0.000", "6.501", "6.501")):
        reading = Reading(weight=weight, unit="kg", basis="gross", stability="stable", raw=b"x")
        at = Instant(wall_ms=1_795_384_800_000 + number * 1000, mono_ms=number * 1000, boot="b", synced=True)
        assert log.mailbox.put(Observation(device="s", driver="st-gs", at=at, event=reading))
    with agent.watch() as watcher:
        while agent.store.head.sequence < 2:
            assert watcher.take(20.0) is not None
    row = agent.store.find("2")
    assert row is not None
    flags = orjson.loads(row.body)["data"]["flags"]
    assert {"above_max", "off_step"} <= set(flags)
    agent.stop()
