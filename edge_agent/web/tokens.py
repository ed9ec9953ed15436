"""Tokens of programs that use the local API: what each may do, and the file of their hashes.

A token is 256 random bits, so its SHA-256 needs neither salt nor slowness. The file is JSON, readable by the agent's
user only: {"v": 1, "tokens": [{"name": "pos-1", "scopes": ["read", "sell"], "hash": "<hex>", "made": "<time>"}]}
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge_agent.web.people import write_secret

_PREFIX: Final = "tea_"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_MOST: Final = 100


class Scope(enum.StrEnum):
    """What a token may do: look, sell and correct, take in, tell of payments."""

    READ = "read"
    SELL = "sell"
    INTAKE = "intake"
    PAY = "pay"


class BadTokens(ValueError):
    """A token file or a token that cannot be; the words say what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A program that may ask. `hash` is the SHA-256 of its token."""

    name: str
    scopes: tuple[Scope, ...]
    hash: str
    made: str


class Tokens:
    """The token file; read again when it changed on disk. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._tokens: list[Token] = []

    def all(self) -> list[Token]:
        """Every token, in the order in which they were made."""
        with self._lock:
            self._refresh()
            return list(self._tokens)

    def find(self, token: str) -> Token | None:
        """Whose token this is; None where it is nobody's."""
        digest = _digest(token)
        found = None
        for each in self.all():  # all of them, so that the time taken does not tell which
            if hmac.compare_digest(each.hash, digest):
                found = each
        return found

    def new(self, name: str, scopes: Iterable[str], made: str) -> str:
        """Make a token and return it: it is shown once and kept nowhere. Raises `BadTokens`, OSError."""
        if not _NAME.fullmatch(name):
            raise BadTokens(f"{name!r} is no name: 1 to 32 of the letters A-Z a-z 0-9 _ . -")
        try:
            wanted = tuple(dict.fromkeys(Scope(scope) for scope in scopes))
        except ValueError as problem:
            raise BadTokens(f"{problem}; known scopes: {', '.join(Scope)}") from None
        if not wanted:
            raise BadTokens(f"a token needs a scope: {', '.join(Scope)}")
        token = _PREFIX + secrets.token_urlsafe(32)
        with self._lock:
            self._refresh()
            if any(each.name == name for each in self._tokens):
                raise BadTokens(f"there is a token {name!r} already; revoke it first")
            if len(self._tokens) >= _MOST:
                raise BadTokens(f"there are {_MOST} tokens already; revoke one first")
            self._tokens.append(Token(name=name, scopes=wanted, hash=_digest(token), made=made))
            self._write()
        return token

    def revoke(self, name: str) -> bool:
        """Have a token count no more; whether there was one of that name."""
        with self._lock:
            self._refresh()
            left = [each for each in self._tokens if each.name != name]
            found = len(left) < len(self._tokens)
            if found:
                self._tokens = left
                self._write()
            return found

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._tokens = None, []
            return
        if self._seen != (stat.st_mtime_ns, stat.st_size):
            self._tokens = read_tokens(self.path)
            self._seen = (stat.st_mtime_ns, stat.st_size)

    def _write(self) -> None:
        value: dict[str, Any] = {"v": 1, "tokens": [asdict(each) for each in self._tokens]}
        write_secret(self.path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")
        self._seen = None


def read_tokens(path: Path) -> list[Token]:
    """The tokens of a file. Raises `BadTokens` for what is none, OSError where it is not read."""
    try:
        return [
            Token(
                name=str(each["name"]),
                scopes=tuple(Scope(scope) for scope in each["scopes"]),
                hash=str(each["hash"]),
                made=str(each.get("made", "")),
            )
            for each in json.loads(path.read_text(encoding="utf-8"))["tokens"]
        ]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as problem:
        raise BadTokens(f"{path} is no token file: {type(problem).__name__}: {problem}") from problem


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
