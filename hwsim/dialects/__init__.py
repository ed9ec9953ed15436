"""Scales of many makers as they stand in their manuals: what each puts on the wire, and what it answers.

One module a part of the world; each offers `DIALECTS`. What the pages do not tell (an overload, a moving weight) is not
made up: such an instrument is silent then.
"""

from hwsim.dialects.america import DIALECTS as AMERICAN
from hwsim.dialects.asia import DIALECTS as ASIAN
from hwsim.dialects.europe import DIALECTS as EUROPEAN

DIALECTS = (*ASIAN, *EUROPEAN, *AMERICAN)

__all__ = ["DIALECTS"]
