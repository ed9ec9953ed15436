"""CONTRIBUTING adds a scale in two files: exactly those two are written into a copy of the tree, and it is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("drivers", "edge_agent", "hwsim", "pyproject.toml", "tests/conftest.py", "tests/support", "tests/drivers")
VECTORS = "tests/vectors/scales"


def blocks() -> dict[str, str]:
    """The files that CONTRIBUTING shows, by their paths."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return dict(re.findall(r"`([\w./-]+)`:\n\n```\w+\n(.*?)```\n", text, flags=re.S))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (tmp_path / VECTORS).mkdir(parents=True)
    shutil.copy(ROOT / VECTORS / "st-gs.toml", tmp_path / VECTORS)
    for path, text in blocks().items():
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(text)
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tree, env=environment, capture_output=True, timeout=120
    )


def swept(tree: Path) -> subprocess.CompletedProcess[bytes]:
    tests = ["tests/drivers/test_vectors.py", "tests/drivers/test_all_drivers.py"]
    return run(tree, "pytest", *tests, "-k", "acme-200", "-x", "-p", "no:cacheprovider")


def test_two_files_are_a_scale(tree: Path) -> None:
    assert sorted(blocks()) == ["drivers/scales/acme_200.py", f"{VECTORS}/acme-200.toml"]
    listed = orjson.loads(run(tree, "edge_agent", "drivers", "list", "--output", "json").stdout)
    (mine,) = [row for row in listed if row["driver"] == "acme-200"]
    assert (mine["kind"], mine["tells"], mine["needs_unit"]) == (
        "scale",
        ["unit", "stability", "basis", "overload"],
        False,
    )
    done = swept(tree)
    assert done.returncode == 0, done.stdout.decode()[-2_000:]
    passed = re.search(rb"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 15
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "--strict"]):
        checked = run(tree, *tool, "drivers/scales/acme_200.py")
        assert checked.returncode == 0, checked.stdout.decode()


def test_a_vector_that_does_not_hold_is_found(tree: Path) -> None:
    file = tree / VECTORS / "acme-200.toml"
    file.write_text(file.read_text().replace('"1.236 kg stable gross"', '"1.237 kg stable gross"'))
    assert b"1.237" in swept(tree).stdout
