"""Benchmarks of sweeps: the cost of a point, the grid, and growth with size."""
