"""A transport and a codec composed: what one device's thread runs.

Bytes wait in a port while nobody fetches them: the process was stopped, the computer swapped or slept, the thread stood
before a full store. What they say was so then, not now. So a session that finds itself held up says how late each
reading may be, until nothing waits any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from edge_agent.driver import (
    Busy,
    Codec,
    CodecOutput,
    Disconnected,
    HangUp,
    Settles,
    Transport,
    TransportError,
    Watchful,
)
from edge_agent.model import DeviceEvent, PushedSale, Reading

Tap = Callable[[str, bytes, float], None]

_WRITE_WITHIN = 2.0
_HELD_UP = 1.0
"""A read that ends so many seconds after it should have is one that was held up; less is a busy computer."""


def _since_boot() -> float:
    """Seconds since the start, those included in which the computer slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class DeviceSession:
    """Reads a transport through a codec; see `edge_agent.driver.Session`. Used by one thread."""

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        *,
        clock: Callable[[], float] = time.monotonic,
        since_boot: Callable[[], float] = _since_boot,
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._clock = clock
        self._since_boot = since_boot
        self._looked = 0.0  # when the last read ended, since boot
        self._late = 0.0  # how long what waits in the port may have waited; 0 where it is fetched as it comes
        self._held = 0.0  # the same for what the codec holds of it: the beginning of a frame
        self._tap: Tap | None = None
        self._failure: TransportError | None = None
        self._early: list[DeviceEvent] = []

    @property
    def tap(self) -> Tap | None:
        """See `Session.tap`."""
        return self._tap

    @tap.setter
    def tap(self, listener: Tap | None) -> None:
        self._tap = listener

    def open(self) -> None:
        """See `Session.open`."""
        self._transport.open()
        self._early = self._carry_out(self._due())
        self._looked, self._late, self._held = self._since_boot(), 0.0, 0.0

    def read(self, timeout: float) -> list[DeviceEvent]:
        """See `Session.read`. Waits no longer than the codec's deadline allows."""
        if self._early:
            early, self._early = self._early, []
            return early
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure
        deadline = self._codec.deadline
        wait = timeout if deadline is None else min(timeout, max(0.0, deadline - self._clock()))
        data = self._fetch(wait)
        outputs: list[CodecOutput] = []
        if data:
            now = self._clock()
            if self._tap:
                self._tap("rx", data, now)
            outputs += self._codec.feed(data, now)
        outputs += self._due()
        return self._dated(self._carry_out(outputs))

    def trouble(self) -> str | None:
        """See `edge_agent.driver.Watchful`."""
        return self._transport.trouble() if isinstance(self._transport, Watchful) else None

    def command(self, name: str) -> list[DeviceEvent]:
        """See `Session.command`."""
        return self._carry_out(self._codec.command(name, self._clock()))

    def settled(self, sale: PushedSale) -> list[DeviceEvent]:
        """See `SettlingSession`."""
        if not isinstance(self._codec, Settles):
            return []
        return self._carry_out(self._codec.settled(sale, self._clock()))

    def close(self) -> list[DeviceEvent]:
        """See `Session.close`."""
        self._transport.close()
        early, self._early = self._early, []
        outputs = self._codec.close(self._clock())
        return early + [output for output in outputs if isinstance(output, DeviceEvent)]

    def _fetch(self, wait: float) -> bytes:
        """What has come, or comes within so many seconds; notes whether it may have waited."""
        if self._late:
            wait = 0.0  # is there more of it?
        data = self._transport.read(wait)
        now = self._since_boot()
        held_up = now - self._looked - wait
        self._looked = now
        if held_up > _HELD_UP:
            self._late = max(self._late, held_up)
        elif self._late and not data:
            self._late, self._held = 0.0, self._late
        return data

    def _dated(self, events: list[DeviceEvent]) -> list[DeviceEvent]:
        """The events, with how late they may be: all while old bytes are fetched, and the first one after them, which
        may have begun with some."""
        if self._late:
            return [_delayed(event, self._late) for event in events]
        if self._held and events:
            held, self._held = self._held, 0.0
            return [_delayed(events[0], held), *events[1:]]
        return events

    def _due(self) -> Iterable[CodecOutput]:
        deadline, now = self._codec.deadline, self._clock()
        return self._codec.tick(now) if deadline is not None and deadline <= now else ()

    def _carry_out(self, outputs: Iterable[CodecOutput]) -> list[DeviceEvent]:
        """Write what is to be sent, return the events; what ends the session is then raised by the next read."""
        events: list[DeviceEvent] = []
        for output in outputs:
            if isinstance(output, DeviceEvent):
                events.append(output)
            elif self._failure is not None:
                continue
            elif isinstance(output, HangUp):
                kind = Busy if output.busy else Disconnected
                self._failure = kind(output.reason, retry_after=output.retry_after)
            else:
                self._write(output.data)
        if self._failure and not events:
            failure, self._failure = self._failure, None
            raise failure
        return events

    def _write(self, data: bytes) -> None:
        try:
            self._transport.write(data, _WRITE_WITHIN)
        except TransportError as failure:
            self._failure = failure
            return
        if self._tap:
            self._tap("tx", data, self._clock())


def _delayed(event: DeviceEvent, seconds: float) -> DeviceEvent:
    return replace(event, late=seconds) if isinstance(event, Reading) else event
