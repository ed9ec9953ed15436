"""Sans-I/O: what is observed at one place becomes records.

A station is fed observations, commands and ticks by its one thread and answers with drafts of records. It
never touches a device, a database or a clock; time comes with what it is fed.
"""

from edge_agent.station.base import BatchRules, Duty, Outcome, Refused, Settings, Station, Tickets, View, Watching
from edge_agent.station.books import Books
from edge_agent.station.modes import MODES, make_station
from edge_agent.station.numbers import Share
from edge_agent.station.tags import TagRules

__all__ = [
    "MODES",
    "BatchRules",
    "Books",
    "Duty",
    "Outcome",
    "Refused",
    "Settings",
    "Share",
    "Station",
    "TagRules",
    "Tickets",
    "View",
    "Watching",
    "make_station",
]
