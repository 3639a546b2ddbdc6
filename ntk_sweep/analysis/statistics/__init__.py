"""Statistics of arrays: rank association of what may be censored, resamples, corrections for many.

It imports nothing of ours, so that each function can be held against an independent one.
It knows neither rows nor figures. `docs/theory/statistics.md` says what each number is.
"""
