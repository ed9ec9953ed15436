"""Checks of port settings that transports share. Every message says which value is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.driver import PortUrl

_WORDS = {"1": True, "on": True, "true": True, "high": True, "0": False, "off": False, "false": False, "low": False}


def refuse_unknown(url: PortUrl, known: Iterable[str]) -> None:
    """Raise ValueError for query keys that this transport does not have."""
    names = sorted(known)
    for key, _ in url.query:
        if key not in names:
            allowed = f"its settings are {', '.join(names)}" if names else "it takes no settings"
            raise ValueError(f"{url.scheme}: has no setting {key!r}; {allowed}")


def number(settings: Mapping[str, str], key: str, default: float, low: float, high: float) -> float:
    """A number within bounds; raises ValueError."""
    text = settings.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ValueError(f"{key}={text} is not possible; a number from {low:g} to {high:g} would be right")
    return value


def switch(settings: Mapping[str, str], key: str, default: bool) -> bool:
    """An on-off value; raises ValueError."""
    text = settings.get(key)
    if text is None:
        return default
    if text.lower() not in _WORDS:
        raise ValueError(f"{key}={text} is not possible; one of {', '.join(_WORDS)} would be right")
    return _WORDS[text.lower()]


def choice(settings: Mapping[str, str], key: str, default: str, choices: Iterable[str]) -> str:
    """One of a few texts; raises ValueError."""
    text = settings.get(key, default)
    allowed = tuple(choices)
    if text not in allowed:
        raise ValueError(f"{key}={text} is not possible; one of {', '.join(allowed)} would be right")
    return text


def host_and_port(address: str, scheme: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`; raises ValueError."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{scheme}:{address}: an IPv6 address is written in brackets, {scheme}:[{host}]:{port}")
    if not colon or not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(
            f"{scheme}:{address} is not possible; {scheme}:HOST:PORT with a port of 1 to 65535 would be right"
        )
    return host, int(port)
