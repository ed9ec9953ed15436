"""Scale dialects written as TOML: a table and its vectors in one file, no Python (docs/how-to/add-a-scale.md).

The file is refused, with file, key and what would be right, when a key is unknown or missing, a value cannot
be, or one of its own vectors does not hold.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from drivers.checksum import CHECKSUMS
from drivers.framing import Framing, Lines, Marked
from drivers.scale_codec import GROUPS, Dialect, Form, Poll, Range, State, StatusKind, scale_driver
from drivers.vectors import describe, play
from edge_agent.driver import DriverSpec
from edge_agent.model import UNITS, Basis, Stability

_REQUIRED: Final = object()
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FRAME_LIMIT: Final = 1024


class _Table:
    """One TOML table that is read key by key; what is left over is unknown."""

    def __init__(self, content: Mapping[str, Any], where: str) -> None:
        self._left = dict(content)
        self.where = where

    def problem(self, key: str, text: str) -> ValueError:
        return ValueError(f"{self.where}{key}: {text}")

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:
        if key not in self._left:
            if default is _REQUIRED:
                raise self.problem(key, f"is missing; {_name(kind)} would be right")
            return default
        value = self._left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.problem(key, f"{value!r} is not possible; {_name(kind)} would be right")
        return value

    def among(self, key: str, allowed: tuple[str, ...], default: Any = _REQUIRED) -> Any:
        value = self.take(key, str, default)
        if value is not default and value not in allowed:
            raise self.problem(key, f"{value!r} is not possible; one of {', '.join(allowed)} would be right")
        return value

    def octets(self, key: str, default: Any = _REQUIRED) -> Any:
        """Bytes, written in hexadecimal with or without blanks."""
        value = self.take(key, str, default)
        if value is default:
            return default
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise self.problem(key, f"{value!r} is not hexadecimal; e.g. '0D 0A' would be right") from None

    def pattern(self, key: str) -> re.Pattern[bytes]:
        text = self.take(key, str)
        try:
            return re.compile(text.encode("latin-1"), re.DOTALL)
        except (re.error, UnicodeEncodeError) as error:
            raise self.problem(key, f"{text!r} is no regular expression over bytes: {error}") from None

    def table(self, key: str, default: Any = _REQUIRED) -> _Table:
        return _Table(self.take(key, dict, default), f"{self.where}{key}.")

    def tables(self, key: str, default: Any = _REQUIRED) -> list[_Table]:
        items = self.take(key, list, default)
        if not all(isinstance(item, dict) for item in items):
            raise self.problem(key, f"an array of tables, [[{key}]], would be right")
        return [_Table(item, f"{self.where}{key}[{index}].") for index, item in enumerate(items)]

    def meanings(self, key: str, allowed: tuple[str, ...]) -> dict[str, Any]:
        """A map from texts as sent to words of ours."""
        table = self.table(key, {})
        return {text: table.among(text, allowed) for text in tuple(table._left)}

    def done(self) -> None:
        if self._left:
            raise self.problem(", ".join(self._left), "is not a key of a dialect here; remove it")


def _name(kind: type | tuple[type, ...]) -> str:
    names = {str: "a text", int: "a whole number", dict: "a table", list: "an array", bool: "true or false"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(names.get(one, one.__name__) for one in kinds)


def load_table(path: Path) -> DriverSpec:
    """Read one dialect file; raises ValueError, naming file and key, when the table or a vector does not hold."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _driver(_Table(content, ""))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: is not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_table(content: Mapping[str, Any]) -> DriverSpec:
    """The driver of a table that has no vectors yet; raises ValueError naming the key that is wrong."""
    top = _Table(content, "")
    spec = _spec(top)
    top.done()
    return spec


def _driver(top: _Table) -> DriverSpec:
    spec = _spec(top)
    vectors = top.tables("vectors")
    top.done()
    if not vectors:
        raise top.problem("vectors", "is empty; at least one frame with what it says would be right")
    for vector in vectors:
        _verify(spec, vector)
    return spec


def _spec(top: _Table) -> DriverSpec:
    identity = top.take("id", str)
    if not _ID.fullmatch(identity):
        raise top.problem("id", f"{identity!r} is not possible; small letters, digits and hyphens would be right")
    stale_after = top.take("stale_after", (int, float), None)
    line = top.table("line", {})
    dialect = _dialect(top)
    return scale_driver(
        dialect,
        id=identity,
        title=top.take("title", str),
        models=_texts(top, "models", []),
        source=top.take("source", str),
        maturity=top.among("maturity", ("captured", "manual"), "manual"),
        line={key: str(line.take(key, (int, str))) for key in tuple(line._left)},
        stale_after=stale_after,
        unguarded=dialect.checksum is None,
    )


