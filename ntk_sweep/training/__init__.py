"""Stochastic gradient descent on the squared error, as fast as the matrix products allow.

It imports `network`.
It knows neither kernels nor predictions, so that training is an experiment and no part of a theory.
"""
