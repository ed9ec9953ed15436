"""Printers of receipts and labels: one module each, exporting `SPEC`. A new module is found by itself."""
