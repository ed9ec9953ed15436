"""The trace edge agent: device bytes in, durable trace records out, delivered until the platform accepts them."""

__version__ = "0.1.0"
