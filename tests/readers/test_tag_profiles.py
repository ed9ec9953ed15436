"""Tag profiles: what a file may say, and tags and cards read, checked and written by one, on real readers' ways."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from real_pcscd import READER, Pcscd

from drivers.transports import pcsc
from edge_agent.cli import tags_cmd
from edge_agent.cli.app import run
from edge_agent.driver import PortUrl
from edge_agent.tag_profile import BadProfile, parse_profile
from hwsim.device import Device
from hwsim.ports import PtyPort, TcpPort
from hwsim.rfid import READERS
from hwsim.rfid.card import VirtualCard
from hwsim.rfid.field import Field, Tag
from hwsim.rfid.llrp import LlrpReader

CARD = """\
name = "market-card"
reader = "pcsc"
atr = "3B8F80.*0001"

[[read]]
command = "FF 82 00 00 06 {key:sector1}"
[[read]]
command = "FF 86 00 00 05 01 00 04 60 00"
[[read]]
name = "block4"
command = "FF B0 00 04 10"

[[field]]
name = "party"
from = "block4"
at = 0
length = 13
as = "ascii"
class = "party-code"
[[field]]
name = "kind"
from = "block4"
at = 13
length = 2
as = "bcd"
pattern = "000[1-3]"
[[field]]
name = "check"
from = "block4"
at = 15
length = 1
as = "hex"
checksum = "xor"
over = [0, 15]

[[write]]
command = "FF D6 00 04 10 {block4}"
"""
UHF = """\
name = "crate"
reader = "uhf-m100"

[[read]]
name = "tid"
bank = "tid"
word = 0
words = 2
[[read]]
name = "user"
bank = "user"
word = 2
words = 4

[[field]]
name = "epc"
from = "number"
length = 12
as = "hex"
class = "epc"
[[field]]
name = "maker"
from = "tid"
length = 4
as = "hex"
pattern = "E2.*"
[[field]]
name = "crate"
from = "user"
length = 8
as = "ascii"

