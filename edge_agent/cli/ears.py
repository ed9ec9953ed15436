"""Listening to a device while a person looks at it: along with the running agent, or on its port."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent import clock
from edge_agent.model import Reading
from edge_agent.workshop.commissioning import steady

if TYPE_CHECKING:
    from edge_agent.config import Config, Device
    from edge_agent.registry import Registry


class Ear:
    """The newest readings of one device, kept by a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readings: deque[tuple[float, Reading]] = deque(maxlen=50)
        self.failure: Exception | None = None

    def hear(self, reading: Reading) -> None:
        """Take one reading."""
        with self._changed:
            self._readings.append((clock.monotonic(), reading))
            self._changed.notify_all()

    def fail(self, problem: Exception) -> None:
        """Nothing more will come."""
        with self._changed:
            self.failure = problem
            self._changed.notify_all()

    def steady(self, since: float, within: float, oldest: float) -> Reading | None:
        """A reading at rest that came after `since`, waiting at most `within` seconds; else the newest since `oldest`.

        Raises what ended the listening.
        """
        until = clock.monotonic() + within
        with self._changed:
            while (left := until - clock.monotonic()) > 0:
                found = steady([reading for at, reading in self._readings if at >= since])
                if found is not None:
                    return found
                if self.failure is not None:
                    raise self.failure
                self._changed.wait(left)
            late = [reading for at, reading in self._readings if at >= oldest]
            return late[-1] if late else None


@contextmanager
def listening(config: Config, registry: Registry, device: Device) -> Iterator[Ear]:
    """An ear on a device for as long as the block runs. Raises a `TransportError` where the port does not open."""
    ear = Ear()
    stop = threading.Event()
    run = _along_with_agent(config, device, ear, stop) or _on_port(registry, device, ear, stop)
    thread = threading.Thread(target=run, name="ear", daemon=True)
    thread.start()
    try:
        yield ear
    finally:
        stop.set()
        thread.join(5.0)


def _along_with_agent(config: Config, device: Device, ear: Ear, stop: threading.Event) -> Callable[[], None] | None:
    from edge_agent.control import ControlClient

    try:
        client = ControlClient(Path(f"{config.store.path}.sock"))
    except ConnectionError:
        return None

    def run() -> None:
        try:
            for answer in client.stream(do="watch", device=device.id):
                if stop.is_set():
                    return
                if answer.get("event") == "reading":
                    ear.hear(_reading(answer))
        except (ConnectionError, OSError) as problem:
            ear.fail(problem)
        finally:
            client.close()

    return run


def _on_port(registry: Registry, device: Device, ear: Ear, stop: threading.Event) -> Callable[[], None]:
    from edge_agent.driver import TransportError

    spec = registry.drivers[device.driver]
    session = registry.session(
        registry.make_transport(device.port_url, spec), registry.make_codec(device.driver, device.options)
    )
    session.open()

    def run() -> None:
        try:
            while not stop.is_set():
                for event in session.read(0.25):
                    if isinstance(event, Reading) and not event.late:
                        ear.hear(event)
        except TransportError as problem:
            ear.fail(problem)
        finally:
            session.close()

    return run


def _reading(facts: dict[str, Any]) -> Reading:
    names = ("weight", "unit", "stability", "basis", "condition")
    return Reading(raw=bytes.fromhex(facts["raw"]), **{name: facts[name] for name in names})
