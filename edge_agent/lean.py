"""Loading structlog without what it takes along and the agent never uses; some 7 MB on a small box.

structlog loads asyncio for its coroutine loggers, and rich and greenlet wherever they happen to be installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any, Final

_NOT_FOR_LOGS: Final = ("rich", "greenlet")


def load_structlog() -> None:
    """Load it, once. asyncio stays a promise that is kept at its first use, as the page's server does."""
    if "structlog" in sys.modules:
        return
    _promise("asyncio")
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in _NOT_FOR_LOGS if name not in modules]
    modules.update(dict.fromkeys(hidden))  # None in the table: such an import fails at once
    try:
        importlib.import_module("structlog")
    finally:
        for name in hidden:
            del modules[name]


def _promise(name: str) -> None:
    """Put a stand-in into the table that becomes the module when an attribute of it is first asked for.

    importlib's LazyLoader cannot do this: an import statement itself asks a module for its `__spec__`.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    stand_in = types.ModuleType(name)
    stand_in.__spec__ = spec

    def fulfil(attribute: str) -> Any:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        stand_in.__dict__.update(vars(importlib.import_module(name)))
        return stand_in.__dict__[attribute] if attribute in stand_in.__dict__ else _missing(name, attribute)

    stand_in.__dict__["__getattr__"] = fulfil
    sys.modules[name] = stand_in


def _missing(name: str, attribute: str) -> Any:
    raise AttributeError(f"module {name!r} has no attribute {attribute!r}")


_M_ARENA_MAX: Final = -8
"""glibc's malloc.h: how many heaps malloc opens."""


def one_heap() -> None:
    """Have malloc use one heap for all threads; half a megabyte. Python's lock leaves nothing that several would
    speed up. Does nothing where the C library is not glibc.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
