"""Mode `log`: every weigh cycle is a weighing, every scan a scan, every episode of a tag in view a tag record."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.model import Command, Instant, Observation, PushedSale, Scan, TagRead
from edge_agent.records.bodies import ScanBody, Weighing
from edge_agent.records.envelope import Draft
from edge_agent.station.base import (
    Outcome,
    Platter,
    Platters,
    Refused,
    Settings,
    View,
    common,
    to_draft,
    weighed_fields,
    weight_view,
)
from edge_agent.station.books import Books
from edge_agent.station.codes_seen import understand
from edge_agent.station.pushed import record_sale
from edge_agent.station.tag_records import episode_drafts
from edge_agent.station.tags import TagsInView
from edge_agent.station.weigh_cycle import Load


class LogStation:
    """A place where everything that is weighed or scanned is recorded, without an operator's word."""

    def __init__(self, settings: Settings, books: Books) -> None:
        self._settings = settings
        self._books = books
        self._platters = Platters(settings)
        self._tags = TagsInView(settings.tags)
        self._last_scan: str | None = None

    @property
    def view(self) -> View:
        """How the station stands."""
        return weight_view(
            self._settings,
            self._platters.in_use,
            last_scan=self._last_scan,
            tags_in_view=self._tags.present,
            tag_reads=self._tags.reads,
        )

    def observe(self, observation: Observation) -> Sequence[Draft]:
        """Take what a device said; a load that became stable and a scan are recorded at once, a tag when it is gone."""
        return [*self.tick(observation.at), *self._observe(observation)]

    def _observe(self, observation: Observation) -> Sequence[Draft]:
        match observation.event:
            case Scan() as scan:
                return [self._scan(scan, observation)]
            case PushedSale() as sale:
                return record_sale(self._settings, self._books, observation, sale)
            case TagRead() as tag:
                events = self._tags.see(tag, observation.device, observation.driver, observation.at)
                return episode_drafts(self._settings, events, observation.at)
            case _:
                platter = self._platters.observe(observation)
                load = platter.cycle.take() if platter is not None else None
                return [] if platter is None or load is None else [self._weighing(platter, load, observation.at)]

    def tick(self, at: Instant) -> Sequence[Draft]:
        """See `Watching.tick`."""
        return episode_drafts(self._settings, self._tags.tick(at), at)

    def close(self, at: Instant) -> Sequence[Draft]:
        """See `Watching.close`."""
        return episode_drafts(self._settings, self._tags.close(), at)

    def command(self, command: Command) -> Outcome:
        """`capture`: record a load that was on the platter when watching began; with `unstable` one that does not come
        to rest, flagged."""
        if command.name != "capture":
            return Outcome(refused=Refused(code="unknown-command"))
        platter = self._platters.in_use
        load = platter.cycle.take_by_hand(unsteady=command.arguments.get("unstable") is True)
        if load is None:
            return Outcome(refused=Refused(code="nothing-to-capture"))
        return Outcome(drafts=(self._weighing(platter, load, command.at, operator=command.operator),))

    def _weighing(self, platter: Platter, load: Load, at: Instant, operator: str | None = None) -> Draft:
        body = Weighing(
            **common(self._settings, at, operator=operator), **weighed_fields(self._settings, platter, load)
        )
        return to_draft(self._settings, at, body)

    def _scan(self, scan: Scan, observation: Observation) -> Draft:
        seen = understand(scan, self._settings.role, self._settings.codes)
        self._last_scan = seen.text
        body = ScanBody(
            **common(self._settings, observation.at),
            device=observation.device,
            driver=observation.driver,
            **seen.fields(),
        )
        return to_draft(self._settings, observation.at, body)
