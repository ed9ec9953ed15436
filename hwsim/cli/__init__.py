"""The command `hwsim`: simulated devices, broker, city platform and network faults, for demos, tests and maintainers.

Data is JSON lines on stdout, messages go to stderr. Exit codes: 0 ok (SIGTERM too), 2 usage, 65 bad data,
69 broker unavailable, 73 cannot create, 74 I/O.
"""

from __future__ import annotations

import click

from hwsim.cli import city, devices, listing, network, pushing, readers

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Simulated devices, broker, city platform and network faults."""


for _command in (
    listing.list_,
    devices.scale,
    devices.scanner,
    devices.printer,
    devices.replay,
    devices.bench,
    readers.rfid,
    readers.card,
    pushing.push,
    network.broker,
    network.chaos,
    city.city,
    city.pay_,
):
    main.add_command(_command)