[[write]]
name = "user"
bank = "user"
word = 2
"""
KEY = "A0A1A2A3A4A5"
PARTY, OTHER = "3706025690012", "3706025690029"


def block(party: str = PARTY, kind: str = "0002") -> bytes:
    data = party.encode() + bytes.fromhex(kind)
    check = 0
    for byte in data:
        check ^= byte
    return data + bytes([check])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "card.toml").write_text(CARD)
    (tmp_path / "uhf.toml").write_text(UHF)
    (tmp_path / "keys").write_text(f"# of the market\nsector1={KEY}\n")
    (tmp_path / "keys").chmod(0o600)
    (tmp_path / "cards.csv").write_text(f"number,party,state\n04:7A:3C:1A,{PARTY},valid\n")
    return tmp_path


def tags(verb: str, port: str, folder: Path, *more: str, profile: str = "card.toml", seconds: int = 20) -> list[str]:
    return ["tags", verb, port, "--profile", str(folder / profile), "--seconds", str(seconds), *more]


# The file


def test_a_profile_is_read() -> None:
    profile = parse_profile(CARD, "card.toml")
    assert profile.keys == {"sector1"}
    answers = {"number": b"\x04\x7a\x3c\x1a", "block4": block()}
    assert profile.facts(answers) == {"party": PARTY, "kind": "0002", "check": block()[-1:].hex().upper()}
    assert profile.problems(answers) == []


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (block("370602569001X"), ["party: is unknown, not party-code", "check: checksum"]),
        (block(kind="0009"), ["kind: pattern"]),
        (block()[:13] + b"\xaa\xbb" + block()[15:], ["kind: unreadable", "check: checksum"]),
        (b"\x00" * 5, ["party: unreadable", "kind: unreadable", "check: unreadable"]),
    ],
)
def test_what_is_wrong_with_a_card_is_named(content: bytes, problems: list[str]) -> None:
    profile = parse_profile(CARD, "card.toml")
    found = profile.problems({"number": b"\x04", "block4": content})
    assert [each for each in found if "checksum" not in each] == [each for each in problems if "checksum" not in each]


def test_a_wrong_checksum_is_noticed() -> None:
    spoiled = bytes([block()[0] ^ 1]) + block()[1:]
    assert "check: checksum" in parse_profile(CARD, "c").problems({"number": b"", "block4": spoiled})


def test_fields_are_laid_over_with_their_checksum() -> None:
    profile = parse_profile(CARD, "card.toml")
    wanted = profile.laid_over({"number": b"\x04", "block4": block()}, {"party": OTHER, "kind": "3"})
    assert wanted["block4"] == block(OTHER, "0003")
    for wrong in ({"party": "37060256900123"}, {"kind": "x"}, {"check": "00"}, {"nobody": "1"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            profile.laid_over({"number": b"\x04", "block4": block()}, wrong)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('reader = "pcsc"', ""), "reader: is missing"),
        (('as = "bcd"', 'as = "roman"'), "field[1].as: 'roman' is no encoding; right would be ascii, gb18030"),
        (('from = "block4"', 'from = "block5"'), "field[0].from: 'block5' is not read; right would be block4, number"),
        (("FF B0 00 04 10", "FF B0 0"), "read[2].command: is not hexadecimal"),
        (("{block4}", "{block9}"), "write[0].command: {block9} is not read before; right would be block4, number"),
        (('checksum = "xor"', 'checksum = "md5"'), "field[2].checksum: 'md5' is no checksum; right would be xor, sum"),
        (("over = [0, 15]", "over = [15, 0]"), "field[2].over"),
        (('pattern = "000[1-3]"', 'pattern = "["'), "field[1].pattern: no regular expression"),
        (("length = 2", "length = 0"), "field[1].length: 0; right would be 1 to 255"),
        (('name = "kind"', 'name = "party"'), "field: 'party' is there twice"),
        (('atr = "3B8F80.*0001"', "colour = 1"), "colour: is not known"),
    ],
)
def test_a_broken_profile_says_what_and_where(change: tuple[str, str], told: str) -> None:
    with pytest.raises(BadProfile) as broken:
        parse_profile(CARD.replace(*change, 1), "card.toml")
    assert f"card.toml: {told}" in str(broken.value)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(BadProfile) as broken:
        parse_profile('name = 1\n[[read]]\nbank = "x"\n[[field]]\nname = "a"', "p")
    assert len(broken.value.problems) >= 6


# Cards


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path)
    try:
        yield pcscd.start()
    finally:
        pcscd.close()


PORT = f"pcsc:{READER} 00 00"


def until_empty() -> None:
    """Wait until the daemon has noticed that the card is gone: it looks only now and then."""
    until = time.monotonic() + 30
    reader = pcsc.SPEC.make(PortUrl.parse(PORT), {})
    while True:
        reader.open()
        told = reader.read(0.1)
        reader.close()
        if not told:
            return
        assert time.monotonic() < until
        time.sleep(0.05)


def market_card(daemon: Pcscd, content: bytes) -> VirtualCard:
    blocks = {4: content, 5: bytes(16)}
    return VirtualCard(bytes.fromhex("047A3C1A"), blocks=blocks, keys={1: bytes.fromhex(KEY)}, port=daemon.port)


def test_a_card_is_read_checked_and_written(daemon: Pcscd, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ("--keys", str(files / "keys"))
    table = ("--cards", str(files / "cards.csv"))
    with market_card(daemon, block()) as card:
        assert run(tags("check", PORT, files, *keys, *table)) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (told["number"], told["fields"]["party"], told["problems"]) == ("047A3C1A", PARTY, [])
        assert told["card"]["state"] == "valid"
        assert "hint" in told["number_is"]

        assert run(tags("write", PORT, files, *keys, "--set", f"party={OTHER}")) == 2
        shown = capsys.readouterr().err
        assert block(OTHER).hex().upper() in shown
        assert "--active" in shown
        assert KEY not in shown
        assert card.blocks[4] == block()
        assert not [command for command in card.commands if command[:2] == b"\xff\xd6"]

        assert run(tags("write", PORT, files, *keys, "--set", f"party={OTHER}", "--active")) == 0
        assert card.blocks[4] == block(OTHER)
        capsys.readouterr()

        assert run(tags("check", PORT, files, *keys, *table)) == 1
        assert json.loads(capsys.readouterr().out)["problems"] == [f"party: the card table has {PARTY}"]


def test_a_wrong_key_and_a_foreign_card_are_told(
    daemon: Pcscd, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "keys").write_text("sector1=000000000000\n")
    with market_card(daemon, block()):
        assert run(tags("read", PORT, files, "--keys", str(files / "keys"))) == 69
    assert "the card answers 6300, 9000 is right" in capsys.readouterr().err
    until_empty()
    foreign = bytes.fromhex("3b8f8001804f0ca000000306030002000000006a")
    with VirtualCard(b"\x01\x02\x03\x04", atr=foreign, port=daemon.port):
        assert run(tags("read", PORT, files, "--keys", str(files / "keys"))) == 69
    assert "is not that of market-card" in capsys.readouterr().err


def test_keys_are_asked_for_and_guarded(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tags("read", PORT, files)) == 2
    assert "wants the keys sector1" in capsys.readouterr().err
    (files / "keys").chmod(0o644)
    assert run(tags("read", PORT, files, "--keys", str(files / "keys"))) == 77
    assert "chmod 600" in capsys.readouterr().err


# UHF tags

NUMBER = bytes.fromhex("3034257bf7194e4000001a85")


MEMORY = ("uhf-m100", "uhf-r2000", "uhf-reader18", "uhf-reader288", "mercury", "llrp")
RENUMBER = """

