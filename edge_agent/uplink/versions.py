"""Which version of MQTT to speak next; sans-I/O.

MQTT 5 comes first. A broker that only knows 3.1.1 may refuse 5, close the connection or never answer; all
three look alike to us as to other faults, so the other version is tried, at once and then with every further
failure. What worked is remembered. A remembered 3.1.1 that fails gives 5 its chance again, whatever the
failure was: the broker may just be coming back from being upgraded.
"""

from __future__ import annotations

import enum


class MqttVersion(enum.StrEnum):
    """The two versions in use."""

    V5 = "5"
    V311 = "3.1.1"


class Versions:
    """The choice for one broker; `remembered` is what worked last time, as its text."""

    def __init__(self, remembered: str | None) -> None:
        self.next = MqttVersion.V311 if remembered == MqttVersion.V311 else MqttVersion.V5
        self._flipped_at_once = False

    def worked(self) -> None:
        """The broker accepted a connection with `next`."""
        self._flipped_at_once = False

    def failed(self, *, suspect: bool) -> bool:
        """An attempt with `next` came to nothing; returns whether to try the other version without waiting.

        `suspect`: the broker was reached, and its answer (or silence) may be about the version.
        """
        if not suspect and self.next is MqttVersion.V5:
            return False
        self.next = MqttVersion.V5 if self.next is MqttVersion.V311 else MqttVersion.V311
        self._flipped_at_once = suspect and not self._flipped_at_once
        return self._flipped_at_once
