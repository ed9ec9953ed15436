"""Records: typed bodies, units and rounding, canonical form, and the sealing of one record onto its chain."""
