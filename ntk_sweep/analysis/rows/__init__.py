"""From the store to tidy frames: groups, studies, cells, training runs.

It imports statistics, and of the library what reads the store and names activations and data.
Nothing here draws or writes, so that every number can be tested without a figure.
"""
