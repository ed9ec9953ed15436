"""`edge-agent tags`: read, check and write tags and cards by a city's tag profile."""

from __future__ import annotations

import contextlib
import csv
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent import clock
from edge_agent.cli import exits
from edge_agent.cli.output import write as print_line
from edge_agent.cli.words import say
from edge_agent.tag_profile import Unreadable

if TYPE_CHECKING:
    from edge_agent.driver import (
        AddressingCodec,
        CardCodec,
        Codec,
        CodecOutput,
        DriverSpec,
        MemoryCodec,
        Send,
        Transport,
    )
    from edge_agent.model import DeviceEvent
    from edge_agent.tag_profile import Step, TagProfile

_ANSWER_WITHIN: Final = 2.0
_LISTEN: Final = 1.0
"""Seconds of inventory: the tag that is meant must be the only one that is heard."""
_GET_NUMBER: Final = bytes.fromhex("ffca000000")
_DONE: Final = b"\x90\x00"
_TRIES: Final = 8
_PAUSE: Final = 0.3
"""Seconds until a reader that serves another client is asked again."""
_PASSWORD_BYTES: Final = 4
_EPC_BEGINS: Final = 2
"""The word of the EPC bank behind CRC and PC."""


class _Held(Unreadable):
    """The reader serves another client."""


class _CardGone(Unreadable):
    """The card was taken away in the middle."""


@click.group()
def command() -> None:
    """Read, check and write tags and cards by a tag profile: a data file that says how a city lays them out."""


def _common(function: Any) -> Any:
    for option in (
        click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the driver."),
        click.option("--seconds", default=10.0, show_default=True, help="How long to wait for a tag or card."),
        click.option(
            "--cards",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="The local card table: CSV with a column `number`, and what is known of each card.",
        ),
        click.option(
            "--keys",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Keys by name, as NAME=HEX lines; only its owner may read the file.",
        ),
        click.option(
            "--profile",
            "profile_path",
            required=True,
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="The tag profile (TOML).",
        ),
    ):
        function = option(function)
    return click.argument("port")(function)


@command.command()
@_common
def read(port: str, **given: Any) -> None:
    """Print what the tag or card at PORT says, as JSON."""
    with _desk(port, **given) as desk:
        print_line(orjson.dumps(desk.told(), option=orjson.OPT_INDENT_2))


