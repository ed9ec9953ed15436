"""Offers a driver id that another package has, one of our own, and one made for a driver API that is none."""

from __future__ import annotations

from dataclasses import replace

from edge_agent.driver import Bundle

NONSENSE = "not a bundle"


def bundle() -> Bundle:
    """The drivers."""
    from acme_scale import BUNDLE

    acme = BUNDLE.drivers[0]
    ours = replace(acme, id="st-gs", title="a rival's st-gs")
    return Bundle(drivers=(replace(acme, title="a rival's Acme"), ours, replace(acme, id="rival-old", api_version=0)))
