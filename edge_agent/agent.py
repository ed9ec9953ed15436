"""The composition root: a configuration becomes a running agent.

Nothing here decides anything; it makes the parts, gives each what it may call, and starts and stops them in order.
What may be asked of the running agent is its `Window`. Stop order: devices, stations, relay, store; so that what was
observed is still kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from edge_agent import clock
from edge_agent.batch_lists import BatchLists, List
from edge_agent.catalogue import Catalogue
from edge_agent.config import BatchList, Config, Device
from edge_agent.config import Station as StationSection
from edge_agent.control import ControlServer
from edge_agent.driver import Printer, Session
from edge_agent.health import Notifier, Watchdog
from edge_agent.kept_log import KeptLog
from edge_agent.office.bookkeeper import Bookkeeper
from edge_agent.office.cataloguer import Cataloguer
from edge_agent.office.clerk import Clerk
from edge_agent.office.corrector import Corrector
from edge_agent.office.figures import FigureKeeper
from edge_agent.office.lookups import StoreLookups
from edge_agent.office.registrar import Registrar
from edge_agent.office.repeats import Repeats
from edge_agent.office.slips import PRINTED_BY_RULE, Counter, Slips
from edge_agent.office.watchman import Watchman
from edge_agent.preparing import configured_devices
from edge_agent.printing import PrinterRunner
from edge_agent.receipts import Issuer
from edge_agent.registry import Registry
from edge_agent.settings import capacity, link_settings, open_attachments, station_settings, version
from edge_agent.station import Books, Duty, Tickets, make_station
from edge_agent.station.batch_list import batch_list, file_name
from edge_agent.store import Limits, Store, Superseded
from edge_agent.supervisor import DeviceRunner, StationRunner, Supervisor
from edge_agent.tiles import Tiles
from edge_agent.uplink import Ahead, Identity, Relay, Witness
from edge_agent.window import TILL, Window
from edge_agent.workshop.proving import Workshop

STOP_WITHIN: Final = 5.0
_DUTY: Final = "duty/"


class Agent(Window):
    """A running agent. `start` raises the store's errors; everything later is supervised."""

    def __init__(self, config: Config, registry: Registry) -> None:
        super().__init__(config, registry)
        self._stops: list[tuple[str, float, Callable[[float], object]]] = []
        self._ended = threading.Event()
        self.again = False
        """Whether `run` ended only to be begun again, by a new agent on the same configuration."""

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
        self._attachments.shown = self._pictures_shown
        if config.uplink is not None:
            self._start_relay(store)
        self._start_figures(store, bookkeeper)
        self._start_printers(store, bookkeeper)
        self._start_supervisor(store, bookkeeper)
        self._start_batch_lists(bookkeeper)
        self._start_webhooks(store)
        self._start_watchman(store)
        self._start_doors(store)
        _give_back()
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
            self._tell_catalogue()

        self._tiles = Tiles(store, [section.id for section in self.config.station])
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
        self._workshop = Workshop(
            self.config.device, self.registry, self.board, lambda: supervisor.devices, self.ledger_set
        )
        self._stops.append(("workshop", 0.5, self._workshop.close))

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
        if not self.config.webhook:
            return
        from edge_agent.webhook import Webhook, targets

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
        What is left then goes to devices that had not closed their ports yet.
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
        if self._supervisor is not None:
            self._supervisor.finish(max(0.0, until - clock.monotonic()))
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
        self._tickets[section.id] = tickets = self._kept_tickets(section.id)
        settings = dataclasses.replace(settings, duty=duty, tickets=tickets)
        if self._registrar is not None:
            settings = dataclasses.replace(
                settings, device_flags=self._registrar.flags, capacity=partial(capacity, self._registrar)
            )
        return lambda: make_station(settings, books)

    def _kept_tickets(self, station: str) -> Tickets:
        """The tickets that were open or on hold when the agent last ran."""
        noted = self.store.note(f"{TILL}{station}")
        try:
            return Tickets() if noted is None else Tickets.of(orjson.loads(noted))
        except (KeyError, TypeError, ValueError) as problem:
            self._log.error("tickets.note_unreadable", station=station, reason=f"{type(problem).__name__}: {problem}")
            return Tickets()

    def _session_maker(self, device: Device) -> Callable[[], Session]:
        spec = self.registry.drivers[device.driver]

        def make() -> Session:
            transport = self.registry.make_transport(device.port_url, spec)
            return self.registry.session(transport, self.registry.make_codec(device.driver, device.options))

        return make


def _give_back() -> None:
    """Hand the memory that starting needed, and working does not, back to the system (malloc_trim(3), glibc only)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _stop_printer(printer: PrinterRunner, timeout: float) -> None:
    printer.stop()
    if not printer.join(timeout):
        raise TimeoutError(f"printer {printer.device} is still printing")
