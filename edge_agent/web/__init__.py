"""The operator's page and the local API."""