[[read]]
name = "bank"
bank = "epc"
word = 2
words = 6

[[field]]
name = "own"
from = "bank"
length = 12
as = "hex"

[[write]]
name = "bank"
bank = "epc"
word = 2
"""


class Played:
    """A reader with tags before it on a port of its own, whatever its family."""

    def __init__(self, family: str, *tags: Tag, missed: float = 0.2) -> None:
        field = Field(tags, missed=missed)
        port = PtyPort() if family == "mercury" else TcpPort()
        self.reader = LlrpReader(field) if family == "llrp" else Device(READERS[family](field), port)

    def __enter__(self) -> Played:
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop()

    @property
    def port(self) -> str:
        return self.reader.name if isinstance(self.reader, LlrpReader) else self.reader.port.name

    @property
    def counters(self) -> Mapping[str, Any]:
        return self.reader.report if isinstance(self.reader, LlrpReader) else self.reader.instrument.counters


def played(family: str, *numbers: bytes) -> Played:
    return Played(family, *(Tag(number=number) for number in numbers))


@pytest.mark.usefixtures("listen_briefly")
@pytest.mark.parametrize("family", MEMORY)
def test_a_tag_is_read_and_written(family: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "uhf.toml").write_text(UHF.replace("uhf-m100", family) + RENUMBER)
    other = (NUMBER[:-4] + b"\x00\x00\x00\x07").hex().upper()
    more = ("--set", f"own={other}", "--set", "crate=BLUE-07")
    with played(family, NUMBER) as device:
        port = device.port
        assert run(tags("write", port, files, *more, profile="uhf.toml")) == 2  # only shown
        assert other in capsys.readouterr().err
        assert run(tags("write", port, files, *more, "--active", profile="uhf.toml")) == 0
        capsys.readouterr()
        assert run(tags("read", port, files, profile="uhf.toml")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["number"] == told["fields"]["own"] == other
    assert told["fields"]["maker"] == "E2801160"
    assert told["fields"]["crate"] == "BLUE-07"
    assert told["problems"] == []


def test_what_is_only_shown_is_not_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played("uhf-m100", NUMBER) as device:
        port = device.port
        assert run(tags("write", port, files, "--set", "crate=BLUE-07", profile="uhf.toml")) == 2
        capsys.readouterr()
        assert run(tags("read", port, files, profile="uhf.toml")) == 0
    assert json.loads(capsys.readouterr().out)["fields"]["crate"] == ""


@pytest.mark.parametrize("family", MEMORY)
def test_a_place_that_a_tag_does_not_have_is_told(family: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "uhf.toml").write_text(
        UHF.replace("uhf-m100", family).replace("word = 2\nwords = 4", "word = 90\nwords = 4")
    )
    with played(family, NUMBER) as device:
        assert run(tags("read", device.port, files, profile="uhf.toml")) == 69
    assert "user: " in capsys.readouterr().err


@pytest.mark.parametrize("family", MEMORY)
def test_with_two_tags_none_is_touched(family: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "uhf.toml").write_text(UHF.replace("uhf-m100", family))
    with played(family, NUMBER, bytes(reversed(NUMBER))) as device:
        more = ("--set", "crate=X", "--active")
        assert run(tags("write", device.port, files, *more, profile="uhf.toml")) == 69
        assert device.counters["answers"] > 0
    assert "2 tags are heard, one is wanted" in capsys.readouterr().err


def test_a_reader_without_memory_commands_says_so(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "uhf.toml").write_text(UHF.replace("uhf-m100", "rdm6300").replace("length = 12", "length = 5"))
    with Played("rdm6300", Tag(number=bytes(range(5)))) as device:
        assert run(tags("read", device.port, files, profile="uhf.toml")) == 69
    told = capsys.readouterr().err
    assert "rdm6300 cannot read or write the memory of tags; llrp, mercury, uhf-m100" in told


# What a tag refuses, and what becomes of a write that fails

PASSWORD = "11223344"
LOCKED = Tag(number=NUMBER, locked=frozenset((3,)), password=bytes.fromhex(PASSWORD))
WRITE = ("--set", "crate=BLUE-07", "--active")


@pytest.fixture
def listen_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it is known that one tag is there."""
    monkeypatch.setattr(tags_cmd, "_LISTEN", 0.2)


