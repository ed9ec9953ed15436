"""The thread of one printer: documents wait in a bounded queue, are printed one by one, and never hold up a sale.

A printer that is off, out of paper or away keeps its documents for a while (`KEEP_FOR`), is tried again with
back-off, and says on the board what is wrong. The port is open only while something is printed: most network printers
take one connection at a time, and another till may want it.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from edge_agent import clock
from edge_agent.board import Board
from edge_agent.driver import BadSettings, CodecOutput, DriverSpec, Printer, Send, Transport, TransportError
from edge_agent.facade import NotPrinted
from edge_agent.health import Health
from edge_agent.model import DeviceState, Document, Status
from edge_agent.retry import Backoff

WAITING_MOST: Final = 50
KEEP_FOR: Final = 600.0
"""Seconds that a document waits for its printer; a receipt that comes later helps nobody."""
_ANSWER_WITHIN: Final = 1.0
_WRITE_WITHIN: Final = 10.0
_SEE_OFF: Final = 0.3
_DONE_SHOWN: Final = 20


class _Trouble(Exception):
    """The printer says that it cannot print now."""


@dataclass(slots=True)
class _Job:
    number: int
    about: str
    make: Callable[[], Document | None]
    until: float


class PrinterRunner:
    """Prints what it is given, in order. `submit` never waits."""

    def __init__(
        self,
        device: str,
        spec: DriverSpec,
        make_codec: Callable[[], Printer],
        make_transport: Callable[[], Transport],
        board: Board,
        health: Health,
    ) -> None:
        self._device = device
        self._spec = spec
        self._make_codec = make_codec
        self._make_transport = make_transport
        self._board = board
        self._beat = health.part(f"printer {device}", patience=60.0)
        self._forget = partial(health.forget, f"printer {device}")
        self._log = structlog.get_logger().bind(device=device, driver=spec.id)
        self._jobs: deque[_Job] = deque()
        self._done: deque[dict[str, object]] = deque(maxlen=_DONE_SHOWN)
        self._changed = threading.Condition()
        self._stopping = False
        self._number = 0
        self._state: tuple[DeviceState, str] | None = None
        self._thread = threading.Thread(target=self._run, name=f"printer-{device}", daemon=True)

    @property
    def device(self) -> str:
        """The printer's id."""
        return self._device

    @property
    def kinds(self) -> Sequence[str]:
        """What it is made for: `receipt`, `label`, as its driver tells."""
        return self._spec.tells

    def start(self) -> None:
        """Start printing."""
        self._post()
        self._thread.start()

    def stop(self) -> None:
        """Print no more; `join` waits for the document that is being printed."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False when the thread still runs."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def submit(self, about: str, make: Callable[[], Document | None]) -> int:
        """Have a document printed; returns the number of its job. Raises `NotPrinted`.

        `make` makes it, in the printer's thread; None where there is nothing to print after all, ValueError where it
        cannot be made. `about` names it in the log and on the page.
        """
        with self._changed:
            if len(self._jobs) >= WAITING_MOST:
                raise NotPrinted("printer-full", f"{len(self._jobs)} documents wait for {self.device}")
            self._number += 1
            self._jobs.append(_Job(self._number, about, make, clock.monotonic() + KEEP_FOR))
            self._changed.notify_all()
            number = self._number
        self._post()
        return number

    # --- the thread

    def _run(self) -> None:
        backoff = Backoff(first=0.5, maximum=5.0, floor=0.2)
        while True:
            self._beat()
            job = self._next()
            if job is None:
                if self._stopping:
                    break
                continue
            try:
                problem = self._try(job)
            except Exception as failure:  # noqa: BLE001 -- the one supervising loop: a broken driver must not end its printer
                self._log.exception("printer.crashed")
                self._end(job, f"driver failed: {type(failure).__name__}: {failure}")
                continue
            if problem is None:
                backoff.reset()
                continue
            if clock.monotonic() >= job.until:
                self._end(job, f"not printed within {KEEP_FOR:g} s: {problem}")
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, timeout=backoff.next())
            if self._stopping:
                break
        for job in list(self._jobs):
            self._end(job, "the agent was stopped")
        self._forget()

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._stopping, timeout=5.0)
            return self._jobs[0] if self._jobs and not self._stopping else None

    def _try(self, job: _Job) -> str | None:
        """Print a document; None when it is done with, else why it has to wait."""
        transport, codec = self._make_transport(), self._make_codec()
        try:
            document = job.make()
            if document is None:
                self._end(job, None, printed=False)
                return None
            pages = codec.render(document, clock.monotonic())
        except ValueError as problem:
            self._end(job, str(problem))
            return None
        try:
            transport.open()
            self._stand(transport, codec)
            self._write(transport, pages)
            self._see_off(transport, codec)
        except BadSettings as problem:
            self._change(DeviceState.LOST, str(problem))
            self._end(job, str(problem))
            return None
        except TransportError as problem:
            self._change(DeviceState.LOST, str(problem))
            return str(problem)
        except _Trouble as trouble:
            self._change(DeviceState.BAD_DATA, str(trouble))
            return str(trouble)
        finally:
            transport.close()
        self._change(DeviceState.CONNECTED, "prints")
        self._end(job, None)
        return None

    def _stand(self, transport: Transport, codec: Printer) -> None:
        """Ask the printer how it stands; one that does not answer is taken to be well. Raises `_Trouble`."""
        questions = codec.ask(clock.monotonic())
        if not questions:
            return
        self._write(transport, questions)
        until = clock.monotonic() + _ANSWER_WITHIN
        told: list[Status] = []
        # All answers together say what is wrong: the first may only be that something is.
        while not (told and codec.deadline is None) and clock.monotonic() < until:
            data = transport.read(max(0.0, until - clock.monotonic()))
            told += [event for event in codec.feed(data, clock.monotonic()) if isinstance(event, Status)]
        trouble = {event.detail for event in told if event.status == "error"}
        if trouble:
            raise _Trouble(", ".join(sorted(trouble)))

    @staticmethod
    def _see_off(transport: Transport, codec: Printer) -> None:
        """Take what the printer still says: a connection closed over unread bytes is reset, and the page with it."""
        until = clock.monotonic() + _SEE_OFF
        with contextlib.suppress(TransportError):  # what was written is written: it must not be printed twice
            while (left := until - clock.monotonic()) > 0:
                codec.feed(transport.read(left), clock.monotonic())

    @staticmethod
    def _write(transport: Transport, outputs: Sequence[CodecOutput]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                transport.write(output.data, _WRITE_WITHIN)

    def _end(self, job: _Job, failure: str | None, *, printed: bool = True) -> None:
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
            if failure is not None or printed:
                state = "printed" if failure is None else "failed"
                self._done.append({"job": job.number, "about": job.about, "state": state, "reason": failure})
        if failure is not None:
            self._log.warning("document.not_printed", about=job.about, reason=failure)
        elif printed:
            self._log.info("document.printed", about=job.about)
        self._post()

    def _change(self, state: DeviceState, reason: str) -> None:
        if self._state == (state, reason):
            return
        self._state = (state, reason)
        self._log.info("device.state", state=state.value, reason=reason)
        self._board.post(
            f"device/{self.device}",
            {"state": state.value, "reason": reason, "driver": self._spec.id, "kind": "printer"},
        )

    def _post(self) -> None:
        with self._changed:
            value = {"waiting": len(self._jobs), "done": list(self._done)}
        self._board.post(f"printer/{self.device}", value)
