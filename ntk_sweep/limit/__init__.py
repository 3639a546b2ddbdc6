"""The NTK of infinite width: dual activations, the recursion over layers, and error bounds.

It imports `network`, `numerics` and the type `Spectrum`.
It depends on no weights, so that one result serves every seed.
"""
