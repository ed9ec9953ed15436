"""Merkle trees as RFC 6962 defines them (RFC 9162, 2.1, says the same and gives the checks as algorithms).

A leaf is hashed behind the byte 0x00 and a node behind 0x01, so that neither can be taken for the other. A proof is
the list of hashes, from the leaf upwards, that lead to the root. What is checked may come from anybody: the checks
answer False to anything that is not a proof, and raise nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows by one leaf at a time and remembers only the roots of its full subtrees.

    There are at most as many of them as the size has binary digits.
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    @classmethod
    def resumed(cls, size: int, peaks: Sequence[bytes]) -> Tree:
        """A tree as `peaks` left it. Raises ValueError where they are not those of a tree of this size."""
        if size < 0 or len(peaks) != size.bit_count() or not _are_hashes(peaks):
            raise ValueError(f"{len(peaks)} subtrees are not those of a tree of {size} leaves")
        tree = cls()
        tree.size, tree._peaks = size, list(peaks)
        return tree

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, from the largest."""
        return tuple(self._peaks)

    def append(self, data: bytes) -> None:
        """Add a leaf."""
        self._peaks.append(leaf_hash(data))
        self.size += 1
        merges = (self.size & -self.size).bit_length() - 1
        for _ in range(merges):
            right = self._peaks.pop()
            self._peaks.append(_node(self._peaks.pop(), right))

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        value = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            value = _node(peak, value)
        return value


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over the data of all leaves."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(index, leaves) of RFC 6962, 2.1.1. Raises IndexError where there is no such leaf."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(index, leaves[:split]), root(leaves[split:])]
    return [*inclusion_proof(index - split, leaves[split:]), root(leaves[:split])]


def consistency_proof(size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(size, leaves) of RFC 6962, 2.1.2: that the first `size` leaves are still the same.

    Raises IndexError where `size` is not from 1 to the number of leaves.
    """
    if not 1 <= size <= len(leaves):
        raise IndexError(f"size {size} of {len(leaves)}")
    return _subproof(size, leaves, whole=True)


def _subproof(size: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if size == len(leaves):
        return [] if whole else [root(leaves)]
    split = _split(len(leaves))
    if size <= split:
        return [*_subproof(size, leaves[:split], whole=whole), root(leaves[split:])]
    return [*_subproof(size - split, leaves[split:], whole=False), root(leaves[:split])]


def included(data: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Whether the leaf is the one at `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2)."""
    if not (_is_hash(expected) and _are_hashes(path) and 0 <= index < size):
        return False
    node, last, value = index, size - 1, leaf_hash(data)
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = _node(sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = _node(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == expected


def consistent(size: int, larger: int, path: Sequence[bytes], first: bytes, second: bytes) -> bool:
    """Whether the tree of `larger` leaves with root `second` begins with the tree of `size` leaves with root `first`.

    RFC 9162, 2.1.4.2.
    """
    if not (_is_hash(first) and _is_hash(second) and _are_hashes(path) and 1 <= size <= larger):
        return False
    if size == larger:
        return not path and first == second
    hashes = [first, *path] if size & (size - 1) == 0 else list(path)
    if not hashes:
        return False
    node, last = size - 1, larger - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = _node(sibling, old), _node(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = _node(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first and new == second


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == HASH_BYTES


def _are_hashes(values: Sequence[object]) -> bool:
    return all(map(_is_hash, values))
