"""The chapter on all eigenvalues of single networks.

`composition` declares it, from its numbers, tables and figures. It imports what every chapter
may, and it has a folder because one file would be too long.
"""
