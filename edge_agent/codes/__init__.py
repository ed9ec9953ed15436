"""What scanned texts and tags are: GS1, Digital Link, EPC, in-store labels, Chinese codes. Sans-I/O.

`classify` and `classify_epc` are the way in; `to_json` gives what `edge-agent code` prints, `answer` does one line
of its batch. Nothing here reads a file, a clock or a configuration: a `CodeProfile` brings what differs by city.
"""

from __future__ import annotations

from edge_agent.codes.batch import answer
from edge_agent.codes.classifier import MAX_TEXT, classify, classify_epc
from edge_agent.codes.profile import (
    DEFAULT_PROFILE,
    CodeProfile,
    LabelTemplate,
    PaymentRule,
    Role,
    profile_from_mapping,
)
from edge_agent.codes.values import (
    PERSONAL_MASKED,
    WEDGE_SUSPECT,
    Alternative,
    Classified,
    CodeClass,
    Problem,
    to_json,
)

__all__ = [
    "DEFAULT_PROFILE",
    "MAX_TEXT",
    "PERSONAL_MASKED",
    "WEDGE_SUSPECT",
    "Alternative",
    "Classified",
    "CodeClass",
    "CodeProfile",
    "LabelTemplate",
    "PaymentRule",
    "Problem",
    "Role",
    "answer",
    "classify",
    "classify_epc",
    "profile_from_mapping",
    "to_json",
]
