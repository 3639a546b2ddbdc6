"""The chapter on how λ_min follows width and depth.

`composition` declares it, from its laws, numbers, tables and figures. It imports what every chapter
may, and it has a folder because one file would be too long.
"""
