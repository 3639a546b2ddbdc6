"""The NTK of infinite width: dual activations, the recursion over layers, and error bounds.

It imports `network`, `numerics` and `spectrum`.
It depends on no weights, so that one result serves every seed.
"""
