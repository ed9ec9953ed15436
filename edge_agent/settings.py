"""From the sections of the configuration to what each part of the agent takes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent import clock
from edge_agent.attachments import Attachments
from edge_agent.city import load_city
from edge_agent.codes import DEFAULT_PROFILE, CodeProfile, profile_from_mapping
from edge_agent.config import Config
from edge_agent.config import Station as StationSection
from edge_agent.office.registrar import Registrar
from edge_agent.registry import Registry
from edge_agent.station import BatchRules, Settings, Share, TagRules
from edge_agent.station.base import Capacity
from edge_agent.station.modes import ADDITIONS_BY_DEFAULT
from edge_agent.station.weigh_cycle import CycleRules
from edge_agent.uplink import LinkSettings, TlsSettings


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


def capacity(registrar: Registrar, device: str) -> Capacity:
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
            empty_readings=rules.empty_readings,
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
