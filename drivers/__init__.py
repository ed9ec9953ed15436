"""Device drivers that ship with the agent, found through the entry-point group `edge_agent.drivers`.

Every module of a family package (`scales`, `scanners`, `transports` …) that exports `SPEC`, or several as
`SPECS`, is in the bundle. A new device is one new file; no list is edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from drivers.session import DeviceSession
from drivers.tables import load_table
from edge_agent.driver import Bundle, DriverSpec, TransportSpec


def bundle() -> Bundle:
    """All drivers and transports of this package, in the order of their ids and schemes."""
    specs = list(_specs())
    return Bundle(
        drivers=tuple(sorted((s for s in specs if isinstance(s, DriverSpec)), key=lambda spec: spec.id)),
        transports=tuple(sorted((s for s in specs if isinstance(s, TransportSpec)), key=lambda spec: spec.scheme)),
        session=DeviceSession,
        load_table=load_table,
        learn=_learn,
    )


def _specs() -> Iterator[DriverSpec | TransportSpec]:
    for family in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        if family.ispkg:
            package = importlib.import_module(family.name)
            for found in pkgutil.iter_modules(package.__path__, prefix=f"{family.name}."):
                module = importlib.import_module(found.name)
                yield from getattr(module, "SPECS", ())
                if hasattr(module, "SPEC"):
                    yield module.SPEC


def _learn(*arguments: Any, **named: Any) -> Any:
    """See `drivers.learning.learn`, which is loaded when somebody learns."""
    from drivers.learning import learn

    return learn(*arguments, **named)
