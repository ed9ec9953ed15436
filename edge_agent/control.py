"""The control socket: how commands of the command line reach the running agent.

A Unix socket beside the store, readable by its owner and group only. One JSON object a line in, one or more out;
each answer has `ok`. Requests are bounded in size and number, and a client that stops reading is dropped.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from edge_agent.attachments import NotTaken
from edge_agent.event_json import event_json
from edge_agent.facade import SLIPS, Facade, NotPrinted
from edge_agent.model import Observation, StateChange

_LONGEST_REQUEST: Final = 64 * 1024
_CLIENTS: Final = 8
MOST_UPLOAD: Final = 64 << 20
"""Bytes of a file that a client may send in pieces."""
_SLOT_WAIT: Final = 1.0
_PIECE: Final = 45_000
_LONGEST_SOURCE: Final = 200
_PATIENCE: Final = 5.0


class ControlServer:
    """Accepts a few clients at a time, each in a thread of its own."""

    def __init__(self, path: Path, agent: Facade) -> None:
        self._path = path
        self._agent = agent
        self._log = structlog.get_logger()
        self._stop = threading.Event()
        self._slots = threading.BoundedSemaphore(_CLIENTS)
        self._upload_slot = threading.BoundedSemaphore(1)
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Listen. The store's lock makes this the only agent here, so a socket left behind is replaced.

        The socket gets its name when it listens: whoever sees the name is answered.
        """
        unready = self._path.with_name(f"{self._path.name[:-1]}~")  # as long as the name: a socket's may not be longer
        unready.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        listener.settimeout(0.2)  # how long a stop waits for this thread
        listener.bind(str(unready))
        unready.chmod(0o660)  # before listen: until then nobody can connect
        listener.listen(_CLIENTS)
        unready.replace(self._path)
        self._socket = listener
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop listening and remove the socket."""
        self._stop.set()
        self._thread.join(timeout)
        if self._socket is not None:
            self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        assert self._socket is not None
        while not self._stop.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="control-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, _Upload(self._upload_slot) as upload:
                client.settimeout(_PATIENCE)
                for line in _lines(client):
                    for answer in self._answer(line, upload):
                        client.sendall(orjson.dumps(answer, default=str) + b"\n")
        except (OSError, TimeoutError):
            pass  # the client went away or stopped reading; nothing was promised to it
        finally:
            self._slots.release()

    def _answer(self, line: bytes, upload: _Upload) -> Iterator[Mapping[str, Any]]:
        try:
            request = orjson.loads(line)
            verb = request["do"]
        except (orjson.JSONDecodeError, TypeError, KeyError):
            yield _refusal('a request is a JSON object with "do"')
            return
        verbs: dict[str, Callable[[Mapping[str, Any]], Iterator[Mapping[str, Any]]]] = {
            "piece": upload.take,
            "status": self._status,
            "watch": self._watch,
            "command": self._command,
            "requeue": self._requeue,
            "correct": self._correct,
            "keys.rotate": self._keys,
            "keys.accept": self._keys,
            "sign.checkpoint": self._keys,
            "sign.evidence": self._keys,
            "ledger": self._ledger,
            "recording": self._recording,
            "print": self._print,
            "catalogue": partial(self._catalogue, upload),
            "attach": partial(self._attach, upload),
            "attachments": self._attachments,
            "courier": partial(self._courier, upload),
        }
        handler = verbs.get(verb)
        if handler is None:
            yield _refusal(f"{verb!r} is not known; known: {', '.join(verbs)}")
            return
        try:
            yield from handler(request)
        except OSError:
            raise
        except Exception as problem:  # noqa: BLE001 -- whatever a request leads to, the socket goes on serving
            self._log.exception("control.failed", request=verb)
            yield _refusal(f"{type(problem).__name__}: {problem}")

    def _status(self, _request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield {"ok": True, "status": self._agent.status()}

    def _requeue(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield {"ok": True, "requeued": self._agent.requeue(request.get("sequences"))}

    def _command(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        operator = request.get("operator")
        if operator is not None and not (isinstance(operator, str) and operator):
            yield _refusal("the operator is a text")
            return
        try:
            result = self._agent.command(request["station"], request["name"], request.get("arguments", {}), operator)
        except KeyError as problem:
            yield _refusal(f"no station {problem}")
            return
        yield {"ok": result.refused is None, "refused": result.refused, "kept": result.kept}

    def _correct(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        details = request.get("details", {})
        if not isinstance(details, Mapping):
            yield _refusal("details is an object")
            return
        result = self._agent.correct(
            str(request["kind"]),
            str(request["record"]),
            reason=request.get("reason", ""),
            operator=request.get("operator"),
            details=details,
        )
        yield {"ok": result.refused is None, "refused": result.refused, "reason": result.reason, "kept": result.kept}

    def _print(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Print `what` (receipt, label, certificate) of `record`, on a printer of `station` or of its own."""
        what = next((slip for slip in SLIPS if slip == request.get("what")), None)
        if what is None:
            yield _refusal(f"what is one of {', '.join(SLIPS)}")
            return
        try:
            yield {"ok": True, **self._agent.slips.print(str(request["record"]), what, request.get("station"))}
        except NotPrinted as problem:
            yield {"ok": False, "refused": problem.code, "reason": str(problem)}

    def _keys(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield {"ok": True, **self._agent.keys(str(request["do"]), request)}

    def _catalogue(self, upload: _Upload, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Import the file that was sent in pieces before; `kind`, `source`, `add`."""
        source = request.get("source")
        kind = request.get("kind")
        if not isinstance(source, str) or not (kind is None or isinstance(kind, str)):
            yield _refusal("source is a text, kind goods, parties or prices")
            return
        result = self._agent.import_catalogue(
            upload.whole(), kind=kind, source=source[:_LONGEST_SOURCE], add=request.get("add") is True
        )
        for fault in result.pop("faults"):
            yield {"ok": False, "more": True, **fault}
        yield {"ok": result["version"] is not None, "more": False, **result}

    def _attach(self, upload: _Upload, _request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Keep the file that was sent in pieces before."""
        try:
            yield {"ok": True, **self._agent.attach(upload.whole())}
        except NotTaken as problem:
            yield {"ok": False, "refused": problem.code, "reason": str(problem)}

    def _attachments(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """With `requeue`, send refused ones again: all, or the one of `sha256`."""
        if request.get("requeue") is not True:
            yield _refusal("requeue is what can be asked for")
            return
        yield {"ok": True, "requeued": self._agent.requeue_attachments(request.get("sha256"))}

    def _courier(self, upload: _Upload, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Take the lines of a courier file that were sent in pieces before; `header` is its first line."""
        header = request.get("header")
        if not isinstance(header, Mapping) or not all(isinstance(value, str) for value in header.values()):
            yield _refusal("header is an object of texts")
            return
        try:
            yield {"ok": True, **self._agent.take_courier(header, upload.whole())}
        except ValueError as problem:
            yield _refusal(str(problem))

    def _ledger(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The ledger; with `device` and `changes`, an event of that device."""
        if "device" not in request:
            yield {"ok": True, "assets": self._agent.ledger()}
            return
        changes, operator = request.get("changes"), request.get("operator")
        if not isinstance(changes, Mapping) or not (operator is None or isinstance(operator, str)):
            yield _refusal("changes is an object, operator a text")
            return
        result = self._agent.ledger_set(str(request["device"]), changes, operator)
        yield {"ok": result.refused is None, "refused": result.refused, "reason": result.reason, "kept": result.kept}

    def _recording(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The last raw bytes of a device's port: a line that says how many pieces, then one line a piece."""
        try:
            recording = self._agent.recording(str(request["device"]), unmasked=request.get("unmasked") is True)
        except KeyError as problem:
            yield _refusal(f"no device {problem}")
            return
        if recording.refused is not None:
            yield _refusal(recording.refused)
            return
        facts = {"driver": recording.driver, "port": recording.port, "masked": recording.masked}
        yield {"ok": True, "pieces": len(recording.pieces), **facts}
        for way, data, at in recording.pieces:
            yield {"ok": True, "dir": way, "t": at, "hex": data.hex()}

    def _watch(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        device = request.get("device")
        with self._agent.watch() as watcher:
            yield {"ok": True, "watching": device}
            while not self._stop.is_set():
                events = watcher.take(1.0)
                for event in events:
                    if event.topic.startswith("observation/") and device in (None, event.value.device):
                        yield observation_facts(event.value)
                if not events:
                    yield {"ok": True, "idle": True}  # lets a client that went away be noticed


def observation_facts(observation: Observation) -> dict[str, Any]:
    """An observation as plain values, in the form of `edge-agent decode`."""
    event = observation.event
    facts = (
        {"event": "state", "state": event.state.value, "reason": event.reason}
        if isinstance(event, StateChange)
        else event_json(event)
    )
    return {"ok": True, "device": observation.device, "time_ms": observation.at.wall_ms, **facts}


class _Upload:
    """A file that a client sends in pieces, in one connection; only one client at a time may."""

    def __init__(self, slot: threading.BoundedSemaphore) -> None:
        self._slot = slot
        self._holds = False
        self._data = bytearray()

    def __enter__(self) -> _Upload:
        return self

    def __exit__(self, *_: object) -> None:
        if self._holds:
            self._slot.release()

    def take(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Take one piece: `data` in base64."""
        if not self._holds:
            self._holds = self._slot.acquire(timeout=_SLOT_WAIT)  # one that just ended is about to let go
        if not self._holds:
            yield _refusal("another file is being sent; try again")
            return
        piece = base64.b64decode(str(request["data"]), validate=True)
        if len(self._data) + len(piece) > MOST_UPLOAD:
            yield _refusal(f"the file is longer than {MOST_UPLOAD} bytes")
            return
        self._data += piece
        yield {"ok": True, "bytes": len(self._data)}

    def whole(self) -> bytes:
        """What was sent; the next piece begins another file."""
        data, self._data = bytes(self._data), bytearray()
        return data


def _refusal(reason: str) -> dict[str, Any]:
    return {"ok": False, "reason": reason}


def _lines(client: socket.socket) -> Iterator[bytes]:
    buffer = b""
    while True:
        data = client.recv(4096)
        if not data:
            return
        buffer += data
        if len(buffer) > _LONGEST_REQUEST:
            return
        *lines, buffer = buffer.split(b"\n")
        yield from lines


class ControlClient:
    """Asks the running agent. Raises ConnectionError when none answers."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as problem:
            self._socket.close()
            raise ConnectionError(f"no agent answers at {path}: {problem.strerror}") from problem

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        return next(self.stream(**request))

    def stream(self, **request: Any) -> Iterator[dict[str, Any]]:
        """One request, answers until the agent or the caller ends."""
        try:
            self._socket.sendall(orjson.dumps(request) + b"\n")
            for line in _lines(self._socket):
                yield orjson.loads(line)
        except TimeoutError as problem:
            raise ConnectionError("the agent did not answer in time") from problem
        raise ConnectionError("the agent closed the connection")

    def send(self, data: bytes) -> None:
        """Send a file in pieces, for the request that comes after it. Raises ConnectionError where it is refused."""
        for at in range(0, len(data), _PIECE):
            answer = self.ask(do="piece", data=base64.b64encode(data[at : at + _PIECE]).decode())
            if not answer["ok"]:
                raise ConnectionError(answer["reason"])

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
