"""Device drivers that ship with the agent, found through the entry-point group `edge_agent.drivers`."""
