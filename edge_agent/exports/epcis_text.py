"""Free text in EPCIS events, in a form that every tool hashes alike.

The rules of the event hash rewrite texts that look like something else: a GS1 URI becomes a Digital Link, a word of
the Core Business Vocabulary its web address. Goods may be called anything, so a text that could be mistaken stands
as a `data:` URI (RFC 2397), from which it can be read again; all others stand as they are.
"""

from __future__ import annotations

import math
import re
from typing import Final
from urllib.parse import quote


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


BIZ_STEPS: Final = _words(
    """
    accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
    decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting
    installing killing loading other packing picking receiving removing repackaging repairing replacing
    reserving retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing
    transporting unloading unpacking void_shipping
    """
)
DISPOSITIONS: Final = _words(
    """
    active available completeness_inferred completeness_verified conformant container_closed container_open
    damaged destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class
    mismatch_instance mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other
    partially_dispensed recalled reserved retail_sold returned sellable_accessible sellable_not_accessible
    stolen unavailable unknown
    """
)
TRANSACTIONS: Final = _words(
    """
    bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt
    """
)
SOURCES: Final = frozenset({"owning_party", "possessing_party", "location"})
MEASUREMENTS: Final = frozenset({"Mass", "Temperature", "RelativeHumidity"})

_ADDRESSES: Final = (
    *(f"https://ref.gs1.org/cbv/BizStep-{word}" for word in BIZ_STEPS),
    *(f"https://ref.gs1.org/cbv/Disp-{word}" for word in DISPOSITIONS),
    *(f"https://ref.gs1.org/cbv/BTT-{word}" for word in TRANSACTIONS),
    *(f"https://ref.gs1.org/cbv/SDT-{word}" for word in SOURCES),
    *(f"https://ref.gs1.org/cbv/ER-{word}" for word in ("did_not_occur", "incorrect_data")),
    *(f"https://gs1.org/voc/{word}" for word in MEASUREMENTS),
)
_TAILS: Final = frozenset(
    address[at + 1 :] for address in _ADDRESSES for at in range(len(address)) if address[at] in "-/"
)
_LINK: Final = re.compile(
    r"(?i)https?:.*/(00|01|253|255|40[12]|41[47]|80(03|04|06|10|17|18)|[a-z]{3,5})(/|$)|.*(urn:epc|gs1\.org)",
    re.DOTALL,
)


def plain_text(text: str) -> str:
    """The text as it may stand in an event."""
    try:
        strange_number = not math.isfinite(float(text))
    except ValueError:
        strange_number = False
    if strange_number or text in _TAILS or _LINK.match(text):
        return f"data:,{quote(text, safe='')}"
    return text
