"""The settings of a sweep, their validation, the tasks, and the point with its key.

It imports the names of activations, parametrisations, methods and data sources, and `errors`.
It loads no torch: every mistake in the settings is found before torch or Ray starts.
"""
