"""Checking an exported file or a stream that was written down: raw lines in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge_agent.proof import lines, statements
from edge_agent.proof.audit import Audit
from edge_agent.proof.findings import Fault, Finding
from edge_agent.proof.signing import PublicKey
from edge_agent.proof.statements import AnyStatement


def statements_among(raw: Iterable[bytes], name: str = "line") -> Iterator[tuple[str, AnyStatement]]:
    """The statements among the lines of a file, with where they stand; all else is passed over."""
    for number, line in enumerate(raw, 1):
        statement = statements.parse(line.removesuffix(b"\n")) if b'"sig"' in line else None
        if statement is not None:
            yield f"{name} {number}", statement


def keys_among(raw: Iterable[bytes]) -> Iterator[PublicKey]:
    """The public keys among the lines of a file: what the file says of itself, which proves nothing alone."""
    for line in raw:
        if line.startswith(b'{"key":'):
            item = lines.read(line.removesuffix(b"\n"))
            if isinstance(item, PublicKey):
                yield item


def check_statements(raw: Iterable[bytes], name: str) -> Iterator[Finding]:
    """What is neither a statement nor a key in a file that should hold nothing else."""
    for number, line in enumerate(raw, 1):
        if not line.endswith(b"\n") or isinstance(lines.read(line[:-1]), lines.Link | lines.Unreadable):
            yield Finding(fault=Fault.UNREADABLE, where=f"{name} {number}", what="not a signed statement")


def check_lines(raw: Iterable[bytes], audit: Audit, name: str = "line") -> Iterator[Finding]:
    """Feed the lines of a file, with their ends as they were read, and finish the audit."""
    for number, line in enumerate(raw, 1):
        where = f"{name} {number}"
        if not line.endswith(b"\n"):
            yield Finding(fault=Fault.UNREADABLE, where=where, what="the line is cut short: its end is missing")
        yield from audit.feed(where, line.removesuffix(b"\n"))
    yield from audit.finish()
