"""The home of structlog: one line an event on stderr, JSON unless stderr is a terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS: Final = ("debug", "info", "warning", "error")

_LONGEST_VALUE: Final = 2_000


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
    steps.append(structlog.processors.format_exc_info)
    if sys.stderr.isatty():
        steps.append(structlog.dev.ConsoleRenderer(pad_event_to=24))
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
