"""Arithmetic beyond float64, Gaussian expectations, and the thresholds on N that choose a method.

It imports nothing of ours: each formula here is about numbers, not about networks.
It takes tensors and plain arguments, so that every routine can be checked by itself.
"""
