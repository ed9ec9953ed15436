"""Drivers for the scales of a maker that does not exist. It needs `edge_agent.driver` and `edge_agent.model` only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from edge_agent.driver import Bundle, CodecOutput, DriverSpec
from edge_agent.model import Reading, Rejected

_LINE: Final = re.compile(rb"ACME([*.]) *(-?[0-9]+\.[0-9]{2}) kg")
_LONGEST: Final = 64


class AcmeCodec:
    """Lines of `ACME* 12.34 kg` (stable) and `ACME. 12.34 kg` (moving), each with CR LF."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._held = b""

    @property
    def deadline(self) -> float | None:
        """It never asks."""
        return None

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        *lines, self._held = (self._held + data).split(b"\r\n")
        outputs: list[CodecOutput] = [_read(line + b"\r\n", line) for line in lines]
        if len(self._held) > _LONGEST:
            outputs.append(Rejected(reason="too-long", raw=self._held))
            self._held = b""
        return outputs

    def tick(self, now: float) -> list[CodecOutput]:
        """See `Codec.tick`."""
        return []

    def command(self, name: str, now: float) -> list[CodecOutput]:
        """See `Codec.command`."""
        raise ValueError(f"no command {name!r}")

    def close(self, now: float) -> list[CodecOutput]:
        """See `Codec.close`."""
        held, self._held = self._held, b""
        return [Rejected(reason="truncated", raw=held)] if held else []


def _read(raw: bytes, line: bytes) -> CodecOutput:
    match = _LINE.fullmatch(line)
    if match is None:
        return Rejected(reason="malformed", raw=raw)
    stable = match[1] == b"*"
    return Reading(weight=match[2].decode(), unit="kg", stability="stable" if stable else "moving", raw=raw)


class FailingCodec(AcmeCodec):
    """What a mistake in somebody's driver looks like."""

    def feed(self, data: bytes, now: float) -> list[CodecOutput]:
        """See `Codec.feed`."""
        raise ZeroDivisionError("a mistake of acme-scale")


BUNDLE = Bundle(
    drivers=(
        DriverSpec(
            id="acme-100",
            kind="scale",
            title="Acme 100",
            make=AcmeCodec,
            models=("Acme 100",),
            source="Acme 100 manual p. 9",
            maturity="manual",
            tells=("unit", "stability"),
            stale_after=3.0,
        ),
        DriverSpec(
            id="acme-failing",
            kind="scale",
            title="Acme with a mistake",
            make=FailingCodec,
            models=("Acme 200",),
            source="Acme 200 manual p. 9",
            maturity="manual",
            tells=("unit", "stability"),
        ),
    )
)
