"""Benchmarks of the agent against what the machine can do. Each function measures and returns figures, nothing else."""
