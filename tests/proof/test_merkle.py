"""Merkle trees against the reference tree of certificate transparency, and their algebra."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.proof.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_proof,
    consistent,
    included,
    inclusion_proof,
    root,
)

# Leaves, roots and proofs of the reference tree that implementations of RFC 6962 share
# (transparency-dev/merkle, testonly/constants.go; certificate-transparency, merkle_tree_test.cc).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N10 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
N21 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N42 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
N40 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N23 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N12 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N60 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSION = [
    (0, 1, []),
    (0, 8, [N10, N21, N42]),
    (5, 8, [N40, N23, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], N21, N40]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [N10, N21, N42]),
    (6, 8, [N12, N23, ROOTS[4]]),
    (2, 5, [N21, N40]),
    (6, 7, [N12, N60, ROOTS[4]]),
]


def test_the_roots_of_the_reference_tree() -> None:
    assert [root(LEAVES[:size]).hex() for size in range(9)] == ROOTS
    assert EMPTY_ROOT.hex() == ROOTS[0]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_the_inclusion_proofs_of_the_reference_tree(index: int, size: int, path: list[str]) -> None:
    assert [each.hex() for each in inclusion_proof(index, LEAVES[:size])] == path
    hashes = [bytes.fromhex(each) for each in path]
    assert included(LEAVES[index], index, size, hashes, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("size", "larger", "path"), CONSISTENCY)
def test_the_consistency_proofs_of_the_reference_tree(size: int, larger: int, path: list[str]) -> None:
    assert [each.hex() for each in consistency_proof(size, LEAVES[:larger])] == path
    hashes = [bytes.fromhex(each) for each in path]
    assert consistent(size, larger, hashes, bytes.fromhex(ROOTS[size]), bytes.fromhex(ROOTS[larger]))


def leaves(size: int) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(size)]


@pytest.mark.parametrize("size", range(1, 33))
def test_every_leaf_and_every_beginning_is_provable_and_nothing_else(size: int) -> None:
    tree = leaves(size)
    top = root(tree)
    for index in range(size):
        path = inclusion_proof(index, tree)
        for other in range(size):
            assert included(tree[other], index, size, path, top) == (other == index)
            assert included(tree[index], other, size, path, top) == (other == index)
    for begin in range(1, size + 1):
        path = consistency_proof(begin, tree)
        assert consistent(begin, size, path, root(tree[:begin]), top)
        if begin < size:
            assert not consistent(begin, size, path, root([*tree[: begin - 1], b"x"]), top)
            assert not consistent(begin, size, path, root(tree[:begin]), root([*tree[:-1], b"x"]))


def test_a_tree_grown_leaf_by_leaf_has_the_same_root() -> None:
    tree = Tree()
    for size, leaf in enumerate(leaves(200), 1):
        tree.append(leaf)
        assert (tree.size, tree.root()) == (size, root(leaves(size)))


def test_a_node_cannot_be_passed_off_as_a_leaf() -> None:
    """Without the bytes in front, the two children of a node, joined, would be a leaf of a smaller tree."""
    import hashlib

    a, b = hashlib.sha256(b"\x00" + LEAVES[0]).digest(), hashlib.sha256(b"\x00" + LEAVES[1]).digest()
    assert root([a + b]) != root(LEAVES[:2])
    assert not included(a + b, 0, 1, [], root(LEAVES[:2]))


@given(st.integers(1, 40), st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_path_proves_nothing(size: int, data: st.DataObject) -> None:
    tree = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, tree)
    spoilt = list(path)
    kind = data.draw(st.sampled_from(["flip", "drop", "add", "swap"]))
    if kind == "flip" and spoilt:
        at = data.draw(st.integers(0, len(spoilt) - 1))
        bit = data.draw(st.integers(0, 255))
        spoilt[at] = bytes(b ^ (1 << bit % 8 if i == bit // 8 else 0) for i, b in enumerate(spoilt[at]))
    elif kind == "drop" and spoilt:
        spoilt.pop(data.draw(st.integers(0, len(spoilt) - 1)))
    elif kind == "swap" and len(spoilt) > 1:
        spoilt[0], spoilt[-1] = spoilt[-1], spoilt[0]
    else:
        spoilt.insert(data.draw(st.integers(0, len(spoilt))), bytes(32))
    assert included(tree[index], index, size, spoilt, root(tree)) == (spoilt == path)


@pytest.mark.parametrize(
    "arguments",
    [
        (b"", -1, 1, [], ROOTS[1]),
        (b"", 2, 2, [bytes(32)], ROOTS[1]),
        (b"", 0, 0, [], ROOTS[0]),
        (b"", 0, 1, [b"short"], ROOTS[1]),
        (b"", 0, 1, ["text"], ROOTS[1]),
        (b"", 0, 2**60, [bytes(32)] * 60, ROOTS[1]),
    ],
)
def test_nonsense_is_no_proof_and_no_error(arguments: tuple[bytes, int, int, list[bytes], str]) -> None:
    data, index, size, path, top = arguments
    assert not included(data, index, size, path, bytes.fromhex(top))
    assert not consistent(size, index, path, bytes.fromhex(top), bytes.fromhex(top))
    assert not included(data, index, size, path, b"short")


def test_only_what_exists_can_be_proved() -> None:
    with pytest.raises(IndexError):
        inclusion_proof(8, LEAVES)
    with pytest.raises(IndexError):
        consistency_proof(0, LEAVES)
    with pytest.raises(IndexError):
        consistency_proof(9, LEAVES)
