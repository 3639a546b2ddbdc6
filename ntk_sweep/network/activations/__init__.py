"""Activation functions, a file for each family, one entry each: σ, σ' and their dual activations.

It imports `numerics` for annotations only, so that settings are checked before torch loads.
To add an activation, add a constant to a family's file: `registry` finds it.
"""
