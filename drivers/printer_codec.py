"""What all printers share: a question how they stand, which may stay unanswered, and no bytes unless asked."""

from __future__ import annotations

from typing import Final

from edge_agent.driver import CodecOutput, Option, Send

ANSWER_WITHIN: Final = 2.0
"""Seconds after which a printer counts as one that does not answer; many cannot."""

STATUS: Final = Option(
    name="status",
    type="boolean",
    default=True,
    help="ask how the printer stands before printing; off for one that never answers",
)


class PrinterCodec:
    """The part of `edge_agent.driver.Printer` that does not depend on the language. `question` is what asks."""

    def __init__(self, question: bytes, *, status: bool) -> None:
        self._question = question if status else None
        self._asked_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When an answer that has not come counts as none; None while none is waited for."""
        return None if self._asked_at is None else self._asked_at + ANSWER_WITHIN

    def ask(self, now: float) -> list[CodecOutput]:
        """See `Printer.ask`."""
        if self._question is None:
            return []
        self._asked_at = now
        return [Send(data=self._question)]

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`: an answer that did not come is waited for no longer."""
        if self._asked_at is not None and now >= self._asked_at + ANSWER_WITHIN:
            self._answered()
        return []

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`: a label printer has none."""
        raise ValueError(f"no command {name!r}; this printer takes none")

    def _answered(self) -> None:
        """Nothing is waited for any more."""
        self._asked_at = None
