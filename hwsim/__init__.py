"""Hardware and city, simulated from the manuals. Imports nothing of the agent or its drivers."""
