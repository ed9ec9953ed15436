"""A transport and a codec composed: what one device's thread runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

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
from edge_agent.model import DeviceEvent, PushedSale

Tap = Callable[[str, bytes, float], None]

_WRITE_WITHIN = 2.0


class DeviceSession:
    """Reads a transport through a codec; see `edge_agent.driver.Session`. Used by one thread."""

    def __init__(self, transport: Transport, codec: Codec, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._codec = codec
        self._clock = clock
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
        data = self._transport.read(wait)
        outputs: list[CodecOutput] = []
        if data:
            now = self._clock()
            if self._tap:
                self._tap("rx", data, now)
            outputs += self._codec.feed(data, now)
        outputs += self._due()
        return self._carry_out(outputs)

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
