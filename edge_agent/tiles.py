"""How the tiles of a station's goods lie and look, as somebody set it on the page.

A catalogue brings an order, colours and pictures too, and a new one may come from the platform at any time; what was
set at the stall itself goes before it and stays. Kept as notes of the store, one for each station.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson
import structlog

MOST: Final = 2_000
"""Goods whose place or look is remembered."""

_NOTE: Final = "tiles/"
_PATIENCE: Final = 5.0
_LONGEST: Final = 200
_LOOKS: Final = {"colour": re.compile(r"#[0-9a-f]{6}"), "picture": re.compile(r"[0-9a-f]{64}")}


class Notes(Protocol):
    """What is needed of the store."""

    def note(self, key: str) -> str | None:
        """A remembered fact."""

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact."""

    def flush_notes(self, timeout: float) -> None:
        """Have all notes on disk before this returns."""


class BadTiles(ValueError):
    """What cannot be meant: `where` it is, and what would be `right`."""

    def __init__(self, what: str, *, where: str, right: str) -> None:
        self.where = where
        self.right = right
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class _Laid:
    """One station's tiles: codes in their order, what some of them look like, how often that was changed."""

    order: tuple[str, ...] = ()
    looks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changes: int = 0


class Tiles:
    """The tiles of all stations of a box. Thread-safe."""

    def __init__(self, store: Notes, stations: Iterable[str]) -> None:
        self._store = store
        self._log = structlog.get_logger()
        self._lock = threading.Lock()
        self._laid = {station: self._read(station) for station in stations}

    def _read(self, station: str) -> _Laid:
        text = self._store.note(f"{_NOTE}{station}")
        if text is None:
            return _Laid()
        try:
            noted = orjson.loads(text)
            return _Laid(tuple(noted["order"]), noted["looks"], noted["changes"])
        except (KeyError, TypeError, ValueError) as problem:
            self._log.error("tiles.note_unreadable", station=station, reason=f"{type(problem).__name__}: {problem}")
            return _Laid()

    @property
    def changes(self) -> int:
        """How often anything was changed: another number is another arrangement."""
        return sum(laid.changes for laid in self._laid.values())

    def pictures(self) -> set[str]:
        """The attachments that some tile shows."""
        looks = [look for laid in self._laid.values() for look in laid.looks.values()]
        return {look["picture"] for look in looks if "picture" in look}

    def lay(self, station: str | None, goods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Goods in the order of a station's tiles and with their looks; those without a place there come last."""
        laid = self._laid.get(station or "", _Laid())
        place = {code: at for at, code in enumerate(laid.order)}
        dressed = [{**each, **laid.looks.get(each["code"], {})} for each in goods]
        return sorted(dressed, key=lambda each: place.get(each["code"], MOST))

    def set(self, station: str, *, order: object = None, looks: object = None) -> None:
        """Change the order, or some looks: `{code: {"colour": "#rrggbb" | None, "picture": SHA-256 | None}}`, None for
        what the catalogue says. On disk when this returns. Raises `BadTiles`; KeyError for no such station.
        """
        codes = None if order is None else _order(order)
        changed = {} if looks is None else _looks(looks)
        with self._lock:
            before = self._laid[station]
            dressed = {**before.looks}
            for code, look in changed.items():
                whole = {**dressed.pop(code, {}), **look}
                kept = {name: value for name, value in whole.items() if value is not None}
                if kept:
                    dressed[code] = kept
            if len(dressed) > MOST:
                raise BadTiles(f"{len(dressed)} goods have looks", where="looks", right=f"at most {MOST}")
            laid = _Laid(before.order if codes is None else codes, dressed, before.changes + 1)
            text = orjson.dumps({"order": laid.order, "looks": laid.looks, "changes": laid.changes}).decode()
            self._store.set_note(f"{_NOTE}{station}", text)
            self._laid[station] = laid
        self._store.flush_notes(_PATIENCE)


def _order(value: object) -> tuple[str, ...]:
    right = f"codes of goods, each once, at most {MOST}"
    if not isinstance(value, list) or len(value) > MOST or not all(map(_is_code, value)):
        raise BadTiles("order is no list of codes", where="order", right=right)
    if len(set(value)) < len(value):
        raise BadTiles("a code stands twice in the order", where="order", right=right)
    return tuple(value)


def _looks(value: object) -> dict[str, dict[str, str | None]]:
    if not isinstance(value, dict) or len(value) > MOST or not all(map(_is_code, value)):
        raise BadTiles("looks is no object of goods", where="looks", right='{code: {"colour": "#rrggbb"}}')
    for code, look in value.items():
        if not isinstance(look, dict) or not set(look) <= set(_LOOKS):
            raise BadTiles("a look is colour and picture", where=f"looks.{code}", right="colour, picture")
        for name, text in look.items():
            if text is not None and not (isinstance(text, str) and _LOOKS[name].fullmatch(text)):
                right = "#rrggbb or null" if name == "colour" else "the SHA-256 of an attachment, or null"
                raise BadTiles(f"this is no {name}", where=f"looks.{code}.{name}", right=right)
    return value


def _is_code(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()
