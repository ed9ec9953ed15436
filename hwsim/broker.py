"""An embedded MQTT broker for the demo and for machines without Mosquitto: amqtt, anonymous, on loopback.

amqtt speaks MQTT 3.1.1; an MQTT 5 CONNECT it refuses at once with return code 1 (unacceptable protocol version).
It keeps nothing over a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from types import TracebackType
from typing import Any, Final

from hwsim.sockets import ReservedPort

INSTALL: Final = "pip install 'trace-edge-agent[broker]'"
TIMEOUT: Final = 15.0


class BrokerMissing(Exception):
    """amqtt is not installed; the text is the one line that installs it."""


class EmbeddedBroker:
    """A broker in a thread of its own. `start` and `stop`, or a context manager.

    Raises `BrokerMissing` when made without amqtt, OSError when the port is taken.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        try:
            import amqtt.broker
        except ImportError as missing:
            raise BrokerMissing(f"the embedded broker needs amqtt: {INSTALL}") from missing
        self._make = amqtt.broker.Broker
        if port == 0:
            probe = ReservedPort(host, 0)
            port = probe.port
            probe.close()
        self.host = host
        self.port = port
        self._broker: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hwsim-broker", daemon=True)

    def start(self) -> EmbeddedBroker:
        """Listen."""
        logging.getLogger("amqtt").setLevel(logging.ERROR)
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(TIMEOUT)
        return self

    def stop(self) -> None:
        """Close all connections and stop; may be called twice."""
        if not self._thread.is_alive():
            return
        if self._broker is not None:
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop).result(TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)

    def __enter__(self) -> EmbeddedBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _open(self) -> None:
        settings = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        self._broker = self._make(settings)
        await self._broker.start()
