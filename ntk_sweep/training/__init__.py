"""Gradient descent and gradient flow on the squared error, as fast as the matrix products allow.

It imports `network` and `numerics`.
It knows neither kernels nor predictions, so that training is an experiment and no part of a theory.
"""
