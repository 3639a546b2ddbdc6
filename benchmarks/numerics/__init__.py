"""Benchmarks of the numerics: kernels, spectra, their errors, and a GPU."""
