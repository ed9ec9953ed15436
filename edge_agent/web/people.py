"""The people of the stall: the PIN file, its salted hashes, and what changes it.

The file is JSON, readable by the agent's user only:

    {"v": 1, "card_key": "<hex>", "people": [
      {"id": "03", "name": "王芳", "role": "operator", "pin": "scrypt$14$8$1$<salt>$<hash>", "cards": ["<hmac>"]}]}

A PIN has few digits: whoever has the file can try them all, scrypt only makes that slow. So the file is as secret as
a key. A card counts as much as a PIN, and its number is kept as an HMAC under a key of this file's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge_agent.web.access import Role

PIN_LENGTH: Final = (4, 64)
"""Characters; a PIN of digits or a password, as somebody likes."""

_LOG_N: Final = 14  # 16 MiB for the time of one check: what a box of 256 MB can spare
_BLOCK: Final = 8
_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_MOST: Final = 500
_WEAK: Final = frozenset({"0000", "1111", "1234", "4321", "123456", "000000", "111111", "888888", "666666"})
_one_at_a_time: Final = threading.Lock()


class BadPeople(ValueError):
    """A PIN file, a PIN or a person that cannot be: the words say what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who works here. `id` becomes the `operator` of records."""

    id: str
    name: str
    role: Role
    pin: str | None = None
    cards: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What others may see."""
        return {"id": self.id, "name": self.name, "role": str(self.role)}


