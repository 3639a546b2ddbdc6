"""Eigenvalues of the empirical NTK, each with an error bound.

It imports `kernel`, `network` and `numerics`.
`jacobian_svd` shares nothing with `spectrum`, so that each checks the other.
"""
