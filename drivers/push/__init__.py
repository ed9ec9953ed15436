"""Trace scales that hand over the sales which they made by themselves: one module each, exporting `SPEC`."""
