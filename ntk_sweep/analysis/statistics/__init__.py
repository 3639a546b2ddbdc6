"""Statistics of arrays: bootstrap intervals and rank correlations.

It imports nothing of ours, so that each function can be held against an independent one.
It knows neither rows nor figures.
"""
