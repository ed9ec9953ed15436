"""One supervised thread per device and one per station, started and stopped in order.

device.py     bytes, by its session, become observations
              ring.py: the last of them; counters.py: how many; plausible.py, widths.py: what is refused
station.py    observations and commands become records
              mailbox.py: what reaches it, bounded
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from edge_agent import clock
from edge_agent.supervisor.counters import Counters
from edge_agent.supervisor.device import DeviceRunner
from edge_agent.supervisor.station import RecordKeeper, StationRunner

__all__ = ["Counters", "DeviceRunner", "RecordKeeper", "StationRunner", "Supervisor"]


class Supervisor:
    """All devices and stations, started and stopped in order."""

    def __init__(self, devices: Sequence[DeviceRunner], stations: Sequence[StationRunner]) -> None:
        self.devices = {runner.device: runner for runner in devices}
        self.stations = {runner.station_id: runner for runner in stations}

    def start(self) -> None:
        """Start the stations, then the devices that feed them."""
        for station in self.stations.values():
            station.start()
        for device in self.devices.values():
            device.start()

    def stop(self, timeout: float) -> None:
        """Stop the devices, then the stations; a thread that does not end in time is named in the log.

        `finish` waits for those.
        """
        until = clock.monotonic() + timeout
        for device in self.devices.values():
            device.stop()
        slow = [d.device for d in self.devices.values() if not d.join(max(0.0, until - clock.monotonic() - 0.5))]
        for station in self.stations.values():
            station.stop()
        slow += [s.station_id for s in self.stations.values() if not s.join(max(0.0, until - clock.monotonic()))]
        if slow:
            structlog.get_logger().warning("threads.slow_to_stop", names=slow)

    def finish(self, timeout: float) -> None:
        """Wait for devices that `stop` left behind: a port that is not closed in order keeps the kernel's own driver
        off its device until that is plugged in anew."""
        until = clock.monotonic() + timeout
        left = [d.device for d in self.devices.values() if not d.join(max(0.0, until - clock.monotonic()))]
        if left:
            structlog.get_logger().error("threads.never_stopped", names=left)