def _texts(table: _Table, key: str, default: Any = _REQUIRED) -> list[str]:
    texts: list[Any] = table.take(key, list, default)
    if not all(isinstance(text, str) for text in texts):
        raise table.problem(key, "an array of texts would be right")
    return texts


def _dialect(top: _Table) -> Dialect:
    units = top.meanings("units", (*sorted(UNITS), "unknown"))
    poll = top.table("poll", {})
    commands = top.table("commands", {})
    dialect = Dialect(
        framing=_framing(top.table("framing")),
        forms=tuple(_form(table) for table in top.tables("forms")),
        states=tuple(_state(table) for table in top.tables("states", [])),
        units={text: None if unit == "unknown" else unit for text, unit in units.items()},
        stability=top.meanings("stability", get_args(Stability)),
        basis=top.meanings("basis", get_args(Basis)),
        condition=top.meanings("condition", get_args(Range)),
        checksum=top.among("checksum", tuple(CHECKSUMS), None),
        decimals=top.take("decimals", int, None),
        price_decimals=top.take("price_decimals", int, None),
        decimal_marks=top.take("decimal_marks", str, "."),
        ignored=top.take("ignored", str, ""),
        gross_apart=top.take("gross_apart", int, 0),
        settle=top.take("settle", (int, float), None),
        any_case=top.take("any_case", bool, False),
        poll=_poll(poll) if poll._left else None,
        commands={name: commands.octets(name) for name in tuple(commands._left)},
    )
    for index, form in enumerate(dialect.forms):
        groups = set(form.pattern.groupindex)
        if "weight" not in groups and form.condition == "ok":
            raise ValueError(f"forms[{index}].pattern: has no group weight; (?P<weight>[0-9.]+) would be right")
        if dialect.checksum and not {"checked", "check"} <= groups:
            raise ValueError(f"forms[{index}].pattern: a checksum needs the groups checked and check")
        if groups - GROUPS:
            raise ValueError(
                f"forms[{index}].pattern: group {', '.join(sorted(groups - GROUPS))} has no meaning; "
                f"groups are {', '.join(sorted(GROUPS))}"
            )
    return dialect


def _framing(table: _Table) -> Framing:
    kind: Literal["lines", "marks"] = table.among("kind", ("lines", "marks"))
    limit = table.take("limit", int, 128)
    if not 1 <= limit <= _FRAME_LIMIT:
        raise table.problem("limit", f"{limit} is not possible; 1 to {_FRAME_LIMIT} bytes would be right")
    framing: Framing
    if kind == "lines":
        start = table.pattern("start") if "start" in table._left else None
        framing = Lines(end=table.octets("end", None), limit=limit, start=start)
    else:
        framing = Marked(
            start=table.octets("start"), end=table.octets("end"), limit=limit, singles=table.octets("singles", b"")
        )
    table.done()
    return framing


def _form(table: _Table) -> Form:
    form = Form(
        pattern=table.pattern("pattern"),
        stability=table.among("stability", get_args(Stability), None),
        basis=table.among("basis", get_args(Basis), None),
        condition=table.among("condition", get_args(Range), "ok"),
        unit=table.among("unit", tuple(sorted(UNITS)), None),
        decimals=table.take("decimals", int, None),
        may_be_tail=table.take("may_be_tail", bool, False),
        only_after_end=table.take("only_after_end", bool, False),
        whole=table.take("whole", bool, False),
        backwards=table.take("backwards", bool, False),
    )
    table.done()
    return form


def _state(table: _Table) -> State:
    state = State(
        pattern=table.pattern("pattern"),
        means=table.among("means", ("overload", "underload", *get_args(StatusKind))),
        detail=table.take("detail", str, ""),
        may_be_head=table.take("may_be_head", bool, False),
    )
    table.done()
    return state


def _poll(table: _Table) -> Poll:
    milliseconds = table.take("after_ms", int)
    if not 20 <= milliseconds <= 60_000:
        raise table.problem("after_ms", f"{milliseconds} is not possible; 20 to 60000 would be right")
    poll = Poll(send=table.octets("send"), after=milliseconds / 1000)
    table.done()
    return poll


def _verify(spec: DriverSpec, vector: _Table) -> None:
    data = vector.octets("hex")
    expected = _texts(vector, "events")
    for key in ("origin", "note"):
        vector.take(key, str, "")
    vector.done()
    told = [describe(event) for event in play(spec.make({}), [data])]
    if told != expected:
        raise vector.problem("events", f"{expected} does not hold: the table reads {told} from {data.hex(' ')}")
