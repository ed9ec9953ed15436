"""Setting devices up: what speaks on a port, whether a scale is read right, and what came last.

probing commissioning capture   sans-I/O: which dialects bytes could be; comparisons with a scale's own display; the
                                file of vectors that recorded bytes become
prober                          listens to a port
proving                         both, for the page, while the agent runs
"""
