"""Fails where it is imported, as a package does whose own dependency is missing."""

raise RuntimeError("a mistake of rival-scale")
