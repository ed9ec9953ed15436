"""The uplink: kept records to the broker, the platform's verdicts back to the outbox."""

from edge_agent.uplink.relay import LinkState, LinkStatus, Relay
from edge_agent.uplink.settings import Identity, LinkSettings, TlsSettings
from edge_agent.uplink.trial import Trial, try_link
from edge_agent.uplink.witness import Ahead, Witness

__all__ = [
    "Ahead",
    "Identity",
    "LinkSettings",
    "LinkState",
    "LinkStatus",
    "Relay",
    "TlsSettings",
    "Trial",
    "Witness",
    "try_link",
]
