"""The composition root: a configuration becomes a running agent.

Nothing here decides anything; it makes the parts, gives each what it may call, and starts and stops them in
order. Stop order: devices, stations, relay, store; so that what was observed is still kept.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import re
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import structlog

from edge_agent import clock, logs
from edge_agent.attachments import Attachments
from edge_agent.batch_lists import BatchLists, List
from edge_agent.board import Board, Watcher
from edge_agent.bookkeeper import Bookkeeper
from edge_agent.capture import masked
from edge_agent.catalogue import Catalogue, kind_of_text
from edge_agent.catalogue.pinyin import initials_maker
from edge_agent.cataloguer import Cataloguer
from edge_agent.city import DEFAULT_CITY, load_city
from edge_agent.clerk import Clerk
from edge_agent.codes import DEFAULT_PROFILE, CodeProfile, profile_from_mapping
from edge_agent.config import BatchList, Config, ConfigError, Device, Problem, load
from edge_agent.config import Station as StationSection
from edge_agent.control import ControlServer
from edge_agent.corrector import Corrector
from edge_agent.courier import take
from edge_agent.driver import PortUrl, Printer, Session, TransportError
from edge_agent.exports.courier import header_from
from edge_agent.exports.national import BadProfile, profile_of
from edge_agent.facade import CardListener, CommandResult, InUse, RecentRecord, Recording
from edge_agent.figures import FigureKeeper
from edge_agent.health import Health, Notifier, Watchdog
from edge_agent.kept_log import KeptLog
from edge_agent.ledger import fact_problems, setup_text
from edge_agent.lookups import StoreLookups
from edge_agent.model import Command, Observation
from edge_agent.printing import PrinterRunner
from edge_agent.prober import Prober, fit_facts
from edge_agent.receipts import Issuer
from edge_agent.records.corrections import Refused
from edge_agent.records.envelope import Draft
from edge_agent.registrar import Configured, Registrar
from edge_agent.registry import Registry, check_devices, discover
from edge_agent.repeats import Repeats, digest_of, key_of
from edge_agent.signing_desk import attend
from edge_agent.slips import PRINTED_BY_RULE, Counter, Slips
from edge_agent.station import MODES, BatchRules, Books, Duty, Settings, Share, TagRules, make_station
from edge_agent.station.base import Capacity
from edge_agent.station.batch_list import batch_list, file_name
from edge_agent.station.modes import ADDITIONS_BY_DEFAULT
from edge_agent.station.shown_goods import shown_goods
from edge_agent.station.weigh_cycle import CycleRules
from edge_agent.store import Kept, Limits, Store, Superseded
from edge_agent.supervisor import DeviceRunner, StationRunner, Supervisor
from edge_agent.uplink import Ahead, Identity, LinkSettings, LinkStatus, Relay, TlsSettings, Witness
from edge_agent.watchman import Watchman
from edge_agent.webhook import Webhook, targets

STOP_WITHIN: Final = 5.0
_RECENT: Final = 20
_TEXT_SCHEMES: Final = frozenset({"serial", "rfc2217", "tcp", "memory"})
_SECRET: Final = re.compile(r"pass|secret|token|credential|(^|_)(pin|key)$", re.IGNORECASE)
_DUTY: Final = "duty/"
_PROBING_EACH: Final = 1.0
_PROBING_WITHIN: Final = 45.0
"""Seconds that probing from the page listens with one setting, and in all."""
_Part = TypeVar("_Part")


def prepare(path: Path, overrides: Iterable[str] = ()) -> tuple[Config, Registry]:
    """Read a configuration and check all of it, drivers and ports included. Raises `ConfigError`."""
    registry = discover()
    registry.load_tables(path.parent / "dialects.d")
    config = load(path, overrides)
    problems = check_devices(config, registry, str(path)) + _check_modes(config, str(path))
    problems += _check_pushing(config, registry, str(path))
    if config.web is not None and importlib.util.find_spec("uvicorn") is None:
        what = "the page's packages are not installed"
        problems.append(Problem(str(path), "web", what, "pip install 'trace-edge-agent[web]', or leave [web] out"))
    problems += _check_codes(config, str(path)) + _check_city(config, str(path)) + _check_web(config, str(path))
    problems += _check_assets(config, str(path)) + _check_webhooks(config, str(path))
    if problems:
        raise ConfigError(problems)
    return config, registry


def _check_modes(config: Config, file: str) -> list[Problem]:
    return [
        Problem(file, f"station[{s.id}].mode", f"{s.mode!r} is not a mode", f"one of {', '.join(MODES)}")
        for s in config.station
        if s.mode not in MODES
    ]


def _check_pushing(config: Config, registry: Registry, file: str) -> list[Problem]:
    """A device that pushes sales waits to hear that they are kept: each wants a station that records sales."""
    problems = []
    for device in config.device:
        spec = registry.drivers.get(device.driver)
        if spec is None or spec.kind != "push":
            continue
        modes = [station.mode for station in config.station if device.id in station.devices]
        if not modes or set(modes) - {"sale", "log"}:
            what = "pushes sales and is " + (f"at a station of mode {', '.join(modes)}" if modes else "at no station")
            problems.append(Problem(file, f"device[{device.id}]", what, "a station of mode sale or log"))
    return problems


def _check_city(config: Config, file: str) -> list[Problem]:
    _, settings, faults = load_city(config.gateway.city_profile, config.profiles, (file, "gateway.city_profile"))
    problems = [Problem(*fault) for fault in faults]
    if not problems:
        try:
            profile_of(settings, "profile")
        except BadProfile as problem:
            name = config.gateway.city_profile or DEFAULT_CITY
            problems.append(
                Problem(file, "gateway.city_profile", f"{name}: {problem}", "see docs/reference/exports.md")
            )
    return problems


def _check_codes(config: Config, file: str) -> list[Problem]:
    problems = []
    for station in config.station:
        try:
            profile_from_mapping(station.codes)
        except ValueError as problem:
            problems.append(
                Problem(file, f"station[{station.id}].codes", str(problem), "see docs/reference/codes.md, Profile")
            )
    return problems


def _check_assets(config: Config, file: str) -> list[Problem]:
    return [
        Problem(file, f"device[{device.id}].asset.{name}", what, hint)
        for device in config.device
        for name, what, hint in fact_problems(device.asset)
    ]


def configured_devices(config: Config, registry: Registry) -> dict[str, Configured]:
    """What the ledger has to know of each device."""
    return {
        device.id: Configured(
            kind=registry.drivers[device.driver].kind,
            setup=setup_text(device.driver, device.unit, device.options),
            facts=device.asset,
        )
        for device in config.device
    }


def _check_web(config: Config, file: str) -> list[Problem]:
    """What is wrong with the files that [web] names. The PIN file may be missing: the first start makes it."""
    section = config.web
    if section is None:
        return []
    from edge_agent.web.people import BadPeople, read_file
    from edge_agent.web.tokens import BadTokens, read_tokens

    problems = []
    if section.on_lan and section.pin_file is None:
        what = f"{section.listen} can be reached from the network, and nobody would have to sign in"
        hint = (
            'with pin_file = "/etc/trace-edge-agent/pins.json" (the first start makes it), or listen = "127.0.0.1:8080"'
        )
        problems.append(Problem(file, "web.listen", what, hint))
    if section.pin_file is not None:
        path = Path(section.pin_file)
        try:
            if path.exists():
                read_file(path)
            elif not path.parent.is_dir():
                hint = f"make the directory {path.parent}, owned by the agent's user"
                problems.append(Problem(file, "web.pin_file", f"{path.parent} is no directory", hint))
        except (OSError, BadPeople) as problem:
            hint = "a file made by `edge-agent web pin set`, or none: the first start pairs a phone"
            problems.append(Problem(file, "web.pin_file", str(problem), hint))
    if section.token_file is not None and Path(section.token_file).exists():
        try:
            read_tokens(Path(section.token_file))
        except (OSError, BadTokens) as problem:
            hint = "a file made by `edge-agent web token new`, or none yet"
            problems.append(Problem(file, "web.token_file", str(problem), hint))
    if not isinstance(section.tls, bool):
        problems += [
            Problem(file, f"web.tls.{name}", f"{text} cannot be read", "a PEM file that the agent's user may read")
            for name, text in (("cert", section.tls.cert), ("key", section.tls.key))
            if not os.access(text, os.R_OK)
        ]
    return problems


def _check_webhooks(config: Config, file: str) -> list[Problem]:
    problems = []
    for section in config.webhook:
        try:
            targets([section])
        except (OSError, ValueError) as problem:
            hint = "a file that the agent's user may read, with a secret of 16 characters or more"
            problems.append(Problem(file, f"webhook[{section.id}].secret_file", str(problem), hint))
    return problems


class Agent:
    """A running agent. `start` raises the store's errors; everything later is supervised."""

    def __init__(self, config: Config, registry: Registry) -> None:
        self.config = config
        self.registry = registry
        self.board = Board()
        self._health = Health()
        self._log = structlog.get_logger()
        self._store: Store | None = None
        self._corrector: Corrector | None = None
        self._registrar: Registrar | None = None
        self._probing = threading.Lock()
        self._bookkeeper: Bookkeeper | None = None
        self._cataloguer: Cataloguer | None = None
        self._attachments: Attachments | None = None
        self._relay: Relay | None = None
        self._supervisor: Supervisor | None = None
        self._repeats: Repeats | None = None
        self._clerk: Clerk | None = None
        self._lookups: StoreLookups | None = None
        self._duties: dict[str, Duty] = {}
        self._card_listener: CardListener | None = None
        self._slips: Slips | None = None
        self._stops: list[tuple[str, float, Callable[[float], object]]] = []
        self._started = clock.monotonic()
        self._ended = threading.Event()
        self.again = False
        """Whether `run` ended only to be begun again, by a new agent on the same configuration."""

    # -- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the store, then start everything that fills and empties it."""
        config = self.config
        section = config.store
        kept_log = KeptLog(self.board)
        kept_log.start()
        self._stops.append(("kept-log", 0.5, kept_log.stop))
        store = Store.open(
            Path(section.path),
            source=config.gateway.source,
            zone=config.gateway.zone,
            limits=Limits(
                max_bytes=section.max_bytes, reserve_bytes=section.reserve_bytes, keep_days=section.keep_days
            ),
            pulse=self._health.part("committer"),
            on_kept=kept_log,
        )
        self._store = store
        self._repeats = Repeats(store)
        self._clerk = Clerk(store, config.gateway.id, config.gateway.zone)
        self._corrector = Corrector(store, config.gateway.zone)
        self._registrar = Registrar(store, config.gateway.zone, configured_devices(config, self.registry))
        self._registrar.open()
        self._stops.append(("store", 1.0, store.stop))
        for key in config.unused:
            self._log.warning("config.unused", key=key, reason="understood and kept; this version does not act on it")
        for fault in self.registry.faults:
            self._log.error("driver.unusable", origin=str(fault.origin), reason=fault.what)
        bookkeeper = self._start_bookkeeper(store)
        self._open_catalogue(store, bookkeeper)
        self._attachments = open_attachments(config)
        if config.uplink is not None:
            self._start_relay(store)
        self._start_figures(store, bookkeeper)
        self._start_printers(store, bookkeeper)
        self._start_supervisor(store, bookkeeper)
        self._start_batch_lists(bookkeeper)
        self._start_webhooks(store)
        self._start_watchman(store)
        self._start_doors(store)
        self._log.info("agent.started", version=version(), store=str(section.path), chain=store.chain)

    def _start_relay(self, store: Store) -> None:
        gateway = self.config.gateway
        identity = Identity(site=gateway.site, gateway=gateway.id, source=gateway.source, zone=gateway.zone)
        relay = Relay(
            store,
            link_settings(self.config),
            identity,
            attachments=self._files,
            info=self.info,
            pulse=self._health.part("relay", patience=60.0),
            witness=Witness(store, self._set_back),
            told=lambda: self.board.tell("delivery", None),
        )
        self._files.changed = relay.attached
        relay.start()
        self._relay = relay
        self._stops.append(("relay", 1.0, relay.stop))

    def _set_back(self, ahead: Ahead) -> None:
        """The platform holds more of the chain than the store: end, and begin again with a new chain.

        Everything is stopped in order, so that what was observed is still kept; the next opening does the rest.
        """
        self.store.supersede(Superseded(**asdict(ahead)))
        self.again = True
        self._ended.set()

    def _start_bookkeeper(self, store: Store) -> Bookkeeper:
        bookkeeper = Bookkeeper(store)
        store.on_kept(bookkeeper.kept)
        bookkeeper.open()
        self._bookkeeper = bookkeeper
        self._stops.append(("books", 0.5, bookkeeper.close))
        return bookkeeper

    def _start_watchman(self, store: Store) -> None:
        def states() -> dict[str, str]:
            found = self.board.latest("device/")
            return {topic.removeprefix("device/"): str(value["state"]) for topic, value in found.items()}

        gateway = self.config.gateway
        watchman = Watchman(store, gateway.id, gateway.zone, states=states)
        watchman.start()
        self._stops.append(("watchman", 0.5, watchman.stop))

    def _start_figures(self, store: Store, bookkeeper: Bookkeeper) -> None:
        zone = self.config.gateway.zone
        figures = FigureKeeper(store, zone, lambda: self.board.tell("figures", None))
        figures.start()
        self._stops.append(("figures", 0.5, figures.stop))
        self._lookups = StoreLookups(
            store,
            bookkeeper,
            figures,
            zone,
            sent=lambda: () if self._relay is None else self._relay.sent(),
            round_off={section.id: section.rules.round_off for section in self.config.station},
        )

    def _open_catalogue(self, store: Store, bookkeeper: Bookkeeper) -> None:
        def use(catalogue: Catalogue) -> None:
            bookkeeper.use_catalogue(catalogue)
            self.board.post("catalogue", dict(catalogue.versions))

        self._cataloguer = Cataloguer(store, self.config.gateway.zone, self.config.gateway.id, use)
        self._cataloguer.open()

    def _start_supervisor(self, store: Store, bookkeeper: Bookkeeper) -> None:
        readers: dict[str, DeviceRunner] = {}
        stations = [
            StationRunner(
                s.id,
                self._station_maker(s, bookkeeper.books),
                store,
                bookkeeper,
                self.board,
                self._health,
                settled=lambda device, sale: readers[device].settled(sale),
            )
            for s in self.config.station
        ]
        devices = [
            DeviceRunner(
                device.id,
                self.registry.drivers[device.driver],
                self._session_maker(device),
                [
                    runner.mailbox
                    for section, runner in zip(self.config.station, stations, strict=True)
                    if device.id in section.devices
                ],
                self.board,
                self._health,
                self._is_card,
            )
            for device in self.config.device
            if self.registry.drivers[device.driver].kind != "printer"
        ]
        readers.update((reader.device, reader) for reader in devices)
        supervisor = Supervisor(devices, stations)
        supervisor.start()
        self._supervisor = supervisor
        self._stops.append(("devices and stations", 1.5, supervisor.stop))

    def _start_batch_lists(self, bookkeeper: Bookkeeper) -> None:
        lists = tuple(
            List(
                path=Path(each.folder) / file_name(each.layout, each.scale),
                encoding=each.encoding,
                text=partial(self._batch_list, bookkeeper, station, each),
            )
            for station in self.config.station
            for each in station.batch_lists
        )
        if lists:
            writer = BatchLists(lists)
            writer.start()
            self._stops.append(("batch-lists", 0.3, writer.stop))

    def _batch_list(self, bookkeeper: Bookkeeper, station: StationSection, wanted: BatchList) -> str:
        with bookkeeper.turn() as books:
            accounts = books.batches_to_sell(station.party, now_ms=clock.now().wall_ms, days=station.rules.batch_days)
            return batch_list(accounts, layout=wanted.layout, unit=wanted.unit, zone=self.config.gateway.zone)

    def _start_printers(self, store: Store, bookkeeper: Bookkeeper) -> None:
        printers = {
            device.id: PrinterRunner(
                device.id,
                self.registry.drivers[device.driver],
                self._printer_maker(device),
                partial(self.registry.make_transport, device.port_url, self.registry.drivers[device.driver]),
                self.board,
                self._health,
            )
            for device in self.config.device
            if self.registry.drivers[device.driver].kind == "printer"
        }
        section = self.config.receipt
        issuer = Issuer(
            market=section.market,
            complaint=section.complaint,
            query_url=section.query_url,
            footer=section.footer,
            stalls=section.stalls,
            sellers=section.sellers,
        )
        counters = {
            station.id: Counter(
                printers=[printers[device] for device in station.devices if device in printers],
                by_itself=PRINTED_BY_RULE[station.rules.print],
            )
            for station in self.config.station
        }
        attestor = store.attestor
        self._slips = Slips(
            store,
            bookkeeper,
            issuer,
            lambda: attestor.signer if attestor.blocked is None else None,
            counters,
            clock.now().wall_ms,
        )
        store.on_kept(self._slips.kept)
        for printer in printers.values():
            printer.start()
            self._stops.append((f"printer {printer.device}", 0.3, partial(_stop_printer, printer)))

    def _printer_maker(self, device: Device) -> Callable[[], Printer]:
        def make() -> Printer:
            codec = self.registry.make_codec(device.driver, device.options)
            if not isinstance(codec, Printer):
                raise TypeError(f"driver {device.driver} is of the kind printer and prints nothing")
            return codec

        return make

    def _start_webhooks(self, store: Store) -> None:
        for target in targets(self.config.webhook):
            name = f"alarm/webhook {target.id}"
            webhook = Webhook(target, store, partial(self.board.post, name))
            webhook.start()
            self._stops.append((f"webhook {target.id}", 0.2, webhook.stop))

    def _start_doors(self, store: Store) -> None:
        control = ControlServer(Path(f"{self.config.store.path}.sock"), self)
        control.start()
        self._stops.append(("control", 0.5, control.stop))
        if self.config.web is not None:
            # The page's libraries cost memory that a box without a page should not spend.
            from edge_agent.web.setup import make_server

            web = make_server(
                self.config.web, Path(self.config.store.path), self, self._health.part("web", patience=60.0)
            )
            web.start()
            self._stops.append(("web", 0.5, web.stop))

    def stop(self) -> None:
        """Stop everything within five seconds, in the reverse order of starting.

        A part that needs less than its share leaves the rest to those after it; the store is last and gets it all.
        """
        until = clock.monotonic() + STOP_WITHIN
        while self._stops:
            name, share, stop = self._stops.pop()
            later = sum(other for _, other, _ in self._stops)
            began = clock.monotonic()
            try:
                stop(max(share, until - began - later))
            except TimeoutError as problem:
                self._log.error("agent.slow_to_stop", part=name, reason=str(problem))
            if clock.monotonic() - began > share:
                self._log.warning("agent.slow_to_stop", part=name, seconds=round(clock.monotonic() - began, 1))
        self._log.info("agent.stopped")

    def run(self, until: Callable[[threading.Event], None] | None = None) -> None:
        """Start, tell systemd, work until SIGTERM or SIGINT (or until `until` returns), and stop."""
        notifier = Notifier()
        ended = self._ended
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        watchdog = Watchdog(self._health, notifier, self._one_line)
        try:
            self.start()
            notifier.send("READY=1", f"STATUS={self._one_line()}")
            watchdog.start()
            if until is not None:
                until(ended)
            else:
                while not ended.wait(3600.0):
                    pass
        finally:
            if not self.again:
                notifier.send("STOPPING=1")
            self.stop()
            watchdog.stop(1.0)

    def _station_maker(self, section: StationSection, books: Books) -> Callable[[], Any]:
        settings = station_settings(section, self.config, self.registry)
        noted = self.store.note(f"{_DUTY}{section.id}")
        self._duties[section.id] = duty = Duty(**orjson.loads(noted)) if noted else Duty()
        settings = dataclasses.replace(settings, duty=duty)
        if self._registrar is not None:
            settings = dataclasses.replace(
                settings, device_flags=self._registrar.flags, capacity=partial(_capacity, self._registrar)
            )
        return lambda: make_station(settings, books)

    def _session_maker(self, device: Device) -> Callable[[], Session]:
        spec = self.registry.drivers[device.driver]

        def make() -> Session:
            transport = self.registry.make_transport(device.port_url, spec)
            return self.registry.session(transport, self.registry.make_codec(device.driver, device.options))

        return make

    # -- what the page, the control socket and the uplink may call ----------------------------------------------

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
        if name == "shift" and result.refused is None:
            self.store.set_note(f"{_DUTY}{station}", orjson.dumps(dataclasses.asdict(self._duties[station])).decode())
        return result

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

    def probe(self, port: str, ended: Callable[[], bool]) -> dict[str, Any]:
        """Find out what speaks on a port. Raises ValueError, InUse, OSError; see `Facade.probe`."""
        until = clock.monotonic() + _PROBING_WITHIN
        prober = Prober(self.registry, ended=lambda: ended() or clock.monotonic() > until)
        url = prober.port(port)
        taken = next((d.id for d in self.config.device if _one_port(d.port_url, url)), None)
        if taken is not None:
            raise InUse(f"{taken} has this port open")
        if not self._probing.acquire(blocking=False):
            raise InUse("somebody else is probing")
        try:
            report = prober.probe(url, seconds=_PROBING_EACH)
        except TransportError as problem:
            raise OSError(str(problem)) from problem
        finally:
            self._probing.release()
        self._log.info("device.probed", port=port, fits=[fit.driver for fit in report.fits])
        return {
            "port": port,
            "bytes": report.size,
            "fits": [
                {**fit_facts(fit), "settings": str(fit.line or ""), "device": prober.block(fit, url, "?")}
                for fit in report.fits
            ],
            "warnings": [{**warning.facts, "warning": warning.word} for warning in report.warnings],
        }

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
            "goods": goods,
            "parties": [party.public() for party in known.parties.values()],
        }

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