def hash_pin(pin: str) -> str:
    """The salted scrypt hash of a PIN."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_LOG_N}${_BLOCK}$1${salt.hex()}${_scrypt(pin, salt, _LOG_N, _BLOCK, 1).hex()}"


def pin_fits(pin: str, hashed: str) -> bool:
    """Whether a PIN is the one that was hashed. One check at a time: each takes 16 MiB."""
    try:
        kind, log_n, block, parallel, salt, value = hashed.split("$")
        if kind != "scrypt" or not 10 <= int(log_n) <= 16:
            return False
        made = _scrypt(pin, bytes.fromhex(salt), int(log_n), int(block), int(parallel))
    except ValueError:
        return False
    return hmac.compare_digest(made.hex(), value)


def _scrypt(pin: str, salt: bytes, log_n: int, block: int, parallel: int) -> bytes:
    with _one_at_a_time:
        return hashlib.scrypt(
            pin.encode("utf-8", "replace"), salt=salt, n=1 << log_n, r=block, p=parallel, maxmem=128 << 20, dklen=32
        )


_NOBODY: Final = hash_pin(secrets.token_hex(8))
"""Checked where there is no such person, so that the time taken does not tell."""


def check_pin(pin: str) -> None:
    """Raises `BadPeople` for a PIN that is too short, too long or the first one that anybody tries."""
    low, high = PIN_LENGTH
    if not low <= len(pin) <= high:
        raise BadPeople(f"a PIN has {low} to {high} characters, this one has {len(pin)}")
    if pin in _WEAK or len(set(pin)) == 1:
        raise BadPeople("this PIN is one of the first that anybody tries; choose another")


class People:
    """The PIN file. It is read again when it changed on disk, so that the command line can change it. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._people: dict[str, Person] = {}
        self._card_key = ""

    def all(self) -> list[Person]:
        """Everybody, in order of their id."""
        with self._lock:
            self._refresh()
            return sorted(self._people.values(), key=lambda person: person.id)

    def find(self, person_id: str) -> Person | None:
        """Somebody by id."""
        with self._lock:
            self._refresh()
            return self._people.get(person_id)

    def with_pin(self, person_id: str, pin: str) -> Person | None:
        """The person with this id, where the PIN is theirs. Takes about 50 ms, for somebody unknown too."""
        person = self.find(person_id)
        fits = pin_fits(pin, person.pin if person is not None and person.pin is not None else _NOBODY)
        return person if fits else None

    def with_card(self, card: str) -> Person | None:
        """The person whose card this is."""
        with self._lock:
            self._refresh()
            if not self._card_key:
                return None
            digest = self._card_digest(card)
            return next((p for p in self._people.values() if digest in p.cards), None)

    def put(
        self,
        person_id: str,
        *,
        name: str | None = None,
        role: Role | None = None,
        pin: str | None = None,
        card: str | None = None,
    ) -> Person:
        """Add somebody, or change what is given. Raises `BadPeople`; OSError where the file cannot be written."""
        if not _ID.fullmatch(person_id):
            raise BadPeople(f"{person_id!r} is no id: 1 to 32 of the letters A-Z a-z 0-9 _ . -")
        if name is not None and not 0 < len(name.strip()) <= 60:
            raise BadPeople("a name has 1 to 60 characters")
        if pin is not None:
            check_pin(pin)
        with self._lock:
            self._refresh()
            person = self._people.get(person_id)
            if person is None:
                if len(self._people) >= _MOST:
                    raise BadPeople(f"there are {_MOST} people already; remove somebody first")
                person = Person(id=person_id, name=name or person_id, role=role or Role.OPERATOR)
            cards = person.cards
            if card is not None:
                digest = self._card_digest(card)
                if any(digest in other.cards for other in self._people.values() if other.id != person_id):
                    raise BadPeople("this card is somebody else's")
                cards = tuple(dict.fromkeys((*cards, digest)))
            person = replace(
                person,
                name=person.name if name is None else name.strip(),
                role=person.role if role is None else role,
                pin=person.pin if pin is None else hash_pin(pin),
                cards=cards,
            )
            self._people[person_id] = person
            self._write()
            return person

    def remove(self, person_id: str) -> bool:
        """Forget somebody; whether there was such a person."""
        with self._lock:
            self._refresh()
            found = self._people.pop(person_id, None) is not None
            if found:
                self._write()
            return found

    def _card_digest(self, card: str) -> str:
        if not self._card_key:
            self._card_key = secrets.token_hex(32)
        text = "".join(card.split()).upper()
        return hmac.new(bytes.fromhex(self._card_key), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._people, self._card_key = None, {}, ""
            return
        if self._seen == (stat.st_mtime_ns, stat.st_size):
            return
        self._card_key, self._people = read_file(self.path)
        self._seen = (stat.st_mtime_ns, stat.st_size)

    def _write(self) -> None:
        people = [
            {"id": p.id, "name": p.name, "role": str(p.role), "pin": p.pin, "cards": list(p.cards)}
            for p in self._people.values()
        ]
        value = {"v": 1, "card_key": self._card_key or secrets.token_hex(32), "people": people}
        write_secret(self.path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")
        self._seen = None


def read_file(path: Path) -> tuple[str, dict[str, Person]]:
    """The card key and the people of a PIN file. Raises `BadPeople` for what is none, OSError where it is not read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        people = [_person(each) for each in value["people"]]
        key = str(value.get("card_key", ""))
        bytes.fromhex(key)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as problem:
        if isinstance(problem, BadPeople):
            raise
        raise BadPeople(f"{path} is no PIN file: {type(problem).__name__}: {problem}") from problem
    return key, {person.id: person for person in people}


def _person(each: Mapping[str, Any]) -> Person:
    try:
        role = Role(each["role"])
    except ValueError:
        raise BadPeople(f"{each['role']!r} is no role; known: {', '.join(Role)}") from None
    pin = each.get("pin")
    if not _ID.fullmatch(str(each["id"])) or (pin is not None and not str(pin).startswith("scrypt$")):
        raise BadPeople(f"{each['id']!r}: an id of A-Z a-z 0-9 _ . - and a pin hashed by `edge-agent web pin set`")
    return Person(
        id=str(each["id"]),
        name=str(each.get("name") or each["id"]),
        role=role,
        pin=pin,
        cards=tuple(str(card) for card in each.get("cards", ())),
    )


def write_secret(path: Path, text: str) -> None:
    """Put a file in place in one step, readable by its owner only, and on disk before it counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
