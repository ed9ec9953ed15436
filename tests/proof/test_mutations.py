"""Random tampering with everything that proves something: all of it is found, and the search itself is proved.

2,000 mutations in every run, 100,000 with `make soak`. A mutation is one change, as a faulty disk, a careless editor
or a forger without the key would make it; every kind is applied to every target that it fits.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from edge_agent.proof import Audit, PublicKey, Signer, lines, merkle, receipt, statements
from edge_agent.proof.attested import Attested
from edge_agent.proof.files import check_lines, check_statements, statements_among
from edge_agent.proof.lines import stub_of
from edge_agent.proof.merkle import consistency_proof, consistent, root
from edge_agent.records import canonical
from edge_agent.records.envelope import hash_of

Mutate = Callable[[random.Random], bool]
"""Changes something and says whether that was found."""


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """The bytes with one place flipped, replaced, inserted, removed, exchanged or cut off."""
    while True:
        at = rng.randrange(len(data))
        match rng.randrange(7):
            case 0:
                made = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            case 1:
                made = data[:at] + rng.randbytes(1) + data[at + 1 :]
            case 2:
                made = data[:at] + rng.choice([rng.randbytes(1), b" ", b"\n", b"0"]) + data[at:]
            case 3:
                made = data[:at] + data[at + rng.randint(1, 3) :]
            case 4:
                other = rng.randrange(len(data))
                low, high = min(at, other), max(at, other)
                made = (
                    data[:low] + data[high : high + 1] + data[low + 1 : high] + data[low : low + 1] + data[high + 1 :]
                )
            case 5:
                made = data[:at]
            case _:
                at = rng.choice([place for place, byte in enumerate(data) if 48 <= byte <= 57] or [at])
                made = data[:at] + str(rng.randrange(10)).encode() + data[at + 1 :]
        if made != data:
            return made


def forged(rng: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    """Another content for a record, with a hash that fits it."""
    fields = rng.choice(["data", "time", "subject", "id", "type", "prevhash", "chain", "sequence", "source"])
    made = dict(event)
    match fields:
        case "data":
            made["data"] = {**event["data"], "net_mg": event["data"]["net_mg"] + rng.randint(1, 1000)}
        case "prevhash":
            made["prevhash"] = rng.randbytes(32).hex()
        case "sequence":
            made["sequence"] = f"{rng.choice([n for n in range(1, 90) if n != int(event['sequence'])]):016d}"
        case _:
            made[fields] = event[fields] + "x"
    return {**made, "hash": hash_of(made)}


def changed_chain(rng: random.Random, bodies: list[bytes]) -> list[bytes]:
    """The records with some removed, repeated, exchanged, moved, forged, forked, stubbed wrongly or written anew."""
    made = list(bodies)
    at = rng.randrange(len(made))
    event = orjson.loads(made[at])
    match rng.randrange(10):
        case 0:
            del made[at : at + rng.choice([1, 1, 1, 2, 7, 100])]
        case 1:
            made.insert(rng.randrange(len(made) + 1), made[at])
        case 2:
            other = rng.choice([n for n in range(len(made)) if n != at])
            made[at], made[other] = made[other], made[at]
        case 3:
            moved = made.pop(at)
            made.insert(rng.choice([n for n in range(len(made) + 1) if n != at]), moved)
        case 4:
            made[at] = canonical.dumps(forged(rng, event))
        case 5:
            made.insert(rng.randrange(len(made) + 1), canonical.dumps(forged(rng, event)))
        case 6:  # written anew from here on, every hash right
            prevhash = None
            for place in range(at, len(made)):
                event = orjson.loads(made[place])
                event = forged_content(rng, event) if prevhash is None else {**event, "prevhash": prevhash}
                prevhash = hash_of(event)
                made[place] = canonical.dumps({**event, "hash": prevhash})
        case 7:  # a stub that says something else
            stub = orjson.loads(stub_of(event))
            field = rng.choice(["hash", "prevhash"])
            made[at] = canonical.dumps({**stub, field: rng.randbytes(32).hex()})
        case 8:  # removed, and the rest numbered and linked anew
            del made[at]
            prevhash = orjson.loads(bodies[at])["prevhash"]
            for place in range(at, len(made)):
                event = orjson.loads(made[place]) | {"sequence": f"{place + 1:016d}", "prevhash": prevhash}
                prevhash = hash_of(event)
                made[place] = canonical.dumps({**event, "hash": prevhash})
        case _:
            made[at] = changed_bytes(rng, made[at])
    return made


def forged_content(rng: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "data": {**event["data"], "net_mg": event["data"]["net_mg"] + rng.randint(1, 1000)}}


class Harness:
    """Everything that can be tampered with, each with what looks at it."""

    def __init__(self, world: Any) -> None:
        self.bodies: list[bytes] = world.bodies
        self.keys = [world.signer.public]
        successor = Signer.from_seed(b"\x07" * 32).public
        change = statements.sign_key_change(
            world.signer, chain="any", successor=successor, reason="yearly", time=world.statements[0].time
        )
        self.signed = [*world.statements, change]
        self.named = [(f"statement {n}", each) for n, each in enumerate(self.signed, 1)]
        self.export = b"".join(body + b"\n" for body in world.bodies)
        mixed = [stub_of(orjson.loads(body)) if n % 3 else body for n, body in enumerate(world.bodies)]
        self.filtered = b"".join(body + b"\n" for body in mixed)
        self.sidecar = b"".join(each.dumps() + b"\n" for each in self.signed)
        self.lines = [each.dumps() for each in self.signed]
        day = world.roots[1]
        self.proof = receipt.prove(world.bodies[20], world.hashes[day.first - 1 : day.last], day)
        leaves = [bytes.fromhex(each) for each in world.hashes]
        self.consistency = (41, 60, consistency_proof(41, leaves), root(leaves[:41]), root(leaves))

    @property
    def targets(self) -> dict[str, Mutate]:
        return {
            "store": self.of_store,
            "chain": self.of_chain,
            "export": self.of_export,
            "filtered": self.of_filtered,
            "checkpoint": self.of_statement,
            "sidecar": self.of_sidecar,
            "receipt": self.of_receipt,
            "consistency": self.of_consistency,
        }

    def audit(self, bodies: list[bytes], rows: list[int] | None = None) -> bool:
        """Whether anything is found; rows are those of a store, in which no stub may be."""
        check = Audit(statements=self.named, keys=self.keys, stubs=rows is None)
        found = []
        for number, body in enumerate(bodies):
            found += check.feed("row", body, row=rows[number] if rows else None)
        return bool(found + check.finish())

    def audit_file(self, export: bytes, sidecar: bytes) -> bool:
        raw, beside = list(io.BytesIO(export)), list(io.BytesIO(sidecar))
        found = list(check_statements(beside, "beside"))
        known = [*statements_among(beside, "beside"), *statements_among(raw)]
        return bool(found + list(check_lines(raw, Audit(statements=known, keys=self.keys))))

    def of_store(self, rng: random.Random) -> bool:
        bodies, rows = list(self.bodies), list(range(1, len(self.bodies) + 1))
        at = rng.randrange(len(bodies))
        match rng.randrange(4):
            case 0:
                bodies[at] = changed_bytes(rng, bodies[at])
            case 1:
                del bodies[at], rows[at]
            case 2:
                other = rng.choice([n for n in range(len(bodies)) if n != at])
                bodies[at], bodies[other] = bodies[other], bodies[at]
            case _:
                bodies[at] = canonical.dumps(forged(rng, orjson.loads(bodies[at])))
        return self.audit(bodies, rows)

    def of_chain(self, rng: random.Random) -> bool:
        return self.audit(changed_chain(rng, self.bodies))

    def of_export(self, rng: random.Random) -> bool:
        return self.audit_file(changed_bytes(rng, self.export), self.sidecar)

    def of_filtered(self, rng: random.Random) -> bool:
        return self.audit_file(changed_bytes(rng, self.filtered), self.sidecar)

    def of_sidecar(self, rng: random.Random) -> bool:
        lines_ = list(self.lines)
        at = rng.randrange(len(lines_))
        lines_[at] = changed_bytes(rng, lines_[at])
        return self.audit_file(self.export, b"".join(line + b"\n" for line in lines_))

    def of_statement(self, rng: random.Random) -> bool:
        found = statements.parse(changed_bytes(rng, rng.choice(self.lines)))
        return found is None or not found.signed_by(self.keys[0])

    def of_receipt(self, rng: random.Random) -> bool:
        if rng.random() < 0.5:
            return bool(receipt.check(changed_bytes(rng, self.proof), self.keys))
        proof = orjson.loads(self.proof)
        if rng.random() < 0.5:
            proof["record"] = forged(rng, proof["record"])
        else:
            at = rng.randrange(len(proof["path"]))
            proof["path"][at] = rng.randbytes(32).hex()
        return bool(receipt.check(canonical.dumps(proof), self.keys))

    def of_consistency(self, rng: random.Random) -> bool:
        size, larger, path, first, second = self.consistency
        match rng.randrange(4):
            case 0:
                at = rng.randrange(len(path))
                path = [*path[:at], changed_bytes(rng, path[at]), *path[at + 1 :]]
            case 1:
                first = changed_bytes(rng, first)
            case 2:
                second = changed_bytes(rng, second)
            case _:
                at = rng.randrange(len(path))
                path = path[:at] + path[at + 1 :]
        return not consistent(size, larger, path, first, second)

    def run(self, rounds: int, seed: int) -> dict[str, list[int]]:
        """Rounds of mutations over all targets in turn; the seeds of those that were not found, by target."""
        missed: dict[str, list[int]] = {}
        kinds = list(self.targets.items())
        for number in range(rounds):
            name, mutate = kinds[number % len(kinds)]
            if not mutate(random.Random(f"{seed}/{name}/{number}")):
                missed.setdefault(name, []).append(number)
        return missed


@pytest.fixture(scope="module")
def harness(world: Any) -> Harness:
    return Harness(world)


def test_untouched_everything_holds(harness: Harness) -> None:
    assert not harness.audit(harness.bodies, list(range(1, 61)))
    assert not harness.audit_file(harness.export, harness.sidecar)
    assert not harness.audit_file(harness.filtered, harness.sidecar)
    assert not receipt.check(harness.proof, harness.keys)
    assert consistent(*harness.consistency)


def test_2000_mutations_are_all_found(harness: Harness) -> None:
    assert harness.run(2_000, seed=1) == {}


@pytest.mark.soak("records, chains, exports, receipts and checkpoints tampered with")
@pytest.mark.parametrize("part", range(10))
def test_100000_mutations_are_all_found(
    harness: Harness, part: int, record_property: Callable[[str, object], None]
) -> None:
    assert harness.run(10_000, seed=100 + part) == {}
    record_property("count", "10,000 changes")


# Each part of the check is taken out once: then the same mutations must get through.


def _nothing(*_: Any, **__: Any) -> Any:
    return iter(())


def _no_content_hash(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lines, "_content_hash", lambda event: event["hash"])


def _no_links(patch: pytest.MonkeyPatch) -> None:
    real = Audit.feed
    patch.setattr(Audit, "feed", lambda *a, **k: [each for each in real(*a, **k) if each.fault != "broken-link"])
    patch.setattr(Attested, "compare", _nothing)
    patch.setattr(Attested, "grow", _nothing)


def _no_checkpoints(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Attested, "compare", _nothing)
    patch.setattr(Attested, "grow", _nothing)


def _no_gaps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Audit, "_missing", _nothing)


def _no_signatures(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PublicKey, "verifies", lambda *_: True)


def _no_paths(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merkle, "included", lambda *_: True)


def _no_end(patch: pytest.MonkeyPatch) -> None:
    real = Audit.finish
    patch.setattr(Audit, "finish", lambda self: [each for each in real(self) if each.sequence != self.report.last + 1])


@pytest.mark.parametrize(
    ("weaken", "missed"),
    [
        (_no_content_hash, {"store", "chain", "export", "filtered", "receipt"}),
        (_no_links, {"chain"}),
        (_no_checkpoints, {"chain"}),
        (_no_gaps, {"store", "chain"}),
        (_no_signatures, {"checkpoint", "sidecar"}),
        (_no_paths, {"receipt"}),
        (_no_end, {"chain"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_weakness_is_noticed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, weaken: Callable[[pytest.MonkeyPatch], None], missed: set[str]
) -> None:
    weaken(monkeypatch)
    assert set(harness.run(2_000, seed=1)) >= missed
