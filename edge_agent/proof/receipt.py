"""One record proved by itself: that it is among the records of a day whose root the box signed.

The proof is one line of canonical JSON: the record, the path of hashes from it to the root, and the signed root. It
holds nothing of other records but hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from edge_agent.proof import lines, merkle, statements
from edge_agent.proof.files import statements_among
from edge_agent.proof.findings import Fault, Finding
from edge_agent.proof.lines import Link, Unreadable
from edge_agent.proof.signing import PublicKey
from edge_agent.proof.statements import HEX64, DayRoot
from edge_agent.records import canonical

KIND: Final = "trace-receipt-proof/v1"
_KEYS: Final = frozenset({"proof", "record", "path", "root"})
_LONGEST_PATH: Final = 64


def prove(body: bytes, hashes: Sequence[str], root: DayRoot) -> bytes:
    """The proof of a record; `hashes` are those of all records of the root's day, in order.

    Raises ValueError where the hashes are not those of the signed day, or the record is not among them.
    """
    event = orjson.loads(body)
    index = int(event["sequence"]) - root.first
    leaves = [bytes.fromhex(each) for each in hashes]
    if len(leaves) < root.size:
        raise ValueError(f"{root.size - len(leaves)} of the {root.size} records of {root.day} are not there any more")
    if len(leaves) != root.size or merkle.root(leaves).hex() != root.root:
        raise ValueError(f"the records of {root.day} are not those that were signed")
    if not 0 <= index < len(leaves) or hashes[index] != event["hash"]:
        raise ValueError(f"record {event['sequence']} is not among those of {root.day}")
    path = [each.hex() for each in merkle.inclusion_proof(index, leaves)]
    return canonical.dumps({"proof": KIND, "record": event, "path": path, "root": asdict(root)})


def is_proof(line: bytes) -> bool:
    """Whether a line claims to be such a proof."""
    return line.startswith(b'{"path":[') and f'"proof":"{KIND}"'.encode() in line


def check(line: bytes, keys: Iterable[PublicKey] = (), *, where: str = "proof") -> list[Finding]:
    """What is wrong with a proof; empty where it holds. Without keys the signature is not checked. Raises nothing."""
    parts = _parts(line)
    if isinstance(parts, str):
        return [Finding(fault=Fault.UNREADABLE, where=where, what=parts)]
    link, path, root = parts
    return list(_check(link, path, root, {key.id: key for key in keys}, where))


def check_file(raw: Sequence[bytes], keys: Iterable[PublicKey]) -> list[Finding]:
    """What is wrong with a proof that stands in a file's first line, with changes of keys behind it."""
    if not raw or not raw[0].endswith(b"\n"):
        return [Finding(fault=Fault.UNREADABLE, where="line 1", what="the line is cut short: its end is missing")]
    known = statements.trusted((each for _, each in statements_among(raw[1:])), keys)
    return check(raw[0][:-1], known.values(), where="line 1")


def facts(line: bytes) -> dict[str, Any]:
    """What a proof is about, as far as it can be read."""
    parts = _parts(line.removesuffix(b"\n"))
    if isinstance(parts, str):
        return {}
    link, _, root = parts
    return {"chain": link.chain, "day": root.day, "sequence": link.sequence, "hash": link.hash, "records": 1}


def _parts(line: bytes) -> tuple[Link, list[bytes], DayRoot] | str:
    """The parts of a proof, or why it is none."""
    outer = lines.canonical_object(line)
    if isinstance(outer, Unreadable):
        return outer.reason
    if outer.keys() != _KEYS or outer["proof"] != KIND:
        return f"not a proof of the form {KIND}"
    path = outer["path"]
    if not isinstance(path, list) or len(path) > _LONGEST_PATH:
        return "path is not a list of hashes"
    if not all(isinstance(each, str) and HEX64.fullmatch(each) for each in path):
        return "path is not a list of hashes"
    link = lines.link_of(outer["record"]) if isinstance(outer["record"], dict) else None
    if link is None or not link.whole:
        return "record is not a whole record"
    root = statements.of(outer["root"]) if isinstance(outer["root"], dict) else None
    if not isinstance(root, DayRoot):
        return "root is not the signed root of a day"
    return link, [bytes.fromhex(each) for each in path], root


def _check(link: Link, path: list[bytes], root: DayRoot, keys: dict[str, PublicKey], where: str) -> Iterable[Finding]:
    if keys and root.key not in keys:
        yield _finding(Fault.SIGNATURE, where, link, f"the root is signed by the key {root.key}, which is not ours")
    elif keys and not root.signed_by(keys[root.key]):
        yield _finding(Fault.SIGNATURE, where, link, "the root's signature does not hold")
    if link.chain != root.chain:
        yield _finding(Fault.OTHER_CHAIN, where, link, f"the record is of chain {link.chain}, the root of {root.chain}")
    if link.changed:
        yield _finding(Fault.CHANGED, where, link, f"the content has the hash {link.computed}, and says {link.hash}")
    index = link.sequence - root.first
    leaf = bytes.fromhex(link.hash)
    if not merkle.included(leaf, index, root.size, path, bytes.fromhex(root.root)):
        yield _finding(
            Fault.PROOF, where, link, f"the path does not lead from record {link.sequence} to the root of {root.day}"
        )


def _finding(fault: Fault, where: str, link: Link, what: str) -> Finding:
    return Finding(fault=fault, where=where, what=what, sequence=link.sequence)
