"""Records of other boxes that a courier brought: they go out on the topic of the box that made them.

The sources of such records are in a note of the store, so that their verdicts are listened for after a restart too.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

FORWARDED: Final = "courier.forwarded"
"""The note with the sources of other boxes whose records are forwarded: a JSON list."""
MOST: Final = 256
"""Boxes whose records one box forwards."""
_SOURCE: Final = re.compile(r"/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}")


def is_source(text: str) -> bool:
    """Whether a text is `/{site}/{gateway}`, so that it can be part of a topic."""
    return _SOURCE.fullmatch(text) is not None


def sources_in(note: str | None) -> tuple[str, ...]:
    """The sources in the note."""
    try:
        sources: Any = orjson.loads(note or "[]")
    except orjson.JSONDecodeError:
        return ()
    return tuple(each for each in sources if isinstance(each, str) and is_source(each))


def note_with(note: str | None, source: str) -> str:
    """The note with one more source. Raises ValueError where there are too many."""
    sources = sources_in(note)
    if source in sources:
        return orjson.dumps(sources).decode()
    if len(sources) >= MOST:
        raise ValueError(f"records of {MOST} other boxes are forwarded already, of {source} none can be taken")
    return orjson.dumps([*sources, source]).decode()


def topic_of(body: bytes, name: str) -> str:
    """The topic `name` of the box that made a record."""
    return f"trace/v1{orjson.loads(body)['source']}/{name}"
