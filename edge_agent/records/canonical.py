"""Canonical JSON (RFC 8785) for what records may hold.

Records are restricted so that sorted-key compact UTF-8 JSON *is* the canonical form: keys are ASCII, numbers
are integers within ±(2^53-1), text is valid Unicode, and there are no floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

MAX_INTEGER: Final = 2**53 - 1
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_TEXT: Final = frozenset({str})
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_REMEMBERED: Final = 256
_REMEMBERED_KEYS: Final = 100
_good_keys: Final[set[tuple[str, ...]]] = set()
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class NotCanonical(ValueError):
    """A value that no record may hold; the text says where and what."""


def dumps(value: Any) -> bytes:
    """The canonical bytes of a value. Raises `NotCanonical` naming the path of what is not allowed."""
    if _allowed(value):
        try:
            return orjson.dumps(value, option=_OPTIONS)
        except (orjson.JSONEncodeError, TypeError):
            pass  # a lone surrogate or too large an integer: found again below, with its place
    _explain(value, "$")
    raise NotCanonical("$: is not allowed in a record")


def _allowed(value: Any) -> bool:
    """Whether kinds and keys are those of a record; every record passes here, so it says no more than that.

    Most of a record is one flat object of texts, integers and nulls: whole rows of values are looked at together.
    """
    kind = type(value)
    if kind is dict or isinstance(value, Mapping):
        keys = tuple(value)
        if keys not in _good_keys and not _keys_allowed(keys):
            return False
        items = value.values()
    elif kind is tuple or kind is list:
        items = value
    else:
        return kind in _SCALARS
    if set(map(type, items)) <= _SCALARS:
        return True
    return all(map(_allowed, [item for item in items if type(item) not in _SCALARS]))


def _keys_allowed(keys: tuple[Any, ...]) -> bool:
    """Whether these are the keys of a record. Bodies of one type have the same ones: those are remembered."""
    if not set(map(type, keys)) <= _TEXT or not "".join(keys).isascii():
        return False
    if len(keys) <= _REMEMBERED_KEYS:
        if len(_good_keys) >= _REMEMBERED:
            _good_keys.clear()
        _good_keys.add(keys)
    return True


def _explain(value: Any, path: str) -> None:
    kind = type(value)
    if kind is str:
        if _SURROGATE.search(value):
            raise NotCanonical(f"{path}: text has a lone surrogate; use clean_text first")
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical(f"{path}: integer {value} is beyond ±(2^53-1)")
    elif kind is bool or value is None:
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise NotCanonical(f"{path}: key {key!r} is not ASCII text")
            _explain(item, f"{path}.{key}")
    elif kind is list or kind is tuple:
        for position, item in enumerate(value):
            _explain(item, f"{path}[{position}]")
    else:
        raise NotCanonical(f"{path}: {kind.__name__} is not allowed in a record")


def clean_text(text: str) -> tuple[str, bool]:
    """Text that is valid Unicode, and whether a lone surrogate had to become U+FFFD."""
    cleaned, count = _SURROGATE.subn("\ufffd", text)
    return cleaned, count > 0
