"""Fully connected networks: activations, parametrisations, layers, draws of the weights.

It imports `numerics` only: a network knows no kernel, no settings and no files.
Names of activations and parametrisations load without torch, so that settings can be checked first.
"""
