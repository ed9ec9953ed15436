"""A hundred broken configurations: each names file, key, what is wrong and what would be right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from edge_agent.cli.app import run
from edge_agent.config import ConfigError
from edge_agent.preparing import prepare

GOOD = """\
[gateway]
id = "box-1"
site = "market-3"
node_type = "wet-market"
timezone = "Asia/Shanghai"

[store]
path = "records.db"
max_bytes = 2000000000
reserve_bytes = 8000000
keep_days = 730

[uplink]
host = "127.0.0.1"
port = 1883
tls = false
acknowledgement = "platform"
compression = "none"
window = 16
verdict_timeout = 15
unverdicted_max = 20000

[[device]]
id = "scale-1"
driver = "xk3190-continuous"
port = "serial:/dev/ttyS0?baud=9600"
unit = "kg"

[[device]]
id = "scanner-1"
driver = "serial-scanner"
port = "tcp:127.0.0.1:4001"
options = { suffix = "CRLF" }

[[station]]
id = "A12"
mode = "sale"
devices = ["scale-1", "scanner-1"]
rules = { min_load = "20 g", zero_band = "5 g", stable_ms = 500, stable_band = "2 g", auto_confirm = false }

[web]
listen = "127.0.0.1:8080"
"""

# (what is written, what stands there instead, the key that must be named, words that must say what would be right)
BROKEN: list[tuple[str, str, str, str]] = [
    ('id = "box-1"', 'id = ""', "gateway.id", "letters"),
    ('id = "box-1"', 'id = "box 1"', "gateway.id", "A-Z a-z 0-9 _ -"),
    ('id = "box-1"', 'id = "box/1"', "gateway.id", "A-Z a-z 0-9 _ -"),
    ('id = "box-1"', 'id = "box+"', "gateway.id", "A-Z a-z 0-9 _ -"),
    ('id = "box-1"', 'id = "盒子"', "gateway.id", "A-Z a-z 0-9 _ -"),
    ('id = "box-1"', f'id = "{"x" * 65}"', "gateway.id", "1 to 64"),
    ('id = "box-1"', "id = 1", "gateway.id", "text in quotes"),
    ('id = "box-1"\n', "", "gateway.id", "this box"),
    ('id = "box-1"', 'ID = "box-1"', "gateway.ID", "id"),
    ('site = "market-3"', 'site = "a#b"', "gateway.site", "A-Z a-z 0-9 _ -"),
    ('site = "market-3"', "site = true", "gateway.site", "text in quotes"),
    ('site = "market-3"\n', "", "gateway.site", "market"),
    ('site = "market-3"', 'sites = "market-3"', "gateway.sites", "site"),
    ('node_type = "wet-market"', 'node_type = "market"', "gateway.node_type", "wet-market"),
    ('node_type = "wet-market"', "node_type = 8", "gateway.node_type", "wet-market"),
    ('timezone = "Asia/Shanghai"', 'timezone = "Asia/Peking"', "gateway.timezone", "Asia/Shanghai"),
    ('timezone = "Asia/Shanghai"', 'timezone = "+08:00"', "gateway.timezone", "Asia/Shanghai"),
    ('timezone = "Asia/Shanghai"', 'timezone = ""', "gateway.timezone", "Asia/Shanghai"),
    ('timezone = "Asia/Shanghai"', 'timezone = "../etc/passwd"', "gateway.timezone", "Asia/Shanghai"),
    ("[gateway]", "[gatway]", "gatway", "gateway"),
    ("[gateway]", "[[gateway]]", "gateway", "[section]"),
    ('path = "records.db"', 'path = ""', "store.path", "SQLite"),
    ('path = "records.db"', "path = 5", "store.path", "text in quotes"),
    ('path = "records.db"', 'pth = "records.db"', "store.pth", "path"),
    ("max_bytes = 2000000000", 'max_bytes = "2 GB"', "store.max_bytes", "number without quotes"),
    ("max_bytes = 2000000000", "max_bytes = 1000", "store.max_bytes", "10000000 or more"),
    ("max_bytes = 2000000000", "max_bytes = -1", "store.max_bytes", "10000000 or more"),
    ("max_bytes = 2000000000", "max_bytes = 2e9", "store.max_bytes", "number without quotes"),
    ("reserve_bytes = 8000000", "reserve_bytes = 0", "store.reserve_bytes", "1000000 or more"),
    ("reserve_bytes = 8000000", "reserved_bytes = 8000000", "store.reserved_bytes", "reserve_bytes"),
    ("keep_days = 730", "keep_days = 0", "store.keep_days", "1 or more"),
    ("keep_days = 730", "keep_days = 1.5", "store.keep_days", "number without quotes"),
    ("keep_days = 730", 'keep_days = "2 years"', "store.keep_days", "number without quotes"),
    ("keep_days = 730", "keep_days = true", "store.keep_days", "number without quotes"),
    ('host = "127.0.0.1"', 'host = ""', "uplink.host", "broker"),
    ('host = "127.0.0.1"\n', "", "uplink.host", "broker"),
    ('host = "127.0.0.1"', "host = 127", "uplink.host", "text in quotes"),
    ('host = "127.0.0.1"', 'hostname = "127.0.0.1"', "uplink.hostname", "host"),
    ("port = 1883", "port = 0", "uplink.port", "1 or more"),
    ("port = 1883", "port = 70000", "uplink.port", "65535 or less"),
    ("port = 1883", 'port = "1883"', "uplink.port", "number without quotes"),
    ("tls = false", 'tls = "no"', "uplink.tls", "false"),
    ("tls = false", 'tls = { cert = "x.pem" }', "uplink.tls", "both or neither"),
    ("tls = false", 'tls = { ca = "/nowhere/ca.pem" }', "uplink.tls.ca", "existing file"),
    ("tls = false", 'tls = { cert = "/nowhere/a", key = "/nowhere/b" }', "uplink.tls.cert", "existing file"),
    ("tls = false", "tls = { insecure = true }", "uplink.tls.insecure", "ca, cert, key"),
    ("tls = false", "tls = { ca = 1 }", "uplink.tls.ca", "text in quotes"),
    ('acknowledgement = "platform"', 'acknowledgement = "city"', "uplink.acknowledgement", "'platform' or 'broker'"),
    ('acknowledgement = "platform"', 'acknowledgment = "platform"', "uplink.acknowledgment", "acknowledgement"),
    ('acknowledgement = "platform"', "acknowledgement = 1", "uplink.acknowledgement", "'platform' or 'broker'"),
    ('compression = "none"', 'compression = "zip"', "uplink.compression", "gzip"),
    ('compression = "none"', "compression = false", "uplink.compression", "gzip"),
    ("window = 16", "window = 0", "uplink.window", "1 or more"),
    ("window = 16", "window = 65535", "uplink.window", "20 or less"),
    ("window = 16", "window = 1.5", "uplink.window", "number without quotes"),
    ("verdict_timeout = 15", "verdict_timeout = 0", "uplink.verdict_timeout", "more than 0"),
    ("verdict_timeout = 15", 'verdict_timeout = "15 s"', "uplink.verdict_timeout", "number without quotes"),
    ("verdict_timeout = 15", "verdict_timeout = -3", "uplink.verdict_timeout", "more than 0"),
    ("verdict_timeout = 15", "verdicts_timeout = 15", "uplink.verdicts_timeout", "verdict_timeout"),
    ("unverdicted_max = 20000", "unverdicted_max = 0", "uplink.unverdicted_max", "1 or more"),
    ("unverdicted_max = 20000", "unverdicted_max = []", "uplink.unverdicted_max", "number without quotes"),
    ("[uplink]", "[uplnk]", "uplnk", "uplink"),
    ('password_file = "x"', "", "", ""),  # replaced below: a password file that is not there
    ('id = "scale-1"', 'id = "scale 1"', "device[scale 1].id", "A-Z a-z 0-9 _ -"),
    ('id = "scale-1"', 'id = "scanner-1"', "device[scanner-1].id", "a name of its own"),
    ('id = "scale-1"\n', "", "device[1].id", "name of the device"),
    ('driver = "xk3190-continuous"', 'driver = "xk3190-continous"', "device[scale-1].driver", "xk3190-continuous"),
    ('driver = "xk3190-continuous"', 'driver = "magic"', "device[scale-1].driver", "drivers list"),
    ('driver = "xk3190-continuous"', 'driver = ""', "device[scale-1].driver", "driver id"),
    ('driver = "xk3190-continuous"\n', "", "device[scale-1].driver", "driver id"),
    ('driver = "xk3190-continuous"', 'dialect = "xk3190"', "device[scale-1].dialect", "known here"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "/dev/ttyS0"', "device[scale-1].port", "scheme:address"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "COM3"', "device[scale-1].port", "scheme:address"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "serial:"', "device[scale-1].port", "scheme:address"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "serial:?baud=9600"', "device[scale-1].port", "address"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "bluetooth:00"', "device[scale-1].port", "serial"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "serial:/dev/ttyS0?baud=fast"', "device[scale-1].port", "baud"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "serial:/dev/ttyS0?baud=-1"', "device[scale-1].port", "baud"),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "serial:/dev/ttyS0?parity=X"', "device[scale-1].port", "parity"),
    (
        'port = "serial:/dev/ttyS0?baud=9600"',
        'port = "serial:/dev/ttyS0?bytesize=9"',
        "device[scale-1].port",
        "bytesize",
    ),
    (
        'port = "serial:/dev/ttyS0?baud=9600"',
        'port = "serial:/dev/ttyS0?stopbits=3"',
        "device[scale-1].port",
        "stopbits",
    ),
    ('port = "serial:/dev/ttyS0?baud=9600"', 'port = "serial:/dev/ttyS0?speed=9600"', "device[scale-1].port", "baud"),
    (
        'port = "serial:/dev/ttyS0?baud=9600"',
        'port = "serial:/dev/ttyS0?baud=1&baud=2"',
        "device[scale-1].port",
        "twice",
    ),
    ('port = "serial:/dev/ttyS0?baud=9600"', "port = 9600", "device[scale-1].port", "text in quotes"),
    ('port = "tcp:127.0.0.1:4001"', 'port = "tcp:127.0.0.1"', "device[scanner-1].port", "port"),
    ('port = "tcp:127.0.0.1:4001"', 'port = "tcp:127.0.0.1:99999"', "device[scanner-1].port", "port"),
    ('port = "tcp:127.0.0.1:4001"', 'port = "serial:/dev/ttyS0"', "device[scanner-1].port", "one device per port"),
    ('unit = "kg"', 'unit = "kilo"', "device[scale-1].unit", "'kg'"),
    ('unit = "kg"\n', "", "device[scale-1].unit", "kg"),
    ('unit = "kg"', "unit = 1", "device[scale-1].unit", "'kg'"),
    ('options = { suffix = "CRLF" }', 'options = { suffix = "ENTER" }', "device[scanner-1].options.suffix", "CRLF"),
    ('options = { suffix = "CRLF" }', 'options = { sufix = "CR" }', "device[scanner-1].options.sufix", "suffix"),
    ('options = { suffix = "CRLF" }', "options = { suffix = 13 }", "device[scanner-1].options.suffix", "CRLF"),
    ('options = { suffix = "CRLF" }', 'options = "CRLF"', "device[scanner-1].options", "{ name = value"),
    ('id = "A12"', 'id = "A 12"', "station[A 12].id", "A-Z a-z 0-9 _ -"),
    ('id = "A12"\n', "", "station[1].id", "name of the station"),
    ('mode = "sale"', 'mode = "sell"', "station[A12].mode", "sale"),
    ('mode = "sale"', "mode = 1", "station[A12].mode", "text in quotes"),
    ('devices = ["scale-1", "scanner-1"]', "devices = []", "station[A12].devices", "at least one"),
    ('devices = ["scale-1", "scanner-1"]', 'devices = ["scale-2"]', "station[A12].devices", "scale-1"),
    ('devices = ["scale-1", "scanner-1"]', 'devices = "scale-1"', "station[A12].devices", "list"),
    ('devices = ["scale-1", "scanner-1"]', 'devices = ["scale-1", "scale-1"]', "station[A12].devices", "once"),
    ('min_load = "20 g"', "min_load = 20", "station[A12].rules.min_load", "20 g"),
    ('min_load = "20 g"', 'min_load = "20"', "station[A12].rules.min_load", "20 g"),
    ('min_load = "20 g"', 'min_load = "-20 g"', "station[A12].rules.min_load", "20 g"),
    ('min_load = "20 g"', 'min_load = "4 g"', "station[A12].rules", "below min_load|under min_load"),
    ('min_load = "20 g"', 'minload = "20 g"', "station[A12].rules.minload", "min_load"),
    ("stable_ms = 500", "stable_ms = 0", "station[A12].rules.stable_ms", "50 or more"),
    ("stable_ms = 500", 'stable_ms = "fast"', "station[A12].rules.stable_ms", "number without quotes"),
    ("auto_confirm = false", 'auto_confirm = "no"', "station[A12].rules.auto_confirm", "true or false"),
    ("auto_confirm = false", "auto_confirm = 0", "station[A12].rules.auto_confirm", "true or false"),
    ("auto_confirm = false", "crates = { blue = 1.5 }", "station[A12].rules.crates.blue", "20 g"),
    ("auto_confirm = false", 'trace_share = "4/3"', "station[A12].rules.trace_share", "2/3"),
    ("auto_confirm = false", 'stopped = "maybe"', "station[A12].rules.stopped", "refuse"),
    ("auto_confirm = false", "balance_tolerances = { x = -1 }", "station[A12].rules.balance_tolerances.x", "0 or more"),
    ('listen = "127.0.0.1:8080"', 'listen = "8080"', "web.listen", "127.0.0.1:8080"),
    ('listen = "127.0.0.1:8080"', 'listen = "0.0.0.0:8080"', "web.listen", "127.0.0.1"),
    ('listen = "127.0.0.1:8080"', 'listen = "127.0.0.1:80800"', "web.listen", "127.0.0.1:8080"),
    ('listen = "127.0.0.1:8080"', "listen = 8080", "web.listen", "text in quotes"),
    ("[web]", "[webb]", "webb", "web"),
    ("[web]", "[web", "line", "key = value"),
    ('site = "market-3"', "site = market-3", "line 3", "quotes"),
    ('id = "box-1"', 'id = "box-1"\nid = "box-2"', "line", "key = value"),
    ("[store]", "[gateway]", "line", "key = value"),
]
BROKEN = [
    case
    if case[2]
    else ("window = 16", 'window = 16\npassword_file = "/nowhere/pw"', "uplink.password_file", "existing file")
    for case in BROKEN
]


def test_there_are_a_hundred_and_the_good_one_is_good(tmp_path: Path) -> None:
    assert len(BROKEN) >= 100
    file = tmp_path / "agent.toml"
    file.write_text(GOOD)
    prepare(file)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[2]}: {case[1][:40]!r}")
def test_a_broken_configuration_says_where_what_and_what_would_be_right(
    case: tuple[str, str, str, str], tmp_path: Path
) -> None:
    old, new, key, right = case
    assert GOOD.count(old) >= 1, f"{old!r} does not stand in the good configuration"
    file = tmp_path / "agent.toml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        prepare(file)
    named = [p for p in caught.value.problems if key in p.key]
    assert named, f"{key} is not named: {caught.value}"
    for problem in caught.value.problems:
        assert problem.file == str(file)
        assert problem.what
        assert problem.hint
    assert any(word in f"{p.what} {p.hint}" for p in named for word in right.split("|")), caught.value


def test_all_problems_are_reported_at_once(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        GOOD.replace('id = "box-1"', "id = 1").replace("window = 16", "window = 99").replace('"kg"', '"st"')
    )
    assert run(["config", "check", str(file), "--output", "json"]) == 78
    rows = orjson.loads(capsysbinary.readouterr().out)
    assert {row["key"] for row in rows} == {"gateway.id", "uplink.window", "device[scale-1].unit"}


def test_run_with_a_broken_configuration_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(GOOD.replace("window = 16", "window = 99"))
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "run", "--config", "agent.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LANG": "C.UTF-8"},
    )
    assert done.returncode == 78
    assert "uplink.window" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["agent.toml"]


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: -: cannot be read"):
        prepare(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        prepare(tmp_path / "binary.toml")


def test_settings_laid_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD)
    config, _ = prepare(file, ["uplink.port=1884", "device.scale-1.unit=g", "station.A12.rules.auto_confirm=true"])
    assert config.uplink is not None
    assert config.uplink.port == 1884
    assert config.device[0].unit == "g"
    assert config.station[0].rules.auto_confirm is True
    with pytest.raises(ConfigError, match="--set: nonsense: is not key=value"):
        prepare(file, ["nonsense"])
    with pytest.raises(ConfigError, match="does not lead to a setting"):
        prepare(file, ["device.scale-9.unit=g"])
