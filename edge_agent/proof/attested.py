"""What was signed about a chain, held against the records as they pass by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edge_agent.proof.findings import Fault, Finding, Place
from edge_agent.proof.lines import Link
from edge_agent.proof.merkle import Tree
from edge_agent.proof.signing import PublicKey
from edge_agent.proof.statements import AnyStatement, Checkpoint, DayRoot, KeyChange, Purged, trusted


@dataclass(slots=True)
class _Day:
    where: str
    root: DayRoot
    tree: Tree = field(default_factory=Tree)


class Attested:
    """The statements about one chain; `keys` empty means that signatures are not checked.

    `purged` is the place up to which records may be gone, `reach` the sequence that the chain is known to have
    reached and by what, `signed_to` the last sequence that a checkpoint with a good signature agrees with.
    """

    def __init__(
        self,
        statements: Iterable[tuple[str, AnyStatement]],
        keys: Iterable[PublicKey],
        *,
        purged: Place,
        at_least: int,
    ) -> None:
        self._statements = list(statements)
        self._keys = trusted((each for _, each in self._statements), keys)
        self._checkpoints: dict[int, list[tuple[str, Checkpoint]]] = {}
        self._days: dict[int, list[_Day]] = {}
        self._open_days: list[_Day] = []
        self.purged = purged
        self.reach = max((at_least, "the end"), (purged.sequence, "the purge"))
        self.checkpoints = 0
        self.days = 0
        self.key_changes = 0
        self.signed_to = 0

    @property
    def chain(self) -> str | None:
        """The chain of the first statement that holds."""
        held = (each for _, each in self._statements if not isinstance(each, KeyChange) and self._problem(each) is None)
        return next((each.chain for each in held), None)

    @property
    def signatures_checked(self) -> bool:
        """Whether there was a key to check them with."""
        return bool(self._keys)

    def sort(self, chain: str | None) -> Iterator[Finding]:
        """Take the statements about this chain into use, once; those that do not hold are told instead."""
        statements, self._statements = self._statements, []
        for where, statement in statements:
            problem = self._problem(statement)
            if problem is not None:
                yield Finding(fault=Fault.SIGNATURE, where=where, what=problem)
            elif isinstance(statement, KeyChange):
                self.key_changes += 1
            elif statement.chain != chain:
                what = f"{type(statement).__name__} of chain {statement.chain}, not of {chain}"
                yield Finding(fault=Fault.OTHER_CHAIN, where=where, what=what)
            else:
                self._use(where, statement)

    def _problem(self, statement: AnyStatement) -> str | None:
        if not self._keys:
            return None
        name = f"{type(statement).__name__} of {statement.time}"
        key = self._keys.get(statement.key)
        if key is None:
            return f"{name} is signed by the key {statement.key}, which is not ours"
        if not statement.signed_by(key):
            return f"{name}: the signature does not hold; this is not what was signed"
        return None

    def _use(self, where: str, statement: AnyStatement) -> None:
        match statement:
            case Checkpoint():
                self._checkpoints.setdefault(statement.sequence, []).append((where, statement))
                self.reach = max(self.reach, (statement.sequence, where))
            case DayRoot():
                self._days.setdefault(statement.first, []).append(_Day(where, statement))
                self.reach = max(self.reach, (statement.last, where))
            case Purged():
                self.purge(statement.place)

    def purge(self, place: Place) -> None:
        """Records up to this place may be gone."""
        self.purged = max(self.purged, place)
        self.reach = max(self.reach, (place.sequence, "the purge"))

    def compare(self, where: str, sequence: int, link: Link) -> Iterator[Finding]:
        """Hold a record against what was said of its place."""
        if sequence == self.purged.sequence and self.purged.hash not in link.hashes:
            yield Finding(
                fault=Fault.NOT_AS_SIGNED,
                where=where,
                what=f"the chain was purged up to record {sequence} with the hash {self.purged.hash},"
                f" and this one has {link.hash}",
                sequence=sequence,
            )
        for origin, checkpoint in self._checkpoints.pop(sequence, ()):
            if checkpoint.hash in link.hashes:
                self.checkpoints += 1
                self.signed_to = max(self.signed_to, sequence) if self._keys else 0
                continue
            since = f"after {self.signed_to}, the last place that agrees," if self.signed_to else "from the start on"
            yield Finding(
                fault=Fault.NOT_AS_SIGNED,
                where=origin,
                what=f"at {checkpoint.time} record {sequence} had the hash {checkpoint.hash}, now it has {link.hash}:"
                f" the chain was written anew somewhere {since} and up to {sequence}",
                sequence=sequence,
            )

    def grow(self, sequence: int, link: Link) -> Iterator[Finding]:
        """Add a record, in the order of the chain, to the trees of the days that it belongs to."""
        self._open_days += self._days.pop(sequence, ())
        going_on = []
        for day in self._open_days:
            root = day.root
            if sequence - root.first != day.tree.size:
                continue  # something is missing in it, and told as such
            day.tree.append(bytes.fromhex(link.hash))
            if sequence < root.last:
                going_on.append(day)
            elif day.tree.root().hex() == root.root:
                self.days += 1
            else:
                yield Finding(
                    fault=Fault.NOT_AS_SIGNED,
                    where=day.where,
                    what=f"records {root.first} to {root.last} of {root.day} are not those that were signed",
                    sequence=root.first,
                    last=root.last,
                )
        self._open_days = going_on
