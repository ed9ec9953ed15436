"""Ways to reach a device: one module each, exporting `SPEC` or `SPECS`. They know no codec."""