def _stop_printer(printer: PrinterRunner, timeout: float) -> None:
    printer.stop()
    if not printer.join(timeout):
        raise TimeoutError(f"printer {printer.device} is still printing")


def open_attachments(config: Config, *, owner: bool = True) -> Attachments:
    """The folder of attachments beside the store; `owner` is whoever holds the store's lock."""
    section = config.store
    return Attachments(
        Path(f"{section.path}.attachments"),
        max_bytes=section.attachments_max_bytes,
        largest=section.attachment_max_bytes,
        spare_bytes=section.reserve_bytes,
        owner=owner,
    )


def _one_port(one: PortUrl, other: PortUrl) -> bool:
    """Whether two names mean one port: serial ports have several names."""
    return one.scheme == other.scheme and os.path.realpath(one.address) == os.path.realpath(other.address)


def _capacity(registrar: Registrar, device: str) -> Capacity:
    """What the ledger knows of a scale's plate."""
    facts = registrar.asset(device).facts
    return Capacity(**{name: facts.get(name) for name in ("min_mg", "max_mg", "e_mg", "d_mg")})


def station_settings(section: StationSection, config: Config, registry: Registry) -> Settings:
    """What a station has to know, from its section of the configuration."""
    mine = [device for device in config.device if device.id in section.devices]
    rules = section.rules
    city, _, _ = load_city(config.gateway.city_profile, config.profiles)
    tolerance_set = "balance_tolerance" in rules.model_fields_set
    return Settings(
        id=section.id,
        mode=section.mode,
        zone=config.gateway.zone,
        rules=CycleRules(
            min_load=rules.min_load,
            zero_band=rules.zero_band,
            stable_ms=rules.stable_ms,
            stable_band=rules.stable_band,
            stable_readings=rules.stable_readings,
            additions=rules.additions if rules.additions is not None else section.mode in ADDITIONS_BY_DEFAULT,
        ),
        auto_confirm=rules.auto_confirm,
        party=section.party,
        operator=section.operator,
        scales=tuple(device.id for device in mine if registry.drivers[device.driver].kind == "scale"),
        units={device.id: device.unit for device in mine if device.unit is not None},
        role=section.role,
        codes=_code_profile({**city.code_settings, **section.codes}),
        price_per=city.price_per,
        round_off=rules.round_off,
        min_capacity_mg=rules.min_capacity,
        batches=BatchRules(
            choice=rules.batch_choice,
            no_upstream=rules.no_upstream,
            over_balance=rules.over_balance,
            stopped=rules.stopped,
            tolerance_permille=rules.balance_tolerance if tolerance_set else city.tolerance_permille,
            tolerances={**city.tolerances, **rules.balance_tolerances},
            days=rules.batch_days,
        ),
        crates=rules.crates,
        share=Share.parse(rules.trace_share),
        first_number=rules.trace_first,
        tags=TagRules(
            reads=rules.tag_reads,
            arrive_ms=rules.tag_arrive_ms,
            lost_ms=rules.tag_lost_ms,
            longest_ms=rules.tag_longest_s * 1000,
            floor_dbm=rules.tag_floor_dbm,
            floors={int(antenna): floor for antenna, floor in rules.tag_floors.items()},
            margin_db=rules.tag_margin_db,
            most=rules.tag_most,
        ),
    )


