"""The chapter on bounds: the loss of a run against what λ_min gives for it.

`composition` declares it, from its numbers, tables and figures. It imports what every chapter
may, and it has a folder because one file would be too long.
"""
