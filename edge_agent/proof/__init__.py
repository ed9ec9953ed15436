"""Proof: what is kept is what was kept. Chain, signed checkpoints, a Merkle root a day; sans-I/O.

What that proves and what it cannot is in docs/reference/proof.md.
"""

from edge_agent.proof.audit import GENESIS, Audit, Report
from edge_agent.proof.findings import Fault, Finding, Place
from edge_agent.proof.signing import NotAKey, PublicKey, Signer
from edge_agent.proof.statements import AnyStatement, Checkpoint, DayRoot, Evidence, KeyChange, Purged

__all__ = [
    "GENESIS",
    "AnyStatement",
    "Audit",
    "Checkpoint",
    "DayRoot",
    "Evidence",
    "Fault",
    "Finding",
    "KeyChange",
    "NotAKey",
    "Place",
    "PublicKey",
    "Purged",
    "Report",
    "Signer",
]
