"""The home of tenacity: how the agent waits between attempts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_random_exponential


class Backoff:
    """Full-jitter exponential waiting times: uniform between 0 and min(`maximum`, `first` * 2^n) seconds.

    Full jitter keeps hundreds of boxes from coming back in step after one outage. `reset` starts anew after
    a success. The caller waits by its own means, so that a stop can end the wait.
    """

    def __init__(self, first: float = 1.0, maximum: float = 60.0, *, floor: float = 0.0) -> None:
        self._wait = wait_random_exponential(multiplier=first, max=maximum)
        self._state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
        self._floor = floor
        self.attempts = 0

    def next(self) -> float:
        """Count an attempt that failed and return how many seconds to wait before the next."""
        self.attempts += 1
        self._state.attempt_number = self.attempts
        return max(self._floor, float(self._wait(self._state)))

    def reset(self) -> None:
        """Start anew: the last attempt succeeded."""
        self.attempts = 0


def doubling(first: float, maximum: float) -> Iterator[float]:
    """Exponential waiting times with a little jitter (80 to 100 %), for resending in order."""
    wait = first
    while True:
        yield wait * random.uniform(0.8, 1.0)
        wait = min(maximum, wait * 2)
