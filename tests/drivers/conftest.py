"""Vectors found by walking, and real pseudo-terminals."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers import bundle
from edge_agent.driver import Codec, DriverSpec

VECTORS = Path(__file__).parents[1] / "vectors"


@dataclass(frozen=True)
class Vector:
    """Bytes, the events that they must give, and where they come from."""

    id: str
    driver: str
    data: bytes
    events: list[str]
    options: Mapping[str, Any]
    origin: str


def _vectors() -> Iterator[Vector]:
    known = {spec.id for spec in bundle().drivers}
    for path in sorted(VECTORS.glob("*/*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for number, vector in enumerate(content["vectors"]):
            if content["driver"] in known:
                yield Vector(
                    id=f"{content['driver']}-{number}",
                    driver=content["driver"],
                    data=bytes.fromhex(vector["hex"]),
                    events=vector["events"],
                    options=vector.get("options", {}),
                    origin=vector["origin"],
                )


_NO_READING = {"rejected", "status", "scan", "sale", "tag"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector" in metafunc.fixturenames:
        metafunc.parametrize("vector", list(_vectors()), ids=lambda vector: vector.id)
    if "weight_frame" in metafunc.fixturenames:
        frames = [v for v in _vectors() if len(v.events) == 1 and v.events[0].split()[0] not in _NO_READING]
        metafunc.parametrize("weight_frame", frames, ids=lambda vector: vector.id)
    if "tag_frame" in metafunc.fixturenames:
        frames = [v for v in _vectors() if len(v.events) == 1 and v.events[0].startswith("tag ")]
        metafunc.parametrize("tag_frame", frames, ids=lambda vector: vector.id)
    if "line_scale" in metafunc.fixturenames:  # elsewhere messages come whole, and no byte of one is lost alone
        scales = [spec for spec in bundle().drivers if spec.kind == "scale" and "serial" in spec.interfaces]
        metafunc.parametrize("line_scale", scales, ids=lambda spec: spec.id)
    if "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", bundle().drivers, ids=lambda spec: spec.id)


@pytest.fixture(scope="session")
def specs() -> Mapping[str, DriverSpec]:
    return {spec.id: spec for spec in bundle().drivers}


@pytest.fixture(scope="session")
def vectors_of() -> Callable[[str], list[Vector]]:
    """All vectors of one driver."""
    every = list(_vectors())
    return lambda driver: [vector for vector in every if vector.driver == driver]


@pytest.fixture(scope="session")
def listening(specs: Mapping[str, DriverSpec]) -> Callable[[Vector], Codec]:
    """A codec for a vector that never asks."""

    def make(vector: Vector) -> Codec:
        spec = specs[vector.driver]
        silent = {"poll": False} if spec.dialogue.polls else {}
        return spec.make({**vector.options, **silent})

    return make


class Terminal:
    """The device's side of a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data) :]

    def close(self) -> None:
        for fd in (self.master, self._slave):
            if fd >= 0:
                os.close(fd)
        self.master = self._slave = -1


@pytest.fixture
def terminal() -> Iterator[Callable[[], Terminal]]:
    """Makes pseudo-terminals and closes them."""
    made: list[Terminal] = []

    def make() -> Terminal:
        made.append(Terminal())
        return made[-1]

    yield make
    for one in made:
        one.close()
