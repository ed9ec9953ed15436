"""A stand-in for the city platform: takes records, stores each once, and says so record by record."""

from hwsim.city.rules import Rule
from hwsim.city.service import City, Stats

__all__ = ["City", "Rule", "Stats"]