def _code_profile(settings: Mapping[str, Any]) -> CodeProfile:
    """What decides about codes at a station. The year places two-digit years; a box whose clock was lost has none."""
    year = datetime.fromtimestamp(clock.now().wall_ms / 1000, UTC).year
    return profile_from_mapping({"this_year": max(year, DEFAULT_PROFILE.this_year), "name": "station", **settings})


def link_settings(config: Config) -> LinkSettings:
    """What the uplink has to know, from the configuration. Raises ValueError without an [uplink] section."""
    section = config.uplink
    if section is None:
        raise ValueError("the configuration has no [uplink] section")
    tls = section.tls
    return LinkSettings(
        host=section.host,
        port=section.effective_port,
        tls=None if tls is None else TlsSettings(ca=_path(tls.ca), cert=_path(tls.cert), key=_path(tls.key)),
        username=section.username,
        password_file=_path(section.password_file),
        acknowledgement=section.acknowledgement,
        compression=section.compression,
        window=section.window,
        verdict_timeout=section.verdict_timeout,
        unverdicted_max=section.unverdicted_max,
        progress_timeout=section.progress_timeout,
        keepalive=section.keepalive,
        connect_timeout=section.connect_timeout,
        reconnect_max=section.reconnect_max,
        batch_records=section.batch_records,
        backlog_share=section.backlog_share,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def version() -> str:
    """The installed version."""
    return importlib.metadata.version("trace-edge-agent")
