"""What people may ask of the signing key, whether through the running agent or beside a store that no agent has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.store import Store, key_file


def attend(store: Store, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is asked: `keys.rotate` (reason, new_key), `keys.accept`, `sign.checkpoint`, `sign.evidence` (day and
    manifest).

    The two that sign answer with the `line` that was signed, None while signing is blocked.

    Raises the store's errors, and KeyError for another verb.
    """
    if verb == "keys.rotate":
        new_key = arguments.get("new_key")
        successor = None if new_key is None else key_file(Path(new_key))
        change = store.attestor.rotate(str(arguments.get("reason") or "rotation"), successor)
        return {"key": change.next_key.id, "public": change.next, "before": change.key}
    if verb == "keys.accept":
        return {"was_blocked": store.attestor.unblock()}
    if verb == "sign.checkpoint":
        return {"line": _text(store.checkpoint())}
    if verb == "sign.evidence":
        return {"line": _text(store.attestor.evidence(str(arguments["day"]), str(arguments["manifest"])))}
    raise KeyError(verb)


def _text(line: bytes | None) -> str | None:
    return None if line is None else line.decode()
