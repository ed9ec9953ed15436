"""An agent with a network reader at a gate: its configuration."""

from __future__ import annotations


def gate_config(port: str, *, tag_lost_ms: int, refused_wait_s: int = 1) -> str:
    """Keepalives every second, so that silence is noticed soon."""
    return f"""\
[gateway]
id = "box-1"
site = "market-3"

[store]
path = "records.db"

[[device]]
id = "gate"
driver = "llrp"
port = "{port}"
options = {{ keepalive_s = 1, refused_wait_s = {refused_wait_s} }}

[[station]]
id = "dock"
mode = "log"
devices = ["gate"]
rules = {{ tag_lost_ms = {tag_lost_ms} }}
"""
