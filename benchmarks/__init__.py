"""Benchmarks: each prints a table, and measures what it compares in one run."""
