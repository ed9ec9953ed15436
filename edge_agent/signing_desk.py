"""What people may ask of the signing key, whether through the running agent or beside a store that no agent has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.store import Store, key_file


def attend(store: Store, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is asked: `keys.rotate` (reason, new_key) or `keys.accept`.

    Raises the store's errors, and KeyError for another verb.
    """
    if verb == "keys.rotate":
        new_key = arguments.get("new_key")
        successor = None if new_key is None else key_file(Path(new_key))
        change = store.attestor.rotate(str(arguments.get("reason") or "rotation"), successor)
        return {"key": change.next_key.id, "public": change.next, "before": change.key}
    if verb == "keys.accept":
        return {"was_blocked": store.attestor.unblock()}
    raise KeyError(verb)
