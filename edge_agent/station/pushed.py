"""Sales that a scale made by itself and handed over: each becomes a record once, as the scale told it.

The goods are gone and paid for, so nothing is refused here: what is doubtful is flagged, and goods under a stop of sale
are reported. The scale's amounts are the amounts; ours is the check. The scale's number tells a sale that comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from edge_agent.model import Observation, PushedSale
from edge_agent.records.bodies import RecallHit, Sale
from edge_agent.records.envelope import Draft
from edge_agent.records.flags import Flag
from edge_agent.records.money import Quote, line_amount
from edge_agent.station.base import Settings, common, to_draft
from edge_agent.station.books import Books
from edge_agent.units import to_milligrams


def record_sale(settings: Settings, books: Books, observation: Observation, sale: PushedSale) -> Sequence[Draft]:
    """The records of a pushed sale: none where it is recorded already."""
    if books.was_pushed(observation.device, sale.number):
        return ()
    seller = sale.seller or settings.party
    account = books.batches.find(sale.batch, party=seller, goods=sale.goods_code) if sale.batch is not None else None
    stop = books.stops.met(batch=sale.batch, goods=sale.goods_code, lot=None, now_ms=observation.at.wall_ms)
    item = books.catalogue.find(sale.goods_code) if sale.goods_code is not None else None
    masses = _masses(sale)
    flags: list[Flag] = [] if account is not None else ["no_upstream"]
    if masses.get("gross_mg") is None and sale.pieces is None:
        flags.append("basis_unknown")
    flags += _amount_flags(sale, masses.get("net_mg"))
    flags += settings.device_flags(observation.device, observation.at)
    fields = {
        **masses,
        "device": observation.device,
        "driver": observation.driver,
        "device_time": _moment(sale.sold_at, settings),
        "device_record": sale.number,
        "flags": tuple(dict.fromkeys(flags)),
        "goods_code": item.code if item is not None else sale.goods_code,
        "goods_name": sale.goods_name or (item.name if item is not None else None),
        "batch": sale.batch,
        "upstream_ticket": sale.upstream or (account.upstream if account is not None else None),
        "trace_code": sale.trace_code,
        "mode": "weight" if sale.pieces is None else "piece",
        "qty": sale.pieces or 1,
        "price_fen": sale.price_fen,
        "price_per": sale.price_per,
        "amount_raw_fen": sale.amount_raw_fen,
        "amount_fen": sale.amount_fen,
        "amount_source": None if sale.amount_raw_fen is None else "device",
        "seller": seller,
        "buyer": sale.buyer,
        "raw": sale.raw.hex(),
    }
    body = Sale(**(common(settings, observation.at) | fields))
    drafts = [to_draft(settings, observation.at, body)]
    if stop is not None:
        hit = RecallHit(
            **common(settings, observation.at),
            stop_sale=stop.id,
            matched=stop.matched,
            record=drafts[0].id,
            action="warn",
            batch=sale.batch,
            goods_code=sale.goods_code,
            remaining_mg=account.left_mg if account is not None and account.in_mg else None,
        )
        drafts.append(to_draft(settings, observation.at, hit))
    return drafts


def _masses(sale: PushedSale) -> dict[str, Any]:
    if sale.weight is None or sale.unit is None:
        return {}
    gross = None if sale.gross is None else to_milligrams(sale.gross, sale.unit)
    tare = None if sale.tare is None else to_milligrams(sale.tare, sale.unit)
    return {
        "net_mg": to_milligrams(sale.weight, sale.unit),
        "gross_mg": gross,
        "tare_mg": tare,
        "tare_kind": "weighed" if tare else None,
        "indication": sale.weight,
        "unit": sale.unit,
        "stability": "stable",
    }


def _amount_flags(sale: PushedSale, net_mg: int | None) -> list[Flag]:
    if sale.price_fen is None or sale.price_per is None or sale.amount_raw_fen is None:
        return []
    ours = line_amount(Quote(sale.price_fen, sale.price_per), paid_mg=net_mg, qty=sale.pieces or 1)
    return ["amount_mismatch"] if ours is not None and ours != sale.amount_raw_fen else []


def _moment(told: str | None, settings: Settings) -> str | None:
    """The scale's own time, in the zone where it stands."""
    if told is None:
        return None
    return datetime.fromisoformat(told).replace(tzinfo=settings.zone).isoformat(timespec="milliseconds")
