"""Episodes of tags in view as records."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.clock import rfc3339
from edge_agent.model import Instant, TagRead
from edge_agent.records.bodies import TagBody
from edge_agent.records.envelope import Draft
from edge_agent.station.base import Settings, common, to_draft
from edge_agent.station.codes_seen import tag_fields
from edge_agent.station.tags import Episode, Present


def episode_drafts(settings: Settings, events: Iterable[Present | Episode], at: Instant) -> list[Draft]:
    """One record for each episode that ended."""
    return [_draft(settings, event, at) for event in events if isinstance(event, Episode)]


def _draft(settings: Settings, episode: Episode, at: Instant) -> Draft:
    tag = TagRead(tag_id=episode.tag_id, kind=episode.kind, raw=episode.raw)
    body = TagBody(
        **common(settings, at),
        device=episode.device,
        driver=episode.driver,
        tag_id=episode.tag_id,
        kind=episode.kind,
        antenna=episode.antenna,
        first=rfc3339(episode.first.wall_ms, settings.zone),
        last=rfc3339(episode.last.wall_ms, settings.zone),
        reads=episode.reads,
        rssi_dbm=episode.rssi_dbm,
        raw=episode.raw.hex(),
        **tag_fields(tag),
    )
    return to_draft(settings, at, body)
