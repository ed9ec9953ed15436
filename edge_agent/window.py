"""What the page, the control socket and the uplink may see of the running agent, and have it do."""

from __future__ import annotations

import dataclasses
import platform
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
import structlog

from edge_agent import clock, logs
from edge_agent.attachments import Attachments
from edge_agent.board import Board, Watcher
from edge_agent.catalogue import kind_of_text
from edge_agent.catalogue.pinyin import initials_maker
from edge_agent.city import load_city
from edge_agent.config import Config
from edge_agent.facade import CardListener, CommandResult, RecentRecord, Recording
from edge_agent.health import Health
from edge_agent.model import Command, Observation
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.office.cataloguer import Cataloguer
from edge_agent.office.clerk import Clerk
from edge_agent.office.corrector import Corrector
from edge_agent.office.lookups import StoreLookups
from edge_agent.office.registrar import Registrar
from edge_agent.office.repeats import Repeats, digest_of, key_of
from edge_agent.office.signing_desk import attend
from edge_agent.office.slips import Slips
from edge_agent.records.corrections import Refused
from edge_agent.records.envelope import Draft
from edge_agent.registry import Registry
from edge_agent.settings import version
from edge_agent.station import Duty, Tickets
from edge_agent.station.shown_goods import shown_goods
from edge_agent.store import Kept, Store
from edge_agent.supervisor import StationRunner, Supervisor
from edge_agent.tiles import Tiles
from edge_agent.uplink import LinkStatus, Relay
from edge_agent.workshop.capture import masked
from edge_agent.workshop.proving import Workshop

_RECENT: Final = 20
_NOTED_WITHIN: Final = 5.0
_TEXT_SCHEMES: Final = frozenset({"serial", "rfc2217", "tcp", "memory"})
_SECRET: Final = re.compile(r"pass|secret|token|credential|(^|_)(pin|key)$", re.IGNORECASE)
_DUTY: Final = "duty/"
TILL: Final = "till/"
_Part = TypeVar("_Part")