@command.command()
@_common
def check(port: str, **given: Any) -> None:
    """The same; exit 1 when something is wrong with it."""
    with _desk(port, **given) as desk:
        told = desk.told()
    print_line(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    if told["problems"]:
        raise exits.Exit(exits.PROBLEMS)


@command.command()
@_common
@click.option("--set", "values", multiple=True, required=True, metavar="FIELD=TEXT", help="A field to write.")
@click.option("--active", is_flag=True, help="Really write; without it what would be written is shown.")
def write(port: str, values: tuple[str, ...], active: bool, **given: Any) -> None:
    """Write fields to the tag or card at PORT, read it again and compare."""
    with _desk(port, **given) as desk:
        texts = dict(_pair(value) for value in values)
        plan = desk.plan(texts)
        for line in plan:
            click.echo(line, err=True)
        if not active:
            raise exits.Exit(exits.USAGE, say("tags.not_active"))
        told = desk.write(texts)
    print_line(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    if told["problems"]:
        raise exits.Exit(exits.PROBLEMS)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: write FIELD=TEXT")
    return name, value


@contextlib.contextmanager
def _desk(
    port: str, profile_path: Path, keys: Path | None, cards: Path | None, seconds: float, options: tuple[str, ...]
) -> Iterator[_Desk]:
    """The reader at a port, with the tag that lies there."""
    from edge_agent.cli.decode import options_given
    from edge_agent.driver import CardCodec, PortUrl
    from edge_agent.registry import OptionError, discover
    from edge_agent.tag_profile import BadProfile, parse_profile

    try:
        profile = parse_profile(profile_path.read_text(encoding="utf-8"), str(profile_path))
    except (BadProfile, UnicodeDecodeError) as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from None
    known = _keys(keys) if keys else {}
    missing = ", ".join(sorted(profile.keys - set(known)))
    if missing:
        raise click.UsageError(f"{profile_path}: wants the keys {missing}; give them by --keys FILE as NAME=HEX lines")
    for name in sorted(profile.passwords & set(known)):
        if len(known[name]) != _PASSWORD_BYTES:
            raise exits.Exit(exits.BAD_DATA, f"{keys}: {name}: {len(known[name])} bytes; a password of a tag has four")
    registry = discover()
    spec = registry.drivers.get(profile.reader)
    if spec is None or spec.kind != "rfid":
        readers = ", ".join(sorted(s.id for s in registry.drivers.values() if s.kind == "rfid"))
        raise exits.Exit(exits.BAD_DATA, f"{profile_path}: reader: {profile.reader!r} is none of {readers}")
    try:
        url = PortUrl.parse(port)
        if url.scheme not in spec.interfaces:
            raise ValueError(f"{url.scheme}: is not for {spec.id}; {', '.join(spec.interfaces)} are")
        transport = registry.make_transport(url, spec)
    except ValueError as problem:
        raise click.UsageError(f"{port}: {problem}") from None
    try:
        chosen = options_given(registry, spec.id, options)
        if isinstance(registry.make_codec(spec.id, chosen), CardCodec):
            chosen = {**chosen, "poll": False}
    except OptionError as problem:
        raise click.UsageError(f"--option: {problem}") from None
    table = _cards(cards) if cards else {}
    able = sorted(s.id for s in registry.drivers.values() if "memory" in s.tells)

    def made() -> _Desk:
        return _Desk(profile, spec, registry.make_codec(spec.id, chosen), transport, known, table, seconds, able)

    try:
        desk = _reach(made, transport, seconds)
        try:
            yield desk
        finally:
            desk.done()
            transport.close()
    except Unreadable as problem:
        raise exits.Exit(exits.UNAVAILABLE, str(problem)) from None
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None


def _reach(made: Callable[[], _Desk], transport: Transport, seconds: float) -> _Desk:
    """A desk that has read what lies there; its transport is open. A reader that serves another client is asked again
    for so long: the client may just have gone, as the command before this one.
    """
    until = clock.monotonic() + seconds
    while True:
        desk, done = made(), False
        transport.open()
        try:
            desk.read()
            done = True
            return desk
        except _Held:
            if clock.monotonic() >= until:
                raise
        finally:
            if not done:
                desk.done()
                transport.close()
        time.sleep(_PAUSE)


def _keys(path: Path) -> dict[str, bytes]:
    """NAME=HEX lines of a file that only its owner may read."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise exits.Exit(exits.NO_PERMISSION, f"{path}: others may read these keys; chmod 600 {path}")
    keys = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if not equals:
                raise ValueError
            keys[name.strip()] = bytes.fromhex(value)
        except ValueError:
            raise exits.Exit(exits.BAD_DATA, f"{path}:{number}: no key; right would be NAME=HEX") from None
    return keys


def _cards(path: Path) -> dict[str, dict[str, str]]:
    """The card table by number."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if "number" not in (rows.fieldnames or ()):
            raise exits.Exit(exits.BAD_DATA, f"{path}: has no column `number`")
        return {row["number"].strip().upper().replace(":", ""): dict(row) for row in rows}


class _Desk:
    """A reader with one tag on it, and what was read of that."""

    def __init__(
        self,
        profile: TagProfile,
        spec: DriverSpec,
        codec: Codec,
        transport: Transport,
        keys: Mapping[str, bytes],
        cards: Mapping[str, dict[str, str]],
        seconds: float,
        able: Sequence[str],
    ) -> None:
        self._profile = profile
        self._spec = spec
        self._transport = transport
        self._keys = keys
        self._cards = cards
        self._seconds = seconds
        self._able = able  # the drivers that read and write the memory of tags
        self._codec = codec
        self._answers: dict[str, bytes] = {}
        self._chosen = b""
        self._atr = b""

    def told(self) -> dict[str, Any]:
        """Number, fields, problems, and what the card table knows."""
        number = self._answers["number"].hex().upper()
        card = self._cards.get(number)
        problems = self._profile.problems(self._answers)
        facts = self._profile.facts(self._answers)
        if self._cards and card is None:
            problems.append("number: not in the card table")
        for name, text in (card or {}).items():
            if name != "number" and text and name in facts and facts[name] not in (None, text):
                problems.append(f"{name}: the card table has {text}")
        return {
            "profile": self._profile.name,
            "number": number,
            "number_is": "a hint only: numbers of copied cards are not unique",
            "atr": self._atr.hex().upper() or None,
            "fields": facts,
            "problems": problems,
            "card": card,
        }

    def plan(self, values: Mapping[str, str]) -> list[str]:
        """What would be written, line by line; keys by their names only. Raises ValueError."""
        from edge_agent.tag_profile import shown

        if not self._profile.write:
            raise ValueError(f"the profile {self._profile.name} says nothing of writing")
        wanted = self._profile.laid_over(self._answers, values)
        return [shown(step, wanted) for step in self._profile.write]

    def write(self, values: Mapping[str, str]) -> dict[str, Any]:
        """Write, read again and compare."""
        before = dict(self._answers)
        wanted = self._profile.laid_over(before, values)
        number = before["number"]
        try:
            for step in self._profile.write:
                self._do(step, wanted, write=True)
        except Unreadable as problem:
            raise Unreadable(f"{problem}; {self._stands(before, wanted)}") from None
        try:
            self._steps()
        except Unreadable as problem:
            raise Unreadable(f"{say('tags.not_read_back')}: {problem}") from None
        told = self.told()
        for name, answer in wanted.items():
            if name != "number" and self._answers.get(name) != answer:
                told["problems"].append(f"{name}: is not what was written")
        epc_written = any(step.bank == 1 for step in self._profile.write)
        if self._answers["number"] != number and not epc_written:
            told["problems"].append("number: another tag lies there now")
        return told

    def _stands(self, before: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> str:
        """What of a write that failed stands on the tag, for people: the tag is read again."""
        try:
            self._steps()
        except Unreadable:
            return say("tags.state_unknown")
        told = []
        for name in sorted(wanted):
            now = self._answers.get(name, b"")
            if name == "number" or wanted[name] == before[name]:
                continue
            if now == before[name]:
                told.append(say("tags.not_written", name=name))
            elif now == wanted[name]:
                told.append(say("tags.written", name=name))
            else:
                told.append(say("tags.written_in_part", name=name, now=now.hex().upper()))
        return "; ".join(told)

    def done(self) -> None:
        """Leave the reader as it was: it answers for any tag again."""
        from edge_agent.driver import AddressingCodec

        if self._chosen and isinstance(self._codec, AddressingCodec):
            with contextlib.suppress(Unreadable):
                self._choose(self._codec, b"")

    def read(self) -> None:
        """Wait for the tag, and read it."""
        from edge_agent.driver import CardCodec, MemoryCodec

        if isinstance(self._codec, CardCodec):
            self._await_card(self._codec)
        else:
            self._find_tag()
            banks = any(step.bank is not None for step in (*self._profile.read, *self._profile.write))
            if banks and not isinstance(self._codec, MemoryCodec):
                raise Unreadable(
                    f"{self._spec.id} cannot read or write the memory of tags; {', '.join(self._able)} can"
                )
        self._steps()

    def _steps(self) -> None:
        for number, step in enumerate(self._profile.read):
            answer = self._do(step, self._answers, write=False)
            self._answers[step.name or f"step {number}"] = answer

    def _await_card(self, codec: CardCodec) -> None:
        import re

        until = clock.monotonic() + self._seconds
        while "number" not in self._answers:
            self._atr = b""
            while not self._atr:
                for event in self._hear(until, say("tags.no_card")):
                    self._atr = codec.card_in(event.raw) or self._atr
            wanted = self._profile.atr
            if wanted is not None and re.match(wanted, self._atr.hex().upper()) is None:
                raise Unreadable(f"ATR {self._atr.hex().upper()} is not that of {self._profile.name}: {wanted}")
            with contextlib.suppress(_CardGone):  # it was only held to the reader for a moment: wait for the next
                self._answers["number"] = self._command(codec, _GET_NUMBER, _DONE, "number")

    def _find_tag(self) -> None:
        """The one tag that is heard."""
        from edge_agent.model import TagRead

        codec = self._codec
        found: set[str] = set()
        until = clock.monotonic() + self._seconds
        settled = None
        while settled is None or clock.monotonic() < settled:
            now = clock.monotonic()
            if settled is None and now > until:
                raise Unreadable(say("tags.no_card"))
            due = codec.deadline
            outputs = list(codec.tick(now)) if due is not None and due <= now else []
            data = self._transport.read(0.02)
            outputs += codec.feed(data, clock.monotonic()) if data else []
            found.update(event.tag_id for event in self._events(outputs) if isinstance(event, TagRead))
            if found and settled is None:
                settled = clock.monotonic() + _LISTEN
        if len(found) > 1:
            raise Unreadable(f"{len(found)} tags are heard, one is wanted: {', '.join(sorted(found)[:8])}")
        self._answers["number"] = bytes.fromhex(found.pop())
        self._drain()

    def _drain(self) -> None:
        """Let the answers to the last questions pass by. From here on only what is asked below is asked."""
        until = clock.monotonic() + 0.3
        data = b""
        while clock.monotonic() < until:
            data = self._transport.read(0.05)
            self._events(self._codec.feed(data, clock.monotonic()))
        if not data:
            self._codec.close(clock.monotonic())  # half a frame must not swallow the next answer

    def _do(self, step: Step, answers: Mapping[str, bytes], *, write: bool) -> bytes:
        from edge_agent.driver import CardCodec, MemoryCodec
        from edge_agent.tag_profile import filled_in

        name = step.name or (step.command or "")[:11]
        if step.bank is None:
            if not isinstance(self._codec, CardCodec):
                raise Unreadable(f"{self._spec.id} takes no commands for cards; pcsc does")
            return self._command(self._codec, filled_in(step, answers, self._keys), step.expect, name)
        assert isinstance(self._codec, MemoryCodec)
        return self._memory(self._codec, step, answers[step.name or ""] if write else None)

    def _command(self, codec: CardCodec, apdu: bytes, expect: bytes, name: str) -> bytes:
        self._transport.write(apdu, _ANSWER_WITHIN)
        until = clock.monotonic() + _ANSWER_WITHIN
        while True:
            for event in self._hear(until, f"{name}: the card does not answer"):
                exchanged = codec.exchanged(event.raw)
                if exchanged is None:
                    raise _CardGone(f"{name}: the card was taken away")
                if exchanged[0] != apdu:
                    continue
                if not exchanged[1].endswith(expect):
                    status = exchanged[1][-2:].hex().upper()
                    raise Unreadable(f"{name}: the card answers {status}, {expect.hex().upper()} is right")
                return exchanged[1][:-2]

    def _memory(self, codec: MemoryCodec, step: Step, data: bytes | None) -> bytes:
        from edge_agent.driver import AddressingCodec

        assert step.bank is not None
        if isinstance(codec, AddressingCodec):
            self._choose(codec, self._answers["number"])
        password = self._keys[step.password] if step.password else bytes(_PASSWORD_BYTES)
        why = ""
        for _ in range(_TRIES):  # a tag misses some rounds
            if data is None:
                question = codec.read_memory(step.bank, step.word, step.words, password)
            else:
                question = codec.write_memory(step.bank, step.word, data, password)
            event, refusal = self._ask(question, f"{step.name}: the tag does not answer")
            told = codec.memory_in(event.raw)
            if told is None:
                why = refusal
                continue
            if bytes.fromhex(told[0]) != self._answers["number"]:
                raise Unreadable(f"{step.name}: another tag answered: {told[0]}")
            if data is None and len(told[1]) != 2 * step.words:
                why = f"{len(told[1])} bytes came, {2 * step.words} were asked for"
                continue
            if step.bank == 1 and data is not None:
                self._renumber(step.word, data)
            return told[1]
        raise Unreadable(f"{step.name}: {why}")

    def _choose(self, codec: AddressingCodec, number: bytes) -> None:
        """Have the reader answer for this tag only; b"" for any again."""
        from edge_agent.driver import TellingCodec
        from edge_agent.model import Status

        if number == self._chosen:
            return
        for question in codec.choose(number):
            event, why = self._ask(question, "the reader does not answer which tag it shall mean")
            taken = not why if isinstance(codec, TellingCodec) else isinstance(event, Status) and event.status == "ack"
            if not taken:
                raise Unreadable(f"the reader does not take which tag it shall mean: {why}")
        self._chosen = number

    def _ask(self, question: Send, late: str) -> tuple[DeviceEvent, str]:
        """Send a question and wait for its answer: the event, and why it was not done, in words."""
        from edge_agent.driver import TellingCodec
        from edge_agent.model import Status

        self._transport.write(question.data, _ANSWER_WITHIN)
        until = clock.monotonic() + _ANSWER_WITHIN
        while True:
            for event in self._hear(until, late):
                if not isinstance(self._codec, TellingCodec):
                    return event, event.detail if isinstance(event, Status) else type(event).__name__
                why = self._codec.answer_in(event.raw)
                if why is not None:
                    return event, why

    def _renumber(self, word: int, data: bytes) -> None:
        """The EPC was written to from this word on: from now on the tag answers by its new number."""
        number, at = self._answers["number"], 2 * (word - _EPC_BEGINS)
        if at >= 0:
            self._answers["number"] = number[:at] + data + number[at + len(data) :]

    def _hear(self, until: float, late: str) -> list[DeviceEvent]:
        """The events of the next bytes; raises `Unreadable` when it is late."""
        while (left := until - clock.monotonic()) > 0:
            data = self._transport.read(min(0.2, left))
            events = self._events(self._codec.feed(data, clock.monotonic()) if data else ())
            if events:
                return events
        raise Unreadable(late)

    def _events(self, outputs: Sequence[CodecOutput]) -> list[DeviceEvent]:
        """The events of what a codec told; what it wants sent is sent. Raises `Unreadable` where the reader refuses."""
        from edge_agent.driver import HangUp, Send

        events: list[DeviceEvent] = []
        for output in outputs:
            if isinstance(output, Send):
                self._transport.write(output.data, _ANSWER_WITHIN)
            elif isinstance(output, HangUp):
                raise (_Held if output.busy else Unreadable)(output.reason)
            else:
                events.append(output)
        return events
