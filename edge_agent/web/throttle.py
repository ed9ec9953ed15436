"""Growing delays after wrong PINs, codes and cards; sans-I/O, monotonic seconds are passed in.

A delay counts per address and per person. Somebody who signed in before from an address is not held up there by
what others try elsewhere: an attacker on the network cannot lock the stall out. The box itself is held up only by
what is tried on the box itself.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE: Final = 3
"""Wrong attempts without a delay."""

LONGEST: Final = 300.0
"""Seconds; the longest delay."""

_FORGET: Final = 3600.0
_BUCKETS: Final = 4_096
_KNOWN: Final = 256


@dataclass(slots=True)
class _Bucket:
    wrong: int = 0
    until: float = 0.0
    last: float = 0.0


class Throttle:
    """Not thread-safe: the server's loop owns it."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, person: str | None, now: float) -> float:
        """How many seconds the next attempt has to wait; 0 where it may be made now."""
        return max(0.0, max((self._until(key, now) for key in self._keys(address, person)), default=0.0) - now)

    def wrong(self, address: str, person: str | None, now: float) -> float:
        """An attempt was wrong. Returns how many seconds the next has to wait."""
        for key in self._keys(address, person):
            bucket = self._buckets.setdefault(key, _Bucket())
            self._buckets.move_to_end(key)
            if now - bucket.last > _FORGET:
                bucket.wrong = 0
            bucket.wrong += 1
            bucket.last = now
            if bucket.wrong >= FREE:
                bucket.until = now + min(LONGEST, 2.0 ** (bucket.wrong - FREE))
        while len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        return self.wait(address, person, now)

    def right(self, address: str, person: str) -> None:
        """An attempt was right: this person is known at this address."""
        for key in self._keys(address, person):
            self._buckets.pop(key, None)
        self._known[address, person] = None
        self._known.move_to_end((address, person))
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def _keys(self, address: str, person: str | None) -> list[tuple[str, str]]:
        keys = [("address", address)]
        if person is not None:
            known = (address, person) in self._known
            keys.append(("person", f"{person} at {address}" if known or address == LOOPBACK else person))
        return keys

    def _until(self, key: tuple[str, str], now: float) -> float:
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None or now - bucket.last > _FORGET else bucket.until


LOOPBACK: Final = "loopback"
"""The one name of all addresses of the box itself."""


def bucket_address(host: str, *, loopback: bool) -> str:
    """What counts as one address: the box itself, an IPv4 address, or the /64 that an IPv6 host draws its own from."""
    if loopback:
        return LOOPBACK
    if ":" in host:
        import ipaddress

        try:
            return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
        except ValueError:
            return host
    return host
