"""Activation functions, one entry each: σ, σ′, their differences and their dual activations.

It imports `numerics` for annotations only.
To add an activation, add one entry to a family's file; `registry` collects them.
"""
