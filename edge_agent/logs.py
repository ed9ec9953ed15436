"""The home of structlog: one line an event on stderr, JSON unless stderr is a terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS: Final = ("debug", "info", "warning", "error")

_LONGEST_VALUE: Final = 2_000
_REMEMBERED: Final = 500
_LONGEST_REMEMBERED: Final = 300


class _Tail:
    """The newest lines, for whoever looks after the box from its page; bounded in number and in length."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._count = 0

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        line = {key: _short(value) for key, value in list(event.items())[:20]}
        with self._lock:
            self._count += 1
            self._lines.append({**line, "n": self._count, "time": line.get("timestamp", _now())})
        return event

    def after(self, number: int, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` lines after a number, oldest first."""
        with self._lock:
            return [line for line in self._lines if line["n"] > number][-limit:]


def _short(value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST_REMEMBERED else text[:_LONGEST_REMEMBERED] + "…"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


tail: Final = _Tail()
"""What `configure` was followed by: the newest lines of this process's log."""


def configure(level: str = "info") -> None:
    """Set up logging for this process. Under journald the time is left to the journal."""
    in_journal = "JOURNAL_STREAM" in os.environ
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _bound_values,
    ]
    if not in_journal:
        steps.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    steps += [structlog.processors.format_exc_info, tail]
    if sys.stderr.isatty():
        steps.append(structlog.dev.ConsoleRenderer(pad_event_to=24, exception_formatter=structlog.dev.plain_traceback))
    else:
        steps.append(structlog.processors.JSONRenderer(serializer=_dumps))
    structlog.configure(
        processors=steps,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=_Stderr()),
        cache_logger_on_first_use=True,
    )


class _Stderr(io.TextIOWrapper):
    """Standard error as it is when a line is written, not as it was when logging was set up."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())

    def write(self, text: str, /) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _bound_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut long texts, so that one hostile barcode cannot fill the log."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            event[key] = value[:_LONGEST_VALUE] + "…"
    return event


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode(errors="replace")
