"""What differs from city to city, as data: one file for each city profile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.city.files import Fault, read_profile
from edge_agent.city.profile import DEFAULT_CITY, CityProfile, LawRule, OperatorKind, VoucherKind, city_of

__all__ = [
    "DEFAULT_CITY",
    "CityProfile",
    "Fault",
    "LawRule",
    "OperatorKind",
    "VoucherKind",
    "load_city",
    "read_profile",
]


def load_city(
    name: str | None, folder: Path | None, asked: tuple[str, str] = ("-", "gateway.city_profile")
) -> tuple[CityProfile, Mapping[str, Any], list[Fault]]:
    """A city profile, all settings of its file, and everything that is wrong: with faults the others are not to be
    used. `folder` is the site's `profiles.d`, `asked` the file and key that name the profile."""
    found = read_profile(name or DEFAULT_CITY, folder, asked=asked)
    if isinstance(found, Fault):
        return CityProfile(name=name or DEFAULT_CITY), {}, [found]
    faults: list[Fault] = []
    city = city_of(
        found.settings, name or DEFAULT_CITY, lambda key, what, hint: faults.append(Fault(found.file, key, what, hint))
    )
    return city, found.settings, faults
