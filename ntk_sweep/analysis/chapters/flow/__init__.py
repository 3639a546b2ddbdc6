"""The chapter on the gradient flow: how fast the loss falls, in units of the rate of λ_min.

`composition` declares it, from its numbers, tables and figures. It imports what every chapter
may, and it has a folder because one file would be too long.
"""
