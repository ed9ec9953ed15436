"""Where the annotated example configurations are: in the package when installed, in `config/` in a checkout."""

from __future__ import annotations

from pathlib import Path

_PLACES = (Path(__file__).parent.parent / "examples", Path(__file__).parent.parent.parent / "config")


def example(name: str) -> Path:
    """The path of an example. Raises FileNotFoundError naming where it was looked for."""
    for place in _PLACES:
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(f"{name} is in none of {', '.join(map(str, _PLACES))}")
