"""A kept sale, as receipts are made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def sale() -> Callable[..., dict[str, Any]]:
    """Makes a sale of cabbage; fields of its body may be given."""
    return kept_sale


def kept_sale(**data: Any) -> dict[str, Any]:
    return {
        "id": "0193",
        "type": "trace.sale.v1",
        "time": "2026-11-23T09:15:02.412+08:00",
        "subject": "A12",
        "sequence": "0000000000000012",
        "hash": "ab" * 32,
        "data": {
            "goods_code": "01234567",
            "goods_name": "大白菜",
            "batch": "20261123-07",
            "trace_code": "37060256900120000058",
            "mode": "weight",
            "net_mg": 2_345_000,
            "tare_mg": 20_000,
            "qty": 1,
            "price_fen": 280,
            "price_per": "500g",
            "amount_raw_fen": 1313,
            "amount_fen": 1310,
            "seller": "3706025690012",
            "flags": [],
            **data,
        },
    }
