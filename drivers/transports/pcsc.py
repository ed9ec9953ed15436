"""Card readers under PC/SC (pcscd), the only user of pyscard.

    pcsc:ACS ACR122U          the reader whose name is this, or the only one whose name holds it

pyscard is an extra (`pip install trace-edge-agent[pcsc]`, or Debian's python3-pyscard): it has no wheel. Its card
monitor is not used: its thread ends for good when the daemon restarts. Here one loop asks for changes, and every
failure closes the port, so that it is opened anew with a fresh context.

What is read, lengths being two bytes, high byte first:

    11  length  ATR                                              a card has come
    12  length  | length of the command (1) | command | answer   an answer, with its status word
    13  00 00                                                    the card is gone

What is written is one command APDU each time. Source: PC/SC part 5 and part 10, pcsc-lite's winscard API.
"""

from __future__ import annotations

import importlib
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from drivers.port_settings import refuse_unknown
from edge_agent.driver import BadSettings, Busy, Disconnected, PermissionDenied, PortUrl, TransportError, TransportSpec

CAME, ANSWER, GONE = 0x11, 0x12, 0x13
_LONGEST_COMMAND: Final = 255
_EXTRA: Final = "PC/SC needs pyscard: pip install 'trace-edge-agent[pcsc]', or Debian's package python3-pyscard"


class PcscTransport:
    """One reader; see `edge_agent.driver.Transport`."""

    def __init__(self, reader: str) -> None:
        self._wanted = reader
        self._api: Any = None
        self._context: Any = None
        self._reader = ""
        self._state = 0
        self._card: Any = None
        self._protocol = 0
        self._waiting: deque[bytes] = deque()

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        try:
            self._api = importlib.import_module("smartcard.scard")
        except ImportError as missing:
            raise BadSettings(f"{_EXTRA} ({missing})") from missing
        code, self._context = self._api.SCardEstablishContext(self._api.SCARD_SCOPE_SYSTEM)
        if code:
            self._context = None
            raise self._failure(code, "pcscd cannot be reached; is it running? (systemctl status pcscd)")
        code, readers = self._api.SCardListReaders(self._context, [])
        if code and code != self._api.SCARD_E_NO_READERS_AVAILABLE:
            raise self._failure(code, "the readers cannot be listed")
        self._reader = _choose(self._wanted, [] if code else readers)
        self._state = self._api.SCARD_STATE_UNAWARE

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`. Whole messages, one at a time."""
        if self._context is None:
            raise Disconnected("the reader is not open")
        if not self._waiting:
            self._look(timeout)
        return self._waiting.popleft() if self._waiting else b""

    def write(self, data: bytes, timeout: float) -> None:
        """Send one command to the card; its answer is read next. Without a card it is lost: that is told by `GONE`."""
        if self._context is None:
            raise Disconnected("the reader is not open")
        if not 4 <= len(data) <= _LONGEST_COMMAND:
            raise ValueError(f"an APDU of {len(data)} bytes; 4 to {_LONGEST_COMMAND} are possible")
        if self._card is None:
            return
        code, answer = self._api.SCardTransmit(self._card, self._protocol, list(data))
        if code in self._card_is_gone():
            self._lose()
            self._state = self._api.SCARD_STATE_UNAWARE  # it may have been reset only: look again
        elif code:
            raise self._failure(code, "the card does not answer")
        else:
            self._say(ANSWER, bytes([len(data)]) + data + bytes(answer))

    def close(self) -> None:
        """See `Transport.close`."""
        self._waiting.clear()
        if self._card is not None:
            self._api.SCardDisconnect(self._card, self._api.SCARD_LEAVE_CARD)
            self._card = None
        if self._context is not None:
            self._api.SCardReleaseContext(self._context)
            self._context = None

    def _look(self, timeout: float) -> None:
        """Wait for a change at the reader."""
        api = self._api
        until = time.monotonic() + timeout
        code, states = api.SCardGetStatusChange(
            self._context, max(1, round(timeout * 1000)), [(self._reader, self._state)]
        )
        if code == api.SCARD_E_TIMEOUT:
            return
        if code:
            raise self._failure(code, "the reader cannot be watched")
        (_, state, atr), *_ = states
        self._state = state & ~api.SCARD_STATE_CHANGED
        if state & (api.SCARD_STATE_UNKNOWN | api.SCARD_STATE_UNAVAILABLE | api.SCARD_STATE_IGNORE):
            raise Disconnected(f"the reader {self._reader} is gone")
        if not state & api.SCARD_STATE_PRESENT or state & api.SCARD_STATE_MUTE:
            self._lose()
        elif self._card is None:
            self._connect(bytes(atr), until)

    def _connect(self, atr: bytes, until: float) -> None:
        api = self._api
        any_protocol = api.SCARD_PROTOCOL_T0 | api.SCARD_PROTOCOL_T1
        code, card, protocol = api.SCardConnect(self._context, self._reader, api.SCARD_SHARE_SHARED, any_protocol)
        if code in self._card_is_gone():
            self._state = api.SCARD_STATE_UNAWARE  # it may be back already: look again
            time.sleep(max(0.0, min(0.05, until - time.monotonic())))
            return
        if code == api.SCARD_E_SHARING_VIOLATION:
            raise Busy(f"another program uses the card in {self._reader}")
        if code:
            raise self._failure(code, "the card cannot be reached")
        self._card = card
        self._protocol = api.SCARD_PCI_T0 if protocol == api.SCARD_PROTOCOL_T0 else api.SCARD_PCI_T1
        self._say(CAME, atr)

    def _lose(self) -> None:
        if self._card is not None:
            self._api.SCardDisconnect(self._card, self._api.SCARD_LEAVE_CARD)
            self._card = None
            self._say(GONE, b"")

    def _say(self, kind: int, data: bytes) -> None:
        self._waiting.append(bytes([kind]) + len(data).to_bytes(2, "big") + data)

    def _card_is_gone(self) -> tuple[int, ...]:
        api = self._api
        return (
            api.SCARD_E_NO_SMARTCARD,
            api.SCARD_W_REMOVED_CARD,
            api.SCARD_W_UNPOWERED_CARD,
            api.SCARD_W_UNRESPONSIVE_CARD,
            api.SCARD_W_RESET_CARD,
            api.SCARD_E_NOT_TRANSACTED,  # taken away in the middle of a command
        )

    def _failure(self, code: int, what: str) -> TransportError:
        words = f"{what}: {self._api.SCardGetErrorMessage(code)}"
        return PermissionDenied(words) if code == self._api.SCARD_W_SECURITY_VIOLATION else Disconnected(words)


def _choose(wanted: str, readers: list[str]) -> str:
    """The reader that is meant. A name that holds for several, or for none, is an error that lists them."""
    found = [reader for reader in readers if reader == wanted] or [r for r in readers if wanted.lower() in r.lower()]
    there = ", ".join(readers) if readers else "none"
    if not found:
        raise Disconnected(f"no reader is called {wanted!r}; there are: {there}")
    if len(found) > 1:
        raise BadSettings(f"{wanted!r} is the name of {len(found)} readers; write one in full: {', '.join(found)}")
    return found[0]


def _make(url: PortUrl, line: Mapping[str, str]) -> PcscTransport:
    refuse_unknown(url, ())
    return PcscTransport(url.address)


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(
    scheme="pcsc", title="PC/SC card reader, pcsc:READER (with the extra pcsc)", check=_check, make=_make
)
