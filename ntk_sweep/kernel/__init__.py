"""The empirical NTK: the plain formula, passes around a centre, their errors, and diagnostics.

It imports `network` and `numerics`.
It knows no settings, no paths and no loggers: tensors in, tensors and error bounds out.
"""
