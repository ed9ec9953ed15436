"""The thread of one device: it opens the session, reads, and makes observations of what the instrument says.

Whatever goes wrong, it closes, waits with back-off and opens again by identity.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from edge_agent import clock
from edge_agent.board import Board
from edge_agent.driver import (
    BadSettings,
    Busy,
    Disconnected,
    DriverSpec,
    PermissionDenied,
    Session,
    SettlingSession,
    TransportError,
    Watchful,
)
from edge_agent.health import Health
from edge_agent.model import (
    DeviceEvent,
    DeviceState,
    Observation,
    PushedSale,
    Reading,
    Rejected,
    Scan,
    StateChange,
    Status,
    TagRead,
)
from edge_agent.retry import Backoff
from edge_agent.supervisor.counters import Counters
from edge_agent.supervisor.mailbox import Mailbox
from edge_agent.supervisor.plausible import plausible
from edge_agent.supervisor.ring import Ring
from edge_agent.supervisor.widths import Widths

_READ_TIMEOUT: Final = 0.25
_BAD_IN_A_ROW: Final = 20
_TOLD_AT_ONCE: Final[Mapping[str, str]] = {
    "no-terminator": "no end of scan seen: set the scanner's suffix to Enter 扫码枪未发送结束符,请将其后缀设为回车",
}
"""Reasons of a refusal that a person can put right, in words; the first of them is told, not the twentieth."""
_MOST_ASKED: Final = 8
_TROUBLE_EVERY: Final = 20.0
_FLOOD: Final = 512
_FLOOD_PAUSE: Final = 0.02
"""After a read of so many bytes of nothing usable: a flood of garbage costs 200 kB/s of reading at most, not a core."""
_FROZEN_AFTER: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    done: Future[None]


class DeviceRunner:
    """The thread of one device."""

    def __init__(
        self,
        device: str,
        spec: DriverSpec,
        make_session: Callable[[], Session],
        mailboxes: Sequence[Mailbox],
        board: Board,
        health: Health,
        is_card: Callable[[Observation], bool] = lambda _observation: False,
    ) -> None:
        self.device = device
        self._spec = spec
        self._is_card = is_card
        self._asked: deque[_Asked] = deque()
        self._settled: deque[PushedSale] = deque()
        self._owed: dict[int, int] = {}  # by the identity of a sale, how many stations have not kept it yet
        self._again = threading.Event()
        self._aside = threading.Event()
        self._let_go = threading.Event()
        self._make_session = make_session
        self._mailboxes = mailboxes
        self._board = board
        self._beat = health.part(f"device {device}", patience=30.0)
        self._forget = partial(health.forget, f"device {device}")
        self._log = structlog.get_logger().bind(device=device, driver=spec.id)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"device-{device}", daemon=True)
        self._state: DeviceState | None = None
        self._last_good = 0.0
        self._bad_in_a_row = 0
        self._widths: Widths | None = None
        self._posted = -1.0
        self._spoke = 0.0
        self._counter: str | None = None
        self._counter_since = 0.0
        self._why = ""
        self._trouble: str | None = None
        self._look_for_trouble = 0.0
        self.counters = Counters()
        self.ring = Ring()

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False when the thread still runs."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def spec(self) -> DriverSpec:
        """Its driver."""
        return self._spec

    @property
    def last_age(self) -> float | None:
        """Seconds since the device last said something usable; None while it never did."""
        return None if not self._spoke else max(0.0, clock.monotonic() - self._spoke)

    def command(self, name: str, timeout: float) -> None:
        """Have a command sent to the instrument, by the thread that reads it.

        Raises ValueError where its driver has none of that name, ConnectionError where it is not connected, and
        TimeoutError.
        """
        if name not in self._spec.dialogue.commands:
            known = ", ".join(self._spec.dialogue.commands) or "none"
            raise ValueError(f"{self._spec.id} knows no command {name!r}; known: {known}")
        if self._state is not DeviceState.CONNECTED or len(self._asked) >= _MOST_ASKED:
            raise ConnectionError(f"{self.device} is not connected")
        asked = _Asked(name, Future())
        self._asked.append(asked)
        asked.done.result(timeout)

    def settled(self, sale: PushedSale) -> None:
        """A station has kept a sale, or had it already; the device hears of it when all stations have."""
        self._settled.append(sale)

    def restart(self) -> None:
        """Close the port and open it anew."""
        self._again.set()

    def pause(self, timeout: float) -> bool:
        """Have the port closed until `resume`; False where that did not come about in time."""
        self._aside.set()
        return self._let_go.wait(timeout)

    def resume(self) -> None:
        """Open the port again after `pause`."""
        self._aside.clear()

    def _stand_aside(self) -> None:
        self._change(DeviceState.LOST, "let go of by a person, for a probe")
        self._let_go.set()
        while self._aside.is_set() and not self._stop.wait(0.1):
            self._beat()
        self._let_go.clear()

    def _run(self) -> None:
        backoff = Backoff(first=0.2, maximum=2.0, floor=0.1)
        while not self._stop.is_set():
            opened = clock.monotonic()
            if self._aside.is_set():
                self._stand_aside()
                continue
            try:
                self._read_until_lost()
            except TransportError as problem:
                self._change(DeviceState.LOST, _reason(problem))
                wait = 30.0 if isinstance(problem, BadSettings) else problem.retry_after
            except Exception as problem:  # noqa: BLE001 -- the one supervising loop: a broken driver must not end its device
                self._log.exception("device.crashed")
                self._change(DeviceState.LOST, f"driver failed: {type(problem).__name__}: {problem}")
                wait = None
            else:
                continue
            if clock.monotonic() - opened > 10.0:
                backoff.reset()
            self._pause(backoff.next() if wait is None else wait)
        self._forget()

    def _pause(self, seconds: float) -> None:
        until = clock.monotonic() + seconds
        while (left := until - clock.monotonic()) > 0 and not self._stop.wait(min(left, 0.5)):
            self._beat()
            if self._again.is_set() or self._aside.is_set():
                return

    def _read_until_lost(self) -> None:
        session = self._make_session()
        session.tap = self.ring.add
        self._again.clear()
        try:
            session.open()
            self._last_good = clock.monotonic()
            self._bad_in_a_row = 0
            self._counter = None
            self._widths = Widths() if self._spec.unguarded else None
            self._look_for_trouble = 0.0
            self._change(DeviceState.CONNECTED, "port open")
            while not (self._stop.is_set() or self._again.is_set() or self._aside.is_set()):
                events = session.read(_READ_TIMEOUT)
                self._beat()
                for event in events:
                    self._take(event)
                self._post_counters()  # the last ones before a silence too
                self._judge_silence()
                self._judge_port(session)
                if self._state is DeviceState.BAD_DATA and sum(len(event.raw) for event in events) >= _FLOOD:
                    self._stop.wait(_FLOOD_PAUSE)
                if self._asked:
                    self._carry_out(session)
                self._settle(session)
            if self._again.is_set():
                self._change(DeviceState.LOST, "restarted by a person")
        finally:
            while self._asked:
                self._asked.popleft().done.set_exception(ConnectionError(f"{self.device} was lost"))
            for event in session.close():
                self._take(event)

    def _settle(self, session: Session) -> None:
        """Tell the device what is kept, so that it may forget it."""
        while self._settled:
            sale = self._settled.popleft()
            left = self._owed.pop(id(sale), 1) - 1
            if left:
                self._owed[id(sale)] = left
                continue
            if isinstance(session, SettlingSession):
                for event in session.settled(sale):
                    self._take(event)

    def _carry_out(self, session: Session) -> None:
        """Send what was asked; a fault of the line goes on to the supervising loop."""
        asked = self._asked.popleft()
        try:
            events = session.command(asked.name)
        except ValueError as problem:  # the instrument takes it not, or not now
            asked.done.set_exception(problem)
            return
        except Exception as problem:  # whoever waits for the answer must hear of it too
            asked.done.set_exception(problem)
            raise
        asked.done.set_result(None)
        for event in events:
            self._take(event)

    def _take(self, event: DeviceEvent) -> None:
        event = plausible(event)
        if isinstance(event, Reading) and event.late > (self._spec.stale_after or _FROZEN_AFTER):
            self._miss(event)
            return
        if self._widths is not None and isinstance(event, Reading) and not self._widths.fits(event):
            event = Rejected(reason="width", raw=event.raw)
        self.counters.count(event)
        if isinstance(event, Rejected):
            self._bad_in_a_row += 1
            if event.reason in _TOLD_AT_ONCE:
                self._change(DeviceState.BAD_DATA, _TOLD_AT_ONCE[event.reason])
            elif self._bad_in_a_row == _BAD_IN_A_ROW:
                self._change(DeviceState.BAD_DATA, f"nothing usable in {_BAD_IN_A_ROW} frames: {event.reason}")
        elif isinstance(event, Reading) and self._frozen(event):
            self._bad_in_a_row = 0
        elif not isinstance(event, Status) or self._spec.status_is_life:
            self._bad_in_a_row = 0
            self._last_good = self._spoke = clock.monotonic()
            if self._state is not DeviceState.CONNECTED:
                self._change(DeviceState.CONNECTED, "data again")
            if not isinstance(event, Status):
                self._deliver(event)
        self._post_counters()

    def _miss(self, reading: Reading) -> None:
        """A reading that waited in the port while the agent stood still: its bytes are in the ring, it is counted, and
        nothing is weighed with it, for what lies on the scale now may be something else.

        Scans, tags and sales that waited are taken as any others. Each is a deed that somebody did once and will not do
        again, and it is no less true for being heard of late; a scale says what it says again and again.
        """
        self.counters.late += 1
        self._bad_in_a_row = 0
        self._change(
            DeviceState.STALE,
            f"the agent stood still for {reading.late:.0f} s; what a scale said then is no weight of now",
        )
        self._post_counters()

    def _frozen(self, reading: Reading) -> bool:
        """Whether the instrument's own counter has stood still for too long: then what it says is no reading."""
        if reading.counter is None:
            return False
        now = clock.monotonic()
        if reading.counter != self._counter:
            self._counter, self._counter_since = reading.counter, now
            return False
        patience = self._spec.stale_after or _FROZEN_AFTER
        if now - self._counter_since <= patience:
            return False
        self._change(
            DeviceState.STALE, f"frames come, and their counter has stood at {self._counter} for {patience:g} s"
        )
        return True

    def _judge_port(self, session: Session) -> None:
        """Say once when something is wrong with a port that works, and when it no longer is."""
        now = clock.monotonic()
        if now < self._look_for_trouble or not isinstance(session, Watchful):
            return
        self._look_for_trouble = now + _TROUBLE_EVERY
        trouble = session.trouble()
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is not None:
            self._log.warning("device.shared_port", reason=trouble)
        self._post_state()

    def _judge_silence(self) -> None:
        patience = self._spec.stale_after
        silent = clock.monotonic() - self._last_good
        if patience is not None and silent > patience and self._state is DeviceState.CONNECTED:
            self._change(DeviceState.STALE, f"no reading for {patience:g} s")

    def _change(self, state: DeviceState, reason: str) -> None:
        if state is self._state:
            return
        self._state, self._why = state, reason
        self._log.info("device.state", state=state.value, reason=reason)
        if state is DeviceState.LOST:
            self._trouble = None
        self._post_state()
        self._deliver(StateChange(state=state, reason=reason))

    def _post_state(self) -> None:
        state = None if self._state is None else self._state.value
        facts = {"state": state, "reason": self._why, "driver": self._spec.id}
        self._board.post(f"device/{self.device}", facts | ({"trouble": self._trouble} if self._trouble else {}))

    def _deliver(self, event: DeviceEvent | StateChange) -> None:
        observation = Observation(device=self.device, driver=self._spec.id, at=clock.now(), event=event)
        if isinstance(event, Scan | TagRead) and self._is_card(observation):
            return  # somebody signs in; the number of the card goes no further
        self._board.tell(f"observation/{self.device}", observation)
        if isinstance(event, PushedSale):
            self._owed[id(event)] = len(self._mailboxes)
        for mailbox in self._mailboxes:
            mailbox.put(observation)

    def _post_counters(self) -> None:
        at = clock.monotonic()
        if at - self._posted >= 1.0:
            self._posted = at
            self._board.post(f"counters/{self.device}", self.counters.as_dict())


def _reason(problem: TransportError) -> str:
    kinds: Mapping[type[TransportError], str] = {
        Disconnected: "unplugged or gone",
        PermissionDenied: "not permitted",
        Busy: "in use by another program",
        BadSettings: "settings do not fit",
    }
    words = next((text for kind, text in kinds.items() if isinstance(problem, kind)), "port failed")
    return f"{words}: {problem}" if str(problem) else words
