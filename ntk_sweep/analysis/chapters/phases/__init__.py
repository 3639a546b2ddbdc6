"""The chapter on order and chaos, over the plane of the scales of weights and biases.

`composition` declares it, from its mean-field theory, numbers, tables and figures. It imports what
every chapter may, and it has a folder because one file would be too long.
"""