class Window:
    """The agent as its page and its control socket see it; see `edge_agent.facade.Facade`.

    Before the agent has started, whatever needs a part that is not there yet raises RuntimeError.
    """

    def __init__(self, config: Config, registry: Registry) -> None:
        self.config = config
        self.registry = registry
        self.board = Board()
        self._health = Health()
        self._log = structlog.get_logger()
        self._store: Store | None = None
        self._corrector: Corrector | None = None
        self._registrar: Registrar | None = None
        self._bookkeeper: Bookkeeper | None = None
        self._cataloguer: Cataloguer | None = None
        self._attachments: Attachments | None = None
        self._relay: Relay | None = None
        self._supervisor: Supervisor | None = None
        self._repeats: Repeats | None = None
        self._clerk: Clerk | None = None
        self._lookups: StoreLookups | None = None
        self._duties: dict[str, Duty] = {}
        self._tickets: dict[str, Tickets] = {}
        self._tiles: Tiles | None = None
        self._noting = threading.Lock()
        self._card_listener: CardListener | None = None
        self._slips: Slips | None = None
        self._workshop: Workshop | None = None
        self._started = clock.monotonic()

    @property
    def store(self) -> Store:
        """The open store. Raises RuntimeError before `start`."""
        if self._store is None:
            raise RuntimeError("the agent has not been started")
        return self._store

    def link(self) -> LinkStatus | None:
        """How the link to the platform stands; None without an uplink."""
        return self._relay.status() if self._relay is not None else None

    def status(self) -> dict[str, Any]:
        """The agent's state as plain values."""
        counts = self.store.outbox().counts()
        link = self.link()
        return {
            "gateway": self.config.gateway.id,
            "site": self.config.gateway.site,
            "version": version(),
            "chain": self.store.chain,
            "kept": counts.kept,
            "delivered": counts.delivered,
            "rejected": counts.rejected,
            "pending": counts.pending,
            "oldest_pending": self.store.outbox().oldest_pending,
            "salvaged": self.store.salvaged.left,
            "attachments": self._files.counts(),
            "link": None if link is None else {"state": link.state, "reason": link.reason, "protocol": link.protocol},
            "devices": self._devices(),
            "counters": {t.removeprefix("counters/"): value for t, value in self.board.latest("counters/").items()},
            "alarms": self._alarms(),
            "held_up": dict(self._health.held_up()),
            "clock_synced": clock.synchronised(),
            "uptime_s": round(clock.monotonic() - self._started, 1),
        }

    def _devices(self) -> dict[str, Any]:
        runners = {} if self._supervisor is None else self._supervisor.devices
        shown = {}
        for topic, value in self.board.latest("device/").items():
            name = topic.removeprefix("device/")
            runner = runners.get(name)
            more: dict[str, Any] = {}
            if runner is not None:
                age = runner.last_age
                more = {
                    "kind": runner.spec.kind,
                    "commands": list(runner.spec.dialogue.commands),
                    "last_age_s": None if age is None else round(age, 1),
                }
            shown[name] = {**value, **more}
        return shown

    def _alarms(self) -> dict[str, str]:
        alarms = {t.removeprefix("alarm/"): v for t, v in self.board.latest("alarm/").items() if v is not None}
        if self.store.trouble is not None:
            alarms["store"] = self.store.trouble
        if self.store.attestor.blocked is not None:
            alarms["signing"] = self.store.attestor.blocked
        return alarms

    def info(self) -> dict[str, Any]:
        """What the platform is told about this box."""
        status = self.status()
        return {
            "version": version(),
            "python": platform.python_version(),
            "node_type": self.config.gateway.node_type,
            "drivers": {device.id: device.driver for device in self.config.device},
            "devices": {name: value["state"] for name, value in status["devices"].items()},
            "chain": status["chain"],
            "kept": status["kept"],
            "pending": status["pending"],
            "rejected": status["rejected"],
            "oldest_pending": status["oldest_pending"],
            "salvaged": status["salvaged"],
            "signing": {
                "key": self.store.attestor.signer.public.id,
                "public": str(self.store.attestor.signer.public),
                "blocked": self.store.attestor.blocked,
                "changes": [orjson.loads(line) for line in self.store.key_changes()],
            },
            "attachments": status["attachments"],
            "catalogue": None if self._cataloguer is None else dict(self._cataloguer.catalogue.versions),
            "clock": {"synced": status["clock_synced"], "boot": clock.boot_id()},
        }

    def views(self) -> dict[str, Any]:
        """The newest view of each station."""
        return {topic.removeprefix("station/"): view for topic, view in self.board.latest("station/").items()}

    @property
    def lookups(self) -> StoreLookups:
        """What can be looked up. Raises RuntimeError before `start`."""
        return _started(self._lookups)

    def recent(self, limit: int = _RECENT) -> list[RecentRecord]:
        """The newest records, newest first, each with its mark."""
        return self.lookups.recent(limit)

    def watch(
        self, topics: tuple[str, ...] = (), wake: Callable[[], None] | None = None
    ) -> AbstractContextManager[Watcher]:
        """A watcher of the board."""
        return self.board.watch(topics, wake)

    def on_card(self, listener: CardListener | None) -> None:
        """Have somebody look at scans and tags before the stations do."""
        self._card_listener = listener

    def _is_card(self, observation: Observation) -> bool:
        listener = self._card_listener
        return listener is not None and listener(observation)

    def command(
        self,
        station: str,
        name: str,
        arguments: Mapping[str, Any],
        operator: str | None = None,
        timeout: float = 5.0,
        *,
        key: str | None = None,
    ) -> CommandResult:
        """Have a station do something; returns after its records are committed. Raises KeyError for no such station."""
        runner = _started(self._supervisor).stations[station]
        command = Command(name=name, at=clock.now(), arguments=arguments, operator=operator)
        if key is None:
            result = self._carry_out(runner, command, timeout)
        else:
            result = self._once(runner, command, timeout, key_of(station, key))
        if result.refused is None:
            self._remember(station, name)
        return result

    def _remember(self, station: str, name: str) -> None:
        """What outlives the agent of what a command changed, on disk before the command is answered."""
        key: str | None = None
        with self._noting:  # two commands at once: the later state is the one that stays
            if name == "shift":
                key, facts = f"{_DUTY}{station}", dataclasses.asdict(self._duties[station])
            elif name in ("ticket", "settle"):
                key, facts = f"{TILL}{station}", self._tickets[station].facts()
            if key is not None:
                self.store.set_note(key, orjson.dumps(facts).decode())
        if key is not None:
            self.store.flush_notes(_NOTED_WITHIN)

    def _carry_out(
        self,
        runner: StationRunner,
        command: Command,
        timeout: float,
        before: Callable[[Sequence[Draft]], None] | None = None,
    ) -> CommandResult:
        outcome, kept = runner.command(command, timeout, before)
        return CommandResult(
            refused=None if outcome.refused is None else outcome.refused.code,
            kept=tuple(_kept_facts(k) for k in kept),
        )

    def _once(self, runner: StationRunner, command: Command, timeout: float, key: str) -> CommandResult:
        """Carry a command out unless a request with the same key did so before: then what it kept is the answer."""
        repeats = _started(self._repeats)
        asked = digest_of(command.name, command.arguments)
        done = repeats.begin(key, timeout)
        if done is None:
            try:
                return self._carry_out(
                    runner, command, timeout, lambda drafts: repeats.note(key, asked, [(d.id, d.type) for d in drafts])
                )
            finally:
                repeats.end(key)
        if done.asked != asked:
            return CommandResult(refused="key-used", kept=(), reason="this key was used for another request")
        kept = []
        for record_id, type_name in done.records:
            row = self.store.find(record_id)
            if row is None:
                raise TimeoutError("what was kept for this key is not committed yet")
            kept.append({"id": record_id, "sequence": row.sequence, "type": type_name})
        return CommandResult(refused=None, kept=tuple(kept))

    def note_complaint(self, station: str | None, fields: Mapping[str, Any], operator: str | None) -> CommandResult:
        """Keep a complaint."""
        return _started(self._clerk).complain(station, fields, operator)

    def confirm_stop(self, stop: str, station: str | None, operator: str | None) -> CommandResult:
        """Keep that somebody has taken note of a stop of sale."""
        found = next((each for each in self.stops() if each["id"] == stop), None)
        if found is None:
            return CommandResult(refused="no-such-stop", kept=(), reason="this stop of sale is not in force")
        return _started(self._clerk).confirm_stop(stop, station, operator, found["left_mg"])

    def stops(self) -> list[dict[str, Any]]:
        """The stops of sale in force."""
        clerk = _started(self._clerk)
        return [{**each, "confirmed": clerk.is_confirmed(each["id"])} for each in self.lookups.stops()]

    def instrument(self, device: str, name: str, operator: str | None) -> CommandResult:
        """Send a command to an instrument, and keep that it was sent. Raises KeyError for no such device."""
        try:
            _started(self._supervisor).devices[device].command(name, timeout=5.0)
        except ValueError as problem:
            return CommandResult(refused="unknown-command", kept=(), reason=str(problem))
        except ConnectionError as problem:
            return CommandResult(refused="disconnected", kept=(), reason=str(problem))
        state = next((each["state"] for each in self.ledger() if each["device"] == device), "in-use")
        return self.ledger_set(device, {"state": state, "reason": f"{name}: asked for at the page"}, operator)

    def restart(self, device: str) -> None:
        """Close a device's port and open it anew. Raises KeyError for no such device."""
        _started(self._supervisor).devices[device].restart()
        self._log.info("device.restart", device=device)

    def log_tail(self, after: int, limit: int) -> list[dict[str, Any]]:
        """The newest lines of the log after a number."""
        return logs.tail.after(after, limit)

    def configuration(self) -> dict[str, Any]:
        """The configuration as it is used, without what is secret."""
        shown = _without_secrets(self.config.model_dump(mode="json"))
        assert isinstance(shown, dict)
        return shown

    def memo(self, name: str) -> str | None:
        """What the page's server had remembered over a restart."""
        return self.store.note(f"web/{name}")

    def set_memo(self, name: str, text: str) -> None:
        """Have a text remembered over a restart."""
        self.store.set_note(f"web/{name}", text)

    def settings(self) -> dict[str, Any]:
        """The facts of the page."""
        gateway = self.config.gateway
        return {
            "site": gateway.site,
            "gateway": gateway.id,
            "version": version(),
            "complaint_number": self.config.receipt.complaint,
            "catalogue": self.board.latest("catalogue").get("catalogue", {}),
            "stations": {
                s.id: {"mode": s.mode, "devices": list(s.devices), "party": s.party} for s in self.config.station
            },
        }

    @property
    def slips(self) -> Slips:
        """Receipts and labels. Raises RuntimeError before `start`."""
        if self._slips is None:
            raise RuntimeError("the agent has not been started")
        return self._slips

    @property
    def workshop(self) -> Workshop:
        """Probing ports and commissioning scales. Raises RuntimeError before `start`."""
        return _started(self._workshop)

    def requeue(self, sequences: list[int] | None) -> int:
        """Send quarantined records again as they are; returns how many."""
        return self.store.outbox().requeue(sequences)

    def correct(
        self, kind: str, record: str, *, reason: str, operator: str | None, details: Mapping[str, Any]
    ) -> CommandResult:
        """Void, amend or return a kept record; returns after the correction is committed."""
        if self._corrector is None:
            raise RuntimeError("the agent has not been started")
        try:
            kept = self._corrector.correct(kind, record, reason=reason, operator=operator, details=details)
        except Refused as refused:
            return CommandResult(refused=refused.code, kept=(), reason=str(refused))
        return CommandResult(refused=None, kept=(_kept_facts(kept),))

    def city(self) -> dict[str, Any]:
        """What the city profile says: papers, kinds of participants, price unit, dates and bounds of law."""
        return load_city(self.config.gateway.city_profile, self.config.profiles)[0].plain()

    def keys(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Change the signing key, or say that it is right; see `signing_desk.attend`."""
        return attend(self.store, verb, arguments)

    def catalogue(self, station: str | None = None) -> dict[str, Any]:
        """Goods with today's price and the open batches of a station's party; and the parties, without contacts."""
        if self._bookkeeper is None:
            raise RuntimeError("the agent has not been started")
        sections = {section.id: section for section in self.config.station}
        section = None if station is None else sections[station]
        at = clock.now()
        with self._bookkeeper.turn() as books:
            goods = shown_goods(
                books,
                party=None if section is None else section.party,
                day=datetime.fromtimestamp(at.wall_ms / 1000, self.config.gateway.zone).date().isoformat(),
                now_ms=at.wall_ms,
                days=0 if section is None else section.rules.batch_days,
            )
            known = books.catalogue
        return {
            "versions": dict(known.versions),
            "goods": _started(self._tiles).lay(station, goods),
            "parties": [party.public() for party in known.parties.values()],
        }

    def arrange(self, station: str, *, order: object = None, looks: object = None) -> None:
        """Change how the tiles of a station's goods lie and look."""
        _started(self._tiles).set(station, order=order, looks=looks)
        self._tell_catalogue()

    def _tell_catalogue(self) -> None:
        """Tell whoever shows goods that they, or their tiles, are others now."""
        versions = {} if self._cataloguer is None else dict(self._cataloguer.catalogue.versions)
        self.board.post("catalogue", {**versions, "tiles": _started(self._tiles).changes})

    def import_catalogue(
        self, data: bytes, *, kind: str | None = None, source: str = "page", add: bool = False
    ) -> dict[str, Any]:
        """Import a file into the catalogue, all of it or nothing; the stations have it at their next turn."""
        if self._cataloguer is None:
            raise RuntimeError("the agent has not been started")
        known = kind_of_text(kind)
        return self._cataloguer.take(data, kind=known, source=source, add=add, initials=initials_maker()).plain()

    @property
    def _files(self) -> Attachments:
        if self._attachments is None:
            raise RuntimeError("the agent has not been started")
        return self._attachments

    def _pictures_shown(self) -> set[str]:
        """The attachments that tiles show, by what was set at the stall or by the catalogue."""
        goods = () if self._cataloguer is None else self._cataloguer.catalogue.goods.values()
        return _started(self._tiles).pictures() | {each.picture for each in goods if each.picture is not None}

    def attach(self, data: bytes) -> dict[str, Any]:
        """Keep a picture or certificate; returns after it is synchronised to disk. Raises `NotTaken`."""
        return self._files.keep(data)._asdict()

    def attachment(self, sha256: str) -> tuple[bytes, str] | None:
        """Bytes and media type of an attachment that is here."""
        found = self._files.find(sha256)
        data = None if found is None else self._files.read(sha256)
        return None if found is None or data is None else (data, found.media_type)

    def attachments(self) -> list[dict[str, Any]]:
        """All attachments, oldest first."""
        return [each._asdict() for each in self._files.every()]

    def requeue_attachments(self, sha256: str | None = None) -> int:
        """Send refused attachments again, one or all; returns how many."""
        return self._files.requeue(sha256)

    def take_courier(self, header: Mapping[str, str], lines: bytes) -> dict[str, int]:
        """Take lines of a courier file; what has its verdict is not sent again, what was brought is sent."""
        from edge_agent.courier import take
        from edge_agent.exports.courier import header_from

        found = header_from(header)
        taken = take(self.store, found, lines.splitlines(), self.config.gateway.source)
        self._log.info("courier.taken", file=found.file, kind=found.kind, source=found.source, **taken.plain())
        return taken.plain()

    def ledger(self) -> list[dict[str, Any]]:
        """Every device as an asset, with its flags."""
        return [] if self._registrar is None else self._registrar.assets()

    def ledger_set(self, device: str, changes: Mapping[str, Any], operator: str | None = None) -> CommandResult:
        """Keep an event of a device's life; returns after it is committed."""
        if self._registrar is None:
            raise RuntimeError("the agent has not been started")
        try:
            kept = self._registrar.set(device, changes, operator=operator)
        except KeyError:
            return CommandResult(refused="unknown-device", kept=(), reason=f"there is no device {device}")
        except ValueError as problem:
            return CommandResult(refused="bad-facts", kept=(), reason=str(problem))
        return CommandResult(refused=None, kept=(_kept_facts(kept),))

    def recording(self, device: str, *, unmasked: bool = False) -> Recording:
        """The last raw bytes of a device's port. Raises KeyError for no such device.

        What may be somebody's payment code or number is shown as its shape, or not at all, unless `unmasked`.
        """
        if self._supervisor is None:
            raise RuntimeError("the agent has not been started")
        section = next((each for each in self.config.device if each.id == device), None)
        if section is None:
            raise KeyError(device)
        facts: dict[str, Any] = {"driver": section.driver, "port": section.port}
        runner = self._supervisor.devices.get(device)
        pieces = [] if runner is None else runner.ring.pieces()
        kind = self.registry.drivers[section.driver].kind
        if unmasked or kind in ("scale", "printer"):
            return Recording(**facts, pieces=pieces)
        if kind != "scanner" or section.port_url.scheme not in _TEXT_SCHEMES:
            return Recording(**facts, refused="its bytes may hold a person's number; ask for them with --unmasked")
        shapes = [(way, masked(data) if way == "rx" else data, at) for way, data, at in pieces]
        return Recording(**facts, pieces=shapes, masked=True)

    def _one_line(self) -> str:
        if self._store is None:
            return "starting"
        counts = self._store.outbox().counts()
        link = self.link()
        return f"kept {counts.kept}, pending {counts.pending}, link {link.state if link else 'none'}"


def _kept_facts(kept: Kept) -> dict[str, Any]:
    return {"id": kept.id, "sequence": kept.sequence, "type": kept.type}


def _started(part: _Part | None) -> _Part:
    if part is None:
        raise RuntimeError("the agent has not been started")
    return part


def _without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each, name) for each in value]
    secret = isinstance(value, str) and _SECRET.search(name) and not name.endswith("_file")
    return "***" if secret else value
