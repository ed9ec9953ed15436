"""Readers of RFID tags and cards: one module each, exporting `SPEC`. A new module is found by itself."""