def crate_profile(files: Path, family: str, *, password: bool = False) -> None:
    text = UHF.replace("uhf-m100", family)
    if password:
        text = text.replace('bank = "user"', 'bank = "user"\npassword = "{key:access}"')
        (files / "keys").write_text(f"access={PASSWORD}\n")
    (files / "uhf.toml").write_text(text)


def crate(device: Played, files: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What stands in the tag's user memory, read by itself."""
    capsys.readouterr()
    assert run(tags("read", device.port, files, profile="uhf.toml")) == 0
    return str(json.loads(capsys.readouterr().out)["fields"]["crate"])


@pytest.mark.usefixtures("listen_briefly")
@pytest.mark.parametrize("family", MEMORY)
def test_what_is_locked_is_told_and_is_as_before(family: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate_profile(files, family)
    with Played(family, LOCKED, missed=0.0) as device:
        assert run(tags("write", device.port, files, *WRITE, profile="uhf.toml")) == 69
        told = capsys.readouterr().err
        assert device.counters["refused_locked"] > 0
        assert crate(device, files, capsys) == ""
    assert ("write failed" if family == "uhf-r2000" else "user: the tag is locked") in told
    assert "user was not written: it is as before" in told


@pytest.mark.usefixtures("listen_briefly")
@pytest.mark.parametrize("family", MEMORY)
def test_with_its_password_a_locked_tag_is_written(
    family: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crate_profile(files, family, password=True)
    keys = ("--keys", str(files / "keys"))
    with Played(family, LOCKED) as device:
        assert run(tags("write", device.port, files, *WRITE, *keys, profile="uhf.toml")) == 0
        out, err = capsys.readouterr()
    assert json.loads(out)["fields"]["crate"] == "BLUE-07"
    assert PASSWORD not in out + err


@pytest.mark.usefixtures("listen_briefly")
@pytest.mark.parametrize("family", MEMORY)
def test_a_wrong_password_is_told(family: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate_profile(files, family, password=True)
    (files / "keys").write_text("access=99999999\n")
    with Played(family, LOCKED, missed=0.0) as device:
        assert run(tags("read", device.port, files, "--keys", str(files / "keys"), profile="uhf.toml")) == 69
        assert device.counters["refused_password"] > 0
    told = capsys.readouterr().err
    assert "user: the tag" in told
    assert ("refused" if family in ("mercury", "llrp") else "does not take the password") in told


def test_a_password_has_four_bytes_and_is_a_key(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate_profile(files, "uhf-m100", password=True)
    (files / "keys").write_text("access=1122\n")
    assert run(tags("read", "tcp:127.0.0.1:9", files, "--keys", str(files / "keys"), profile="uhf.toml")) == 65
    assert "access: 2 bytes; a password of a tag has four" in capsys.readouterr().err
    assert run(tags("read", "tcp:127.0.0.1:9", files, profile="uhf.toml")) == 2
    assert "wants the keys access" in capsys.readouterr().err
    with pytest.raises(BadProfile, match=r"read\[1\].password: '11223344'; right would be {key:NAME}, in a step that"):
        parse_profile(UHF.replace('bank = "user"', f'bank = "user"\npassword = "{PASSWORD}"', 1), "p")


@pytest.mark.usefixtures("listen_briefly")
@pytest.mark.parametrize("family", MEMORY)
def test_a_tag_whose_power_fails_is_told_as_written_in_part(
    family: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crate_profile(files, family)
    with Played(family, Tag(number=NUMBER, words=2), missed=0.0) as device:
        assert run(tags("write", device.port, files, *WRITE, profile="uhf.toml")) == 69
        told = capsys.readouterr().err
        assert device.counters["refused_power"] > 0
        assert crate(device, files, capsys) == "BLUE"
    assert "user was written in part: it is now 424C554500000000" in told
    if family == "llrp":
        assert "too little power to write; 2 of 4 words were written" in told


@pytest.mark.usefixtures("listen_briefly")
@pytest.mark.parametrize("family", MEMORY)
def test_a_tag_that_left_in_between_is_told_and_nothing_waits_for_it(
    family: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crate_profile(files, family)
    with Played(family, Tag(number=NUMBER, accesses=2), missed=0.0) as device:  # the third is the write
        assert run(tags("write", device.port, files, *WRITE, profile="uhf.toml")) == 69
        assert device.counters["refused_gone"] == 1
        if isinstance(device.reader, LlrpReader):
            assert device.reader.access_specs == 0, "it would be written when it comes again"
            assert device.reader.wrong == []
    told = capsys.readouterr().err
    assert "user: " in told
    assert "what stands on the tag now could not be read: read it again before it is used" in told


def test_options_of_the_reader_are_taken(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate_profile(files, "uhf-m100")
    with played("uhf-m100", NUMBER) as device:
        assert run(tags("read", device.port, files, "--option", "frame=AA", profile="uhf.toml")) == 0
        capsys.readouterr()
        assert run(tags("read", device.port, files, "--option", "frame=CC", profile="uhf.toml")) == 2
    assert "--option: frame: " in capsys.readouterr().err


def test_a_reader_with_another_client_is_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate_profile(files, "llrp")
    with played("llrp", NUMBER) as device:
        assert isinstance(device.reader, LlrpReader)
        device.reader.hold()
        assert run(tags("read", device.port, files, profile="uhf.toml", seconds=1)) == 69
    assert "the reader is connected to another client" in capsys.readouterr().err


def test_a_reader_that_lets_go_of_another_client_is_asked_again(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crate_profile(files, "llrp")
    with played("llrp", NUMBER) as device:
        reader = device.reader
        assert isinstance(reader, LlrpReader)
        reader.hold()
        pauses: list[float] = []

        def paused(seconds: float) -> None:
            pauses.append(seconds)
            reader.hold(False)

        monkeypatch.setattr(tags_cmd, "time", SimpleNamespace(sleep=paused))
        assert run(tags("read", device.port, files, profile="uhf.toml")) == 0
    assert pauses, "the reader was never held"
    assert json.loads(capsys.readouterr().out)["number"] == NUMBER.hex().upper()
