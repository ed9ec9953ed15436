"""`edge-agent web`: PINs, cards and tokens from the command line, with the exit codes that are promised."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.web.people import People
from edge_agent.web.tokens import Tokens

EDGE_AGENT = Path(sys.executable).parent / "edge-agent"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[gateway]\nid = "b"\nsite = "m"\n[store]\npath = "{tmp_path}/r.db"\n'
        f'[web]\nlisten = "0.0.0.0:8080"\npin_file = "{tmp_path}/pins.json"\ntoken_file = "{tmp_path}/tokens.json"\n'
    )
    return file


def run(config: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(EDGE_AGENT), "--lang", "en", "web", *arguments]
    at = 5 if arguments[0] == "card" else 6
    command[at:at] = ["--config", str(config)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_a_pin_is_set_listed_and_taken_away(config: Path, tmp_path: Path) -> None:
    done = run(config, "pin", "set", "03", "--name", "王芳", "--role", "supervisor", "--stdin", text="7301\n")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "7301" not in done.stderr
    assert run(config, "card", "03", text="0012345678\n").returncode == 0
    listed = json.loads(run(config, "pin", "list", "--output", "json").stdout)
    assert listed == [{"id": "03", "name": "王芳", "role": "supervisor", "pin": True, "cards": 1}]
    people = People(tmp_path / "pins.json")
    assert people.with_pin("03", "7301") is not None
    assert people.with_card("0012345678") is not None
    assert stat.S_IMODE((tmp_path / "pins.json").stat().st_mode) == 0o600
    assert run(config, "pin", "remove", "03").returncode == 0
    assert run(config, "pin", "remove", "03").returncode == 65


@pytest.mark.parametrize(("arguments", "text"), [(("pin", "set", "03", "--stdin"), "1234\n"), (("card", "9"), "x\n")])
def test_what_cannot_be_is_refused_with_the_reason(config: Path, arguments: tuple[str, ...], text: str) -> None:
    done = run(config, *arguments, text=text)
    assert done.returncode == 65
    assert done.stderr.strip()


def test_a_token_is_shown_once_and_revoked(config: Path, tmp_path: Path) -> None:
    made = run(config, "token", "new", "pos-1", "--scope", "sell", "--scope", "read")
    assert made.returncode == 0
    token = made.stdout.strip()
    known = Tokens(tmp_path / "tokens.json").find(token)
    assert known is not None
    assert list(known.scopes) == ["sell", "read"]
    listed = run(config, "token", "list", "--output", "json").stdout
    assert token not in listed
    assert json.loads(listed)[0]["name"] == "pos-1"
    assert run(config, "token", "new", "pos-1", "--scope", "read").returncode == 65
    assert run(config, "token", "revoke", "pos-1").returncode == 0
    assert Tokens(tmp_path / "tokens.json").find(token) is None
    assert run(config, "token", "revoke", "pos-1").returncode == 65


def test_without_a_file_in_the_configuration_it_says_so(config: Path) -> None:
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "token_file" not in line))
    done = run(config, "token", "list")
    assert done.returncode == 78
    assert "web.token_file" in done.stderr


def test_a_page_on_the_network_without_pins_is_refused(config: Path) -> None:
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "pin_file" not in line))
    for command in (["config", "check", str(config)], ["run", "--config", str(config)]):
        done = subprocess.run(
            [str(EDGE_AGENT), "--lang", "en", *command], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 78, done.stderr
        assert "pin_file" in done.stdout + done.stderr
