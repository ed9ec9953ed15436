"""The last look at what a driver said, before it becomes an observation."""

from __future__ import annotations

import re
from typing import Final

from edge_agent.model import UNITS, DeviceEvent, Reading, Rejected

_DECIMAL: Final = re.compile(r"-?\d{1,12}(\.\d{1,9})?")
_POUNDS_AND_OUNCES: Final = re.compile(r"-?\d{1,6}:\d{1,2}(\.\d{1,6})?")


def plausible(event: DeviceEvent) -> DeviceEvent:
    """What a driver said, unless it breaks the contract: then it is rejected instead of becoming a wrong record."""
    if not isinstance(event, Reading):
        return event
    shape = _POUNDS_AND_OUNCES if event.unit == "lb:oz" else _DECIMAL
    texts = (event.tare, event.unit_price, event.amount)
    fits = (
        (event.weight is not None) == (event.condition == "ok")
        and (event.weight is None or shape.fullmatch(event.weight) is not None)
        and (event.unit is None or event.unit in UNITS)
        and all(text is None or _DECIMAL.fullmatch(text) is not None for text in texts)
    )
    return event if fits else Rejected(reason="driver broke its contract", raw=event.raw)
