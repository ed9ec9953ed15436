"""The goods of the catalogue as a page shows them: with today's price and the seller's open batches."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edge_agent.catalogue import GoodsItem
from edge_agent.station.books import Books


def shown_goods(books: Books, *, party: str | None, day: str, now_ms: int, days: int) -> list[dict[str, Any]]:
    """Every goods in the page's order. Without a party the usual prices and no batches.

    `price_fen` and `price_per` are what rules on `day`. `batches` are the open ones, oldest first; `stopped` says that
    there are some, and all under a stop of sale; `stop` is that of the newest.
    """
    return [_shown(books, item, party, day, now_ms, days) for item in books.catalogue.in_order()]


def _shown(books: Books, item: GoodsItem, party: str | None, day: str, now_ms: int, days: int) -> dict[str, Any]:
    quote = books.catalogue.price(item.code, day, party)
    recent = books.recent_batches(party, item.code, now_ms=now_ms, days=days) if party else []
    open_now = books.open_batches(party, item.code, now_ms=now_ms, days=days) if recent else []
    stop = (
        None
        if open_now or not recent
        else books.stops.met(batch=recent[-1].batch, goods=item.code, lot=None, now_ms=now_ms)
    )
    return asdict(item) | {
        "gtins": list(item.gtins),
        "price_fen": None if quote is None else quote.price_fen,
        "price_per": item.price_per if quote is None else quote.price_per,
        "batches": [
            {
                "batch": account.batch,
                "left_mg": account.left_mg,
                "left_qty": account.left_qty,
                "opened_ms": account.opened_ms,
            }
            for account in open_now
        ],
        "stopped": bool(recent) and not open_now,
        "stop": None if stop is None else stop.id,
    }
