"""What the uplink needs to be told: where the broker is, who we are, and its limits. Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final, Literal

Acknowledgement = Literal["platform", "broker"]
"""Whose word settles a record: the platform's verdict, or the broker's PUBACK."""

Compression = Literal["none", "zstd", "gzip"]

MAX_WINDOW: Final = 20
"""Messages under way at once. paho scans all of them at each PUBACK, so more is slower, not faster."""

MAX_BATCH_RECORDS: Final = 1_000
MAX_BATCH_BYTES: Final = 256 * 1024
"""Bounds of one message on `records`, before compression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who publishes: the topic levels `site` and `gateway`, the CloudEvents `source`, and the zone of our times."""

    site: str
    gateway: str
    source: str
    zone: tzinfo = UTC

    @property
    def client_id(self) -> str:
        """The MQTT client identifier; the broker keeps the session under it."""
        return f"{self.site}-{self.gateway}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Files of the TLS connection, PEM. Without `ca` the system's authorities count.

    The broker's certificate and host name are always checked; there is no switch to turn that off.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How to reach the broker and how much may be under way.

    `verdict_timeout` is how long the platform may take before a record is sent again (doubling from there to
    five minutes), `unverdicted_max` how many published records may be without a verdict (an eighth of them
    salvaged ones), `progress_timeout`
    how long neither watermark nor verdict may stand still before the connection is renewed, `backlog_share`
    the part of the messages that a backlog keeps while new records come in.
    """

    host: str
    port: int
    tls: TlsSettings | None = None
    username: str | None = None
    password_file: Path | None = None
    acknowledgement: Acknowledgement = "platform"
    compression: Compression = "zstd"
    window: int = 16
    verdict_timeout: float = 15.0
    unverdicted_max: int = 20_000
    progress_timeout: float = 30.0
    keepalive: int = 20
    connect_timeout: float = 10.0
    batch_records: int = 200
    batch_bytes: int = MAX_BATCH_BYTES
    backlog_share: float = 0.25
    reconnect_max: float = 20.0
    info_interval: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what can never work. Raises ValueError that names the setting and what would be right."""
        _within("port", self.port, 1, 65_535)
        _within("window", self.window, 1, MAX_WINDOW)
        _within("unverdicted_max", self.unverdicted_max, 1, 1_000_000)
        _within("batch_records", self.batch_records, 1, MAX_BATCH_RECORDS)
        _within("batch_bytes", self.batch_bytes, 1_024, MAX_BATCH_BYTES)
        _within("backlog_share", self.backlog_share, 0.01, 1.0)
        _within("keepalive", self.keepalive, 1, 65_535)
        for name in ("verdict_timeout", "progress_timeout", "connect_timeout", "reconnect_max", "info_interval"):
            _within(name, getattr(self, name), 0.01, 86_400.0)
        if self.tls is not None and (self.tls.cert is None) != (self.tls.key is None):
            raise ValueError("tls: cert and key come together, or not at all")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, must be {low} to {high}")
